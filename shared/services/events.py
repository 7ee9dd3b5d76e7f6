"""The events that the ledger publishes: one for each row of the journal, and one for each notice to an account's owner.

The contract is `shared/events/schemas/`, a JSON Schema for each type of event. Every detail has ``version``, an ``id``
that is the same however often the event is delivered, and ``account_id``.

Most notices follow from an entry or a purchase. Others are stored as a `Notice` in the transaction of the decision that
they belong to (`Decision.notify`), and are published by their kind.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.ledger.chargebacks import gives_back
from shared.ledger.model import EntryType
from shared.services.views import entry_view
from shared.store.rows import instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.ledger.model import Entry, Notice
    from shared.ledger.purchases import Purchase
    from shared.store.stream import Change

SOURCE = "connects.ledger"
VERSION = 1
"""The version in every detail. It rises if a field changes its meaning, not for a new field."""

LOTS_PER_EVENT = 3000
"""Some 200 KB: the bus takes no event of more than 256 KB, and an entry may have two lots a day for five years."""

CAME = frozenset({EntryType.GRANT, EntryType.REWARD, EntryType.PROMO, EntryType.REFUND, EntryType.ADJUSTMENT})
"""The types of entries that cause a notice `came`, if the amount is above 0. A purchase has a notice of its own."""


@dataclass(frozen=True, slots=True)
class Event:
    """``json`` is the detail. Events of an account are published in the order of ``seq``, those without one first."""

    type: str
    account_id: str
    json: str
    seq: int = 0


def events_of(change: Change) -> list[Event]:
    """The events for one change of the table; most rows that are not of the journal have none."""
    if entry := change.new_entry():
        return [_posted(entry), *_notices_of_entry(entry)]
    if notice := change.new_notice():
        return [_stored_notice(notice)]
    if purchase := change.decided_purchase():
        return [_purchase_notice(purchase)]
    return []


def _posted(entry: Entry) -> Event:
    shown = entry_view(entry)
    return _event("entry.posted", entry.entry_id, entry.account_id, {"entry": shown | _lots(shown)}, seq=entry.seq)


def _notices_of_entry(entry: Entry) -> list[Event]:
    shown = entry_view(entry)
    facts = {"at": shown["at"], "entry_id": entry.entry_id, "amount": abs(entry.amount), "balance": entry.balance_after}
    more: dict[str, Any]
    if entry.type is EntryType.EXPIRY:
        name, more = "expired", {}
    elif entry.type is EntryType.CHARGEBACK:
        name = "connects_restored" if gives_back(entry) else "connects_reclaimed"
        more = {
            "purchase_id": entry.reference["purchase_id"],
            "reason": shown["reason"],
            "owed": int(entry.reference["owed_after"]),
        }
    elif entry.type in CAME and entry.amount > 0:
        name, more = "came", {"entry_type": shown["type"], "reason": shown["reason"], **_lots(shown)}
    else:
        return []
    return [_event(f"notice.{name}", f"{entry.entry_id}.{name}", entry.account_id, facts | more, seq=entry.seq)]


def _lots(shown: Mapping[str, Any]) -> dict[str, Any]:
    """As many lots of an entry as an event has room for, the earliest to expire; the history has all."""
    lots = shown["lots"]
    left_out = len(lots) - LOTS_PER_EVENT
    return {"lots": lots} if left_out <= 0 else {"lots": lots[:LOTS_PER_EVENT], "lots_left_out": left_out}


def _purchase_notice(purchase: Purchase) -> Event:
    """The notice of a declined attempt, or of the completed one."""
    state = purchase.state.value
    facts = {
        "purchase_id": purchase.purchase_id,
        "quantity": purchase.quantity,
        "amount_cents": purchase.amount_cents,
        "currency": purchase.currency,
    }
    if purchase.declined_because:
        facts["declined_because"] = purchase.declined_because
    return _event(f"notice.purchase_{state}", f"{purchase.charge_id}.{state}", purchase.account_id, facts)


def _stored_notice(notice: Notice) -> Event:
    event_id = f"{notice.account_id}.{notice.kind}.{notice.about}"
    return _event(f"notice.{notice.kind}", event_id, notice.account_id, {"at": instant(notice.at), **notice.facts})


def _event(kind: str, event_id: str, account_id: str, facts: Mapping[str, Any], *, seq: int = 0) -> Event:
    detail = {"version": VERSION, "id": event_id, "account_id": account_id, **facts}
    return Event(kind, account_id, json.dumps(detail), seq)
