"""Refunds of what a proposal cost: into the lots that its spend took from, and in all at most what it took.

A spend may be refunded in parts: 10 of 12 for an interview, and the other 2 when its job is canceled. So each decision
is made on how many of the spend's Connects were refunded before, and the store writes it only if that number has not
changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.badges import is_badge
from shared.ledger.errors import AlreadyRefundedError, NotRefundableError
from shared.ledger.model import Decision, Entry, EntryType, Request, slices_back

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.ledger.jobs import JobStatus
    from shared.ledger.policy import Policy

REASONS: Mapping[str, str | None] = {
    "job_canceled": "Job canceled",
    "job_removed": "Job removed",
    "fraud": "Job removed for fraud",
    "job_expired": None,
    "job_filled": None,
    "not_chosen": None,
    "withdrawn": None,
}
"""Every reason that a call or the end of a job gives, with the text of the refund in the history; None if nothing is
refunded for it."""


@dataclass(frozen=True, slots=True)
class Refund:
    """Refund what is left of a spend, for one of the `REASONS`."""

    spend: Entry
    reason: str
    request: Request
    came_back: int | None = None
    """How many of its Connects were refunded before; None if there was no refund."""

    def apply(self, settled: Decision, now: datetime, policy: Policy, /) -> Decision:
        """Refund all that is left.

        Raises:
            NotRefundableError: not for this reason, or the spend is for no proposal.
            AlreadyRefundedError
        """
        text = refund_text(self.reason)
        check_on_proposal(self.spend)
        spend, before = self.spend, self.came_back
        left = left_to_refund(spend, before)
        return settled.add_entry(
            EntryType.REFUND,
            slices_back(spend.slices, left, now.date(), policy.refund_grace_days, before=before or 0),
            self.request,
            at=now,
            now=now,
            reason=text,
            reference={"type": "spend", "spend_id": spend.entry_id, "why": self.reason},
        )


def refund_text(reason: str) -> str:
    """What the history says of a refund. Raises NotRefundableError for the reasons that give nothing back."""
    text = REASONS[reason]
    if text is None:
        raise NotRefundableError(reason)
    return text


def reason_of_end(status: JobStatus) -> str:
    """The reason for which proposals on a job are refunded that ended as ``status``."""
    return f"job_{status}"


def check_on_proposal(spend: Entry) -> None:
    """A badge's week is neither refunded nor rewarded for an interview. Raises NotRefundableError."""
    if is_badge(spend):
        raise NotRefundableError("badge")


def refund_claim(spend: Entry) -> str:
    """The name of the item that stores how many of a spend's Connects were refunded."""
    return f"refund#{spend.entry_id}"


def left_to_refund(spend: Entry, came_back: int | None) -> int:
    """How many Connects of a spend may still be refunded; 0 only for a free proposal without a refund.

    Raises:
        AlreadyRefundedError: all of it was refunded before.
    """
    left = -spend.amount - (came_back or 0)
    if came_back is not None and left <= 0:
        raise AlreadyRefundedError(spend.entry_id)
    return left
