"""Rewards, and what staff give or take with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.ledger.commands import Adjust, Credit, Interview, interview_claim, refund_claim
from shared.ledger.errors import (
    AlreadyAwardedError,
    BusyError,
    InvalidRequestError,
    RewardCapReachedError,
)
from shared.ledger.model import Entry, EntryType, Request, entry_id
from shared.services.ledger import Ledger, Outcome
from shared.services.retry import attempts, in_time
from shared.store.errors import ClaimedError, ContentionError

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERVIEW = "This proposal's interview"


def reward_rising_talent(ledger: Ledger, account_id: str, request: Request, *, deadline: float) -> Outcome:
    """Once for ever, to a freelancer. Raises AlreadyAwardedError, InvalidRequestError."""
    reference = {"type": "rising_talent"}
    credit = _reward(ledger.policy.rising_talent, "Rising Talent", reference, request, once="rising_talent")
    return _once(ledger, account_id, credit, "Rising Talent", deadline)


@in_time
def reward_certification(
    ledger: Ledger, account_id: str, certificate: str, request: Request, *, deadline: float
) -> Outcome:
    """What a certificate brings, once for each.

    Raises:
        InvalidRequestError: no such certificate is configured, or the account is an agency.
        AlreadyAwardedError: this account had it.
    """
    amount = ledger.policy.certifications.get(certificate)
    if not amount:
        # One that brought some once still does to a repeat.
        if before := ledger.repeat(account_id, request):
            return before
        raise InvalidRequestError("body.reference.certificate", "brings no Connects")
    reference = {"type": "certification", "certificate": certificate}
    once = f"certification#{certificate}"
    credit = _reward(amount, f"Certificate {certificate}", reference, request, once=once)
    return _once(ledger, account_id, credit, f"Certificate {certificate}", deadline)


@in_time
def reward_interview(
    ledger: Ledger, account_id: str, spend_id: str, request: Request, *, deadline: float
) -> tuple[list[Entry], bool]:
    """The proposal's Connects come back and a reward fills up what an interview brings. Tells if it was a repeat.

    There is none for an invitation without a proposal: the reward goes to the account that spent on one.

    Raises:
        AccountNotFoundError, SpendNotFoundError: no such account, or no such spend.
        AlreadyRefundedError: as much as an interview brings came back before it, so nothing is missing.
        AlreadyAwardedError: this proposal had its interview.
        RewardCapReachedError: interviews brought the account as much as they may these days.
    """
    spend = ledger.find_spend(account_id, spend_id)
    tries = attempts(deadline)
    for _ in tries:
        command = Interview(spend, _came_back(ledger, spend), request)
        try:
            outcome = ledger.execute(account_id, command, deadline=deadline)
        except ClaimedError as error:
            if error.claim.name == refund_claim(spend):
                tries.met(error)
                continue  # it came back meanwhile
            raise AlreadyAwardedError(INTERVIEW) from error
        except RewardCapReachedError as refusal:
            # Whoever was awarded is told so, however much others have brought since.
            if ledger.table.claim(account_id, interview_claim(spend)):
                raise AlreadyAwardedError(INTERVIEW) from refusal
            raise
        return _both_entries(ledger, outcome, request), outcome.replayed
    raise tries.busy


def adjust(ledger: Ledger, account_id: str, *, amount: int, reason: str, request: Request, deadline: float) -> Outcome:
    """Give or take Connects with a reason that the account's owner reads in the history."""
    return ledger.execute(account_id, Adjust(amount, reason, request), deadline=deadline)


def _came_back(ledger: Ledger, spend: Entry) -> int:
    """How many of a spend's Connects came back but for its interview, which whoever asks again would repeat."""
    claim = ledger.table.claim(spend.account_id, refund_claim(spend))
    refund = claim and ledger.table.entry(spend.account_id, claim.holder)
    return refund.amount if refund and refund.reference["type"] != "interview" else 0


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


def _reward(amount: int, reason: str, reference: Mapping[str, str], request: Request, *, once: str) -> Credit:
    return Credit(
        EntryType.REWARD,
        amount,
        paid=False,
        reason=reason,
        reference=reference,
        request=request,
        once=once,
        freelancers_only=True,
    )


def _once(ledger: Ledger, account_id: str, credit: Credit, what: str, deadline: float) -> Outcome:
    try:
        return ledger.execute(account_id, credit, deadline=deadline)
    except ClaimedError as error:
        raise AlreadyAwardedError(what) from error
