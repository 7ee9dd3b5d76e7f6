"""Rewards, and what staff give or take with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.ledger.commands import Adjust, Credit, Interview, refund_claim
from shared.ledger.errors import AlreadyAwardedError, BusyError, InvalidRequestError, SpendNotFoundError
from shared.ledger.model import Entry, EntryType, Request, entry_id
from shared.services.ledger import Ledger, Outcome
from shared.services.retry import attempts
from shared.store.errors import ClaimedError

if TYPE_CHECKING:
    from collections.abc import Mapping


def reward_rising_talent(ledger: Ledger, account_id: str, request: Request, *, deadline: float) -> Outcome:
    """Once for ever. Raises AlreadyAwardedError."""
    reference = {"type": "rising_talent"}
    credit = _reward(ledger.policy.rising_talent, "Rising Talent", reference, request, once="rising_talent")
    return _once(ledger, account_id, credit, "Rising Talent", deadline)


def reward_certification(
    ledger: Ledger, account_id: str, certificate: str, request: Request, *, deadline: float
) -> Outcome:
    """What a certificate brings, once for each.

    Raises:
        InvalidRequestError: no such certificate is configured.
        AlreadyAwardedError: this account had it.
    """
    amount = ledger.policy.certifications.get(certificate)
    if not amount:
        raise InvalidRequestError("body.reference.certificate", "brings no Connects")
    reference = {"type": "certification", "certificate": certificate}
    once = f"certification#{certificate}"
    credit = _reward(amount, f"Certificate {certificate}", reference, request, once=once)
    return _once(ledger, account_id, credit, f"Certificate {certificate}", deadline)


def reward_interview(
    ledger: Ledger, account_id: str, spend_id: str, request: Request, *, deadline: float
) -> tuple[list[Entry], bool]:
    """The proposal's Connects come back and a reward fills up what an interview brings. Tells if it was a repeat.

    There is none for an invitation without a proposal: the reward goes to the account that spent on one.

    Raises:
        SpendNotFoundError: no such spend.
        AlreadyAwardedError: this proposal had its interview.
        RewardCapReachedError: interviews brought the account as much as they may these days.
    """
    spend = ledger.table.entry(account_id, spend_id)
    if spend is None or spend.type is not EntryType.SPEND:
        raise SpendNotFoundError(spend_id)
    for _ in attempts(deadline):
        command = Interview(spend, _came_back(ledger, spend), request)
        try:
            outcome = ledger.execute(account_id, command, deadline=deadline)
        except ClaimedError as error:
            if error.claim.name == refund_claim(spend):
                continue  # it came back meanwhile
            raise AlreadyAwardedError("This proposal's interview") from error
        rest = ledger.table.entry(account_id, entry_id(account_id, "interview_reward", request.key))
        return [entry for entry in (outcome.entry, rest) if entry], outcome.replayed
    raise BusyError


def adjust(ledger: Ledger, account_id: str, *, amount: int, reason: str, request: Request, deadline: float) -> Outcome:
    """Give or take Connects with a reason that the account's owner reads in the history."""
    return ledger.execute(account_id, Adjust(amount, reason, request), deadline=deadline)


def _came_back(ledger: Ledger, spend: Entry) -> int:
    claim = ledger.table.claim(spend.account_id, refund_claim(spend))
    refund = claim and ledger.table.entry(spend.account_id, claim.holder)
    return refund.amount if refund else 0


def _reward(amount: int, reason: str, reference: Mapping[str, str], request: Request, *, once: str) -> Credit:
    return Credit(EntryType.REWARD, amount, paid=False, reason=reason, reference=reference, request=request, once=once)


def _once(ledger: Ledger, account_id: str, credit: Credit, what: str, deadline: float) -> Outcome:
    try:
        return ledger.execute(account_id, credit, deadline=deadline)
    except ClaimedError as error:
        raise AlreadyAwardedError(what) from error
