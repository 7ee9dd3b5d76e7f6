"""The `Machinery` behind the API: the calendar, the schedules, the queues, and the tables under it all."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from local.aws import client
from tests.stack.marketplace import unique

PATIENCE_S = 30


def eventually(happened: Callable[[], Any]) -> Any:
    """What `happened` tells once it is something; for what others do in their own time."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return found


class Machinery:
    def __init__(self, stack: dict[str, Any]) -> None:
        self._stack = stack

    def client(self, service: str) -> Any:
        return client(service, self._stack["endpoint_url"])

    @cached_property
    def resources(self) -> dict[str, str]:
        """Physical ids by logical ids."""
        described = self.client("cloudformation").describe_stack_resources(StackName=self._stack["stack_name"])
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in described["StackResources"]}

    def now(self) -> datetime:
        """By the product's clock."""
        key = {"pk": {"S": "CLOCK"}}
        clock = self.client("dynamodb").get_item(TableName=self._stack["sandbox_table"], Key=key).get("Item", {})
        return datetime.now(UTC) + timedelta(milliseconds=int(clock.get("ahead_ms", {"N": "0"})["N"]))

    def let_pass(self, **time_: float) -> None:
        """Time passes, and nobody is told: what falls due has to be found."""
        self.client("dynamodb").update_item(
            TableName=self._stack["sandbox_table"],
            Key={"pk": {"S": "CLOCK"}},
            UpdateExpression="ADD ahead_ms :ms",
            ExpressionAttributeValues={":ms": {"N": str(timedelta(**time_) // timedelta(milliseconds=1))}},
        )

    def hide_from_the_schedules(self, account: str) -> None:
        """As if no schedule had run since: the due indexes do not name this account."""
        self.client("dynamodb").update_item(
            TableName=self._stack["table"],
            Key={"pk": {"S": account}, "sk": {"S": "ACCOUNT"}},
            UpdateExpression="REMOVE #shard",
            ExpressionAttributeNames={"#shard": "shard"},
        )

    def written(self, account: str, entry_type: str) -> list[int]:
        """The amounts of an account's entries of one type, oldest first: the history shows more than is written."""
        items = self.client("dynamodb").query(
            TableName=self._stack["table"],
            IndexName="by_time",
            ConsistentRead=True,
            KeyConditionExpression="pk = :account",
            ExpressionAttributeValues={":account": {"S": account}},
        )["Items"]
        return [int(item["amount"]["N"]) for item in items if item["type"] == {"S": entry_type}]

    def charges(self, account: str) -> list[tuple[str, int]]:
        """State and cents of each of an account's charges at the sandbox's payment provider."""
        items = self.client("dynamodb").scan(TableName=self._stack["sandbox_table"], ConsistentRead=True)["Items"]
        return [
            (item["state"]["S"], int(item["amount_cents"]["N"]))
            for item in items
            if item.get("account_id") == {"S": account}
        ]

    @cached_property
    def payment_secret(self) -> str:
        """What the payment provider signs with."""
        secret: str = self.client("secretsmanager").get_secret_value(SecretId=self._stack["payment_secret"])[
            "SecretString"
        ]
        return secret

    def schedule(self, function: str) -> dict[str, Any]:
        name = f"{self._stack['stack_name']}-{function}"
        return self.client("scheduler").get_schedule(Name=name)

    @contextmanager
    def fired_now(self, *functions: str) -> Iterator[None]:
        """What the functions' schedules do every minute, done now: one-time schedules with their very targets."""
        scheduler, names = self.client("scheduler"), []
        for function in functions:
            names.append(unique(function))
            scheduler.create_schedule(
                Name=names[-1],
                ScheduleExpression=time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime()),
                FlexibleTimeWindow={"Mode": "OFF"},
                Target=self.schedule(function)["Target"],
            )
        try:
            yield
        finally:
            for name in names:
                scheduler.delete_schedule(Name=name)

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Invoke a function by its logical id; tells what it returned."""
        answer = self.client("lambda").invoke(FunctionName=self.resources[function], Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()
        return json.load(answer["Payload"])

    def run(self, function: str) -> Any:
        """One run of a scheduled function, with what the scheduler sends it."""
        return self.invoke(function, {"scheduled_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})

    @contextmanager
    def impatient(self, queue: str) -> Iterator[None]:
        """Messages that failed come again after a second, not after minutes."""
        sqs, url = self.client("sqs"), self.resources[queue]
        kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
        try:
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=kept)

    def send(self, queue: str, *bodies: str) -> None:
        """All together, so that they arrive as one batch."""
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        sent = self.client("sqs").send_message_batch(QueueUrl=self.resources[queue], Entries=entries)
        assert len(sent["Successful"]) == len(bodies)

    def take(self, queue: str, wanted: Callable[[str], bool]) -> list[str]:
        """Take the messages that are wanted from a queue; others stay."""
        sqs, url = self.client("sqs"), self.resources[queue]
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
        mine = [message for message in found if wanted(message["Body"])]
        for message in mine:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in mine]
