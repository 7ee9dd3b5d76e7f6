"""The table's stream: each record is one change of one item, with the item before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.ledger.purchases import PurchaseState
from shared.store.purchases import PurchaseRow, purchase_sk
from shared.store.rows import NOTICES, NoticeRow, entry_from, entry_sk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.ledger.model import Entry, Notice
    from shared.ledger.purchases import Purchase

INSERT, MODIFY = "INSERT", "MODIFY"
DECIDED = {PurchaseState.COMPLETED, PurchaseState.DECLINED}
"""Of a state that a newer release added, nothing is published."""


@dataclass(frozen=True, slots=True)
class Change:
    """A record of the stream, as Lambda hands it over."""

    record: Mapping[str, Any]

    @property
    def position(self) -> str:
        """Its place in its shard: a number, ascending."""
        return str(self.record["dynamodb"]["SequenceNumber"])

    def new_entry(self) -> Entry | None:
        """The entry that this put, if any."""
        return entry_from(self._after) if self._puts(entry_sk("")) else None

    def new_notice(self) -> Notice | None:
        """The notice that this put, if any."""
        return NoticeRow.from_raw_data(self._after).notice() if self._puts(NOTICES) else None

    def decided_purchase(self) -> Purchase | None:
        """The purchase that this completed or declined, if any."""
        if not self._sk.startswith(purchase_sk("")) or self.record["eventName"] != MODIFY:
            return None
        before, after = self.record["dynamodb"]["OldImage"]["state"], self._after["state"]
        if after == before or after["S"] not in DECIDED:
            return None
        return PurchaseRow.from_raw_data(self._after).purchase()

    def _puts(self, prefix: str) -> bool:
        return self.record["eventName"] == INSERT and self._sk.startswith(prefix)

    @property
    def _sk(self) -> str:
        return str(self.record["dynamodb"]["Keys"]["sk"]["S"])

    @property
    def _after(self) -> dict[str, Any]:
        return dict(self.record["dynamodb"]["NewImage"])
