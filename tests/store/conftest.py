"""The store suite on Amazon's DynamoDB Local, one thread at a time."""

from collections.abc import Callable

import pytest

from tests.store.fixtures import *  # noqa: F403 - fixtures


@pytest.fixture(scope="session")
def engine(started: Callable[[str], str]) -> str:
    return started("dynamodb-local")
