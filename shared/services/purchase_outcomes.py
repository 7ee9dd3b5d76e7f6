"""What becomes of a purchase: it is brought to where its payment is, whoever else writes it meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.errors import (
    AccountClosedError,
    AccountSuspendedError,
    BusyError,
    PromoError,
    PurchaseNotFoundError,
)
from shared.ledger.model import Entry, EntryType
from shared.ledger.purchases import Purchase, PurchaseState, credit_for
from shared.payments import Action, Payment, PaymentState
from shared.services.promos import take_one
from shared.services.retry import attempts
from shared.store.errors import ContentionError, PurchaseMovedError
from shared.store.purchases import Purchases

if TYPE_CHECKING:
    from shared.ledger.promos import Campaign
    from shared.services.ledger import Ledger
    from shared.store.transaction_items import TransactionItem


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase and, once it is completed, the entry of its Connects and the one of its promo code, if it had one."""

    purchase: Purchase
    entry: Entry | None
    promo: Entry | None = None
    replayed: bool = False
    action: Action | None = None
    """What the buyer has to do at present."""


def read_purchase(ledger: Ledger, account_id: str, purchase_id: str) -> Bought:
    """Raises PurchaseNotFoundError."""
    purchase = Purchases(ledger.table).purchase(account_id, purchase_id)
    if purchase is None:
        raise PurchaseNotFoundError(purchase_id)
    return Bought(purchase, *entries_of(ledger, purchase))


def settle(ledger: Ledger, purchase: Purchase, payment: Payment, *, deadline: float, answering: bool = False) -> Bought:
    """Bring a pending purchase to where its payment is.

    Where another process wrote it first, this goes on from what that one wrote; one that has been decided, or is at
    another attempt, is returned as it is.

    Args:
        ledger: The ledger.
        purchase: As it was read.
        payment: What the provider says. DECLINED has to be final.
        deadline: Monotonic seconds.
        answering: Whether a caller is answered ``pending`` if it is not decided.

    Raises:
        BusyError, ContentionError: the purchase may still be pending.
    """
    tries = attempts(deadline)
    for _ in tries:
        try:
            return _write(ledger, purchase, payment, deadline=deadline, answering=answering)
        except PurchaseMovedError as error:
            tries.failed(error)
            found = reread(ledger, purchase)
            if found.state is not PurchaseState.PENDING or not found.is_same_attempt(purchase):
                return Bought(found, *entries_of(ledger, found))
            purchase = found
        except ContentionError as error:
            tries.failed(error)
    raise tries.busy


def reread(ledger: Ledger, purchase: Purchase) -> Purchase:
    return read_purchase(ledger, purchase.account_id, purchase.purchase_id).purchase


def save(ledger: Ledger, before: Purchase, after: Purchase) -> Bought:
    return Bought(Purchases(ledger.table).save(before, after), None)


def _write(ledger: Ledger, purchase: Purchase, payment: Payment, *, deadline: float, answering: bool) -> Bought:
    now = ledger.clock.now()
    match payment.state:
        case PaymentState.CHARGED:
            charged = purchase.charged(payment.provider_charge, payment.receipt_url)
            try:
                return _complete(ledger, charged, deadline=deadline)
            except (BusyError, ContentionError):
                if not answering:
                    raise
                after = purchase.still_pending(now)
        case PaymentState.DECLINED:
            return save(ledger, purchase, purchase.declined(payment.reason))
        case PaymentState.WRONG:
            charged = purchase.charged(payment.provider_charge, payment.receipt_url)
            after = charged.under_review()
        case PaymentState.NEEDS_BUYER if payment.action:
            after = purchase.asks_buyer(now, payment.action.until, ledger.policy)
        case _:
            after = purchase.still_pending(now)
    after = replace(after, answered_pending=answering or purchase.answered_pending)
    return replace(save(ledger, purchase, after), action=payment.action)


def _complete(ledger: Ledger, purchase: Purchase, *, deadline: float) -> Bought:
    """Raises PurchaseMovedError, BusyError, ContentionError."""
    if purchase.promo_code:
        return _complete_with_promo(ledger, purchase, purchase.promo_code, deadline=deadline)
    return _pay_out(ledger, purchase, deadline=deadline)


def _complete_with_promo(ledger: Ledger, purchase: Purchase, code: str, *, deadline: float) -> Bought:
    """Credit both or, if the code or the account no longer admits it, the purchase alone.

    The code has to be valid at the time when the purchase began, however late the provider is.
    """

    def take(campaign: Campaign, taking: TransactionItem) -> Bought:
        return _pay_out(ledger, purchase, campaign, taking, deadline=deadline)

    try:
        return take_one(ledger, purchase.account_id, code, take, now=purchase.created_at, deadline=deadline)
    except (PromoError, AccountClosedError, AccountSuspendedError) as refusal:
        return _pay_out(ledger, replace(purchase, promo_refused=refusal.code), deadline=deadline)


def _pay_out(
    ledger: Ledger, purchase: Purchase, campaign: Campaign | None = None, *also: TransactionItem, deadline: float
) -> Bought:
    also = (Purchases(ledger.table).completed(purchase), *also)
    outcome = ledger.execute(purchase.account_id, credit_for(purchase, campaign), deadline=deadline, also=also)
    if not outcome.written:
        # Another process completed it, or this one did without an answer: the row says how.
        return read_purchase(ledger, purchase.account_id, purchase.purchase_id)
    promo = next((entry for entry in outcome.written if entry.type is EntryType.PROMO), None)
    return Bought(purchase.completed(), outcome.entry, promo)


def entries_of(ledger: Ledger, purchase: Purchase) -> tuple[Entry | None, Entry | None]:
    """The entries of its Connects and of its promo code."""
    if purchase.state is not PurchaseState.COMPLETED:
        return None, None
    bought = ledger.table.entry(purchase.account_id, purchase.entry_id)
    if purchase.promo_code is None or purchase.promo_refused:
        return bought, None
    return bought, ledger.table.entry(purchase.account_id, purchase.promo_entry_id)
