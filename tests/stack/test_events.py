"""What others hear of the ledger: over the real stream, on the stack's own bus."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from tests.stack.machinery import Machinery, eventually
from tests.stack.marketplace import Marketplace, unique

Heard = Callable[[str], list[dict[str, Any]]]
ENTRY = "entry.posted"


@pytest.fixture
def heard(machinery: Machinery) -> Iterator[Heard]:
    """All that a listener has heard of an account, in the order in which it came."""
    sqs, events = machinery.client("sqs"), machinery.client("events")
    name, bus = unique("listener"), machinery.resources["Bus"]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["connects.ledger"]}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "listener", "Arn": arn}])
    came: list[dict[str, Any]] = []

    def listen(account: str) -> list[dict[str, Any]]:
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                came.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in came if event["detail"]["account_id"] == account]

    yield listen
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["listener"])
    events.delete_rule(Name=name, EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


def entries_in(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["detail"]["entry"] for event in events if event["detail-type"] == ENTRY]


def test_every_entry_of_an_account_is_heard_of_once_and_in_order(marketplace: Marketplace, heard: Heard):
    account = marketplace.open()
    spent = [marketplace.spend(account, 1, f"s-{number}").json() for number in range(10)]
    marketplace.refund(account, spent[0]["id"], "r")
    marketplace.buy(account, 20, "b")
    history = marketplace.entries(account)[::-1]

    eventually(lambda: len(entries_in(heard(account))) >= len(history))

    assert entries_in(heard(account)) == history


def tell(machinery: Machinery, kind: str, /, **detail: str | int) -> None:
    """The marketplace puts an event on the bus."""
    entry = {
        "EventBusName": machinery.resources["Bus"],
        "Source": "marketplace",
        "DetailType": kind,
        "Detail": json.dumps(detail),
    }
    assert machinery.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_what_happens_in_the_marketplace_acts_once_by_event_and_by_call(marketplace: Marketplace, machinery: Machinery):
    account = unique("t")
    for _ in range(2):
        tell(machinery, "account.registered", account_id=account, kind="freelancer", plan="basic")
    eventually(lambda: marketplace.service("GET", f"/accounts/{account}").status_code == 200)
    marketplace.opened.append(account)
    spent = marketplace.spend(account, 8, "s").json()["id"]
    tell(machinery, "interview.won", account_id=account, spend_id=spent)
    tell(machinery, "interview.won", account_id=account, spend_id=spent)
    eventually(lambda: marketplace.of_type(account, "reward"))

    body = {"kind": "interview", "reference": {"spend_id": spent}}
    answer = marketplace.service("POST", f"/accounts/{account}/rewards", body, key="k")

    assert answer.json()["code"] == "already_awarded"
    assert marketplace.balance(account) == 50 - 8 + 10


def test_what_happens_to_a_job_acts_once_by_event_and_by_call(marketplace: Marketplace, machinery: Machinery):
    account, job = marketplace.open(), unique("j")

    def seen() -> dict[str, Any]:
        return marketplace.service("GET", f"/jobs/{job}").json()

    tell(machinery, "job.changed", job_id=job, version=2, price=9)
    eventually(lambda: seen().get("price") == 9)
    marketplace.service("PUT", f"/jobs/{job}", {"version": 1, "price": 3})
    assert marketplace.spend(account, 9, "s", job=job).status_code == 201

    tell(machinery, "job.canceled", job_id=job)
    eventually(lambda: seen()["status"] == "canceled")
    tell(machinery, "job.canceled", job_id=job)
    marketplace.service("POST", f"/jobs/{job}/events", {"type": "canceled"})
    machinery.run("JobSweepFunction")

    eventually(lambda: marketplace.balance(account) == 50)
    assert marketplace.of_type(account, "refund") == [9]


def test_an_interaction_captures_a_boost_once_by_event_and_by_call(marketplace: Marketplace, machinery: Machinery):
    account, job = marketplace.open(), unique("j")
    marketplace.service("PUT", f"/jobs/{job}", {"version": 1, "price": 7})
    assert marketplace.boost(account, job, 10).status_code == 201

    for _ in range(2):
        tell(machinery, "job.interaction", job_id=job, account_id=account)
    eventually(lambda: marketplace.read(account)["held"] == 0)
    marketplace.service("POST", f"/jobs/{job}/events", {"type": "interaction", "account_id": account})

    assert marketplace.of_type(account, "capture") == [0]
    assert marketplace.balance(account) == 40


def test_an_event_that_makes_no_sense_ends_in_the_dead_letters(machinery: Machinery):
    nonsense = unique("nonsense")

    with machinery.impatient("MarketplaceEventsQueue"):
        tell(machinery, "account.registered", account_id=nonsense, kind="robot", plan="basic")
        eventually(lambda: machinery.take("MarketplaceEventsDeadLetters", lambda body: nonsense in body))


def notices_in(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event["detail"] for event in events if event["detail-type"] == f"notice.{kind}"]


def test_owners_hear_what_came_what_expires_and_what_they_bought(
    marketplace: Marketplace, machinery: Machinery, heard: Heard
):
    account = marketplace.open()
    marketplace.buy(account, 20, "b")
    marketplace.buy(account, 20, "c", sandbox="decline")
    eventually(lambda: notices_in(heard(account), "purchase_declined"))
    soonest = marketplace.read(account)["expiring"]["next"]
    today = date.fromisoformat(marketplace.entries(account)[0]["at"][:10])
    machinery.let_pass(days=(date.fromisoformat(soonest["on"]) - today).days - 30)

    machinery.run("ExpiryNoticesFunction")

    eventually(lambda: notices_in(heard(account), "expiring"))
    (expiring,) = notices_in(heard(account), "expiring")
    assert (expiring["expires_on"], expiring["amount"]) == (soonest["on"], soonest["amount"])
    assert [notice["amount"] for notice in notices_in(heard(account), "came")][:2] == [40, 10]
    assert len(notices_in(heard(account), "purchase_completed")) == 1
