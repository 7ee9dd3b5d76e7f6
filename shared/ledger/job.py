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
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

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
    revision: int = 0
    """Counts writes."""


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
    posted_at = posting.posted_at or (job.posting and job.posting.posted_at) or now
    return replace(job, posting=replace(posting, posted_at=posted_at), price=price)


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


def end(job: Job | None, job_id: str, how: JobStatus, now: datetime) -> Job:
    """A job that has ended. The first end is the end; only a removal comes after one that gave nothing back."""
    job = job or Job(job_id)
    ends = job.status is JobStatus.OPEN or (how is JobStatus.REMOVED and not job.status.refunds)
    if not ends:
        return job
    return replace(job, status=how, ended_at=now, refunds_due=now if how.refunds else None)


def looked(job: Job, left: int, now: datetime) -> Job:
    """A job for whose refunds was looked, and ``left`` were still to be made: when to look again, if at all."""
    if not left and job.ended_at and now - job.ended_at >= SETTLES_WITHIN:
        return replace(job, refunds_due=None)
    wait = min(FIRST_WAIT * (1 << min(job.looks, 10)), LONGEST_WAIT)
    return replace(job, refunds_due=now + wait, looks=job.looks + 1)


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
