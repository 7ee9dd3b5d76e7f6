"""What the marketplace tells of its jobs.

What follows from it for accounts is marked on the job and its auction in the same write: proposals to refund, holds to
end. Holds are ended at once, as there are few; what is left to do by whoever dies is done by
`shared.services.job_sweep`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from shared.ledger.auction import close_by_clock, ended, withdraw
from shared.ledger.errors import JobNotFoundError, LedgerError
from shared.ledger.holds import EndHold, held_up_to
from shared.ledger.jobs import Job, JobAndAuction, JobEvent, Posting, happen, interact, with_posting
from shared.services.batches import for_each
from shared.services.retry import attempts, in_time
from shared.store.errors import ContentionError, JobMovedError, StoreError
from shared.store.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from shared.ledger.auction import Auction, Ending, Interaction
    from shared.ledger.model import Entry
    from shared.services.ledger import Ledger


@in_time
def save_posting(
    ledger: Ledger, job_id: str, posting: Posting, *, deadline: float, at: datetime | None = None
) -> JobAndAuction:
    """Take in what the marketplace says of a job; a version that is not newer changes nothing of what it is.

    Raises:
        InvalidRequestError: its size or scope has no price.
    """
    now = ledger.clock.now()

    def change(known: JobAndAuction | None) -> JobAndAuction:
        return with_posting(known or JobAndAuction(Job(job_id)), posting, at or now, now, ledger.policy)

    return end_holds_now(ledger, change_job(ledger, job_id, change, deadline), deadline)


@in_time
def apply_job_event(
    ledger: Ledger, job_id: str, event: JobEvent, *, deadline: float, at: datetime | None = None
) -> JobAndAuction:
    """Something happened to a job at ``at``, now where it is not given: what comes back by the rules will."""
    now = ledger.clock.now()

    def change(known: JobAndAuction | None) -> JobAndAuction:
        return happen(known or JobAndAuction(Job(job_id)), event, at or now, now, ledger.policy)

    return end_holds_now(ledger, change_job(ledger, job_id, change, deadline), deadline)


@in_time
def interact_on_job(ledger: Ledger, job_id: str, interaction: Interaction, *, deadline: float) -> JobAndAuction:
    """A client interacted with a proposal: if it was boosted then, it has paid what it bid then.

    Raises:
        JobNotFoundError
    """
    now = ledger.clock.now()

    def change(known: JobAndAuction | None) -> JobAndAuction:
        return interact(_known(known, job_id), interaction, now, ledger.policy)

    return end_holds_now(ledger, change_job(ledger, job_id, change, deadline), deadline)


@in_time
def withdraw_boost(ledger: Ledger, job_id: str, account_id: str, at: datetime, *, deadline: float) -> None:
    """An account that was closed at ``at`` gets back what is held for its boost on a job."""
    now = ledger.clock.now()
    auction = _change_auction(
        ledger, job_id, lambda auction: withdraw(auction, account_id, at, now, ledger.policy), deadline
    )
    end_holds_now(ledger, JobAndAuction(Job(job_id), auction), deadline)


def read_job(ledger: Ledger, job_id: str) -> JobAndAuction:
    """Raises JobNotFoundError."""
    return _known(Jobs(ledger.table).job_and_auction(job_id), job_id)


@in_time
def end_holds(ledger: Ledger, job_id: str, *, deadline: float) -> None:
    """Do what was decided of each hold, those of an auction whose time has come included.

    Raises:
        ExceptionGroup: at the end, what went wrong with some; the others have ended.
        JobNotFoundError, BusyError
    """
    now, policy = ledger.clock.now(), ledger.policy
    auction = _change_auction(ledger, job_id, lambda auction: close_by_clock(auction, now, policy), deadline)
    _end_holds_of(ledger, job_id, auction, deadline)


def _end_holds_of(ledger: Ledger, job_id: str, auction: Auction, deadline: float) -> None:
    now, done = ledger.clock.now(), list[str]()

    def end_one(ending: Ending) -> None:
        end_hold(ledger, job_id, ending, deadline=deadline)
        done.append(ending.key)

    try:
        for_each(auction.endings, end_one, lambda: deadline)
    finally:
        if done:
            _change_auction(ledger, job_id, lambda auction: ended(auction, done, now, ledger.policy), deadline)


def end_hold(ledger: Ledger, job_id: str, ending: Ending, *, deadline: float) -> None:
    """Do what was decided of one hold. A capture takes two calls, what comes back one more for each of its bids."""
    command = EndHold(job_id, ending, tuple(_what_comes_back(ledger, ending)))
    ledger.execute(ending.boost.account_id, command, deadline=deadline)


def end_holds_now(ledger: Ledger, job: JobAndAuction, deadline: float) -> JobAndAuction:
    """The same for a job just written, of which the write itself is what counts."""
    if job.auction.endings:
        # Whatever goes wrong here the sweep meets again, and tells.
        with suppress(ExceptionGroup, LedgerError, StoreError):
            _end_holds_of(ledger, job.job.job_id, job.auction, deadline)
    return job


def change_job(
    ledger: Ledger, job_id: str, change: Callable[[JobAndAuction | None], JobAndAuction], deadline: float
) -> JobAndAuction:
    """Read a job with its auction, change it, and write it unless somebody was faster: then again.

    Raises:
        BusyError: contention outlasted the deadline.
    """
    jobs, tries = Jobs(ledger.table), attempts(deadline)
    for _ in tries:
        try:
            before = jobs.job_and_auction(job_id)
            after = change(before)
            jobs.save(before, after)
        except (JobMovedError, ContentionError) as error:
            tries.met(error)
        else:
            return after
    raise tries.busy


def _change_auction(ledger: Ledger, job_id: str, change: Callable[[Auction], Auction], deadline: float) -> Auction:
    """Raises JobNotFoundError, BusyError."""

    def changed(known: JobAndAuction | None) -> JobAndAuction:
        job = _known(known, job_id)
        return JobAndAuction(job.job, change(job.auction))

    return change_job(ledger, job_id, changed, deadline).auction


def _what_comes_back(ledger: Ledger, ending: Ending) -> Iterator[Entry]:
    """The hold's entries for bids above what is paid, newest first: each names the one before."""
    boost, entry_id = ending.boost, ending.boost.newest
    while boost.bid > ending.verdict.pays and entry_id:
        entry = ledger.table.entry(boost.account_id, entry_id)
        if entry is None:
            raise AssertionError(f"{boost.account_id} has no entry {entry_id}, which holds for {boost.hold_id}")
        if held_up_to(entry) <= ending.verdict.pays:
            return
        if held_up_to(entry) <= boost.bid:
            yield entry
        entry_id = entry.reference.get("raises", "")


def _known(job: JobAndAuction | None, job_id: str) -> JobAndAuction:
    if job is None:
        raise JobNotFoundError(job_id)
    return job
