"""Races, bad days and budgets, on Amazon's DynamoDB Local and on ministack."""

from collections.abc import Callable

import pytest

from tests.conftest import ENGINES
from tests.store.fixtures import *  # noqa: F403 - fixtures


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, started: Callable[[str], str]) -> str:
    return started(request.param)
