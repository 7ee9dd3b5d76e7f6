"""How large things become: items as DynamoDB weighs them, or a little more, and what is sent of them."""

import json
from typing import Any

from shared.ledger.model import Account, Decision, Entry
from shared.services.views import entry_view
from shared.store.rows import ACCOUNT_SK, AccountRow, EntryRow

AN_ITEM = 400 * 1024
"""What DynamoDB takes."""
A_TRANSACTION = 100
"""Items."""
AN_EVENT = 256 * 1024
"""What EventBridge takes of one."""
AN_ANSWER = 6 * 1024 * 1024
"""What Lambda takes."""
AROUND = 1000
"""What an event has beside what it shows of an entry: source, type, ids and numbers."""


def weight(value: Any) -> int:
    """Of an attribute as it is sent; a number weighs half its digits and one."""
    ((kind, content),) = value.items()
    if kind == "M":
        return 3 + sum(len(name) + weight(inner) + 1 for name, inner in content.items())
    return 1 if kind == "BOOL" else len(content) + 1


def item_bytes(item: dict[str, Any]) -> int:
    return sum(len(name) + weight(value) for name, value in item.items())


def entry_bytes(entry: Entry) -> int:
    return item_bytes(EntryRow(**EntryRow.values(entry)).serialize())


def account_bytes(account: Account) -> int:
    row = AccountRow(pk=account.account_id, sk=ACCOUNT_SK, shard="255", **AccountRow.values(account))
    return item_bytes(row.serialize())


def event_bytes(entry: Entry) -> int:
    """Of the event that shows it, which is the largest that tells of it."""
    return len(json.dumps(entry_view(entry)).encode()) + AROUND


def items_of(decision: Decision) -> int:
    """How many items it writes, beside those that a service adds."""
    return 1 + len(decision.entries) + len(decision.claims) + len(decision.notices)
