"""A job: what a proposal on it costs, whether it takes proposals, and whether theirs come back.

::

    open ──► canceled    the client took it back before a contract    proposals come back
     │
     ├─────► filled      somebody was hired                           they do not
     ├─────► expired     nobody was                                   they do not
     │           │
     └───────────┴─► removed    it broke the terms                    proposals come back, however it had ended

The marketplace tells the ledger of a job in versions, and of its end by events. They come more than once, late, and in
any order: an older version is ignored, an end is final, and a job may end before its first version comes.

The auction of its boosted places (`shared.ledger.auction`) is part of the job, so that what ends the one ends the other
in the same write.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.ledger import auction as auctions
from shared.ledger.auction import Auction, Boost, Interaction, Why
from shared.ledger.errors import InvalidRequestError, JobNotOpenError, PriceChangedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.ledger.policy import Policy

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
LARGEST = 2**53 - 1
"""Of the whole numbers that every JSON parser keeps exact."""
LONGEST_NAME = 64
"""Of a size or a scope, in characters."""

FIRST_WAIT = timedelta(minutes=2)
LONGEST_WAIT = timedelta(hours=1)
SETTLES_WITHIN = timedelta(minutes=1)
"""A transaction becomes visible item by item: a proposal that came just before the end may be seen just after it."""


class JobStatus(StrEnum):
    OPEN = "open"
    CANCELED = "canceled"
    REMOVED = "removed"
    EXPIRED = "expired"
    FILLED = "filled"

    @property
    def refunds(self) -> bool:
        """Whether a job that ends so gives its proposals back."""
        return self in {JobStatus.CANCELED, JobStatus.REMOVED}


class Channel(StrEnum):
    """How a proposal came about. All but ``search`` are free."""

    SEARCH = "search"
    INVITATION = "invitation"
    OFFER = "offer"
    CATALOGUE = "catalogue"
    ENTERPRISE = "enterprise"


WHY = {
    Channel.SEARCH: "Proposal",
    Channel.INVITATION: "Proposal after a client's invitation: free",
    Channel.OFFER: "Proposal for an offer: free",
    Channel.CATALOGUE: "Proposal for a catalogue purchase: free",
    Channel.ENTERPRISE: "Proposal in an enterprise talent cloud: free",
}


RELEASES = {JobStatus.CANCELED: Why.CANCELED, JobStatus.REMOVED: Why.REMOVED}
"""The ends of a job that release what is held for boosts on it."""


@dataclass(frozen=True, slots=True)
class Posting:
    """What the marketplace says of a job. ``price`` is in Connects and overrides what size and scope would cost."""

    version: int
    size: str | None = None
    scope: str | None = None
    budget_cents: int | None = None
    price: int | None = None
    posted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Job:
    job_id: str
    status: JobStatus = JobStatus.OPEN
    posting: Posting | None = None
    """None where it ended before anything else was heard of it."""
    price: int | None = None
    """What a proposal costs, as of its posting; the table of prices may have changed since."""
    ended_at: datetime | None = None
    refunds_due: datetime | None = None
    """When to look next for proposals to refund; none where there are none left, or none come back."""
    looks: int = 0
    """How often it was looked."""
    auction: Auction = field(default_factory=Auction)
    revision: int = 0
    """Counts writes."""

    @property
    def due(self) -> datetime | None:
        """When there is something to do for it: proposals to refund, or holds to end."""
        return min((at for at in (self.refunds_due, self.auction.due) if at), default=None)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One account's proposal on a job; it has one at most."""

    job_id: str
    account_id: str
    proposal_id: str
    spend_id: str
    cost: int


def post(job: Job | None, job_id: str, posting: Posting, now: datetime, policy: Policy) -> Job:
    """A job as of a posting, or as it was where it has been heard of since.

    Raises:
        InvalidRequestError: a size or scope that has no price.
    """
    price = price_of(posting, policy)
    job = job or Job(job_id)
    if job.posting and job.posting.version >= posting.version:
        return job
    job = settle(job, now, policy)
    posted_at = posting.posted_at or (job.posting and job.posting.posted_at) or now
    job = replace(job, posting=replace(posting, posted_at=posted_at), price=price)
    return replace(job, auction=auctions.wait(job.auction, closes_at(job, policy), now))


