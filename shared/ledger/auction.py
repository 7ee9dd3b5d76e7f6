"""The auction of a job's boosted places: who has one, for what bid, and how each bid's hold ends.

A **bid** is held at once. The highest bids have the places, of equal ones the earlier; whoever is pushed out gets the
whole hold back. A client who interacts with a boosted proposal, and the close of the auction, capture the hold. The
auction closes some days after the job was posted, or earlier at the first hire or the job's end; a job that is canceled
or removed releases what is still held.

::

    held ──► released    pushed out, or the job canceled or removed, before a client interacted
      │
      └────► captured    a client interacted while it was boosted, or it had a place when the auction closed
                 │
                 └────► refunded    in part or whole, once: later news of what had happened before

News of interactions and of the close comes late, twice and in any order (product.md, "Time of happening"). The auction
keeps the times of a boost's bids, the earliest interaction with it and the earliest close, and judges every boost by
them (`judge`): in whatever order the news comes, the verdict is the same. Three things are not undone: what was
released stays released; of more than `BIDS_KEPT` bids of one boost the oldest are taken for one; and of the boosts that
were captured and pushed out since only the newest `CAPTURED_KEPT` are judged again.

Which hold ends how is decided here, by one write of the auction after another. What is decided waits in ``endings``
until the account's own entry is written, whose key is the hold's: however often that is tried, it happens once.
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
"""Whoever decides that a hold ends writes so at once. One that died doing it is found missing after so long."""
BIDS_KEPT = 10
CAPTURED_KEPT = 50
"""Both bound the auction's item: with 20 places it has some 20 KB at the most."""


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
        """Whether it is paid, or comes back."""
        return self in {Why.INTERACTION, Why.CLOSED}


@dataclass(frozen=True, slots=True)
class Bid:
    """What a boost bids in all, from ``at`` on."""

    at: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class Boost:
    """A proposal's bids for a place, of which the last one counts."""

    account_id: str
    proposal_id: str
    hold_id: str
    """The id of the entry that first held for it; a raise holds the rest under the same."""
    newest: str
    """The id of the newest entry that holds for it. Each raise's entry names the one before."""
    bids: tuple[Bid, ...]
    """Oldest first, each higher than the one before. At most `BIDS_KEPT`."""
    interacted_at: datetime | None = None
    """The earliest interaction of the client with it that is known of."""
    captured: bool = False
    """Then its bid is what is paid for it."""

    @property
    def bid(self) -> int:
        return self.bids[-1].amount

    @property
    def since(self) -> datetime:
        return self.bids[0].at

    def raised(self, bid: Bid, newest: str) -> Boost:
        """With one more bid. Where there are too many, the oldest two become one of the higher amount."""
        first, *others = self.bids
        if len(self.bids) == BIDS_KEPT:
            first, *others = Bid(first.at, others[0].amount), *others[1:]
        return replace(self, bids=(first, *others, replace(bid, at=max(bid.at, self.bids[-1].at))), newest=newest)

    def as_of(self, at: datetime) -> int:
        """What it bid at an instant, what was bid then included."""
        return max((bid.amount for bid in self.bids if bid.at <= at), default=0)


@dataclass(frozen=True, slots=True)
class Interaction:
    """A client's with a proposal, which is named by its account, its id, or both.

    Raises:
        InvalidRequestError: by neither.
    """

    account_id: str | None
    proposal_id: str | None
    at: datetime

    def __post_init__(self) -> None:
        if self.account_id is None and self.proposal_id is None:
            raise InvalidRequestError("body", "needs account_id, proposal_id, or both for an interaction")

    def concerns(self, boost: Boost) -> bool:
        """Whether the proposal was boosted then: an older interaction is none with a boost that came after it."""
        named = self.account_id in {None, boost.account_id} and self.proposal_id in {None, boost.proposal_id}
        return named and boost.since <= self.at


@dataclass(frozen=True, slots=True)
class Close:
    """When the auction closed, and what for."""

    at: datetime
    why: Why

    @property
    def order(self) -> tuple[datetime, bool]:
        """The earliest is the close. Of two at one instant a hire comes before a cancellation."""
        return self.at, not self.why.captures


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a boost has to pay; 0 where its hold comes back whole."""

    pays: int
    why: Why
    at: datetime


@dataclass(frozen=True, slots=True)
class Ending:
    """What is to be written to an account: that a hold ends, or that some of what was captured comes back."""

    boost: Boost
    """As it was before."""
    verdict: Verdict

    @property
    def key(self) -> str:
        """A hold ends once, and comes back once to each lower amount."""
        return f"{self.boost.hold_id}.{self.verdict.pays}" if self.boost.captured else self.boost.hold_id


@dataclass(frozen=True, slots=True)
class Auction:
    closes_at: datetime | None = None
    """By the clock; None as long as no version of its job is known."""
    places: tuple[Boost, ...] = ()
    """The highest bid first."""
    pushed_out: tuple[Boost, ...] = ()
    """Those that were captured before, oldest first. At most `CAPTURED_KEPT`."""
    endings: tuple[Ending, ...] = ()
    """What was decided and has still to be written to the accounts."""
    closed: Close | None = None
    due: datetime | None = None
    """When to look whether a hold is to end; None where nothing is held."""
    revision: int = 0
    """Counts writes."""

    def place_of(self, account_id: str) -> Boost | None:
        return next((boost for boost in self.places if boost.account_id == account_id), None)

    def endings_of(self, account_id: str) -> list[Ending]:
        return [ending for ending in self.endings if ending.boost.account_id == account_id]


def place(auction: Auction, boost: Boost, now: datetime, policy: Policy) -> tuple[Auction, int]:
    """An auction with a new boost or a raised one, of which the last bid is new; and the rank that it has, from 1.

    Raises:
        AuctionClosedError: it is over, or the hold that would be raised is captured.
        BidTooLowError: it is no higher than the account's own, or has no place.
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
    return wait(after, now, policy), rank + 1


