"""What others hear of the ledger: one event for each row of the journal.

The contract is `shared/events/schemas/`, a JSON Schema for each type of event. Every detail has ``version``, the
``id`` that is the same however often the event comes, and ``account_id``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.services.views import entry_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.ledger.model import Entry
    from shared.store.stream import Change

SOURCE = "connects.ledger"
VERSION = 1
"""Of every detail. A new field is no new version; another meaning of an old one is."""


@dataclass(frozen=True, slots=True)
class Event:
    """``json`` is the detail. Events of one account are published by ``seq``, those of none before the others."""

    type: str
    account_id: str
    json: str
    seq: int = 0


def events_of(change: Change) -> list[Event]:
    """What one change of the table tells; most rows that are not of the journal tell nothing."""
    if entry := change.new_entry():
        return [entry_posted(entry)]
    return []


def entry_posted(entry: Entry) -> Event:
    return _event("entry.posted", entry.entry_id, entry.account_id, {"entry": entry_view(entry)}, seq=entry.seq)


def _event(kind: str, event_id: str, account_id: str, facts: Mapping[str, Any], *, seq: int = 0) -> Event:
    detail = {"version": VERSION, "id": event_id, "account_id": account_id, **facts}
    return Event(kind, account_id, json.dumps(detail), seq)
