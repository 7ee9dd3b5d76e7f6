"""The functions with every parameter at its ends, over lots of both classes all through a life: they answer by rule.

Every answer is as documented, and every event is published. One parameter at a time, and accounts that are full, are
for the core's suite, where a life takes a tenth of the time.
"""

import os

import pytest

from shared.config import Settings
from shared.ledger.policy import MAX_AMOUNT
from tests.driver import Driver, SetClock
from tests.functions.api import Answer
from tests.functions.conftest import ledger_table
from tests.functions.events import STAFF
from tests.functions.stream import items, stream
from tests.parameters import MOST_ENDS, all_at
from tests.sizes import AN_ANSWER

pytestmark = pytest.mark.usefixtures("queue")

SCHEDULES = ("monthly_grant", "expiry_sweep", "expiry_notices", "badge_renewals", "job_sweep", "purchase_reconcile")


A_MONTH = 30


def fill(clock) -> None:
    """A lot of both classes in Ann's account for every month of a life, as one row."""
    Driver(ledger_table(), Settings.read(os.environ).policy, SetClock(clock.at)).fill(each=20, every=A_MONTH)


@pytest.fixture
def run_schedules(scheduled, received):
    """Each once, and all that it sends."""

    def run() -> None:
        received()  # what calls have sent: the schedules find it again
        for name in SCHEDULES:
            scheduled(name)

    return run


def live(api, clock, run_schedules) -> list[Answer]:
    """Every call once, and days on which only the schedules run."""
    answers = [api.post(price=2), api.post("j-2", size="a", scope="b"), api.put_promo()]
    spent = api.spend(5)
    answers += [
        spent,
        api.propose(),
        api.boost(3),
        api.boost(4, key="raise"),
        api.reward("interview", spend_id=spent.body["id"], key="interview"),
        api.reward("rising_talent", key="talent"),
        api.reward("certification", certificate="0", key="certified"),
        api.redeem(),
        api.badge(most=MAX_AMOUNT),
        api.buy(MAX_AMOUNT, sandbox="late"),
        api.call("change_account", path={"account_id": "ann"}, body={"plan": "plus"}),
    ]
    clock.go(days=9)
    run_schedules()
    everything = api.spend(min(api.balance(), MAX_AMOUNT), key="everything")
    answers += [
        everything,
        api.refund(everything.body["id"]),
        api.adjust(-min(api.balance(), MAX_AMOUNT)),
        api.adjust(7, key="courtesy"),
        api.tell("canceled"),
        api.call("audit", path={"account_id": "ann"}, claims=STAFF),
        api.call("history", path={"account_id": "ann"}, query={"days": "30", "limit": "100"}),
        api.call("read_account", path={"account_id": "ann"}),
    ]
    clock.go(days=40)
    run_schedules()
    return answers


@pytest.fixture
def lived(api, clock, run_schedules, listener, restart):
    """Have Ann's account live under other settings; everything is answered, and told to others."""

    def live_under(**settings):
        restart(**settings)
        api.open()
        fill(clock)
        answers = live(api, clock, run_schedules)
        assert {answer.status for answer in answers} <= {200, 201, 202, 400, 404, 409, 422}
        done = [answer for answer in answers if answer.status < 300]
        assert len(done) >= len(answers) - 6, [answer.text for answer in answers if answer.status >= 300]
        assert max(len(answer.text) for answer in answers) <= AN_ANSWER
        assert api.invoke("outbox", stream(*items("ENTRY#"), *items("NOTICE#"))) == {"batchItemFailures": []}
        assert len(listener.of_type("entry.posted")) == len(items("ENTRY#"))

    return live_under


@pytest.mark.parametrize("end", range(MOST_ENDS))
def test_with_all_parameters_at_their_ends_every_call_is_answered_and_told(lived, end):
    lived(**all_at(end))
