"""What the marketplace reports of its jobs.

What follows for accounts is marked on the job and its auction in the same write: proposals to refund, holds to end.
Holds are ended at once, as there are few; what a process that died left undone is done by `shared.services.job_sweep`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.ledger.errors import JobNotFoundError
from shared.ledger.jobs import JobAndAuction, JobEvent, Posting, with_event, with_interaction, with_posting
from shared.services.boosts import end_holds_now
from shared.services.job_changes import change_job
from shared.services.retry import in_time
from shared.store.jobs import Jobs

if TYPE_CHECKING:
    from datetime import datetime

    from shared.ledger.auction import Interaction
    from shared.services.ledger import Ledger


@in_time
def save_posting(
    ledger: Ledger, job_id: str, posting: Posting, *, deadline: float, at: datetime | None = None
) -> JobAndAuction:
    """Store a version of a job, which came to be at ``at``; one that is not newer changes nothing of what the job is.

    Raises:
        InvalidRequestError: its size or scope has no price.
    """
    now, policy = ledger.clock.now(), ledger.policy
    job = change_job(
        ledger, job_id, lambda job: with_posting(job, posting, at or now, now, policy), deadline, create=True
    )
    end_holds_now(ledger, job_id, job.auction, deadline)
    return job


@in_time
def apply_job_event(
    ledger: Ledger, job_id: str, event: JobEvent, *, deadline: float, at: datetime | None = None
) -> JobAndAuction:
    """Something happened to a job at ``at``, now where it is not given: what comes back by the rules will."""
    now, policy = ledger.clock.now(), ledger.policy
    job = change_job(ledger, job_id, lambda job: with_event(job, event, at or now, now, policy), deadline, create=True)
    end_holds_now(ledger, job_id, job.auction, deadline)
    return job


@in_time
def interact_on_job(ledger: Ledger, job_id: str, interaction: Interaction, *, deadline: float) -> JobAndAuction:
    """A client interacted with a proposal: if it was boosted then, it pays what it bid then.

    Raises:
        JobNotFoundError
    """
    now, policy = ledger.clock.now(), ledger.policy
    job = change_job(ledger, job_id, lambda job: with_interaction(job, interaction, now, policy), deadline)
    end_holds_now(ledger, job_id, job.auction, deadline)
    return job


def read_job(ledger: Ledger, job_id: str) -> JobAndAuction:
    """Raises JobNotFoundError."""
    job = Jobs(ledger.table).job_and_auction(job_id)
    if job is None:
        raise JobNotFoundError(job_id)
    return job
