"""The functions on DynamoDB Local and moto: each test calls handlers, at a time that it sets, on empty tables.

The environment is the one that the template gives a function.
"""

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from tests.faults import FaultInjector
from tests.functions.api import Api
from tests.functions.events import PAYMENT_SECRET
from tests.invariants import Contents, completed_purchases, problems_in
from tests.parameters import DEFAULTS, OTHER_SETTINGS
from tests.table import SANDBOX, create_table, empty_table

if TYPE_CHECKING:
    from tests.functions.stream import Listener

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    **OTHER_SETTINGS,
    **DEFAULTS,
    # Not the defaults: a certificate to reward, badges of which a few raise the price, prices that fit a line.
    "CERTIFICATION_CONNECTS": "python=10,design=5",
    "BADGE_MAX_PRICE": "6",
    "BADGE_PRICE_STEP": "2",
    "JOB_PRICES": "small/simple=2,small/complex=6,large/complex=16",
    "SANDBOX_TABLE_NAME": "sandbox",
    "PAYMENT_SECRET_ARN": "payment-secret",
    "DUE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/due",
    "EVENT_BUS_NAME": "connects",
    "OUTBOX_DEAD_LETTERS_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/aside",
    "POWERTOOLS_SERVICE_NAME": "Tested",
    "POWERTOOLS_METRICS_NAMESPACE": "ConnectsLedger",
}
# Powertools reads its settings as it is imported, before any fixture runs.
os.environ |= {name: value for name, value in SETTINGS.items() if name.startswith("POWERTOOLS_")}

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


@dataclass
class Clock:
    """The real time, as far as the functions can tell."""

    at: datetime = START

    def go(self, **ahead: int) -> None:
        self.at += timedelta(**ahead)


@pytest.fixture(scope="session")
def aws(started: Callable[[str], str]) -> Iterator[None]:
    """moto, but for DynamoDB: Amazon's own is faster, and isolates transactions."""
    endpoint_url = started("dynamodb-local")
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint_url)
        secrets = client("secretsmanager")
        with suppress(secrets.exceptions.ResourceExistsException):  # the rules have this fixture once more, inside
            secrets.create_secret(Name=SETTINGS["PAYMENT_SECRET_ARN"], SecretString=PAYMENT_SECRET)
        create_table(client("dynamodb"), "sandbox", SANDBOX, exist_ok=True)
        yield


@cache
def client(service: str) -> Any:
    return boto3.client(service)  # type: ignore[call-overload] # which knows names alone, no texts


@contextmanager
def stopped_clock() -> Iterator[Clock]:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.clock.SystemClock.now", lambda _: clock.at)
        yield clock


