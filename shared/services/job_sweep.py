"""What is left to do for jobs: refunding the proposals on one, however many there are, and ending the holds of boosts.

A job that is canceled or removed is marked as due in the same write. A sweep of it (at once by a message, and by a
schedule until nothing is left) lists the proposals that are still to be refunded and sends them to a queue, some in a
message. A sweep that dies half-way leaves the mark, and the next one lists the rest: each refund takes its proposal off
the list in its own transaction. The same holds for an auction whose closing time has passed, or whose holds should have
ended when a process died.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from shared.ledger.errors import AlreadyRefundedError
from shared.ledger.jobs import Job, JobAndAuction, JobStatus, Proposal, after_sweep, endings_requested
from shared.ledger.model import Request
from shared.ledger.refunds import reason_of_end
from shared.services.batches import for_each, while_there_is_time
from shared.services.boosts import end_holds
from shared.services.due import SOON, STILL_SOON, Work
from shared.services.proposals import refund_spend
from shared.store.errors import JobMovedError
from shared.store.jobs import JOB_DUE, Jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from shared.services.due import Queue
    from shared.services.ledger import Ledger

PROPOSALS_PER_MESSAGE = 25
"""Some 0.5 s of work, see `shared.services.due`."""

JOBS = Work(
    JOB_DUE,
    "jobs",
    10,  # each may have thousands of proposals
    rest=SOON,
    longest_rest=STILL_SOON,
)
"""Jobs with proposals to refund or holds to end."""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found to do, and since when the oldest of it has waited."""

    proposals: int
    """How many proposals are to be refunded."""
    auctions: int
    """How many auctions have holds to end."""
    oldest: datetime
    holds_since: datetime | None = None
    """When the first of the holds should have ended; None if none has to."""


def look_at_message(job: Job) -> str:
    """The message that asks for a sweep of this job now."""
    return json.dumps({"look_at": job.job_id})


def handle_message(
    ledger: Ledger,
    message: dict[str, Any],
    queue: Queue,
    deadline: Callable[[], float],
    on_result: Callable[[SweepResult], object] = lambda _: None,
) -> None:
    """Do what a message of the queue asks for: sweep jobs, end the holds of one, or refund a page of proposals.

    ``on_result`` is called with what was found for each job.

    Raises:
        ExceptionGroup: at the end, the errors of some, or that time ran out; the others are done.
    """
    if "end_holds" in message:
        end_holds(ledger, message["end_holds"], deadline=deadline())
        return
    if "look_at" in message or "jobs" in message:
        jobs = [message["look_at"]] if "look_at" in message else message["jobs"]
        sweep(ledger, jobs, queue, deadline, on_result)
        return
    how = JobStatus(message["how"])
    page = [Proposal(message["job_id"], *proposal) for proposal in message["proposals"]]
    for_each(page, lambda proposal: _refund(ledger, proposal, how, deadline()), deadline)


def sweep(
    ledger: Ledger,
    jobs: Iterable[str],
    queue: Queue,
    deadline: Callable[[], float],
    on_result: Callable[[SweepResult], object] = lambda _: None,
) -> SweepResult:
    """Sweep each of these jobs.

    Raises:
        ExceptionGroup: at the end, the errors of some, or that time ran out; these stay due.
    """
    found: list[SweepResult] = [SweepResult(0, 0, ledger.clock.now())]
    timed = _QueueUntil(queue, deadline)

    def look(job_id: str) -> None:
        found.append(look_at(ledger, job_id, timed))
        on_result(found[-1])

    for_each(jobs, look, deadline)
    return SweepResult(
        sum(one.proposals for one in found),
        sum(one.auctions for one in found),
        min(one.oldest for one in found),
        min((one.holds_since for one in found if one.holds_since), default=None),
    )


class _QueueUntil:
    """A queue that stops sending when time is up: a job may have more proposals than one run can send.

    Those that were sent and refunded are off the list at the next sweep.
    """

    def __init__(self, queue: Queue, deadline: Callable[[], float]) -> None:
        self._queue = queue
        self._deadline = deadline

    def send(self, bodies: Iterable[str]) -> None:
        self._queue.send(while_there_is_time(bodies, self._deadline))


def look_at(ledger: Ledger, job_id: str, queue: Queue) -> SweepResult:
    """Send what is to be done for a job to the queue, and store when to sweep it again, if at all."""
    jobs, now = Jobs(ledger.table), ledger.clock.now()
    known = jobs.job_and_auction(job_id)
    if known is None:
        return SweepResult(0, 0, now)
    job, auction = known.job, known.auction
    proposals = auctions = 0
    oldest, holds_since = now, None
    if auction.due and auction.due <= now:
        queue.send([json.dumps({"end_holds": job_id})])
        holds_since = min((ending.verdict.at for ending in auction.endings), default=auction.closes_at or auction.due)
        auctions, oldest, auction = 1, holds_since, endings_requested(auction, now)
    if job.refunds_due:
        proposals = _send_proposals(jobs, job, queue)
        oldest, job = min(oldest, job.refunds_since or now), after_sweep(job, proposals, now)
    with suppress(JobMovedError):  # it was changed meanwhile, and stays due
        jobs.save(known, JobAndAuction(job, auction))
    return SweepResult(proposals, auctions, oldest, holds_since)


def _send_proposals(jobs: Jobs, job: Job, queue: Queue) -> int:
    """Send those that are still to be refunded. Returns how many."""
    found = 0
    waiting = jobs.unrefunded(job.job_id)

    def pages() -> Iterator[str]:
        nonlocal found
        while page := list(islice(waiting, PROPOSALS_PER_MESSAGE)):
            found += len(page)
            yield json.dumps(_page(job, page))

    queue.send(pages())
    return found


def _page(job: Job, proposals: list[Proposal]) -> dict[str, Any]:
    each = [[proposal.account_id, proposal.proposal_id, proposal.spend_id, proposal.cost] for proposal in proposals]
    return {"job_id": job.job_id, "how": job.status.value, "proposals": each}


def _refund(ledger: Ledger, proposal: Proposal, how: JobStatus, deadline: float) -> None:
    """Refund what is left of one proposal. If all of it was refunded before, only mark it."""
    jobs, now = Jobs(ledger.table), ledger.clock.now()
    request = Request("job_refund", f"{proposal.job_id}.{how}", proposal.spend_id, "system")
    try:
        refund_spend(
            ledger,
            proposal.account_id,
            proposal.spend_id,
            reason=reason_of_end(how),
            request=request,
            deadline=deadline,
            also=[jobs.refunded(proposal, now)],
        )
    except AlreadyRefundedError:
        jobs.mark_refunded(proposal, now)
