"""What the marketplace tells of its jobs.

What follows from it for accounts is marked on the job in the same write: proposals to refund, holds to end. Holds are
ended at once, as there are few; what is left to do by whoever dies is done by `shared.services.job_sweep`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from shared.ledger.auction import Interaction
from shared.ledger.errors import BusyError, JobNotFoundError, LedgerError
from shared.ledger.holds import EndHold
from shared.ledger.job import Job, JobStatus, Posting, end, holds_ended, interact, post, settle
from shared.services.each import for_each
from shared.services.retry import attempts
from shared.store.errors import ContentionError, JobMovedError, StoreError
from shared.store.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.ledger.auction import Ending
    from shared.services.ledger import Ledger


def post_job(ledger: Ledger, job_id: str, posting: Posting, *, deadline: float) -> Job:
    """Take in what the marketplace says of a job; a version that is not newer changes nothing.

    Raises:
        InvalidRequestError: its size or scope has no price.
    """
    now = ledger.clock.now()
    job = change_job(ledger, job_id, lambda job: post(job, job_id, posting, now, ledger.policy), deadline)
    return end_holds_now(ledger, job, deadline)


def end_job(ledger: Ledger, job_id: str, how: JobStatus, *, deadline: float) -> Job:
    """A job ends, once: from now on it takes no proposals and no bids, and what comes back by the rules will."""
    now = ledger.clock.now()
    job = change_job(ledger, job_id, lambda job: end(job, job_id, how, now, ledger.policy), deadline)
    return end_holds_now(ledger, job, deadline)


def interact_on_job(
    ledger: Ledger,
    job_id: str,
    account_id: str | None,
    proposal_id: str | None,
    *,
    deadline: float,
    at: datetime | None = None,
) -> Job:
    """A client interacted with a proposal, named by its account, its id, or both: if it was boosted, it has paid.

    News of it may be late: ``at`` says when it happened, now where it is not given.

    Raises:
        InvalidRequestError: it is not named.
        JobNotFoundError
    """
    now = ledger.clock.now()

    interaction = Interaction(account_id, proposal_id, at or now)

    def change(job: Job | None) -> Job:
        return interact(_known(job, job_id), interaction, now, ledger.policy)

    return end_holds_now(ledger, change_job(ledger, job_id, change, deadline), deadline)


def read_job(ledger: Ledger, job_id: str) -> Job:
    """Raises JobNotFoundError."""
    return _known(Jobs(ledger.table).job(job_id), job_id)


def end_holds(ledger: Ledger, job_id: str, *, deadline: float) -> None:
    """Release or capture each hold of which that is decided, those of an auction whose time has come included.

    Raises:
        ExceptionGroup: at the end, what went wrong with some; the others have ended.
        JobNotFoundError, BusyError
    """
    now, policy = ledger.clock.now(), ledger.policy
    job = change_job(ledger, job_id, lambda job: settle(_known(job, job_id), now, policy), deadline)
    done: list[str] = []

    def end_one(ending: Ending) -> None:
        ledger.execute(ending.boost.account_id, EndHold(job_id, ending), deadline=deadline)
        done.append(ending.boost.hold_id)

    try:
        for_each(job.auction.endings, end_one, lambda: deadline)
    finally:
        if done:
            change_job(ledger, job_id, lambda job: holds_ended(_known(job, job_id), done, now, policy), deadline)


def end_holds_now(ledger: Ledger, job: Job, deadline: float) -> Job:
    """The same for a job just written, of which the write itself is what counts."""
    if job.auction.endings:
        # Whatever goes wrong here the sweep meets again, and tells.
        with suppress(ExceptionGroup, LedgerError, StoreError):
            end_holds(ledger, job.job_id, deadline=deadline)
    return job


def change_job(ledger: Ledger, job_id: str, change: Callable[[Job | None], Job], deadline: float) -> Job:
    """Read a job, change it, and write it unless somebody was faster: then again.

    Raises:
        BusyError: contention outlasted the deadline.
    """
    jobs = Jobs(ledger.table)
    for _ in attempts(deadline):
        try:
            before = jobs.job(job_id)
            after = change(before)
            if after != before:
                jobs.save(before, after)
        except (JobMovedError, ContentionError):
            continue
        return after
    raise BusyError


def _known(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise JobNotFoundError(job_id)
    return job
