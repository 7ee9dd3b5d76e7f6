"""Bidding for a boosted place on a job: the bid is held, whoever it pushes out gets the hold back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.auction import Boost, with_slices
from shared.ledger.errors import AuctionClosedError, BidTooLowError, BusyError, InvalidRequestError, JobNotFoundError
from shared.ledger.holds import EndHold, Hold, reference_of
from shared.ledger.job import Job, bid
from shared.ledger.model import Request, entry_id
from shared.services.jobs import end_holds_now
from shared.services.retry import attempts
from shared.store.errors import ContentionError, JobMovedError
from shared.store.jobs import Jobs

if TYPE_CHECKING:
    from shared.ledger.model import Account, Decision
    from shared.services.ledger import Ledger, Outcome
    from shared.store.also import Also


@dataclass(frozen=True, slots=True)
class BidSent:
    """What a proposal bids in all; one that it has is raised to it."""

    job_id: str
    proposal_id: str
    bid: int


def place_bid(ledger: Ledger, account_id: str, sent: BidSent, request: Request, *, deadline: float) -> Outcome:
    """Hold a bid, or what it raises one by, for one of the highest places; two calls where nobody is pushed out.

    Raises:
        JobNotFoundError: the marketplace has told of no such job.
        AuctionClosedError: it has ended, the auction's time is over, or the client has interacted with the proposal.
        BidTooLowError: it has no place, or does not raise the one there is.
        InvalidRequestError: the account boosts another proposal on this job.
        InsufficientConnectsError, AccountFrozenError, AccountNotFoundError
    """
    jobs = Jobs(ledger.table)
    for _ in attempts(deadline):
        try:
            job, account = jobs.job_and_account(sent.job_id, account_id)
            return _hold(ledger, job, account, sent, request, deadline=deadline)
        except (AuctionClosedError, BidTooLowError, InvalidRequestError):
            # Whatever has become of the auction since, a repeat is answered as the first time.
            if before := ledger.repeat(account_id, request):
                return before
            raise
        except (JobMovedError, ContentionError):
            continue
    raise BusyError


def _hold(
    ledger: Ledger, job: Job | None, account: Account, sent: BidSent, request: Request, *, deadline: float
) -> Outcome:
    if job is None:
        raise JobNotFoundError(sent.job_id)
    account_id, now = account.account_id, ledger.clock.now()
    own, own_id = job.auction.place_of(account_id), entry_id(account_id, request.operation, request.key)
    new = Boost(account_id, sent.proposal_id, sent.bid, own_id, since=now)
    boost = replace(new, hold_id=own.hold_id, since=own.since, slices=own.slices) if own else new
    after, rank = bid(job, boost, now, ledger.policy)
    reference = reference_of(job.job_id, boost) | {"rank": str(rank)}
    read: Account | None = account
    for ending in job.auction.endings_of(account_id):
        # It was pushed out a moment ago: what comes back it may bid again.
        ledger.execute(account_id, EndHold(job.job_id, ending), deadline=deadline)
        read = None

    def changed_job(decision: Decision) -> list[Also]:
        [taken] = [entry.slices for entry in decision.entries if entry.entry_id == own_id]
        auction = with_slices(after.auction, boost.hold_id, taken)
        return [Jobs(ledger.table).saved(job, replace(after, auction=auction))]

    outcome = ledger.execute(
        account_id,
        Hold(sent.bid - (own.bid if own else 0), "Boost raised" if own else "Boost", reference, request),
        deadline=deadline,
        also=changed_job,
        read=read,
    )
    end_holds_now(ledger, after, deadline)
    return outcome
