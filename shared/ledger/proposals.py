"""Spending Connects on a proposal: soonest expiring first, at the job's price where the job is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.jobs import WHY, Channel, Job, quote
from shared.ledger.model import Decision, EntryType, Request
from shared.ledger.policy import check_amount

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.ledger.policy import Policy


@dataclass(frozen=True, slots=True)
class ProposalSent:
    """A proposal to be paid for. ``amount`` and ``expected_price`` are the price that its sender saw."""

    proposal_id: str
    job_id: str | None = None
    channel: Channel = Channel.SEARCH
    amount: int | None = None
    expected_price: int | None = None

    @property
    def reference(self) -> dict[str, str]:
        job = {"job_id": self.job_id} if self.job_id else {}
        channel = {"channel": self.channel.value} if self.channel is not Channel.SEARCH else {}
        return {"type": "proposal", "proposal_id": self.proposal_id} | job | channel


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


def spend_on(job: Job | None, sent: ProposalSent, request: Request) -> Spend:
    """What a proposal costs; ``job`` is None where the ledger has no such job. Raises what `quote` raises."""
    price = quote(job, sent.channel, amount=sent.amount, expected_price=sent.expected_price)
    return Spend(price, WHY[sent.channel], sent.reference, request)
