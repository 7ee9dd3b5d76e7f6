"""What others hear of the ledger: over the real stream, on the stack's own bus."""

import json
from collections.abc import Callable, Iterator
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
