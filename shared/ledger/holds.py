"""Holding Connects for a bid, and ending the hold: a release gives them back, a capture spends them.

The auction decides which (`shared.ledger.auction`). Here the decision becomes an entry of the account, whose key is the
hold's own: a hold ends once, however often that is tried. If only a part is captured, the rest is released in a second
entry. What was captured and, by a late event, should not have been, is refunded.

The lots that a hold took from are in its own entries: that of the first bid, and one for each raise, which names the
entry before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.auction import Auction, Bid, Boost, Ending, Why, place
from shared.ledger.model import Bucket, EntryType, Request, entry_id, slices_back

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from shared.ledger.model import Decision, Entry
    from shared.ledger.policy import Policy

BOOST = "boost"
"""The operation of a bid's key, and the type of a hold's reference."""
OUTBID = "outbid"
"""The kind of the notice that a boost was pushed out."""
BOOST_RELEASED = "boost_released"
"""The kind of the notice that a hold was released for another reason."""

REASONS = {
    Why.OUTBID: "Boost outbid",
    Why.CANCELED: "Boost: job canceled",
    Why.REMOVED: "Boost: job removed",
    Why.INTERACTION: "Boost: the client interacted with the proposal",
    Why.CLOSED: "Boost: the auction closed",
    Why.TOO_LATE: "Boost: the auction had closed before the bid",
    Why.ACCOUNT_CLOSED: "Boost: account closed",
}
RAISED_AFTER = {
    Why.INTERACTION: "Boost: raised after the client had interacted with the proposal",
    Why.CLOSED: "Boost: raised after the auction had closed",
}
"""The reason of the part of a hold that is released, or refunded, while the rest is captured."""


@dataclass(frozen=True, slots=True)
class BidSent:
    """A bid for a proposal, in all: an earlier one is raised to it."""

    job_id: str
    proposal_id: str
    bid: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold ``amount`` for a bid: all of it, or what a raise adds."""

    amount: int
    reason: str
    reference: Mapping[str, str]
    request: Request

    def apply(self, settled: Decision, now: datetime, _policy: Policy, /) -> Decision:
        """Raises AccountFrozenError, InsufficientConnectsError."""
        posted = settled.add_entry(
            EntryType.HOLD,
            settled.account.use(self.amount),
            self.request,
            at=now,
            now=now,
            reason=self.reason,
            reference=self.reference,
        )
        return _add_held(posted, self.amount)


def bid_on(
    auction: Auction, account_id: str, sent: BidSent, request: Request, *, now: datetime, policy: Policy
) -> tuple[Auction, Hold]:
    """The auction with a new bid or a raised one, and the hold of what it adds. Raises what `auction.place` raises."""
    bid, own = Bid(now, sent.bid), auction.place_of(account_id)
    hold_id = entry_id(account_id, request.operation, request.key)
    if own:
        boost = replace(own.raised(bid, hold_id), proposal_id=sent.proposal_id)
    else:
        boost = Boost(account_id, sent.proposal_id, hold_id, hold_id, (bid,))
    after, rank = place(auction, boost, now, policy)
    reference = hold_reference(sent.job_id, boost, rank, own.newest if own else None)
    added, reason = (sent.bid - own.bid, "Boost raised") if own else (sent.bid, "Boost")
    return after, Hold(added, reason, reference, request)


@dataclass(frozen=True, slots=True)
class EndHold:
    """Write how a hold ends, or what is refunded of a captured one, as the auction of ``job_id`` decided.

    ``holds`` are the hold's entries above what is paid: those that come back.
    """

    job_id: str
    ending: Ending
    holds: tuple[Entry, ...] = ()

    @property
    def request(self) -> Request:
        operation = "refund_hold" if self.ending.boost.captured else "end_hold"
        return Request(operation, self.ending.key, "", "system")

    def apply(self, settled: Decision, now: datetime, policy: Policy, /) -> Decision:
        """Release, capture or refund; what comes back goes to the lots it was taken from.

        The owner gets a notice of a release. The amount of a capture is 0.
        """
        boost, verdict = self.ending.boost, self.ending.verdict
        if boost.captured:
            return _end(settled, EntryType.REFUND, self, now, policy)
        if not verdict.pays:
            return _notify_release(
                _add_held(_end(settled, EntryType.RELEASE, self, now, policy), -boost.bid), self, now
            )
        if verdict.pays < boost.bid:
            settled = _end(settled, EntryType.RELEASE, self, now, policy)
        return _add_held(_end(settled, EntryType.CAPTURE, self, now, policy), -boost.bid)


def reference_of(job_id: str, boost: Boost) -> dict[str, str]:
    return {
        "type": BOOST,
        "job_id": job_id,
        "proposal_id": boost.proposal_id,
        "hold_id": boost.hold_id,
        "bid": str(boost.bid),
    }


def hold_reference(job_id: str, boost: Boost, rank: int, raises: str | None) -> dict[str, str]:
    """The reference of a bid's entry; ``raises`` is the id of the entry before, if it raises a bid."""
    return reference_of(job_id, boost) | {"rank": str(rank)} | ({"raises": raises} if raises else {})


def held_up_to(entry: Entry) -> int:
    """The whole bid as of this entry of the hold."""
    return int(entry.reference["bid"])


def jobs_held_on(held: int, newest_first: Iterable[Entry]) -> set[str]:
    """The jobs of an account's open holds, which add up to ``held``: by its journal, until all are found."""
    ended: set[str] = set()
    found: set[str] = set()
    for entry in newest_first:
        hold_id = entry.reference.get("hold_id", "")
        if entry.type in {EntryType.CAPTURE, EntryType.RELEASE}:
            ended.add(hold_id)
        elif entry.type is EntryType.HOLD and hold_id not in ended:
            found.add(entry.reference["job_id"])
            held += entry.amount
            if not held:
                break
    return found


def _end(settled: Decision, entry_type: EntryType, command: EndHold, now: datetime, policy: Policy) -> Decision:
    boost, verdict, request = command.ending.boost, command.ending.verdict, command.request
    captures = entry_type is EntryType.CAPTURE
    amount = 0 if captures else boost.bid - verdict.pays
    reason = REASONS[verdict.why] if captures or not verdict.pays else RAISED_AFTER[verdict.why]
    reference = reference_of(command.job_id, boost) | {"why": verdict.why.value}
    if captures:
        reference["bid"] = str(verdict.pays)
    elif verdict.pays and not boost.captured:
        request = replace(request, operation="release_raise")
    taken: Counter[Bucket] = Counter()
    for entry in command.holds:
        taken.update(entry.slices)
    return settled.add_entry(
        entry_type,
        slices_back(taken, amount, now.date(), policy.refund_grace_days),
        request,
        at=verdict.at,
        now=now,
        reason=reason,
        reference=reference,
    )


def _notify_release(released: Decision, command: EndHold, now: datetime) -> Decision:
    boost, why = command.ending.boost, command.ending.verdict.why
    facts: dict[str, str | int] = {
        "job_id": command.job_id,
        "proposal_id": boost.proposal_id,
        "bid": boost.bid,
        "balance": released.account.balance,
    }
    if why is Why.OUTBID:
        return released.notify(OUTBID, boost.hold_id, at=now, facts=facts)
    more: dict[str, str | int] = {"why": why.value, "reason": REASONS[why]}
    return released.notify(BOOST_RELEASED, boost.hold_id, at=now, facts=facts | more)


def _add_held(decision: Decision, more: int) -> Decision:
    # It falls below 0 if the hold has ended before; then the write is refused, as the entry of the end exists.
    return replace(decision, account=replace(decision.account, held=decision.account.held + more))
