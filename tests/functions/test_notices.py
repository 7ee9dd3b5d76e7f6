"""What owners are told: what came, what expires, what expired, and what became of their purchases."""

import json
from datetime import timedelta

import pytest

from tests.functions.conftest import SETTINGS, client
from tests.functions.events import STAFF
from tests.functions.stream import items, stream

OUTBOX, NOTICES = "outbox", "expiry_notices"


pytestmark = pytest.mark.usefixtures("queue")


def publish(api, *changes):
    assert api.invoke(OUTBOX, stream(*changes)) == {"batchItemFailures": []}


def facts(events):
    """Without what every event has."""
    common = {"version", "account_id", "type", "id"}
    return [{name: each[name] for name in each if name not in common} for each in events]


def look(api):
    """A run of the schedule, and what it sends itself; tells how many accounts it found."""
    found = api.run(NOTICES)["accounts"]
    while messages := client("sqs").receive_message(QueueUrl=SETTINGS["DUE_QUEUE_URL"]).get("Messages"):
        assert api.deliver(NOTICES, *(message["Body"] for message in messages)) == []
    return found


def told(listener, kind):
    return [event for event in listener.heard if event["type"] == f"notice.{kind}"]


def test_an_owner_is_told_of_every_kind_of_connects_that_came(api, listener):
    api.open()
    api.reward("rising_talent")
    api.refund(api.spend(6).body["id"])
    publish(api, *items("ENTRY#"))
    assert [each["amount"] for each in told(listener, "came")] == [40, 10, 30, 6]
    rows = {entry["id"]: entry for entry in api.entries()}
    for notice in told(listener, "came"):
        entry = rows[notice["entry_id"]]
        assert (notice["balance"], notice["reason"], notice["lots"]) == (
            entry["balance_after"],
            entry["reason"],
            entry["lots"],
        )
        assert notice["id"] == f"{entry['id']}.came"


def test_an_owner_is_not_told_of_spending_or_of_what_staff_took(api, listener):
    api.open()
    api.spend(6)
    api.call("adjustment", path={"account_id": "ann"}, key="a", body={"amount": -4, "reason": "twice"}, claims=STAFF)
    publish(api, *items("ENTRY#")[2:])
    assert {event["type"] for event in listener.heard} == {"entry.posted"}


def test_an_owner_is_told_what_expired(api, clock, listener):
    api.open()
    clock.go(days=366)
    api.spend(1)
    expired = [item for item in items("ENTRY#") if item["type"] == {"S": "expiry"}]
    publish(api, *expired)
    (notice,) = facts(told(listener, "expired"))
    entry = api.entries(type="expiry")[0]
    assert notice == {
        "at": "2027-11-23T00:00:00.000Z",
        "entry_id": entry["id"],
        "amount": 50,
        "balance": entry["balance_after"],
    }


def purchases():
    (row,) = items("PURCHASE#")
    return row


def test_an_owner_is_told_that_a_purchase_is_done_once(api, clock, listener, scheduled):
    api.open()
    api.buy(sandbox="timeout")
    pending = purchases()
    publish(api, pending, (pending, pending))
    assert listener.heard == []
    clock.go(minutes=2)
    scheduled("purchase_reconcile")
    completed = purchases()
    publish(api, (pending, completed), (completed, completed))
    (notice,) = told(listener, "purchase_completed")
    purchase_id = pending["sk"]["S"].removeprefix("PURCHASE#")
    assert notice["id"] == f"{purchase_id}-1.completed"
    assert facts([notice]) == [{"purchase_id": purchase_id, "quantity": 40, "amount_cents": 600, "currency": "USD"}]


def test_an_owner_is_told_of_each_attempt_that_was_declined(api, listener):
    api.open()
    api.buy(sandbox="decline")
    first = purchases()
    api.buy(sandbox="decline")
    second = purchases()
    for declined in (first, second):
        publish(api, (declined | {"state": {"S": "pending"}}, declined))
    notices = told(listener, "purchase_declined")
    assert [notice["declined_because"] for notice in notices] == ["the card was declined"] * 2
    assert len({notice["id"] for notice in notices}) == 2


