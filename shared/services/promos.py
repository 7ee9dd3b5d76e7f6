"""Promo codes: campaigns, and redeeming them, alone or with a purchase.

A redemption is one transaction: the account, its entry, the claim of this account on this code, and one of the
campaign's counters. So the cap is exact, however many redeem at the same moment.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from shared.ledger.errors import BusyError, PromoError, PromoExhaustedError, PromoNotFoundError, PromoUsedError
from shared.ledger.promos import Campaign, counters_for, first_counter, next_counter, promo_claim, promo_credit
from shared.services.ledger import Ledger, Outcome
from shared.services.retry import attempts, in_time
from shared.store.errors import CampaignMovedError, ClaimedError, ContentionError
from shared.store.promos import note_exhausted, read_campaign, read_counters, save_campaign, taking_one

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.ledger.model import Request
    from shared.store.transaction_items import TransactionItem

T = TypeVar("T")


@in_time
def put_campaign(ledger: Ledger, wanted: Campaign, *, counters: int, deadline: float) -> tuple[Campaign, int]:
    """Create a campaign or change its terms; the same terms again change nothing. Returns how often it was redeemed.

    A cap below what was given takes nothing back: it ends the campaign.

    Args:
        ledger: The ledger.
        wanted: The terms.
        counters: How many counters a new campaign gets at most.
        deadline: Monotonic seconds by which to give up.

    Raises:
        BusyError: redemptions changed the counters until the deadline.
    """
    tries = attempts(deadline)
    for _ in tries:
        try:
            before = read_campaign(ledger.table, wanted.code) or replace(wanted, counters=0, revision=0)
            known = read_counters(ledger.table, before)
            redeemed = sum(counter.taken for counter in known)
            if before.revision and before.has_terms_of(wanted):
                return before, redeemed
            after = replace(wanted, counters=counters_for(wanted.max_redemptions, before.counters, counters))
            return save_campaign(ledger.table, before, after, known), redeemed
        except (CampaignMovedError, ContentionError) as error:
            tries.failed(error)
    raise tries.busy


@in_time
def redeem(ledger: Ledger, account_id: str, code: str, request: Request, *, deadline: float) -> Outcome:
    """Credit the Connects of a promo code, once for an account. A frozen agency can use them once it is on plus again.

    Raises:
        AccountClosedError, AccountSuspendedError, PromoNotFoundError, PromoNotActiveError, PromoUsedError,
            PromoExhaustedError: in this order of precedence.
        AccountNotFoundError, IdempotencyKeyReusedError, BusyError
    """
    try:
        return take_one(
            ledger,
            account_id,
            code,
            lambda campaign, taking: ledger.execute(
                account_id, promo_credit(campaign, request), deadline=deadline, also=[taking]
            ),
            now=ledger.clock.now(),
            deadline=deadline,
        )
    except PromoError as refusal:
        return _repeat_or(refusal, ledger, account_id, request)


def check_redeemable(ledger: Ledger, account_id: str, code: str) -> None:
    """Refuse a code that cannot be redeemed now. It may still be used up before it is redeemed.

    Raises:
        PromoNotFoundError, PromoNotActiveError, PromoUsedError, PromoExhaustedError: in this order of precedence.
    """
    campaign = _campaign(ledger, code, ledger.clock.now())
    if ledger.table.claim(account_id, promo_claim(code)):
        raise PromoUsedError(code)
    if campaign.exhausted or all(counter.exhausted for counter in read_counters(ledger.table, campaign)):
        raise PromoExhaustedError(code)


def take_one(
    ledger: Ledger,
    account_id: str,
    code: str,
    take: Callable[[Campaign, TransactionItem], T],
    *,
    now: datetime,
    deadline: float,
) -> T:
    """Have ``take`` write one redemption, from the first counter that has one left.

    If the first counter refuses, all counters are read at once, instead of trying one after the other.

    Args:
        ledger: The ledger.
        account_id: The account that redeems.
        code: The normalised code.
        take: Writes the redemption, in one transaction with the item that it is given.
        now: When the code has to be valid.
        deadline: Monotonic seconds by which to give up.

    Raises:
        PromoNotFoundError, PromoNotActiveError, PromoUsedError, PromoExhaustedError: in this order of precedence.
        BusyError, and what ``take`` raises
    """
    refused = False
    tries = attempts(deadline)
    for _ in tries:
        try:
            campaign = _campaign(ledger, code, now)
            if campaign.exhausted:
                raise _refusal_when_exhausted(ledger, account_id, code)
            number = first_counter(account_id, campaign.counters)
            if refused:
                number = _with_some_left(ledger, campaign, number)
            return take(campaign, taking_one(ledger.table, campaign, number))
        except CampaignMovedError as error:
            tries.failed(error)
            refused = True
        except ContentionError as error:
            tries.failed(error)
        except ClaimedError as error:
            raise PromoUsedError(code) from error
    raise tries.busy


def _campaign(ledger: Ledger, code: str, now: datetime) -> Campaign:
    campaign = read_campaign(ledger.table, code)
    if campaign is None:
        raise PromoNotFoundError(code)
    campaign.check_active(now)
    return campaign


def _with_some_left(ledger: Ledger, campaign: Campaign, first: int) -> int:
    counters = read_counters(ledger.table, campaign)
    if any(counter.revision != campaign.revision for counter in counters):
        raise CampaignMovedError(campaign.code)
    number = next_counter(counters, first)
    if number is None:
        note_exhausted(ledger.table, campaign)
        raise PromoExhaustedError(campaign.code)
    return number


def _refusal_when_exhausted(ledger: Ledger, account_id: str, code: str) -> PromoError:
    """An account that has redeemed the code is refused as such, also when it is used up."""
    used = ledger.table.claim(account_id, promo_claim(code))
    return PromoUsedError(code) if used else PromoExhaustedError(code)


def _repeat_or(refusal: PromoError, ledger: Ledger, account_id: str, request: Request) -> Outcome:
    """Raise the refusal, unless the same request has succeeded before, or the account is not there or may not act."""
    try:
        account = ledger.table.account(account_id)
    except ContentionError as error:
        raise BusyError(unanswered=True) from error
    if before := ledger.repeat(account_id, request):
        return before
    account.check_may_act()
    raise refusal
