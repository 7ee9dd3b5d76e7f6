"""The adapter's counterparts. Stripe itself is one where `STRIPE_TEST_KEY` is set."""

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import stripe

from local.stripe_twin import StripeTwin
from tests.stripe.engines import RETURN_URL, Engine, OnLocalstripe, OnTwin, localstripe

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
KEY = os.environ.get("STRIPE_TEST_KEY")
STRIPE = ["stripe"] if KEY else []


class Clock:
    """The twin's."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def go(self, **ahead: float) -> None:
        self.at += timedelta(**ahead)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def twin(clock: Clock) -> Iterator[StripeTwin]:
    """Whatever it was asked for and answered has to fit the types of Stripe's client."""
    with StripeTwin(clock) as twin:
        yield twin
        assert twin.problems == []


@pytest.fixture
def on_twin(twin: StripeTwin) -> OnTwin:
    return OnTwin(twin)


@pytest.fixture(scope="session")
def localstripe_url() -> Iterator[str]:
    with localstripe() as url:
        yield url


def engine_named(name: str, request: pytest.FixtureRequest) -> Engine:
    if name == "twin":
        return request.getfixturevalue("on_twin")
    if name == "localstripe":
        return OnLocalstripe(request.getfixturevalue("localstripe_url"))
    return Engine(stripe.DEFAULT_API_BASE, KEY, RETURN_URL, run=f"p{secrets.token_hex(8)}x")


@pytest.fixture(params=["twin", "localstripe", *STRIPE])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each counterpart, for what all of them do."""
    return engine_named(request.param, request)


@pytest.fixture(params=["twin", "localstripe"])
def with_buyer(request: pytest.FixtureRequest) -> Engine:
    """The counterparts at which a test can answer the bank; at Stripe only a person can."""
    return engine_named(request.param, request)


@pytest.fixture(params=["twin", *STRIPE])
def as_documented(request: pytest.FixtureRequest) -> Engine:
    """The counterparts that have idempotency keys, disputes, the buyer's presence and events of the pinned version."""
    return engine_named(request.param, request)
