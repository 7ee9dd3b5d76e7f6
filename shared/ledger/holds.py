"""Holding Connects for a bid, and ending the hold: released, they come back; captured, they are spent.

Which is decided by the auction (`shared.ledger.auction`). Here it becomes an entry of the account, under the hold's own
key: a hold ends once, whoever tries however often. Where only some of it is captured, the rest is released in an entry
of its own beside it. What was captured and, by later news, should not have been, comes back as a refund.

What a hold took stands in its own entries: the first bid's, and one a raise, each of which names the one before.
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
"""The kind of the notice that it came back for another reason."""

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
"""Why some of a hold comes back of which the rest is captured."""


@dataclass(frozen=True, slots=True)
class BidSent:
    """What a proposal bids in all; one that it has is raised to it."""

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
        return _held(posted, self.amount)


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
    """Do with a hold, or with what was captured of it, what was decided on the auction of ``job_id``.

    ``holds`` are its entries above what is to be paid: those that come back.
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

        The owner gets a notice of a release. A capture moves nothing.
        """
        boost, verdict = self.ending.boost, self.ending.verdict
        if boost.captured:
            return _post(settled, EntryType.REFUND, self, now, policy)
        if not verdict.pays:
            return _tell(_held(_post(settled, EntryType.RELEASE, self, now, policy), -boost.bid), self, now)
        if verdict.pays < boost.bid:
            settled = _post(settled, EntryType.RELEASE, self, now, policy)
        return _held(_post(settled, EntryType.CAPTURE, self, now, policy), -boost.bid)


def reference_of(job_id: str, boost: Boost) -> dict[str, str]:
    return {
        "type": BOOST,
        "job_id": job_id,
        "proposal_id": boost.proposal_id,
        "hold_id": boost.hold_id,
        "bid": str(boost.bid),
    }


def hold_reference(job_id: str, boost: Boost, rank: int, raises: str | None) -> dict[str, str]:
    """Of the entry that holds for a bid; ``raises`` is the one before, where it raises a bid."""
    return reference_of(job_id, boost) | {"rank": str(rank)} | ({"raises": raises} if raises else {})


def held_up_to(entry: Entry) -> int:
    """What was bid in all when this entry held for it."""
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


def _post(settled: Decision, entry_type: EntryType, command: EndHold, now: datetime, policy: Policy) -> Decision:
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


def _tell(released: Decision, command: EndHold, now: datetime) -> Decision:
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


def _held(decision: Decision, more: int) -> Decision:
    # Below 0 where the hold has ended already; of that its entry tells, which cannot be written again.
    return replace(decision, account=replace(decision.account, held=decision.account.held + more))
