"""Boosted places: a bid is held, and each hold ends as the job's auction decides (`shared.ledger.auction`).

A bid is one transaction of the account and the auction. Who is pushed out by it, or by any other change of the auction,
stands in the auction's ``endings``: each is written to its account by a transaction of its own, and then taken off.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from shared.ledger.auction import close_by_clock, ended, withdraw
from shared.ledger.errors import (
    AuctionClosedError,
    BidTooLowError,
    InvalidRequestError,
    JobNotFoundError,
    LedgerError,
)
from shared.ledger.holds import BidSent, EndHold, bid_on, held_up_to
from shared.services.batches import for_each
from shared.services.job_changes import change_auction
from shared.services.retry import attempts, in_time
from shared.store.errors import ContentionError, JobMovedError, StoreError
from shared.store.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from shared.ledger.auction import Auction, Ending
    from shared.ledger.model import Entry, Request
    from shared.services.ledger import Ledger, Outcome


@in_time
def place_bid(ledger: Ledger, account_id: str, sent: BidSent, request: Request, *, deadline: float) -> Outcome:
    """Hold a bid, or what it raises one by, for one of the highest places; two calls where nobody is pushed out.

    Raises:
        JobNotFoundError: the ledger has no such job.
        AuctionClosedError: it has ended, the auction's time is over, or the client has interacted with the proposal.
        BidTooLowError: it has no place, or does not raise the one there is.
        InvalidRequestError: the account boosts another proposal on this job.
        InsufficientConnectsError, AccountNotFoundError, and what `Account.check_may_use` raises
    """
    jobs, tries = Jobs(ledger.table), attempts(deadline)
    for _ in tries:
        try:
            auction, account = jobs.auction_and_account(sent.job_id, account_id)
            if auction is None:
                raise JobNotFoundError(sent.job_id)
            after, hold = bid_on(auction, account_id, sent, request, now=ledger.clock.now(), policy=ledger.policy)
            outbid = auction.endings_of(account_id)
            for ending in outbid:  # a moment ago: what comes back may be bid again
                end_hold(ledger, sent.job_id, ending, deadline=deadline)
            also = [jobs.saved_auction(sent.job_id, auction, after)]
            read = None if outbid else account
            outcome = ledger.execute(account_id, hold, deadline=deadline, also=also, read=read)
        except (AuctionClosedError, BidTooLowError, InvalidRequestError):
            # A repeat is answered as the first time, whatever has become of the auction since.
            if before := ledger.repeat(account_id, request):
                return before
            raise
        except (JobMovedError, ContentionError) as error:
            tries.failed(error)
        else:
            end_holds_now(ledger, sent.job_id, after, deadline)
            return outcome
    raise tries.busy


@in_time
def withdraw_boost(ledger: Ledger, job_id: str, account_id: str, at: datetime, *, deadline: float) -> None:
    """An account that was closed at ``at`` gets back what is held for its boost on a job."""
    now, policy = ledger.clock.now(), ledger.policy
    auction = change_auction(ledger, job_id, lambda auction: withdraw(auction, account_id, at, now, policy), deadline)
    end_holds_now(ledger, job_id, auction, deadline)


def end_holds_now(ledger: Ledger, job_id: str, auction: Auction, deadline: float) -> None:
    """End the holds of an auction just written. What fails here is done, and reported, by the sweep."""
    if auction.endings:
        with suppress(ExceptionGroup, LedgerError, StoreError):
            _end_each(ledger, job_id, auction, deadline)


@in_time
def end_holds(ledger: Ledger, job_id: str, *, deadline: float) -> None:
    """End the holds that the auction of a job decided on, and first close it if its time has come.

    Raises:
        ExceptionGroup: at the end, what went wrong with some; the others have ended.
        JobNotFoundError, BusyError
    """
    now, policy = ledger.clock.now(), ledger.policy
    auction = change_auction(ledger, job_id, lambda auction: close_by_clock(auction, now, policy), deadline)
    _end_each(ledger, job_id, auction, deadline)


def _end_each(ledger: Ledger, job_id: str, auction: Auction, deadline: float) -> None:
    """Write each ending to its account, and then take those that were written off the auction."""
    now, done = ledger.clock.now(), list[str]()

    def end_one(ending: Ending) -> None:
        end_hold(ledger, job_id, ending, deadline=deadline)
        done.append(ending.key)

    try:
        for_each(auction.endings, end_one, lambda: deadline)
    finally:
        if done:
            change_auction(ledger, job_id, lambda auction: ended(auction, done, now, ledger.policy), deadline)


def end_hold(ledger: Ledger, job_id: str, ending: Ending, *, deadline: float) -> None:
    """Write one ending to its account. A capture takes two calls, what comes back one more for each of its bids."""
    command = EndHold(job_id, ending, tuple(_what_comes_back(ledger, ending)))
    ledger.execute(ending.boost.account_id, command, deadline=deadline)


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