def test_an_owner_is_told_30_7_and_1_days_ahead(api, clock, listener):
    api.open()
    expires = clock.at + timedelta(days=366)
    for days in (31, 30, 29, 7, 1):
        clock.at = expires - timedelta(days=days)
        look(api)
    publish(api, *items("NOTICE#"))
    mine = [notice for notice in told(listener, "expiring") if notice["expires_on"] == "2027-11-23"]
    assert sorted((notice["days_ahead"], notice["days_left"], notice["amount"]) for notice in mine) == [
        (1, 1, 50),
        (7, 7, 50),
        (30, 30, 50),
    ]
    assert {notice["id"] for notice in mine} == {f"ann.expiring.2027-11-23.{days}" for days in (30, 7, 1)}


def test_runs_that_come_twice_and_together_tell_once(api, clock):
    api.open()
    clock.go(days=366 - 30)
    page = json.dumps({"accounts": ["ann", "ann"]})
    assert look(api) == 1
    assert api.deliver(NOTICES, page, page) == []
    assert len(items("NOTICE#")) == 1
    assert look(api) == 0


def test_a_run_finds_only_whose_day_has_come(api, clock):
    api.open()
    assert look(api) == 1  # the first looks at all, as it knows of no settings before
    clock.go(days=366 - 31)
    assert look(api) == 0
    api.spend(50)  # of 40, 10 and a year's monthly ones, the first
    clock.go(days=1)
    assert look(api) == 1  # a lower bound: a spend leaves the index alone
    assert items("NOTICE#") == []
    assert look(api) == 0


def test_a_notice_that_is_written_again_is_not_told_again(api, clock, listener):
    api.open()
    clock.go(days=366 - 30)
    look(api)
    (notice,) = items("NOTICE#")
    publish(api, (notice, notice))
    assert listener.heard == []


def test_after_a_change_of_the_days_ahead_a_run_looks_at_every_account_once(api, clock, restart):
    api.open()
    api.open("bob")
    look(api)
    restart(EXPIRY_NOTICE_DAYS="60,30,7,1")
    assert [look(api), look(api)] == [2, 0]
    clock.go(days=366 - 60)
    assert look(api) == 2
    assert [row["sk"]["S"] for row in items("NOTICE#")] == ["NOTICE#expiring#2027-11-23.60"] * 2


def test_a_look_at_every_account_that_fails_is_made_again(api, restart, queue):
    api.open()
    look(api)
    restart(EXPIRY_NOTICE_DAYS="60,30,7,1")
    client("sqs").delete_queue(QueueUrl=queue)
    with pytest.raises(ExceptionGroup) as failed:
        api.run(NOTICES)
    assert failed.group_contains(client("sqs").exceptions.QueueDoesNotExist)
    client("sqs").create_queue(QueueName="due")
    assert [look(api), look(api)] == [1, 0]


def test_the_same_days_ahead_in_another_order_are_no_change(api, restart):
    api.open()
    look(api)
    restart(EXPIRY_NOTICE_DAYS="1,7,30")
    assert look(api) == 0


def test_the_sandbox_clock_tells_what_its_step_has_passed_and_only_the_most_urgent(api, clock):
    api.open()
    clock.go(days=366 - 40)
    answer = api.call("sandbox_clock", claims=STAFF, body={"advance": "P39D"})
    assert answer.body["told_accounts"] == 1
    mine = [row["sk"]["S"] for row in items("NOTICE#") if "2027-11-23" in row["sk"]["S"]]
    assert mine == ["NOTICE#expiring#2027-11-23.1"]


def test_an_owner_is_told_that_a_badge_went_off_and_why(api, clock, listener):
    api.open()
    api.badge()
    api.spend(46)
    clock.go(days=7)
    assert api.deliver("badge_renewals", json.dumps({"accounts": ["ann"]})) == []
    publish(api, *items("NOTICE#"))
    assert facts(told(listener, "badge_off")) == [
        {
            "at": "2026-11-29T10:00:00.000Z",
            "why": "insufficient_connects",
            "reason": "4 Connects are needed and 0 are there.",
            "price": 4,
            "max_per_week": 6,
            "balance": 0,
        }
    ]