def interact(auction: Auction, interaction: Interaction, now: datetime, policy: Policy) -> Auction:
    """Who was boosted when the client interacted pays what it bid then, and keeps the place as long as it can."""

    def with_interaction(boost: Boost) -> Boost:
        if not interaction.concerns(boost):
            return boost
        return replace(boost, interacted_at=min(interaction.at, boost.interacted_at or interaction.at))

    places, pushed_out = tuple(map(with_interaction, auction.places)), tuple(map(with_interaction, auction.pushed_out))
    return judge(replace(auction, places=places, pushed_out=pushed_out), now, policy)


def close(auction: Auction, closed: Close, now: datetime, policy: Policy) -> Auction:
    """An auction that closed, if it was not over before. What is told of after the clock's close is for the clock."""
    by_clock = auction.closes_at is not None and closed.at >= auction.closes_at
    if by_clock or (auction.closed and auction.closed.order <= closed.order):
        return auction
    return judge(replace(auction, closed=closed), now, policy)


def close_by_clock(auction: Auction, now: datetime, policy: Policy) -> Auction:
    """An auction that closed at its time, if that is past by the days of grace and nothing closed it before.

    The grace is for news of what happened before the close, which then needs no repair.
    """
    if auction.closed or auction.closes_at is None or not auction.places:
        return auction
    if now < auction.closes_at + timedelta(seconds=policy.auction_grace_seconds):
        return auction
    return judge(replace(auction, closed=Close(auction.closes_at, Why.CLOSED)), now, policy)


def close_at(auction: Auction, closes_at: datetime, now: datetime, policy: Policy) -> Auction:
    """An auction that closes by the clock at another time. One that is closed can only have closed earlier."""
    if auction.closed is None:
        return close_by_clock(wait(replace(auction, closes_at=closes_at), now, policy), now, policy)
    if auction.closed.at <= closes_at:
        return auction
    return judge(replace(auction, closes_at=closes_at, closed=Close(closes_at, Why.CLOSED)), now, policy)


def withdraw(auction: Auction, account_id: str, at: datetime, now: datetime, policy: Policy) -> Auction:
    """The open hold of an account that was closed comes back, and its place is free."""
    own = auction.place_of(account_id)
    if own is None or own.captured:
        return auction
    ending = Ending(own, Verdict(0, Why.ACCOUNT_CLOSED, at))
    left = tuple(boost for boost in auction.places if boost is not own)
    return wait(replace(auction, places=left, endings=(*auction.endings, ending)), now, policy)


def judge(auction: Auction, now: datetime, policy: Policy) -> Auction:
    """Every boost by all that is known: what follows is added to the endings, and the places are ranked anew."""
    boosts = [(boost, _verdict(boost, auction)) for boost in (*auction.places, *auction.pushed_out)]
    new = [(boost, verdict) for boost, verdict in boosts if verdict and _changes(boost, verdict)]
    after = {boost.hold_id: _paying(boost, verdict.pays) for boost, verdict in new}

    def left_of(known: Iterable[Boost]) -> list[Boost]:
        return [boost for boost in (after.get(each.hold_id, each) for each in known) if boost]

    places = sorted(left_of(auction.places), key=lambda boost: (-boost.bid, boost.bids[-1].at))
    return wait(
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
    """What was decided of these holds is written."""
    done = set(keys)
    left = tuple(ending for ending in auction.endings if ending.key not in done)
    return wait(replace(auction, endings=left), now, policy)


def wait(auction: Auction, now: datetime, policy: Policy) -> Auction:
    """When to look at it next: soon where something was decided, else when the clock closes it on whoever is held."""
    due = None
    if auction.endings:
        due = now + ENDS_WITHIN
    elif auction.closes_at and any(not boost.captured for boost in auction.places):
        due = auction.closes_at + timedelta(seconds=policy.auction_grace_seconds)
    return replace(auction, due=due)


def _verdict(boost: Boost, auction: Auction) -> Verdict | None:
    """What a boost has to pay by what is known; None while it is held."""
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
    """Whether anything follows: a hold ends, or less is to be paid than was captured. More is never taken."""
    return not boost.captured or verdict.pays < boost.bid


def _paying(boost: Boost, pays: int) -> Boost | None:
    """A boost that is captured at one of its bids; None where it pays nothing and has no place."""
    bids = tuple(bid for bid in boost.bids if bid.amount <= pays)
    return replace(boost, bids=bids, captured=True) if bids else None


def _check_raise(own: Boost, boost: Boost) -> None:
    if own.proposal_id != boost.proposal_id:
        raise InvalidRequestError("body.proposal_id", "is not the proposal that this account boosts on this job")
    if own.captured:
        raise AuctionClosedError("The client interacted with this proposal: its boost is paid for.")
    if boost.bid <= own.bid:
        raise BidTooLowError(required=own.bid + 1)
