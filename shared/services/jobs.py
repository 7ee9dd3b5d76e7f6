"""What the marketplace tells of its jobs, and giving the proposals on one back, however many there are.

A job that is canceled or removed is marked as due in the same write. From there on whoever looks (at once by a message,
and by a schedule until nothing is left) lists what has still to come back and sends it to a queue, some proposals a
message. A run that dies half-way leaves the mark, and the next one lists what it left: each refund takes its proposal
off the list in its own transaction.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from shared.ledger.errors import AlreadyRefundedError, BusyError, JobNotFoundError
from shared.ledger.job import Job, JobStatus, Posting, Proposal, end, looked, post
from shared.ledger.model import Request
from shared.services.each import for_each
from shared.services.retry import attempts
from shared.services.spending import refund_spend
from shared.store.errors import ContentionError, JobMovedError
from shared.store.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from shared.services.due import Queue
    from shared.services.ledger import Ledger
    from shared.store.jobs import DueJob

PROPOSALS_PER_MESSAGE = 25
"""Some 0.5 s of work, see `shared.services.due`."""

REASON = {JobStatus.CANCELED: "job_canceled", JobStatus.REMOVED: "job_removed"}


@dataclass(frozen=True, slots=True)
class Looked:
    """How many proposals were still to refund, and since when the longest-waiting job has been ended."""

    proposals: int
    oldest: datetime


def post_job(ledger: Ledger, job_id: str, posting: Posting, *, deadline: float) -> Job:
    """Take in what the marketplace says of a job; a version that is not newer changes nothing.

    Raises:
        InvalidRequestError: its size or scope has no price.
    """
    now = ledger.clock.now()
    return _change(ledger, job_id, lambda job: post(job, job_id, posting, now, ledger.policy), deadline)


def end_job(ledger: Ledger, job_id: str, how: JobStatus, *, deadline: float) -> Job:
    """A job ends, once: from now on it takes no proposals, and those it has come back where that is the rule."""
    now = ledger.clock.now()
    return _change(ledger, job_id, lambda job: end(job, job_id, how, now), deadline)


def read_job(ledger: Ledger, job_id: str) -> Job:
    """Raises JobNotFoundError."""
    job = Jobs(ledger.table).job(job_id)
    if job is None:
        raise JobNotFoundError(job_id)
    return job


def look_at_message(job: Job) -> str:
    """Asks whoever reads the queue to look at a job now."""
    return json.dumps({"look_at": job.job_id})


def handle_message(ledger: Ledger, message: dict[str, Any], queue: Queue, deadline: Callable[[], float]) -> None:
    """Look at a job, or refund a page of proposals.

    Raises:
        ExceptionGroup: at the end, what went wrong with some proposals; the others are refunded.
    """
    if "look_at" in message:
        look_at(ledger, message["look_at"], queue)
        return
    how = JobStatus(message["how"])
    page = [Proposal(message["job_id"], *proposal) for proposal in message["proposals"]]
    for_each(page, lambda proposal: _refund(ledger, proposal, how, deadline()))


def sweep(ledger: Ledger, due: Iterable[DueJob], queue: Queue) -> Looked:
    """Look at every job that is due.

    Raises:
        ExceptionGroup: at the end, what went wrong with some jobs; they stay due.
    """
    oldest, found = ledger.clock.now(), 0

    def look(job: DueJob) -> None:
        nonlocal oldest, found
        seen = look_at(ledger, job.job_id, queue)
        oldest, found = min(oldest, seen.oldest), found + seen.proposals

    for_each(due, look)
    return Looked(found, oldest)


def look_at(ledger: Ledger, job_id: str, queue: Queue) -> Looked:
    """Send what has still to come back of an ended job to the queue; let the job rest where nothing has."""
    jobs, now = Jobs(ledger.table), ledger.clock.now()
    job = jobs.job(job_id)
    if job is None or job.refunds_due is None:
        return Looked(0, now)
    left = 0
    waiting = jobs.unrefunded(job_id)

    def pages() -> Iterator[str]:
        nonlocal left
        while page := list(islice(waiting, PROPOSALS_PER_MESSAGE)):
            left += len(page)
            yield json.dumps(_page(job, page))

    queue.send(pages())
    with suppress(JobMovedError):  # whoever moved it has looked as well, or it is looked at again
        jobs.save(job, looked(job, left, now))
    return Looked(left, job.ended_at or now)


def _page(job: Job, proposals: list[Proposal]) -> dict[str, Any]:
    each = [[proposal.account_id, proposal.proposal_id, proposal.spend_id, proposal.cost] for proposal in proposals]
    return {"job_id": job.job_id, "how": job.status.value, "proposals": each}


def _refund(ledger: Ledger, proposal: Proposal, how: JobStatus, deadline: float) -> None:
    """Give one proposal back, at most once whatever else has given its spend back."""
    jobs, now = Jobs(ledger.table), ledger.clock.now()
    request = Request("job_refund", f"{proposal.job_id}.{how}", proposal.spend_id, "system")
    try:
        refund_spend(
            ledger,
            proposal.account_id,
            proposal.spend_id,
            reason=REASON[how],
            request=request,
            deadline=deadline,
            also=[jobs.refunded(proposal, now)],
        )
    except AlreadyRefundedError:
        jobs.mark_refunded(proposal, now)


def _change(ledger: Ledger, job_id: str, change: Callable[[Job | None], Job], deadline: float) -> Job:
    """Read a job, change it, and write it unless somebody was faster: then again."""
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
