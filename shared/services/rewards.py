"""Rewards, and adjustments by staff with a reason."""

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
    """Reward Rising Talent, once for ever. It may be reported late: the Connects live from the day of ``at`` on.

    Raises:
        AlreadyAwardedError
        NoFreeConnectsError: the account is an agency.
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
    """Reward a certificate, once for each. It may be reported late: the Connects live from the day of ``at`` on.

    Raises:
        InvalidRequestError: no such certificate is configured.
        NoFreeConnectsError: the account is an agency.
        AlreadyAwardedError: this account got it before.
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
    """Refund the proposal's Connects, and reward the rest of what an interview brings. Returns whether it is a repeat.

    There is no reward for an invitation without a proposal: it goes to the account that spent on one. It may be
    reported late: ``at`` says when the interview was, now if it is not given. Near the cap it brings what fits.

    Raises:
        AccountNotFoundError, SpendNotFoundError: no such account, or no such spend.
        NotRefundableError, NoInterviewRewardError: it is for no proposal, or for one of a free channel.
        AlreadyAwardedError: this proposal had its interview.
        RewardCapReachedError: nothing fits under the cap of the windows around that time.
        AlreadyRefundedError: as much as an interview brings was refunded before, so nothing is missing.
    """
    spend = ledger.find_spend(account_id, spend_id)
    try:
        outcome = give_back(ledger, Interview(spend, request, at=at), deadline=deadline)
    except ClaimedError as error:
        raise AlreadyAwardedError(INTERVIEW) from error
    except (RewardCapReachedError, AlreadyRefundedError) as refusal:
        # A proposal that had its interview is refused as such, whatever was refunded or awarded since.
        if ledger.table.claim(account_id, interview_claim(spend)):
            raise AlreadyAwardedError(INTERVIEW) from refusal
        raise
    return _both_entries(ledger, outcome, request), outcome.replayed


def adjust(ledger: Ledger, account_id: str, *, amount: int, reason: str, request: Request, deadline: float) -> Outcome:
    """Give or take Connects, with a reason that the account's owner reads in the history."""
    return ledger.execute(account_id, Adjust(amount, reason, request), deadline=deadline)


def _both_entries(ledger: Ledger, outcome: Outcome, request: Request) -> list[Entry]:
    """The entries of the refund and the reward, or the one that the interview had."""
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
