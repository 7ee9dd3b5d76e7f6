"""What the table's stream would tell: records as Lambda hands them over, of items as they lie in the table."""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from jsonschema import Draft202012Validator

import shared
from tests.functions.conftest import client
from tests.functions.events import event

SCHEMAS = Path(shared.__file__).parent / "events" / "schemas"
MOST_EVENTS, MOST_BYTES = 10, 256 * 1024
"""Of one PutEvents call."""

Item = dict[str, Any]


def items(prefix: str = "") -> list[Item]:
    """The ledger's items whose sort key begins so; the journal's by account and `seq`."""
    found = client("dynamodb").scan(TableName="ledger")["Items"]
    wanted = [item for item in found if item["sk"]["S"].startswith(prefix)]
    return sorted(wanted, key=lambda item: (item["pk"]["S"], int(item.get("seq", {"N": 0})["N"])))


def stream(*changes: Item | tuple[Item | None, Item]) -> dict[str, Any]:
    """A batch of records: an item that was put, or what it was and what it became."""
    (model,) = event("outbox")["Records"]
    return {"Records": [_record(model, number, change) for number, change in enumerate(changes, start=1)]}


def _record(model: Item, number: int, change: Item | tuple[Item | None, Item]) -> Item:
    before, after = change if isinstance(change, tuple) else (None, change)
    record = copy.deepcopy(model)
    record["eventName"] = "MODIFY" if before else "INSERT"
    record["dynamodb"] |= {
        "Keys": {"pk": after["pk"], "sk": after["sk"]},
        "NewImage": after,
        "SequenceNumber": position(number),
    }
    if before:
        record["dynamodb"]["OldImage"] = before
    return record


def position(number: int) -> str:
    """Of a stream's record, counted from 1. A number, and not one that could be compared as text."""
    return str(9_999_999_999_990 + number)


@dataclass
class Listener:
    """In the place of EventBridge's client: takes what EventBridge takes, and fails when it is told to."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    """Everything that was taken, in order; each detail was valid by its schema."""
    calls: int = 0
    faults: list[Any] = field(default_factory=list)
    """For each of the next calls: None, the places of events that are refused, or what is raised."""

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's own name
        self.calls += 1
        assert 1 <= len(Entries) <= MOST_EVENTS
        assert sum(len(text.encode()) for entry in Entries for text in entry.values()) <= MOST_BYTES
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        answers = [self._take(entry, refused=place in (fault or ())) for place, entry in enumerate(Entries)]
        return {"FailedEntryCount": len(fault or ()), "Entries": answers}

    def _take(self, entry: dict[str, Any], *, refused: bool) -> dict[str, str]:
        if refused:
            return {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
        assert (entry["EventBusName"], entry["Source"]) == ("connects", "connects.ledger")
        detail = json.loads(entry["Detail"])
        schema = json.loads((SCHEMAS / f"{entry['DetailType']}.json").read_text())
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(detail)
        self.heard.append({"type": entry["DetailType"], **detail})
        return {"EventId": str(len(self.heard))}

    def of_type(self, kind: str, account: str = "ann") -> list[dict[str, Any]]:
        return [event for event in self.heard if (event["type"], event["account_id"]) == (kind, account)]


THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "PutEvents")
NO_ANSWER = ReadTimeoutError(endpoint_url="the bus")
