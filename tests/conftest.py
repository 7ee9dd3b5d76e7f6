"""What holds for every test: the same examples in every run, so that a failure is never luck; and what saves time."""

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import botocore.session
import pynamodb.connection.base
import pytest
from hypothesis import settings

from local.engines import dynamodb_local, ministack

ENGINES = {"dynamodb-local": dynamodb_local, "ministack": ministack}

settings.register_profile("deterministic", derandomize=True, deadline=None)
# Others in every run, and many: to go looking for what nobody thought of.
settings.register_profile("long", max_examples=2_000, deadline=None, print_blob=True)
# Fewer of the same, for the inner loop.
settings.register_profile("quick", max_examples=25, derandomize=True, deadline=None)
settings.load_profile("deterministic")

# A botocore session reads the description of a service, a megabyte of JSON, for its first client: tests make many.
botocore.session.create_loader = cache(botocore.session.create_loader)
# And a session registers over a hundred handlers.
vars(pynamodb.connection.base)["get_session"] = cache(botocore.session.get_session)


def pytest_collection_finish() -> None:
    """Half of the tests' time went to looking for garbage among what was imported and stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], str]]:
    """The endpoint of an engine, started when first asked for."""
    with ExitStack() as engines:
        yield cache(lambda name: engines.enter_context(ENGINES[name]()))
