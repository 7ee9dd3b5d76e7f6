"""The auction of a job's boosted places: who has one, for what bid, and how each bid's hold ends.

A **bid** is held at once. The highest bids have the places, of equal ones the earlier; whoever is pushed out gets the
whole hold back. A client who interacts with a boosted proposal, and the close of the auction, capture the hold. It
closes some days after the job was posted or when the job ends; a job that is canceled or removed releases what is
still held.

::

    held ──► released    pushed out, or the job canceled or removed, before a client interacted
      │
      └────► captured    a client interacted while it was boosted, or it had a place when the auction closed

Which hold ends how is decided here, by one write of the job after another, and so once. What is decided waits in
``endings`` until the account's own entry is written, whose key is the hold's: however often that is tried, it happens
once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.ledger.errors import AuctionClosedError, BidTooLowError, InvalidRequestError
from shared.ledger.model import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.ledger.policy import Policy

ENDS_WITHIN = timedelta(minutes=1)
"""Whoever decides that a hold ends writes so at once. One that died doing it is found missing after so long."""


@dataclass(frozen=True, slots=True)
class Boost:
    """A proposal's bid, and where the Connects are from that are held for it."""

    account_id: str
    proposal_id: str
    bid: int
    hold_id: str
    """The id of the entry that first held for it; a raise holds the rest under the same."""
    since: datetime
    """When it got its place; a raise keeps it."""
    slices: Mapping[Bucket, int] = field(default_factory=dict)
    """Signed, as in the entries that hold: together they are ``-bid``."""
    captured: bool = False


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

    def met(self, boost: Boost) -> bool:
        """Whether the proposal was boosted then: what is told late or twice captures no boost that came after it."""
        named = self.account_id in {None, boost.account_id} and self.proposal_id in {None, boost.proposal_id}
        return named and boost.since <= self.at


class Why(StrEnum):
    """Why a hold ends."""

    OUTBID = "outbid"
    CANCELED = "job_canceled"
    REMOVED = "job_removed"
    INTERACTION = "interaction"
    CLOSED = "auction_closed"

    @property
    def captures(self) -> bool:
        """Whether it is paid, or comes back."""
        return self in {Why.INTERACTION, Why.CLOSED}


@dataclass(frozen=True, slots=True)
class Ending:
    """That a hold is to end, and since when that is decided."""

    boost: Boost
    why: Why
    at: datetime


@dataclass(frozen=True, slots=True)
class Auction:
    places: tuple[Boost, ...] = ()
    """The highest bid first."""
    endings: tuple[Ending, ...] = ()
    """What was decided and has still to be written to the accounts."""
    closed_at: datetime | None = None
    due: datetime | None = None
    """When to look whether a hold is to end; none where nothing is held."""

    def place_of(self, account_id: str) -> Boost | None:
        return next((boost for boost in self.places if boost.account_id == account_id), None)

    def endings_of(self, account_id: str) -> list[Ending]:
        return [ending for ending in self.endings if ending.boost.account_id == account_id]


def place(auction: Auction, boost: Boost, closes_at: datetime, now: datetime, policy: Policy) -> tuple[Auction, int]:
    """A new bid or a raised one, and the rank that it has, from 1.

    Raises:
        AuctionClosedError: it is over, or the hold that would be raised is captured.
        BidTooLowError: it is no higher than the account's own, or has no place.
        InvalidRequestError: the account's boost is of another proposal.
    """
    if now >= closes_at:
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
    after = _end(replace(auction, places=tuple(kept)), outbid, Why.OUTBID, now)
    return wait(after, closes_at, now), rank + 1


def with_slices(auction: Auction, hold_id: str, slices: Mapping[Bucket, int]) -> Auction:
    """What a bid has just taken, added to what it had."""
    return replace(
        auction,
        places=tuple(
            replace(boost, slices=_sum(boost.slices, slices)) if boost.hold_id == hold_id else boost
            for boost in auction.places
        ),
    )


def interact(auction: Auction, interaction: Interaction, closes_at: datetime, now: datetime) -> Auction:
    """Who was boosted when the client interacted has paid, and keeps the place as long as it can."""
    seen = [boost for boost in auction.places if interaction.met(boost)]
    if all(boost.captured for boost in seen):
        return auction
    return wait(_end(auction, seen, Why.INTERACTION, now), closes_at, now)


def close(auction: Auction, why: Why, at: datetime, now: datetime) -> Auction:
    """The auction is over: every hold that is open ends. Over once, it stays as it is."""
    if auction.closed_at:
        return auction
    after = _end(auction, auction.places, why, at)
    return wait(replace(after, closed_at=at), None, now)


def ended(auction: Auction, hold_ids: Iterable[str], closes_at: datetime | None, now: datetime) -> Auction:
    """What was decided of these holds is written."""
    done = set(hold_ids)
    left = tuple(ending for ending in auction.endings if ending.boost.hold_id not in done)
    return wait(replace(auction, endings=left), closes_at, now)


def wait(auction: Auction, closes_at: datetime | None, now: datetime) -> Auction:
    """When to look at it next: soon where something was decided, else when it closes on whoever is held."""
    held = any(not boost.captured for boost in auction.places)
    due = now + ENDS_WITHIN if auction.endings else closes_at if held else None
    return replace(auction, due=due)


def _check_raise(own: Boost, boost: Boost) -> None:
    if own.proposal_id != boost.proposal_id:
        raise InvalidRequestError("body.proposal_id", "is not the proposal that this account boosts on this job")
    if own.captured:
        raise AuctionClosedError("The client interacted with this proposal: its boost is paid for.")
    if boost.bid <= own.bid:
        raise BidTooLowError(required=own.bid + 1)


def _end(auction: Auction, boosts: Iterable[Boost], why: Why, at: datetime) -> Auction:
    """These holds end, but for those that are captured already. Who paid keeps the place."""
    open_ = [boost for boost in boosts if not boost.captured]
    left = [replace(boost, captured=True) if boost in open_ else boost for boost in auction.places]
    if not why.captures:
        left = [boost for boost in auction.places if boost not in open_]
    return replace(
        auction, places=tuple(left), endings=(*auction.endings, *(Ending(boost, why, at) for boost in open_))
    )


def _sum(one: Mapping[Bucket, int], other: Mapping[Bucket, int]) -> dict[Bucket, int]:
    return {bucket: one.get(bucket, 0) + other.get(bucket, 0) for bucket in one.keys() | other.keys()}
