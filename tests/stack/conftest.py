"""The stack, as whoever uses it meets it: over HTTP, with tokens from its own user pool.

What it holds stays between runs and its clock never goes back, so every test makes accounts of its own.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.spare import any_stack
from local.tokens import client_token
from tests.stack.machinery import Machinery
from tests.stack.marketplace import Marketplace

PATIENCE_S = 30


@pytest.fixture(scope="session")
def stack() -> Iterator[dict[str, Any]]:
    with any_stack() as stack:
        yield stack


@pytest.fixture(scope="session")
def tokens(stack: dict[str, Any]) -> dict[str, str]:
    return {name: client_token(stack, name) for name in ("service", "staff")}


@pytest.fixture(scope="session")
def http(stack: dict[str, Any]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack["api_url"], timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture
def marketplace(stack: dict[str, Any], tokens: dict[str, str], http: httpx.Client) -> Marketplace:
    return Marketplace(stack, http, tokens)


@pytest.fixture
def machinery(stack: dict[str, Any]) -> Machinery:
    return Machinery(stack)


@pytest.fixture(autouse=True)
def audited(marketplace: Marketplace, machinery: Machinery) -> Iterator[None]:
    """Whatever a test did to its accounts, every invariant holds for each of them.

    From then on they rest: the years that other tests let pass bring them nothing that would have to be waited for.
    """
    yield
    for account in marketplace.opened:
        answer = marketplace.staff("GET", f"/accounts/{account}/audit")
        assert answer.status_code == 200
        assert answer.json()["ok"], answer.text
        machinery.hide_from_the_schedules(account)