@pytest.fixture(autouse=True)
def clock(tables: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:  # noqa: ARG001
    """Stands still until a test moves it. Asks for the tables first, so that they outlive what a test patches."""
    with stopped_clock() as clock:
        yield clock


@pytest.fixture(autouse=True)
def tables(aws: None) -> Iterator[None]:  # noqa: ARG001
    with fresh_tables():
        yield


def everything() -> list[dict[str, Any]]:
    """Every item of both tables."""
    return [row for table in ("ledger", "sandbox") for row in client("dynamodb").scan(TableName=table)["Items"]]


@contextmanager
def fresh_tables(charged_by: Callable[[], dict[str, int]] | None = None) -> Iterator[None]:
    """Empty at first; in the end every account holds to every invariant, and charges match completed purchases.

    ``charged_by``: what another provider than the sandbox's charged, in cents, by purchase.
    """
    create_table(client("dynamodb"), "ledger")
    yield
    contents, charged = Contents(ledger_table()), (charged_by or charges)()
    client("dynamodb").delete_table(TableName="ledger")
    empty_table(client("dynamodb"), "sandbox", SANDBOX)
    assert problems_in(contents) == []
    assert charged == completed_purchases(contents)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def queue(aws: None) -> Iterator[str]:  # noqa: ARG001
    """The function's own queue, empty."""
    url = client("sqs").create_queue(QueueName="due")["QueueUrl"]
    assert url == SETTINGS["DUE_QUEUE_URL"]
    yield url
    client("sqs").delete_queue(QueueUrl=url)


@pytest.fixture
def received(queue: str) -> Callable[[], list[str]]:
    """Takes what waits in the queue: the bodies of its messages."""

    def take() -> list[str]:
        bodies: list[str] = []
        while messages := client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            bodies += [message["Body"] for message in messages]
        return bodies

    return take


@pytest.fixture
def scheduled(api: Api, received: Callable[[], list[str]]) -> Callable[[str], Any]:
    """One run of a schedule, and all that it sends to its queue; tells what the run answered."""

    def run(function: str) -> Any:
        found = api.run(function)
        while bodies := received():
            assert api.deliver(function, *bodies) == []
        return found

    return run


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> "Listener":
    """Hears what is published."""
    from shared.aws.event_bus import EventBus  # noqa: PLC0415 - after Powertools' settings are there
    from tests.functions.stream import Listener  # noqa: PLC0415 - it needs this module

    listener, bus = Listener(), EventBus("connects")
    bus._client = listener
    monkeypatch.setattr("functions.outbox.app._bus", lambda: bus)
    return listener


@pytest.fixture
def faults(tables: None) -> Iterator[FaultInjector]:  # noqa: ARG001
    """What passes between the functions and DynamoDB, to tamper with."""
    from shared.aws.wiring import wiring  # noqa: PLC0415 - as above

    faults = FaultInjector(wiring().ledger.table.client)
    yield faults
    faults.detach()


@pytest.fixture
def restart(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Have the functions start anew with some settings changed; None takes one away."""

    def start(**settings: str | None) -> None:
        for name, value in settings.items():
            monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
        forget_wiring()

    yield start
    forget_wiring()


def forget_wiring() -> None:
    """What a process builds once from its environment is built anew: the clients of what it was pointed at too."""
    from shared.aws import queue, wiring  # noqa: PLC0415 - after Powertools' settings are there

    wiring.wiring.cache_clear()
    wiring._sandbox_table.cache_clear()
    queue._queue.cache_clear()


@cache
def ledger_table() -> Any:
    from shared.store.table import Table  # noqa: PLC0415 - as above

    return Table("ledger", shards=int(SETTINGS["DUE_SHARDS"]), region="us-east-1")


def charges() -> dict[str, int]:
    """What the sandbox's provider charged, in cents, by purchase."""
    rows = client("dynamodb").scan(TableName="sandbox")["Items"]
    charged = [row for row in rows if row.get("state") == {"S": "charged"}]
    found = {row["pk"]["S"].rpartition("-")[0]: int(row["amount_cents"]["N"]) for row in charged}
    assert len(found) == len(charged), "a purchase was charged twice"
    return found


@pytest.fixture(autouse=True)
def log(capsys: pytest.CaptureFixture[str]) -> "Log":
    from shared.aws.observability import logger, metrics  # noqa: PLC0415 - as above

    metrics.clear_metrics()
    lines = io.StringIO()
    logger.registered_handler.setStream(lines)  # type: ignore[attr-defined] # of a StreamHandler
    return Log(lines, capsys)


@dataclass(frozen=True)
class Log:
    """What the functions wrote: lines of the log through Powertools, metrics to the standard output."""

    stream: io.StringIO
    capsys: pytest.CaptureFixture[str]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def metrics(self) -> dict[str, Any]:
        """By name, as CloudWatch will read them; those since the last time it was asked for."""
        found: dict[str, Any] = {}
        for line in map(json.loads, self.capsys.readouterr().out.splitlines()):
            (directive,) = line["_aws"]["CloudWatchMetrics"]
            assert directive["Namespace"] == "ConnectsLedger"
            codes = [["code"]] if "code" in line else []
            assert directive["Dimensions"] == [["service"], *codes]
            found |= {"code": line["code"]} if codes else {}
            found |= {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}
        return found
