"""How many Connects of a spend came back: one item a spend, written with each refund if it is as it was known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.ledger.refunds import refund_claim
from shared.store.errors import CameBackError
from shared.store.rows import RefundRow, claim_sk
from shared.store.transaction_items import Put, TransactionItem, Update

if TYPE_CHECKING:
    from shared.ledger.model import Entry
    from shared.store.table import Table
    from shared.store.transaction_items import Item


class Refunds:
    """Cheap to make: the table has the connection and the classes of rows."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._row = table.rows(RefundRow)

    def came_back(self, spend: Entry, told: CameBackError) -> int:
        """How many of a spend's Connects have come back, by the item that refused one more refund."""
        if told.came_back is not None:
            return told.came_back
        first = self._table.entry(spend.account_id, told.holder)
        return first.amount if first else -spend.amount

    def grown(self, spend: Entry, before: int | None, refund: Entry) -> TransactionItem:
        """Adds one more refund, where ``before`` had come back. Refused with CameBackError."""
        row, after = self._row, (before or 0) + refund.amount
        item = row(pk=spend.account_id, sk=claim_sk(refund_claim(spend)))
        if before is None:
            item.holder, item.fingerprint, item.came_back = refund.entry_id, refund.fingerprint, after
            return Put(item, self._refused)
        # An earlier release wrote no number, and none since: it is as it was read.
        as_known = row.pk.exists() & ((row.came_back == before) | row.came_back.does_not_exist())
        return Update(item, [row.came_back.set(after)], as_known, self._refused)

    def _refused(self, item: Item) -> CameBackError:
        row = self._row.from_raw_data(item)
        return CameBackError(row.holder, row.came_back)
