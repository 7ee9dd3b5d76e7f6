"""Spending Connects on a proposal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.model import Decision, EntryType, Request
from shared.ledger.policy import check_amount

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.ledger.policy import Policy


@dataclass(frozen=True, slots=True)
class Spend:
    """An amount of 0 is for what is free: a row that explains it."""

    amount: int
    reason: str
    reference: Mapping[str, str]
    request: Request

    def __post_init__(self) -> None:
        if self.amount:
            check_amount(self.amount)

    def apply(self, settled: Decision, now: datetime, _policy: Policy, /) -> Decision:
        """Raises InsufficientConnectsError, and what `Account.check_may_use` raises."""
        return settled.add_entry(
            EntryType.SPEND,
            settled.account.use(self.amount),
            self.request,
            at=now,
            now=now,
            reason=self.reason,
            reference=self.reference,
        )
