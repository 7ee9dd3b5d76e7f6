"""The auction of a job's boosted places: who has one, for what bid, and how each bid's hold ends.

A **bid** is held at once. The highest bids have the places, of equal ones the earlier; the hold of a boost that is
pushed out is released whole. A client's interaction with a boosted proposal captures its hold, and so does the close of
the auction. The auction closes some days after the job was posted, or earlier at the first hire or the job's end. If
the job is canceled or removed, the open holds are released.

::

    held ──► released    pushed out, or the job canceled or removed, before a client interacted
      │
      └────► captured    a client interacted while it was boosted, or it had a place when the auction closed
                 │
                 └────► refunded    in part or whole, once: a late event of something that had happened before

Events of interactions and of the close arrive late, twice and in any order (product.md, "Time of happening"). The
auction stores the times of a boost's bids, the earliest interaction with it and the earliest close, and judges every
boost by them (`judge`): the verdict does not depend on the order of arrival. Three things are not undone: what was
released stays released; of more than `BIDS_KEPT` bids of one boost the oldest are merged into one; and of the boosts
that were captured and pushed out since, only the newest `CAPTURED_KEPT` are judged again.

This module decides how each hold ends, in one write of the auction after another. A decided end stays in ``endings``
until the account's entry is written. The key of that entry is the hold's, so it is written once, however often it is
tried.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.ledger.errors import AuctionClosedError, BidTooLowError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.ledger.policy import Policy

ENDS_WITHIN = timedelta(minutes=1)
"""The process that decides that a hold ends also writes the end to the account. If it dies before it has, the schedule
does so after this time."""
BIDS_KEPT = 10
CAPTURED_KEPT = 50
"""Both limit the size of the auction's item: with 20 places it has some 20 KB at the most."""


class Why(StrEnum):
    """Why a hold ends."""

    OUTBID = "outbid"
    CANCELED = "job_canceled"
    REMOVED = "job_removed"
    INTERACTION = "interaction"
    CLOSED = "auction_closed"
    TOO_LATE = "bid_after_close"
    ACCOUNT_CLOSED = "account_closed"

    @property
    def captures(self) -> bool:
        """Whether the hold is paid; else it is released."""
        return self in {Why.INTERACTION, Why.CLOSED}


@dataclass(frozen=True, slots=True)
class Bid:
    """The whole amount that a boost bids from ``at`` on."""

    at: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class Boost:
    """A proposal's bids for a place; the last one counts."""

    account_id: str
    proposal_id: str
    hold_id: str
    """The id of the entry of the first bid; a raise adds to the same hold."""
    newest: str
    """The id of the newest entry of the hold. The entry of a raise names the one before."""
    bids: tuple[Bid, ...]
    """Oldest first, each higher than the one before. At most `BIDS_KEPT`."""
    interacted_at: datetime | None = None
    """The earliest known interaction of the client with it."""
    captured: bool = False
    """If true, its bid is what is paid."""

    @property
    def bid(self) -> int:
        return self.bids[-1].amount

    @property
    def since(self) -> datetime:
        return self.bids[0].at

    def raised(self, bid: Bid, newest: str) -> Boost:
        """The boost with one more bid. If there are too many, the oldest two become one of the higher amount."""
        first, *others = self.bids
        if len(self.bids) == BIDS_KEPT:
            first, *others = Bid(first.at, others[0].amount), *others[1:]
        return replace(self, bids=(first, *others, replace(bid, at=max(bid.at, self.bids[-1].at))), newest=newest)

    def as_of(self, at: datetime) -> int:
        """The bid at an instant, including one of that very instant; 0 before the first."""
        return max((bid.amount for bid in self.bids if bid.at <= at), default=0)


@dataclass(frozen=True, slots=True)
class Interaction:
    """A client's interaction with a proposal, which is named by its account, its id, or both.

    Raises:
        InvalidRequestError: neither is given.
    """

    account_id: str | None
    proposal_id: str | None
    at: datetime

    def __post_init__(self) -> None:
        if self.account_id is None and self.proposal_id is None:
            raise InvalidRequestError("body", "needs account_id, proposal_id, or both for an interaction")

    def concerns(self, boost: Boost) -> bool:
        """Whether it is with this boost, and the proposal was boosted by then."""
        named = self.account_id in {None, boost.account_id} and self.proposal_id in {None, boost.proposal_id}
        return named and boost.since <= self.at


