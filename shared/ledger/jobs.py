"""A job: what a proposal on it costs, whether it takes proposals, and whether theirs come back.

::

    open ──► canceled    the client took it back                       proposals come back, if nobody was hired before
     │
     ├─────► filled      the client has hired all                      they do not
     ├─────► expired     its time was over                             they do not
     │           │
     └───────────┴─► removed    it broke the terms                     proposals come back, however it had ended

The first hire (``hired``) closes the auction of the boosted places and ends nothing else: the job takes proposals on.

The marketplace tells the ledger of a job in versions, and of what happens to it by events. They come more than once,
late, and in any order: an older version is ignored, a job may end before its first version comes, and of each kind of
event the earliest time counts. What a job is follows from these times alone, in whatever order they became known. What
came back before it was known that it should not have stays with its owner.

What ends a job closes the auction of its boosted places (`shared.ledger.auction`) in the same write: `JobAndAuction`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.ledger import auction as auctions
from shared.ledger.auction import Auction, Close, Interaction, Why
from shared.ledger.errors import InvalidRequestError, JobNotOpenError, PriceChangedError

if TYPE_CHECKING:
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


class JobEvent(StrEnum):
    """What happens to a job."""

    HIRED = "hired"
    CANCELED = "canceled"
    REMOVED = "removed"
    EXPIRED = "expired"
    FILLED = "filled"


class JobStatus(StrEnum):
    OPEN = "open"
    CANCELED = "canceled"
    REMOVED = "removed"
    EXPIRED = "expired"
    FILLED = "filled"


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


CLOSES = {
    JobEvent.HIRED: Why.CLOSED,
    JobEvent.CANCELED: Why.CANCELED,
    JobEvent.REMOVED: Why.REMOVED,
    JobEvent.EXPIRED: Why.CLOSED,
    JobEvent.FILLED: Why.CLOSED,
}
"""What each means for the auction, unless it closed before."""


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
    posting: Posting | None = None
    """None where it ended before any version of it came."""
    price: int | None = None
    """What a proposal costs, as of its posting; the table of prices may have changed since."""
    closing_version: int | None = None
    """The lowest version that is known to say when it was posted: it sets when the auction closes."""
    events: Mapping[JobEvent, datetime] = field(default_factory=dict)
    """When each happened; the earliest time that is known of."""
    refunds_since: datetime | None = None
    """When it became known that its proposals come back."""
    refunds_due: datetime | None = None
    """When to look next for proposals to refund; none where there are none left, or none come back."""
    looks: int = 0
    """How many sweeps have looked for its proposals."""
    revision: int = 0
    """Counts writes."""

    @property
    def status(self) -> JobStatus:
        """The first end is the end, but that a removal counts after one that gives nothing back."""
        removed, ends = self.events.get(JobEvent.REMOVED), self._ends()
        if removed and (not ends or removed <= ends[0][0] or not self._cancellation_refunds(ends)):
            return JobStatus.REMOVED
        return JobStatus(ends[0][1]) if ends else JobStatus.OPEN

    @property
    def refunds(self) -> bool:
        """Whether its proposals come back."""
        return self.status is JobStatus.REMOVED or self._cancellation_refunds(self._ends())

    def _ends(self) -> list[tuple[datetime, JobEvent]]:
        """The ends but for a removal, the first one first."""
        kinds = (JobEvent.FILLED, JobEvent.EXPIRED, JobEvent.CANCELED)
        return sorted(((self.events[kind], kind) for kind in kinds if kind in self.events), key=lambda end: end[0])

    def _cancellation_refunds(self, ends: list[tuple[datetime, JobEvent]]) -> bool:
        """Whether it ended by a cancellation before anybody was hired."""
        if not ends or ends[0][1] is not JobEvent.CANCELED:
            return False
        hired = self.events.get(JobEvent.HIRED)
        return hired is None or ends[0][0] < hired


@dataclass(frozen=True, slots=True)
class JobAndAuction:
    """A job, and the auction of its boosted places."""

    job: Job
    auction: Auction = field(default_factory=Auction)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One account's proposal on a job; it has one at most."""

    job_id: str
    account_id: str
    proposal_id: str
    spend_id: str
    cost: int


def with_posting(known: JobAndAuction, posting: Posting, at: datetime, now: datetime, policy: Policy) -> JobAndAuction:
    """A job as of a posting, or as it was where a newer version is known.

    An older version that comes late counts for nothing but the time at which the auction closes: some days after the
    job was posted, as the first version that names that time says, or after the earliest version as long as none does.

    Args:
        known: The job before.
        posting: One version.
        at: When that version came to be.
        now: When it is told.
        policy: The product's numbers.

    Raises:
        InvalidRequestError: a size or scope that has no price.
    """
    job = known.job
    if job.posting is None or job.posting.version < posting.version:
        kept = job.posting.posted_at if job.posting else None
        newest = replace(posting, posted_at=posting.posted_at or kept)
        job = replace(job, posting=newest, price=price_of(posting, policy))
    job, closes_at = _closing(job, posting, at, known.auction, policy)
    auction = auctions.close_at(known.auction, closes_at, now, policy) if closes_at else known.auction
    return JobAndAuction(job, auction)


def _closing(job: Job, posting: Posting, at: datetime, auction: Auction, policy: Policy) -> tuple[Job, datetime | None]:
    """When the auction closes by this version; None where another one sets that."""
    first = job.closing_version
    days = timedelta(days=policy.auction_days)
    if posting.posted_at is None:
        earlier = auction.closes_at is None or at + days < auction.closes_at
        return job, at + days if first is None and earlier else None
    if first is not None and first <= posting.version:
        return job, None
    return replace(job, closing_version=posting.version), posting.posted_at + days


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


def happen(known: JobAndAuction, event: JobEvent, at: datetime, now: datetime, policy: Policy) -> JobAndAuction:
    """A job to which something happened at ``at``. Of each kind of event the earliest one counts.

    Whoever has a boosted place then has paid for it, unless the proposals come back: then what is held does too.
    """
    events = known.job.events
    job = replace(known.job, events={**events, event: min(at, events.get(event, at))})
    auction = auctions.close(known.auction, Close(job.events[event], CLOSES[event]), now, policy)
    return JobAndAuction(_with_refunds(job, now), auctions.close_by_clock(auction, now, policy))


def _with_refunds(job: Job, now: datetime) -> Job:
    """Proposals are refunded from when it is known that they come back, until it is known that they do not."""
    if job.refunds == (job.refunds_since is not None):
        return job
    since = now if job.refunds else None
    return replace(job, refunds_since=since, refunds_due=since, looks=0)


def interact(known: JobAndAuction, interaction: Interaction, now: datetime, policy: Policy) -> JobAndAuction:
    """A job on which a client interacted with a proposal."""
    auction = auctions.interact(known.auction, interaction, now, policy)
    return replace(known, auction=auctions.close_by_clock(auction, now, policy))


def after_sweep(job: Job, left: int, now: datetime) -> Job:
    """A job after a sweep that found ``left`` refunds still to be made: when to sweep again, if at all."""
    if not left and job.refunds_since and now - job.refunds_since >= SETTLES_WITHIN:
        return replace(job, refunds_due=None)
    wait = min(FIRST_WAIT * (1 << min(job.looks, 10)), LONGEST_WAIT)
    return replace(job, refunds_due=now + wait, looks=job.looks + 1)


def endings_requested(auction: Auction, now: datetime) -> Auction:
    """An auction whose holds a message asks to end: when to send another, should that one be lost."""
    return replace(auction, due=now + FIRST_WAIT)


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
