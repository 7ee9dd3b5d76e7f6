"""Bidding for a boosted place on a job: the bid is held, whoever it pushes out gets the hold back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.auction import Bid, Boost, place
from shared.ledger.errors import AuctionClosedError, BidTooLowError, InvalidRequestError, JobNotFoundError
from shared.ledger.holds import Hold, hold_reference
from shared.ledger.jobs import Job, JobAndAuction
from shared.ledger.model import Request, entry_id
from shared.services.jobs import end_hold, end_holds_now
from shared.services.retry import attempts, in_time
from shared.store.errors import ContentionError, JobMovedError
from shared.store.jobs import Jobs

if TYPE_CHECKING:
    from shared.ledger.auction import Auction
    from shared.ledger.model import Account
    from shared.services.ledger import Ledger, Outcome


@dataclass(frozen=True, slots=True)
class BidSent:
    """What a proposal bids in all; one that it has is raised to it."""

    job_id: str
    proposal_id: str
    bid: int


@in_time
def place_bid(ledger: Ledger, account_id: str, sent: BidSent, request: Request, *, deadline: float) -> Outcome:
    """Hold a bid, or what it raises one by, for one of the highest places; two calls where nobody is pushed out.

    Raises:
        JobNotFoundError: the marketplace has told of no such job.
        AuctionClosedError: it has ended, the auction's time is over, or the client has interacted with the proposal.
        BidTooLowError: it has no place, or does not raise the one there is.
        InvalidRequestError: the account boosts another proposal on this job.
        InsufficientConnectsError, AccountNotFoundError, and what `Account.check_may_use` raises
    """
    jobs, tries = Jobs(ledger.table), attempts(deadline)
    for _ in tries:
        try:
            auction, account = jobs.auction_and_account(sent.job_id, account_id)
            return _hold(ledger, auction, account, sent, request, deadline=deadline)
        except (AuctionClosedError, BidTooLowError, InvalidRequestError):
            # Whatever has become of the auction since, a repeat is answered as the first time.
            if before := ledger.repeat(account_id, request):
                return before
            raise
        except (JobMovedError, ContentionError) as error:
            tries.met(error)
    raise tries.busy


def _hold(
    ledger: Ledger, auction: Auction | None, account: Account, sent: BidSent, request: Request, *, deadline: float
) -> Outcome:
    if auction is None:
        raise JobNotFoundError(sent.job_id)
    account_id, now = account.account_id, ledger.clock.now()
    own, own_id = auction.place_of(account_id), entry_id(account_id, request.operation, request.key)
    bid = Bid(now, sent.bid)
    if own:
        boost = replace(own.raised(bid, own_id), proposal_id=sent.proposal_id)
    else:
        boost = Boost(account_id, sent.proposal_id, own_id, own_id, (bid,))
    after, rank = place(auction, boost, now, ledger.policy)
    read: Account | None = account
    for ending in auction.endings_of(account_id):
        # It was pushed out a moment ago: what comes back it may bid again.
        end_hold(ledger, sent.job_id, ending, deadline=deadline)
        read = None
    outcome = ledger.execute(
        account_id,
        Hold(
            sent.bid - (own.bid if own else 0),
            "Boost raised" if own else "Boost",
            hold_reference(sent.job_id, boost, rank, own.newest if own else None),
            request,
        ),
        deadline=deadline,
        also=[Jobs(ledger.table).saved_auction(sent.job_id, auction, after)],
        read=read,
    )
    end_holds_now(ledger, JobAndAuction(Job(sent.job_id), after), deadline)
    return outcome
