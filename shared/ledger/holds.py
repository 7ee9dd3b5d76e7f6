"""Holding Connects for a bid, and ending the hold: released, they come back; captured, they are spent.

Which is decided by the auction (`shared.ledger.auction`). Here it becomes an entry of the account, under the hold's own
key: a hold ends once, whoever tries however often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.auction import Ending, Why
from shared.ledger.model import EntryType, Request, back

if TYPE_CHECKING:
    from datetime import datetime

    from shared.ledger.auction import Boost
    from shared.ledger.model import Decision
    from shared.ledger.policy import Policy

BOOST = "boost"
"""The operation of a bid's key, and the type of a hold's reference."""
OUTBID = "outbid"
"""The kind of the notice."""

REASONS = {
    Why.OUTBID: "Boost outbid",
    Why.CANCELED: "Boost: job canceled",
    Why.REMOVED: "Boost: job removed",
    Why.INTERACTION: "Boost: the client interacted with the proposal",
    Why.CLOSED: "Boost: the auction closed",
}


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold ``amount`` for a bid: all of it, or what a raise adds."""

    amount: int
    reason: str
    reference: Mapping[str, str]
    request: Request


@dataclass(frozen=True, slots=True)
class EndHold:
    """Release or capture a hold as was decided on the auction of ``job_id``."""

    job_id: str
    ending: Ending

    @property
    def request(self) -> Request:
        return Request("end_hold", self.ending.boost.hold_id, "", "system")


def reference_of(job_id: str, boost: Boost) -> dict[str, str]:
    return {
        "type": BOOST,
        "job_id": job_id,
        "proposal_id": boost.proposal_id,
        "hold_id": boost.hold_id,
        "bid": str(boost.bid),
    }


def hold(settled: Decision, command: Hold, now: datetime) -> Decision:
    """Raises AccountFrozenError, InsufficientConnectsError."""
    posted = settled.post(
        EntryType.HOLD,
        settled.account.use(command.amount),
        command.request,
        at=now,
        now=now,
        reason=command.reason,
        reference=command.reference,
    )
    return _held(posted, command.amount)


def end_hold(settled: Decision, command: EndHold, now: datetime, policy: Policy) -> Decision:
    """Released to the lots it was taken from, or captured, which moves nothing. Whoever was outbid is told."""
    ending = command.ending
    boost, why = ending.boost, ending.why
    posted = settled.post(
        EntryType.CAPTURE if why.captures else EntryType.RELEASE,
        {} if why.captures else back(boost.slices, boost.bid, now.date(), policy.refund_grace_days),
        command.request,
        at=ending.at,
        now=now,
        reason=REASONS[why],
        reference=reference_of(command.job_id, boost) | {"why": why.value},
    )
    after = _held(posted, -boost.bid)
    if why is not Why.OUTBID:
        return after
    facts: dict[str, str | int] = {
        "job_id": command.job_id,
        "proposal_id": boost.proposal_id,
        "bid": boost.bid,
        "balance": after.account.balance,
    }
    return after.tell(OUTBID, boost.hold_id, at=now, facts=facts)


def _held(decision: Decision, more: int) -> Decision:
    # Below 0 where the hold has ended already; of that its entry tells, which cannot be written again.
    return replace(decision, account=replace(decision.account, held=decision.account.held + more))