def price_of(posting: Posting, policy: Policy) -> int:
    """What a proposal on it costs, in Connects: by its size and scope, unless it names its price.

    Raises:
        InvalidRequestError
    """
    if posting.price is not None:
        return posting.price
    if posting.size is None or posting.scope is None:
        raise InvalidRequestError("body", "needs size and scope, or a price")
    price = policy.job_prices.get(f"{posting.size}/{posting.scope}")
    if price is None:
        known = ", ".join(policy.job_prices)
        raise InvalidRequestError("body.size", f"and scope must be one of {known}, not {posting.size}/{posting.scope}")
    return price


def end(job: Job | None, job_id: str, how: JobStatus, now: datetime, policy: Policy) -> Job:
    """A job that has ended. The first end is the end; only a removal comes after one that gave nothing back.

    Whoever has a boosted place then has paid for it, unless the proposals come back: then what is held does too.
    """
    job = settle(job or Job(job_id), now, policy)
    ends = job.status is JobStatus.OPEN or (how is JobStatus.REMOVED and not job.status.refunds)
    if not ends:
        return job
    auction = auctions.close(job.auction, RELEASES.get(how, Why.CLOSED), now, now)
    return replace(job, status=how, ended_at=now, refunds_due=now if how.refunds else None, auction=auction)


def closes_at(job: Job, policy: Policy) -> datetime | None:
    """When the auction of its boosted places closes, or did; None where it has never been posted."""
    if job.auction.closed_at or not (job.posting and job.posting.posted_at):
        return job.auction.closed_at
    return job.posting.posted_at + timedelta(days=policy.auction_days)


def settle(job: Job, now: datetime, policy: Policy) -> Job:
    """A job whose auction has closed if its time has come, whoever announced that."""
    closing = closes_at(job, policy)
    if closing is None or closing > now or not job.auction.places:
        return job
    return replace(job, auction=auctions.close(job.auction, Why.CLOSED, closing, now))


def bid(job: Job, boost: Boost, now: datetime, policy: Policy) -> tuple[Job, int]:
    """A job with a bid for a boosted place on it, new or raised, and the bid's rank.

    Raises:
        AuctionClosedError, BidTooLowError, InvalidRequestError
    """
    auction, rank = auctions.place(job.auction, boost, closes_at(job, policy) or now, now, policy)
    return replace(job, auction=auction), rank


def interact(job: Job, interaction: Interaction, now: datetime, policy: Policy) -> Job:
    """A job on which a client interacted with a proposal."""
    job = settle(job, now, policy)
    auction = auctions.interact(job.auction, interaction, closes_at(job, policy) or now, now)
    return replace(job, auction=auction)


def holds_ended(job: Job, hold_ids: Iterable[str], now: datetime, policy: Policy) -> Job:
    """A job of which it is known that these holds were released or captured."""
    return replace(job, auction=auctions.ended(job.auction, hold_ids, closes_at(job, policy), now))


def looked(job: Job, left: int, now: datetime) -> Job:
    """A job for whose refunds was looked, and ``left`` were still to be made: when to look again, if at all."""
    if not left and job.ended_at and now - job.ended_at >= SETTLES_WITHIN:
        return replace(job, refunds_due=None)
    wait = min(FIRST_WAIT * (1 << min(job.looks, 10)), LONGEST_WAIT)
    return replace(job, refunds_due=now + wait, looks=job.looks + 1)


def asked(job: Job, now: datetime) -> Job:
    """A job of which somebody was asked to end the holds: when to ask again, should nobody have."""
    return replace(job, auction=replace(job.auction, due=now + FIRST_WAIT))


def quote(job: Job | None, channel: Channel, *, amount: int | None, expected_price: int | None) -> int:
    """What a proposal costs, 0 where it is free. Where the job is not known it costs what its sender says.

    Raises:
        JobNotOpenError: the job takes no proposals any more.
        PriceChangedError: the sender saw another price.
        InvalidRequestError: nobody knows the price.
    """
    if job and job.status is not JobStatus.OPEN:
        raise JobNotOpenError(job.job_id, job.status)
    price = 0 if channel is not Channel.SEARCH else job.price if job else amount
    if price is None:
        raise InvalidRequestError("body.amount", "is required: no price is known for this job")
    if any(seen is not None and seen != price for seen in (amount, expected_price)):
        raise PriceChangedError(price=price)
    return price
