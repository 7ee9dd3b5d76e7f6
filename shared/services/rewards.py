"""Rewards, and what staff give or take with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.ledger.credits import Adjust
from shared.ledger.errors import (
    AlreadyAwardedError,
    AlreadyRefundedError,
    BusyError,
    InvalidRequestError,
    RewardCapReachedError,
)
from shared.ledger.interviews import Interview, interview_claim
from shared.ledger.model import Entry, Request, entry_id
from shared.ledger.rewards import certification, rising_talent
from shared.services.ledger import Ledger, Outcome
from shared.services.refunds import give_back
from shared.services.retry import in_time
from shared.store.errors import ClaimedError, ContentionError

if TYPE_CHECKING:
    from datetime import datetime

    from shared.ledger.credits import Credit

INTERVIEW = "This proposal's interview"


def reward_rising_talent(
    ledger: Ledger, account_id: str, request: Request, *, deadline: float, at: datetime | None = None
) -> Outcome:
    """Once for ever, to a freelancer. News of it may be late: the Connects live from the day of ``at`` on.

    Raises:
        AlreadyAwardedError
        NoFreeConnectsError: to an agency.
    """
    return _reward_once(ledger, account_id, rising_talent(request, at, ledger.policy), deadline)


@in_time
def reward_certification(
    ledger: Ledger,
    account_id: str,
    certificate: str,
    request: Request,
    *,
    deadline: float,
    at: datetime | None = None,
) -> Outcome:
    """What a certificate brings, once for each. News of it may be late: the Connects live from the day of ``at`` on.

    Raises:
        InvalidRequestError: no such certificate is configured.
        NoFreeConnectsError: the account is an agency.
        AlreadyAwardedError: this account had it.
    """
    try:
        credit = certification(certificate, request, at, ledger.policy)
    except InvalidRequestError:
        # A repeat is answered as the first time, also when the certificate is no longer configured.
        if before := ledger.repeat(account_id, request):
            return before
        raise
    return _reward_once(ledger, account_id, credit, deadline)


@in_time
def reward_interview(
    ledger: Ledger,
    account_id: str,
    spend_id: str,
    request: Request,
    *,
    deadline: float,
    at: datetime | None = None,
) -> tuple[list[Entry], bool]:
    """The proposal's Connects come back and a reward fills up what an interview brings. Tells if it was a repeat.

    There is none for an invitation without a proposal: the reward goes to the account that spent on one. News of it may
    be late: ``at`` says when it was, now where it is not given. Near the cap it brings what fits.

    Raises:
        AccountNotFoundError, SpendNotFoundError: no such account, or no such spend.
        NotRefundableError, NoInterviewRewardError: the spend is of no proposal that was sent on one's own.
        AlreadyAwardedError: this proposal had its interview.
        RewardCapReachedError: nothing fits into what interviews may bring the account around then.
        AlreadyRefundedError: as much as an interview brings came back before it, so nothing is missing.
    """
    spend = ledger.find_spend(account_id, spend_id)
    try:
        outcome = give_back(ledger, Interview(spend, request, at=at), deadline=deadline)
    except ClaimedError as error:
        raise AlreadyAwardedError(INTERVIEW) from error
    except (RewardCapReachedError, AlreadyRefundedError) as refusal:
        # Whoever was awarded is told so, whatever has come since.
        if ledger.table.claim(account_id, interview_claim(spend)):
            raise AlreadyAwardedError(INTERVIEW) from refusal
        raise
    return _both_entries(ledger, outcome, request), outcome.replayed


def adjust(ledger: Ledger, account_id: str, *, amount: int, reason: str, request: Request, deadline: float) -> Outcome:
    """Give or take Connects with a reason that the account's owner reads in the history."""
    return ledger.execute(account_id, Adjust(amount, reason, request), deadline=deadline)


def _both_entries(ledger: Ledger, outcome: Outcome, request: Request) -> list[Entry]:
    """The refund and the reward, as far as the interview had both."""
    own = outcome.posted
    reward_id = entry_id(own.account_id, "interview_reward", request.key)
    rewards = [entry for entry in outcome.written if entry.entry_id == reward_id]
    if not outcome.written:
        try:
            rewards = [entry for entry in [ledger.table.entry(own.account_id, reward_id)] if entry]
        except ContentionError as error:
            raise BusyError(unanswered=True) from error
    return [own, *rewards]


def _reward_once(ledger: Ledger, account_id: str, reward: Credit, deadline: float) -> Outcome:
    try:
        return ledger.execute(account_id, reward, deadline=deadline)
    except ClaimedError as error:
        raise AlreadyAwardedError(reward.reason) from error