@dataclass(frozen=True, slots=True)
class Close:
    """When the auction closed, and why."""

    at: datetime
    why: Why

    @property
    def order(self) -> tuple[datetime, bool]:
        """The close that is first in this order counts. Of two at one instant a hire comes before a cancellation."""
        return self.at, not self.why.captures


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a boost has to pay; 0 if its hold is released whole."""

    pays: int
    why: Why
    at: datetime


@dataclass(frozen=True, slots=True)
class Ending:
    """What is to be written to an account: the end of a hold, or a refund of what was captured."""

    boost: Boost
    """The boost before the verdict."""
    verdict: Verdict

    @property
    def key(self) -> str:
        """A hold ends once, and is refunded once to each lower amount."""
        return f"{self.boost.hold_id}.{self.verdict.pays}" if self.boost.captured else self.boost.hold_id


@dataclass(frozen=True, slots=True)
class Auction:
    closes_at: datetime | None = None
    """When the clock closes it; None while no version of its job is known."""
    places: tuple[Boost, ...] = ()
    """The highest bid first."""
    pushed_out: tuple[Boost, ...] = ()
    """Boosts that were captured and then lost their place, oldest first. At most `CAPTURED_KEPT`."""
    endings: tuple[Ending, ...] = ()
    """What is decided and not yet written to the accounts."""
    closed: Close | None = None
    due: datetime | None = None
    """When the schedule has to examine it; None if nothing is held."""
    revision: int = 0
    """Counts writes."""

    def place_of(self, account_id: str) -> Boost | None:
        return next((boost for boost in self.places if boost.account_id == account_id), None)

    def endings_of(self, account_id: str) -> list[Ending]:
        return [ending for ending in self.endings if ending.boost.account_id == account_id]


def place(auction: Auction, boost: Boost, now: datetime, policy: Policy) -> tuple[Auction, int]:
    """The auction with a new boost or a raised one, whose last bid is new; and the rank of that boost, from 1.

    Raises:
        AuctionClosedError: it is closed, or the hold that would be raised is captured.
        BidTooLowError: the bid is no higher than the account's own, or gets no place.
        InvalidRequestError: the account's boost is of another proposal.
    """
    if auction.closed or auction.closes_at is None or now >= auction.closes_at:
        raise AuctionClosedError("The auction of this job's boosted places is closed.")
    own = auction.place_of(boost.account_id)
    if own:
        _check_raise(own, boost)
    others = [other for other in auction.places if other is not own]
    rank = sum(other.bid >= boost.bid for other in others)
    if rank >= policy.boost_places:
        raise BidTooLowError(required=others[policy.boost_places - 1].bid + 1)
    ranked = [*others[:rank], boost, *others[rank:]]
    kept, outbid = ranked[: policy.boost_places], ranked[policy.boost_places :]
    released = [Ending(each, Verdict(0, Why.OUTBID, now)) for each in outbid if not each.captured]
    captured = [each for each in outbid if each.captured]
    after = replace(
        auction,
        places=tuple(kept),
        pushed_out=(*auction.pushed_out, *captured)[-CAPTURED_KEPT:],
        endings=(*auction.endings, *released),
    )
    return with_due(after, now, policy), rank + 1


def interact(auction: Auction, interaction: Interaction, now: datetime, policy: Policy) -> Auction:
    """A boost that the client interacted with pays what it bid then. It keeps its place until it is pushed out."""

    def with_interaction(boost: Boost) -> Boost:
        if not interaction.concerns(boost):
            return boost
        return replace(boost, interacted_at=min(interaction.at, boost.interacted_at or interaction.at))

    places, pushed_out = tuple(map(with_interaction, auction.places)), tuple(map(with_interaction, auction.pushed_out))
    return judge(replace(auction, places=places, pushed_out=pushed_out), now, policy)


def close(auction: Auction, closed: Close, now: datetime, policy: Policy) -> Auction:
    """The auction closed by an event, if it was not closed before. After its closing time only the clock closes it."""
    by_clock = auction.closes_at is not None and closed.at >= auction.closes_at
    if by_clock or (auction.closed and auction.closed.order <= closed.order):
        return auction
    return judge(replace(auction, closed=closed), now, policy)


def close_by_clock(auction: Auction, now: datetime, policy: Policy) -> Auction:
    """The auction closed at its closing time, if that and the seconds of grace are past and nothing closed it before.

    Events from before the close that arrive within the grace are taken into account without a refund.
    """
    if auction.closed or auction.closes_at is None or not auction.places:
        return auction
    if now < auction.closes_at + timedelta(seconds=policy.auction_grace_seconds):
        return auction
    return judge(replace(auction, closed=Close(auction.closes_at, Why.CLOSED)), now, policy)


def close_at(auction: Auction, closes_at: datetime, now: datetime, policy: Policy) -> Auction:
    """The auction with another closing time. If it is closed already, the new time can only be an earlier close."""
    if auction.closed is None:
        return close_by_clock(with_due(replace(auction, closes_at=closes_at), now, policy), now, policy)
    if auction.closed.at <= closes_at:
        return auction
    return judge(replace(auction, closes_at=closes_at, closed=Close(closes_at, Why.CLOSED)), now, policy)


def withdraw(auction: Auction, account_id: str, at: datetime, now: datetime, policy: Policy) -> Auction:
    """The open hold of an account that was closed is released, and its place is free."""
    own = auction.place_of(account_id)
    if own is None or own.captured:
        return auction
    ending = Ending(own, Verdict(0, Why.ACCOUNT_CLOSED, at))
    left = tuple(boost for boost in auction.places if boost is not own)
    return with_due(replace(auction, places=left, endings=(*auction.endings, ending)), now, policy)


def judge(auction: Auction, now: datetime, policy: Policy) -> Auction:
    """Judge every boost by all that is known, add what follows to the endings, and rank the places anew."""
    boosts = [(boost, _verdict(boost, auction)) for boost in (*auction.places, *auction.pushed_out)]
    new = [(boost, verdict) for boost, verdict in boosts if verdict and _changes(boost, verdict)]
    after = {boost.hold_id: _paying(boost, verdict.pays) for boost, verdict in new}

    def left_of(known: Iterable[Boost]) -> list[Boost]:
        return [boost for boost in (after.get(each.hold_id, each) for each in known) if boost]

    places = sorted(left_of(auction.places), key=lambda boost: (-boost.bid, boost.bids[-1].at))
    return with_due(
        replace(
            auction,
            places=tuple(places),
            pushed_out=tuple(left_of(auction.pushed_out)),
            endings=(*auction.endings, *(Ending(boost, verdict) for boost, verdict in new)),
        ),
        now,
        policy,
    )


def ended(auction: Auction, keys: Iterable[str], now: datetime, policy: Policy) -> Auction:
    """The auction without the endings of these keys, which are written to the accounts."""
    done = set(keys)
    left = tuple(ending for ending in auction.endings if ending.key not in done)
    return with_due(replace(auction, endings=left), now, policy)


def with_due(auction: Auction, now: datetime, policy: Policy) -> Auction:
    """Set when to examine it next: soon if an end is decided, else when the clock closes it, if anything is held."""
    due = None
    if auction.endings:
        due = now + ENDS_WITHIN
    elif auction.closes_at and any(not boost.captured for boost in auction.places):
        due = auction.closes_at + timedelta(seconds=policy.auction_grace_seconds)
    return replace(auction, due=due)


def _verdict(boost: Boost, auction: Auction) -> Verdict | None:
    """What a boost has to pay by all that is known; None while it stays held."""
    closed, seen = auction.closed, boost.interacted_at
    over_at = closed.at if closed else auction.closes_at
    if seen and (over_at is None or seen <= over_at):
        return Verdict(boost.as_of(seen), Why.INTERACTION, seen)
    if closed is None:
        return None
    pays = boost.as_of(closed.at)
    if not pays:
        return Verdict(0, Why.TOO_LATE, closed.at)
    return Verdict(pays if closed.why.captures else 0, closed.why, closed.at)


def _changes(boost: Boost, verdict: Verdict) -> bool:
    """Whether the verdict changes anything: a hold ends, or less is to be paid than was captured. It is never more."""
    return not boost.captured or verdict.pays < boost.bid


def _paying(boost: Boost, pays: int) -> Boost | None:
    """The boost captured at one of its bids; None if it pays nothing, and so has no place."""
    bids = tuple(bid for bid in boost.bids if bid.amount <= pays)
    return replace(boost, bids=bids, captured=True) if bids else None


def _check_raise(own: Boost, boost: Boost) -> None:
    if own.proposal_id != boost.proposal_id:
        raise InvalidRequestError("body.proposal_id", "is not the proposal that this account boosts on this job")
    if own.captured:
        raise AuctionClosedError("The client interacted with this proposal: its boost is paid for.")
    if boost.bid <= own.bid:
        raise BidTooLowError(required=own.bid + 1)
