"""What comes by itself: schedules that really fire, queues that really deliver, and a calendar that they follow."""

import json
from datetime import date, timedelta

import pytest

from tests.stack.machinery import Machinery, eventually
from tests.stack.marketplace import Marketplace, unique

A_CYCLE = {"days": 31}  # never shorter than a month
TO_EXPIRY = {"days": 367}
SCHEDULED = ("monthly-grant", "expiry-sweep", "expiry-notices", "badge-renewals", "job-sweep", "purchase-reconcile")


@pytest.mark.parametrize("name", SCHEDULED)
def test_schedules_run_every_minute_here_and_tell_their_time(machinery: Machinery, name: str):
    schedule = machinery.schedule(name)

    assert (schedule["State"], schedule["ScheduleExpression"]) == ("ENABLED", "rate(1 minute)")
    assert json.loads(schedule["Target"]["Input"]) == {"scheduled_time": "<aws.scheduler.scheduled-time>"}


def test_schedules_that_fire_bring_what_is_due(marketplace: Marketplace, machinery: Machinery):
    """Of everything at once, because a schedule takes up to ten seconds to fire: grants, expiries, purchases."""
    account = marketplace.open()
    purchase_id = marketplace.buy(account, 20, "b", sandbox="late").json()["purchase_id"]
    machinery.let_pass(**TO_EXPIRY)

    with machinery.fired_now(*SCHEDULED):
        eventually(lambda: marketplace.purchase(account, purchase_id)["status"] == "completed")
        eventually(lambda: machinery.written(account, "expiry"))

    assert len(machinery.written(account, "grant")) >= 13
    assert marketplace.of_type(account, "purchase") == [20]
    assert machinery.charges(account) == [("charged", 300)]


def test_a_grant_comes_by_way_of_the_queue(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()
    machinery.let_pass(**A_CYCLE)

    found = machinery.run("MonthlyGrantFunction")

    assert found["accounts"] >= 0  # the stack's own schedule may have been faster
    eventually(lambda: machinery.written(account, "grant") == [40, 10, 10])


def test_runs_that_come_twice_and_together_grant_once(marketplace: Marketplace, machinery: Machinery):
    accounts = [marketplace.open() for _ in range(3)]
    machinery.let_pass(**A_CYCLE)

    for _ in range(3):
        machinery.run("MonthlyGrantFunction")
        machinery.send("MonthlyGrantQueue", json.dumps({"accounts": accounts}))

    for account in accounts:
        eventually(lambda account=account: machinery.written(account, "grant") == [40, 10, 10])


def test_an_expiry_is_dated_at_its_instant(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()
    lots = marketplace.read(account)["lots"]
    machinery.let_pass(**TO_EXPIRY)

    machinery.run("ExpirySweepFunction")

    eventually(lambda: machinery.written(account, "expiry"))
    expired = {entry["at"]: entry["amount"] for entry in marketplace.entries(account, type="expiry")}
    assert expired.items() >= {f"{lot['expires_on']}T00:00:00.000Z": -lot["amount"] for lot in lots}.items()


def test_no_balance_waits_for_a_sweep(marketplace: Marketplace, machinery: Machinery):
    """Over a year late, and never: what has expired is gone, and what has come is there."""
    account = marketplace.open()
    machinery.hide_from_the_schedules(account)
    machinery.let_pass(**TO_EXPIRY)

    late = marketplace.read(account)

    assert machinery.written(account, "expiry") == []
    assert marketplace.of_type(account, "expiry") == [-50]
    assert marketplace.entries(account)[0]["balance_after"] == late["balance"]
    assert late["balance"] == sum(lot["amount"] for lot in late["lots"]) == 120
    assert marketplace.spend(account, 121, "s").json()["balance"] == 120
    assert marketplace.spend(account, 120, "t").json()["balance_after"] == 0
    assert sum(marketplace.of_type(account, "expiry")) == -50
    assert marketplace.of_type(account, "grant") == [40, *[10] * 13]


def test_a_late_answer_is_found_out_by_the_reconciliation(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()
    bought = {
        behaviour: marketplace.buy(account, 20, behaviour, sandbox=behaviour).json()["purchase_id"]
        for behaviour in ("late", "timeout")
    }
    machinery.let_pass(minutes=2)

    machinery.run("PurchaseReconcileFunction")

    for purchase_id in bought.values():
        purchase = eventually(
            lambda purchase_id=purchase_id: (
                (found := marketplace.purchase(account, purchase_id))["status"] == "completed" and found
            )
        )
        assert purchase["entry"]["amount"] == 20
    assert marketplace.balance(account) == 90
    assert machinery.charges(account) == [("charged", 300)] * 2


def test_poison_ends_in_the_dead_letters_and_keeps_nobody_else(marketplace: Marketplace, machinery: Machinery):
    """A page that is no JSON, one that names an account that is not there, and one that is in order."""
    accounts, ghost, nonsense = [marketplace.open() for _ in range(2)], unique("ghost"), unique("nonsense")
    for account in accounts:
        machinery.hide_from_the_schedules(account)  # only these messages can bring its Connects
    machinery.let_pass(**A_CYCLE)
    mixed = json.dumps({"accounts": [ghost, accounts[0]]})

    with machinery.impatient("MonthlyGrantQueue"):
        machinery.send("MonthlyGrantQueue", nonsense, mixed, json.dumps({"accounts": accounts[1:]}))
        for account in accounts:
            eventually(lambda account=account: machinery.written(account, "grant") == [40, 10, 10])
        dead: set[str] = set()
        eventually(
            lambda: (
                dead.update(machinery.take("MonthlyGrantDeadLetters", {nonsense, mixed}.__contains__))
                or dead == {nonsense, mixed}
            )
        )


def test_the_sandbox_clock_brings_all_that_has_fallen_due(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()
    purchase_id = marketplace.buy(account, 20, "b", sandbox="late").json()["purchase_id"]

    answer = marketplace.staff("POST", "/sandbox/clock", {"advance": "P31D"})

    assert answer.status_code == 200
    assert answer.json()["settled_accounts"] >= 1
    assert machinery.written(account, "grant") == [40, 10, 10]
    assert marketplace.purchase(account, purchase_id)["status"] == "completed"
    cycle = marketplace.read(account)["cycle"]
    assert date.fromisoformat(cycle["next_grant_on"]) - date.fromisoformat(cycle["starts_on"]) >= timedelta(days=28)
