"""The fixtures of the rules: the functions on DynamoDB Local and moto, called as their triggers do."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from shared.clock import SystemClock
from shared.store.rows import instant
from tests.functions import conftest as functions
from tests.functions.api import Api
from tests.functions.conftest import Clock
from tests.functions.events import sqs
from tests.functions.stream import Listener, items, stream
from tests.rules.account import Account, Opens

aws, tables, clock, log = functions.aws, functions.tables, functions.clock, functions.log
api, queue, received = functions.api, functions.queue, functions.received
listener, restart = functions.listener, functions.restart


@pytest.fixture
def freelancer(api: Api) -> Opens:
    def opens(name: str = "ann", **more: str) -> Account:
        api.open(name, **more)
        return Account(api, name)

    return opens


@pytest.fixture
def agency(api: Api) -> Opens:
    """Agencies, which have no Connects and get none by themselves."""

    def opens(name: str = "acme", plan: str = "plus", **more: str) -> Account:
        api.open(name, kind="agency", plan=plan, **more)
        return Account(api, name)

    return opens


@pytest.fixture
def at(clock: Clock) -> Callable[[str], None]:
    """`at("2027-11-22T23:59:59.999Z")` or, for the first instant of a day, `at("2027-11-23")`."""

    def go(instant: str) -> None:
        clock.at = datetime.fromisoformat(instant)
        if clock.at.tzinfo is None:
            clock.at = clock.at.replace(tzinfo=UTC)

    return go


@pytest.fixture
def happens(api: Api) -> Callable[..., None]:
    """Deliver an event of the marketplace, which must not fail."""

    def report(kind: str, /, **detail: Any) -> None:
        sent = {"id": str(next(numbers)), "time": instant(SystemClock().now()), "detail-type": kind, "detail": detail}
        batch = sqs("marketplace_events", json.dumps(sent))
        assert api.invoke("marketplace_events", batch) == {"batchItemFailures": []}

    numbers = count()
    return report


@pytest.fixture
def scheduled(api: Api, received: Callable[[], list[str]]) -> Callable[[str], None]:
    """One run of a schedule, and all the messages that it sends to its queue."""

    def run(function: str) -> None:
        api.run(function)
        while bodies := received():
            assert api.deliver(function, *bodies) == []

    return run


@pytest.fixture
def notices(api: Api, listener: Listener) -> Callable[[str], list[dict[str, Any]]]:
    """The notices of one kind that were published so far, in the order of time."""
    seen: list[Any] = []

    def of_kind(kind: str) -> list[dict[str, Any]]:
        new = [item for item in items() if item not in seen]
        seen.extend(new)
        assert api.invoke("outbox", stream(*map(_as_it_came, new))) == {"batchItemFailures": []}
        heard = [event for event in listener.heard if event["type"] == f"notice.{kind}"]
        return sorted(heard, key=lambda event: event.get("at", ""))

    return of_kind


def _as_it_came(item: Any) -> Any:
    """The change that the stream has of an item. A purchase was pending before."""
    pending = item | {"state": {"S": "pending"}}
    return (pending, item) if item["sk"]["S"].startswith("PURCHASE#") else item
