"""DynamoDB that accepts and never answers: at whichever request it begins, the caller has an answer within 5 s."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from shared.aws import wiring
from shared.ledger.errors import BusyError, LedgerError
from shared.ledger.jobs import JobEvent
from shared.ledger.model import Plan
from shared.ledger.purchases import PurchaseState
from shared.sandbox.payments import Behaviour, SandboxProvider
from shared.sandbox.table import SandboxTable
from shared.services.badges import week_price
from shared.services.history import EntryQuery, history_csv, history_json
from shared.store.errors import ContentionError
from shared.store.table import Table
from tests.core.builders import noon
from tests.driver import Driver, deadline
from tests.engines.conftest import REGION
from tests.functions.api import Api, Context
from tests.functions.conftest import SETTINGS, forget_wiring
from tests.hanging import proxy
from tests.store.fixtures import SHARDS

pytestmark = pytest.mark.parametrize("engine", ["dynamodb-local"], indirect=True, scope="session")

PROMISE_S = 5
WHOLE = EntryQuery("ann", limit=50, days=90, since=noon("2025-01-01"), until=noon("2027-01-01"))


class Caller:
    """A driver of its own behind a connection of its own, as a function that has just been called."""

    def __init__(self, through):
        self.through = through
        self.driver = Driver(Table("ledger", shards=SHARDS, region=REGION, endpoint_url=through.url))
        self.sandbox = SandboxTable("sandbox", region=REGION, endpoint_url=through.url)

    def ask(self, action, *, after):
        """What it comes to, and after how many seconds, where only so many requests are answered."""
        self.through.hang(after=after)
        started = time.monotonic()
        with wiring.answering(Context("tested")):  # type: ignore[arg-type] # as much of a context as it needs
            try:
                came = action(self)
            except (LedgerError, ContentionError) as error:
                came = error
        return came, time.monotonic() - started

    def buy(self, **more):
        return self.driver.buy(40, SandboxProvider(self.sandbox, self.driver.clock, Behaviour.SUCCEED), **more)


@pytest.fixture
def callers(engine, provider):  # noqa: ARG001 - the sandbox's table is there as long as the provider is
    with ExitStack() as proxies:
        yield lambda: Caller(proxies.enter_context(proxy(engine)))


@pytest.fixture
def driver(driver, monkeypatch):
    """Ann with 100 Connects, a proposal on a job and a boost. Deadlines are those of a function."""
    monkeypatch.setattr("tests.driver.PATIENCE_S", PROMISE_S)
    driver.open()
    driver.credit(100)
    driver.post(price=7)
    driver.propose()
    driver.boost(5)
    driver.put_campaign(10)
    driver.put_campaign(10, code="WINTER")
    return driver


ASKED = {
    "view": lambda caller: caller.driver.balance(),
    "history": lambda caller: history_json(caller.driver.ledger, WHOLE, deadline=deadline()),
    "csv": lambda caller: history_csv(caller.driver.ledger, WHOLE, deadline=deadline()),
    "price": lambda caller: week_price(caller.driver.ledger),
    "open": lambda caller: caller.driver.open("bob"),
    "plan": lambda caller: caller.driver.change_plan(Plan.PLUS),
    "spend": lambda caller: caller.driver.spend(5),
    "spend on a job": lambda caller: caller.driver.propose("j2", "other", amount=5),
    "spend too much": lambda caller: caller.driver.propose("j3", "too much", amount=500),
    "bid": lambda caller: caller.driver.boost(9, "raise"),
    "interview": lambda caller: caller.driver.interview("nothing"),
    "refund": lambda caller: caller.driver.refund(caller.spend_id),
    "rising talent": lambda caller: caller.driver.rising_talent(),
    "promo": lambda caller: caller.driver.redeem(),
    "campaign": lambda caller: caller.driver.put_campaign(20, code="AUTUMN"),
    "badge": lambda caller: caller.driver.badge(),
    "buy": lambda caller: caller.buy(),
    "buy with a promo": lambda caller: caller.buy(key="with promo", promo="WINTER"),
    "version of a job": lambda caller: caller.driver.post(version=2, price=8),
    "end of a job": lambda caller: caller.driver.end("j2", JobEvent.EXPIRED),
    "interaction": lambda caller: caller.driver.interact(),
}


@pytest.mark.parametrize("after", range(5))
def test_whatever_is_asked_is_answered_within_5_s(driver, callers, provider, after):
    """All at once, each on a connection of its own; some are done before theirs hangs."""
    spent = driver.spend(3, "to be refunded").entry.entry_id
    asking = [callers() for _ in ASKED]
    for caller in asking:
        caller.spend_id = spent
    with ThreadPoolExecutor(len(ASKED)) as threads:
        answers = list(threads.map(lambda caller, ask: caller.ask(ask, after=after), asking, ASKED.values()))
    took = {name: round(seconds, 1) for name, (_, seconds) in zip(ASKED, answers, strict=True)}
    assert max(took.values()) < PROMISE_S, took
    if after == 0:
        assert {type(came) for came, _ in answers} <= {BusyError, ContentionError}
        unknown = [name for name, (came, _) in zip(ASKED, answers, strict=True) if "may have" in str(came)]
        assert unknown == ["open"]  # which writes first
    for name in ("buy", "with promo"):  # whatever was left pending ends well
        driver.buy(40, provider.that(Behaviour.SUCCEED), name, promo="WINTER" if name != "buy" else None)


def test_an_answer_by_a_deadline_needs_no_function_around_it(driver, callers):
    caller = callers()
    for after in (0, 1):
        caller.through.hang(after=after)
        started = time.monotonic()
        with pytest.raises(BusyError):
            caller.driver.spend(5, str(after), by=started + PROMISE_S)
        assert time.monotonic() - started < PROMISE_S
    caller.through.hang(after=100)
    assert caller.driver.balance() == driver.balance() == 88


def test_a_write_that_is_never_answered_may_have_happened_and_says_so(driver, callers):
    busy, _ = callers().ask(ASKED["spend"], after=1)
    assert busy.detail == (
        "No answer came in time: this may have happened or not. "
        "Send the same request again, with the same key if it has one: it happens once."
    )
    assert not driver.spend(5).replayed


def test_a_purchase_that_may_be_pending_is_named(driver, callers, provider):
    caller = callers()
    busy, _ = caller.ask(ASKED["buy"], after=2)
    assert isinstance(busy, BusyError)
    assert f"purchase {busy.details['purchase_id']} is pending, or was not begun. Nothing was charged." in busy.detail
    assert provider.charges == []
    bought = driver.buy(40, provider.that(Behaviour.SUCCEED))
    assert (bought.purchase.purchase_id, bought.purchase.state) == (
        busy.details["purchase_id"],
        PurchaseState.COMPLETED,
    )


def test_a_purchase_whose_payment_could_not_be_named_charged_nothing_and_is_named(driver, callers, provider):
    busy, took = callers().ask(ASKED["buy"], after=3)
    assert busy.detail.startswith("The payment provider does not answer. Nothing was charged for purchase ")
    assert (provider.charges, took < PROMISE_S) == ([], True)
    assert driver.buy(40, provider.that(Behaviour.SUCCEED)).purchase.purchase_id == busy.details["purchase_id"]


@pytest.mark.parametrize("after", [4, 5, 6, 7])
def test_a_purchase_that_was_begun_is_named_and_goes_on_whatever_hangs(driver, callers, provider, after):
    """It cannot be answered ``pending``: no repeat would know that it was."""
    busy, took = callers().ask(ASKED["buy"], after=after)
    assert isinstance(busy, BusyError)
    assert took < PROMISE_S
    bought = driver.buy(40, provider.that(Behaviour.SUCCEED))
    assert (bought.purchase.purchase_id, bought.purchase.state, bought.replayed) == (
        busy.details["purchase_id"],
        PurchaseState.COMPLETED,
        False,
    )


def test_a_connection_that_died_while_the_function_was_frozen_costs_one_request_more(driver, callers):
    caller = callers()
    assert caller.driver.balance() == driver.balance()
    caller.through.die()
    assert caller.driver.balance() == driver.balance()
    caller.through.die()
    assert caller.driver.spend(5).entry.balance_after == driver.balance()


def test_a_connection_that_fell_silent_while_the_function_was_frozen_is_given_up_for_a_new_one(driver, callers):
    caller = callers()
    caller.driver.balance()
    caller.through.hang()
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(lambda: caller.ask(ASKED["view"], after=0))
        time.sleep(0.5)
        caller.through.hang(after=100)
        came, took = asked.result()
    assert came == driver.balance()
    assert took < PROMISE_S


@contextmanager
def functions(through, monkeypatch):
    """The Lambda functions on the table behind a proxy, in a sandbox."""
    for name, value in SETTINGS.items():
        if not name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", through.url)
    forget_wiring()
    try:
        yield Api()
    finally:
        forget_wiring()


def test_over_http_it_is_busy_within_5_s(driver, engine, provider, monkeypatch):  # noqa: ARG001
    with proxy(engine) as through, functions(through, monkeypatch) as api:
        assert os.environ["STAGE"] == "sandbox"
        api.open("bob")
        api.spend(1, "before", account="bob")  # loads what the functions need
        api.call("history", path={"account_id": "bob"})
        api.call("job_event", path={"job_id": "j8"}, body={"type": "canceled"})
        for after, call in [
            (0, lambda: api.spend(1, account="bob")),
            (2, lambda: api.spend(1, account="bob")),
            (0, lambda: api.call("history", path={"account_id": "bob"})),
            (1, lambda: api.call("job_event", path={"job_id": "j9"}, body={"type": "canceled"})),
        ]:
            through.hang(after=after)
            started = time.monotonic()
            assert call().refused == (503, "busy")
            assert time.monotonic() - started < PROMISE_S
