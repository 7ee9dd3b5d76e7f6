"""A job: what a proposal on it costs, whether it takes proposals, and whether these are refunded.

::

    open ──► canceled    the client took it back            proposals are refunded, unless somebody was hired before
     │
     ├─────► filled      the client has hired all           they are not
     ├─────► expired     its time was over                  they are not
     │           │
     └───────────┴─► removed    it broke the terms          proposals are refunded, however it had ended

The first hire (``hired``) closes the auction of the boosted places and ends nothing else: the job stays open.

The marketplace sends a job in versions, and what happens to it as events. Both arrive more than once, late, and in any
order: an older version is ignored, a job may end before its first version arrives, and of each kind of event the
earliest time counts. A job's status follows from these times alone, in whatever order they became known. What was
refunded before it was known that it should not have been stays with its owner.

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
"""The largest whole number that every JSON parser keeps exact."""
LONGEST_NAME = 64
"""The length of a size or a scope, in characters."""

FIRST_WAIT = timedelta(minutes=2)
LONGEST_WAIT = timedelta(hours=1)
SETTLES_WITHIN = timedelta(minutes=1)
"""A transaction becomes visible item by item: a proposal from just before the end may be visible only just after it."""


class JobEvent(StrEnum):
    """An event of a job."""

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
"""How each event closes the auction, unless it was closed before."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One version of a job. ``price`` is in Connects and overrides the price by size and scope."""

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
    """None if it ended before any version of it arrived."""
    price: int | None = None
    """What a proposal costs, as of its posting; the table of prices may have changed since."""
    closing_version: int | None = None
    """The lowest known version that names the time of posting: it sets when the auction closes."""
    events: Mapping[JobEvent, datetime] = field(default_factory=dict)
    """When each happened: the earliest known time."""
    refunds_since: datetime | None = None
    """When it became known that its proposals are to be refunded."""
    refunds_due: datetime | None = None
    """When the next sweep looks for proposals to refund; None if none are left, or none are to be refunded."""
    looks: int = 0
    """How many sweeps have looked for its proposals."""
    revision: int = 0
    """Counts writes."""

    @property
    def status(self) -> JobStatus:
        """The first end counts, except that a removal also counts after an end that refunds nothing."""
        removed, ends = self.events.get(JobEvent.REMOVED), self._ends()
        if removed and (not ends or removed <= ends[0][0] or not self._cancellation_refunds(ends)):
            return JobStatus.REMOVED
        return JobStatus(ends[0][1]) if ends else JobStatus.OPEN

    @property
    def refunds(self) -> bool:
        """Whether its proposals are refunded."""
        return self.status is JobStatus.REMOVED or self._cancellation_refunds(self._ends())

    def _ends(self) -> list[tuple[datetime, JobEvent]]:
        """All ends except a removal, in the order of time."""
        kinds = (JobEvent.FILLED, JobEvent.EXPIRED, JobEvent.CANCELED)
        return sorted(((self.events[kind], kind) for kind in kinds if kind in self.events), key=lambda end: end[0])

    def _cancellation_refunds(self, ends: list[tuple[datetime, JobEvent]]) -> bool:
        """Whether it was canceled before anybody was hired."""
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
    """The job with one more version, or as it was if a newer version is known.

    An older version that arrives late can only change when the auction closes. That is some days after the job was
    posted by the first version that names that time or, while none does, after the earliest version was made.

    Args:
        known: The job before.
        posting: The version.
        at: When the version was made.
        now: When it arrives.
        policy: The product's numbers.

    Raises:
        InvalidRequestError: its size or scope has no price.
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
    """The job, and when its auction closes by this version; None if another version sets that."""
    first = job.closing_version
    days = timedelta(days=policy.auction_days)
    if posting.posted_at is None:
        earlier = auction.closes_at is None or at + days < auction.closes_at
        return job, at + days if first is None and earlier else None
    if first is not None and first <= posting.version:
        return job, None
    return replace(job, closing_version=posting.version), posting.posted_at + days


def price_of(posting: Posting, policy: Policy) -> int:
    """What a proposal on it costs, in Connects: the price that it names, else the one by its size and scope.

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


def with_event(known: JobAndAuction, event: JobEvent, at: datetime, now: datetime, policy: Policy) -> JobAndAuction:
    """The job after an event that happened at ``at``. Of each kind of event the earliest one counts.

    It closes the auction: every account with a place pays, unless the job was canceled or removed. Then the holds are
    released.
    """
    events = known.job.events
    job = replace(known.job, events={**events, event: min(at, events.get(event, at))})
    auction = auctions.close(known.auction, Close(job.events[event], CLOSES[event]), now, policy)
    return JobAndAuction(_with_refunds(job, now), auctions.close_by_clock(auction, now, policy))


def _with_refunds(job: Job, now: datetime) -> Job:
    """The job with its refunds begun if they have become due, or ended if they are not due any more."""
    if job.refunds == (job.refunds_since is not None):
        return job
    since = now if job.refunds else None
    return replace(job, refunds_since=since, refunds_due=since, looks=0)


def with_interaction(known: JobAndAuction, interaction: Interaction, now: datetime, policy: Policy) -> JobAndAuction:
    """The job after a client's interaction with a proposal."""
    auction = auctions.interact(known.auction, interaction, now, policy)
    return replace(known, auction=auctions.close_by_clock(auction, now, policy))


def after_sweep(job: Job, left: int, now: datetime) -> Job:
    """The job after a sweep that found ``left`` proposals to refund: when to sweep it again, if at all."""
    if not left and job.refunds_since and now - job.refunds_since >= SETTLES_WITHIN:
        return replace(job, refunds_due=None)
    wait = min(FIRST_WAIT * (1 << min(job.looks, 10)), LONGEST_WAIT)
    return replace(job, refunds_due=now + wait, looks=job.looks + 1)


def endings_requested(auction: Auction, now: datetime) -> Auction:
    """The auction after a message was sent to end its holds: when to send another, in case that one is lost."""
    return replace(auction, due=now + FIRST_WAIT)


def quote(job: Job | None, channel: Channel, *, amount: int | None, expected_price: int | None) -> int:
    """What a proposal costs; 0 if it is free. Without a known job it costs what the request says.

    Raises:
        JobNotOpenError: the job takes no proposals any more.
        PriceChangedError: the request names another price.
        InvalidRequestError: neither the job nor the request names a price.
    """
    if job and job.status is not JobStatus.OPEN:
        raise JobNotOpenError(job.job_id, job.status)
    price = 0 if channel is not Channel.SEARCH else job.price if job else amount
    if price is None:
        raise InvalidRequestError("body.amount", "is required: no price is known for this job")
    if any(seen is not None and seen != price for seen in (amount, expected_price)):
        raise PriceChangedError(price=price)
    return price
