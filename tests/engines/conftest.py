"""The same, and races, bad days and budgets, on Amazon's DynamoDB Local and on ministack. Each starts once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import boto3
import pytest

from local.engines import CREDENTIALS, dynamodb_local, ministack
from shared.sandbox.table import SandboxTable
from shared.store.table import Table
from tests.store.fixtures import SHARDS, audited, driver, faults, provider, table  # noqa: F401 - fixtures

ENGINES = {"dynamodb-local": dynamodb_local, "ministack": ministack}
REGION = CREDENTIALS["AWS_REGION"]
PATIENCE_S = 30
"""A busy machine is not a lost answer: those are lost on purpose here."""


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], str]]:
    """The endpoint of an engine, started when first asked for."""
    with ExitStack() as engines:
        yield cache(lambda name: engines.enter_context(ENGINES[name]()))


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, started: Callable[[str], str]) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield started(request.param)


@pytest.fixture(scope="session")
def admin(engine: str) -> Any:
    return boto3.client("dynamodb", region_name=REGION, endpoint_url=engine)


@pytest.fixture(scope="session")
def store(engine: str) -> Table:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.store.sending.READ_TIMEOUT_S", PATIENCE_S)
        return Table("ledger", shards=SHARDS, region=REGION, endpoint_url=engine)


@pytest.fixture(scope="session")
def sandbox(engine: str) -> SandboxTable:
    return SandboxTable("sandbox", region=REGION, endpoint_url=engine)
