"""The one way to change a job and its auction: read both, change them, write them if nobody was faster, else again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.ledger.errors import JobNotFoundError
from shared.ledger.jobs import Job, JobAndAuction
from shared.services.retry import attempts
from shared.store.errors import ContentionError, JobMovedError
from shared.store.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ledger.auction import Auction
    from shared.services.ledger import Ledger


def change_job(
    ledger: Ledger,
    job_id: str,
    change: Callable[[JobAndAuction], JobAndAuction],
    deadline: float,
    *,
    create: bool = False,
) -> JobAndAuction:
    """The job as it was written. With ``create``, ``change`` gets an empty one where there is none.

    Raises:
        JobNotFoundError: there is none, and it is not to be created.
        BusyError: contention outlasted the deadline.
    """
    jobs, tries = Jobs(ledger.table), attempts(deadline)
    for _ in tries:
        try:
            before = jobs.job_and_auction(job_id)
            if before is None and not create:
                raise JobNotFoundError(job_id)
            after = change(before or JobAndAuction(Job(job_id)))
            jobs.save(before, after)
        except (JobMovedError, ContentionError) as error:
            tries.failed(error)
        else:
            return after
    raise tries.busy


def change_auction(ledger: Ledger, job_id: str, change: Callable[[Auction], Auction], deadline: float) -> Auction:
    """Raises JobNotFoundError, BusyError."""
    return change_job(ledger, job_id, lambda job: replace(job, auction=change(job.auction)), deadline).auction
