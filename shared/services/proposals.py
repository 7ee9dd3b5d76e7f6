"""Spending Connects on a proposal, and refunding them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.ledger.errors import (
    AlreadyExistsError,
    InsufficientConnectsError,
    InvalidRequestError,
    JobNotOpenError,
    PriceChangedError,
)
from shared.ledger.jobs import Proposal
from shared.ledger.model import Request, entry_id
from shared.ledger.proposals import ProposalSent, spend_on
from shared.ledger.refunds import Refund, refund_text
from shared.services.ledger import Ledger, Outcome
from shared.services.refunds import give_back
from shared.services.retry import attempts, in_time
from shared.store.errors import ContentionError, JobMovedError, ProposalExistsError
from shared.store.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.store.transaction_items import TransactionItem


@in_time
def spend_on_proposal(
    ledger: Ledger, account_id: str, sent: ProposalSent, request: Request, *, deadline: float
) -> Outcome:
    """Spend what a proposal costs, earliest expiring Connects first; a free one writes a row of 0.

    The transaction checks that a known job is open and has this price. For an unknown job the request names the price.
    Two calls either way.

    Raises:
        JobNotOpenError, PriceChangedError: nothing is spent.
        AlreadyExistsError: the account has a proposal on this job.
        InvalidRequestError: neither the job nor the request names a price.
        InsufficientConnectsError, AccountNotFoundError, and what `Account.check_may_use` raises
    """
    if sent.job_id is None:
        return ledger.execute(account_id, spend_on(None, sent, request), deadline=deadline)
    try:
        return _spend_on_job(ledger, account_id, sent.job_id, sent, request, deadline=deadline)
    except InsufficientConnectsError:
        # An account that has a proposal on the job already must not be sent to buy Connects for a second one.
        if Jobs(ledger.table).has_proposal(sent.job_id, account_id):
            raise _exists(account_id, sent.job_id) from None
        raise


def _spend_on_job(
    ledger: Ledger, account_id: str, job_id: str, sent: ProposalSent, request: Request, *, deadline: float
) -> Outcome:
    jobs = Jobs(ledger.table)
    spend_id = entry_id(account_id, request.operation, request.key)
    tries = attempts(deadline)
    for _ in tries:
        try:
            job, account = jobs.job_and_account(job_id, account_id)
            command = spend_on(job, sent, request)
            first = jobs.first(Proposal(job_id, account_id, sent.proposal_id, spend_id, command.amount))
            also = [jobs.as_read(job_id, job), first]
            return ledger.execute(account_id, command, deadline=deadline, also=also, read=account)
        except ProposalExistsError as error:
            raise _exists(account_id, job_id) from error
        except (JobNotOpenError, PriceChangedError, InvalidRequestError):
            # A repeat is answered as the first time, whatever has become of the job since.
            if before := ledger.repeat(account_id, request):
                return before
            raise
        except (JobMovedError, ContentionError) as error:
            tries.failed(error)
    raise tries.busy


def _exists(account_id: str, job_id: str) -> AlreadyExistsError:
    return AlreadyExistsError(f"A proposal of {account_id} on job {job_id}")


@in_time
def refund_spend(
    ledger: Ledger,
    account_id: str,
    spend_id: str,
    *,
    reason: str,
    request: Request,
    deadline: float,
    also: Sequence[TransactionItem] = (),
) -> Outcome:
    """Refund what is left of one spend, into the lots it was taken from: in all at most what it took.

    Raises:
        NotRefundableError: nothing is refunded for this reason.
        AccountNotFoundError, SpendNotFoundError: no such account, or no such spend.
        AlreadyRefundedError: all of it was refunded before, under another key.
    """
    refund_text(reason)  # refuse before anything is read
    spend = ledger.find_spend(account_id, spend_id)
    return give_back(ledger, Refund(spend, reason, request), deadline=deadline, also=also)
