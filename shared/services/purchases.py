"""Buying Connects: one id, at most one charge, and a charge always ends in its Connects.

The order of the steps makes a crash between any two of them safe::

    1  store the purchase as pending, due for a check in a minute
    2  charge, under an id of our own                            (again: the same charge)
    3  credit the Connects and complete the purchase, in one transaction

The same request sent again, the reconciliation a minute later, and the provider's own event each continue a purchase
that is still pending.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.errors import (
    AccountClosedError,
    AccountSuspendedError,
    BusyError,
    PaymentDeclinedError,
    PromoError,
    PurchaseNotFoundError,
)
from shared.ledger.model import Entry, EntryType, Request, entry_id
from shared.ledger.purchases import (
    PURCHASE,
    Order,
    Purchase,
    PurchaseState,
    check_may_buy,
    check_quantity,
    credit_for,
    new_attempt,
    purchase_id_of,
)
from shared.payments import Charge, ChargeResult, ChargeState, NoAnswerError, PaymentGateway
from shared.services.batches import for_each
from shared.services.due import SOON, STILL_SOON, Work
from shared.services.ledger import Ledger, check_same_request
from shared.services.promos import check_redeemable, take_one
from shared.services.retry import attempts, in_time
from shared.store.errors import ContentionError, PurchaseMovedError
from shared.store.purchases import PURCHASE_DUE, DuePurchase, Purchases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shared.ledger.promos import Campaign
    from shared.store.transaction_items import TransactionItem

PURCHASES = Work(
    PURCHASE_DUE,
    "purchases",
    10,  # each waits for the payment provider
    rest=SOON,
    longest_rest=STILL_SOON,
)
"""Pending purchases, whose charge is to be looked up."""
IN_PROGRESS = ChargeResult(ChargeState.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase and, once it is completed, the entry of its Connects and the one of its promo code, if it had one."""

    purchase: Purchase
    entry: Entry | None
    promo: Entry | None = None
    replayed: bool = False


@in_time
def buy(
    ledger: Ledger, gateway: PaymentGateway, account_id: str, order: Order, request: Request, *, deadline: float
) -> Bought:
    """Buy Connects. The purchase is pending if the provider has not decided on the charge yet.

    Raises:
        InvalidRequestError: less than the minimum purchase.
        PaymentDeclinedError: nothing was charged; the same key may try again.
        PromoError: the promo code cannot be redeemed now, and nothing was charged.
        AccountClosedError, AccountSuspendedError, AccountFrozenError, PlanRequiredError
        AccountNotFoundError, IdempotencyKeyReusedError, BusyError
    """
    purchase = _begin(ledger, account_id, order, request, deadline=deadline)
    if purchase.state is PurchaseState.COMPLETED or purchase.answered_pending:
        try:
            return _first_answer(ledger, purchase)
        except ContentionError as error:
            known = f"Purchase {purchase.purchase_id} is completed, and could not be read in time."
            raise BusyError(known=known, purchase_id=purchase.purchase_id) from error
    bought = _store_result(ledger, purchase, _charge(gateway, purchase), deadline=deadline)
    if bought.purchase.state is PurchaseState.DECLINED:
        raise PaymentDeclinedError(bought.purchase.declined_because, purchase_id=purchase.purchase_id)
    return bought


def read_purchase(ledger: Ledger, account_id: str, purchase_id: str) -> Bought:
    """Raises PurchaseNotFoundError."""
    purchase = Purchases(ledger.table).purchase(account_id, purchase_id)
    if purchase is None:
        raise PurchaseNotFoundError(purchase_id)
    return Bought(purchase, *_entries_of(ledger, purchase))


def reconcile(
    ledger: Ledger,
    gateway: PaymentGateway,
    due: Iterable[DuePurchase],
    deadline: Callable[[], float],
    still_pending: Callable[[Purchase], object] = lambda _: None,
) -> int:
    """Ask the provider for the result of each purchase that is still pending, and act on it. Returns how many.

    Args:
        ledger: The ledger.
        gateway: The provider.
        due: The purchases.
        deadline: When to give up one of them; called for each.
        still_pending: Called with each that is still pending afterwards, or failed.

    Raises:
        ExceptionGroup: at the end, the errors of some, or that time ran out; these stay due, the others are done.
    """

    def look_at(found: DuePurchase) -> None:
        purchase = read_purchase(ledger, found.account_id, found.purchase_id).purchase
        if purchase.state is not PurchaseState.PENDING:
            return
        after = purchase
        try:
            after = _store_result(ledger, purchase, _resolve(gateway, purchase), deadline=deadline()).purchase
        finally:
            if after.state is PurchaseState.PENDING:
                still_pending(after)

    return for_each(due, look_at, deadline)


@in_time
def look_at_charge(
    ledger: Ledger, gateway: PaymentGateway, account_id: str, charge_id: str, *, deadline: float
) -> Purchase:
    """Ask the provider for the result of a charge, as an event of it was received, and act on the answer alone.

    So an event that arrives twice, late or out of order does no harm. A charge that is not the pending one is left
    alone: to ask for the pending one before it has arrived would void it. A charge in progress is left alone too: the
    reconciliation has its own times to ask.

    Raises:
        PurchaseNotFoundError
    """
    purchase = read_purchase(ledger, account_id, purchase_id_of(charge_id)).purchase
    if purchase.state is not PurchaseState.PENDING or purchase.charge_id != charge_id:
        return purchase
    result = _resolve(gateway, purchase)
    if result.state is ChargeState.IN_PROGRESS:
        return purchase
    return _store_result(ledger, purchase, result, deadline=deadline).purchase


def _begin(ledger: Ledger, account_id: str, order: Order, request: Request, *, deadline: float) -> Purchase:
    """The purchase of this key: the existing one or, if there is none or it was declined, a new attempt."""
    purchases, purchase_id = Purchases(ledger.table), entry_id(account_id, PURCHASE, request.key)
    tries = attempts(deadline)
    for _ in tries:
        try:
            known = purchases.purchase(account_id, purchase_id)
            if known and known.state is not PurchaseState.DECLINED:
                check_same_request(known.fingerprint, request)
                return known
            check_quantity(order.quantity, ledger.policy)
            check_may_buy(ledger.table.account(account_id))
            if order.promo_code:
                check_redeemable(ledger, account_id, order.promo_code)
            new = new_attempt(account_id, order, request, known, now=ledger.clock.now(), policy=ledger.policy)
            return purchases.save(known, new)
        except (PurchaseMovedError, ContentionError) as error:
            tries.failed(error)
    if not tries.unanswered:
        raise tries.busy
    begun = f"No answer came in time: purchase {purchase_id} is pending, or was not begun. Nothing was charged."
    raise BusyError(known=begun, purchase_id=purchase_id)


def _charge(gateway: PaymentGateway, purchase: Purchase) -> ChargeResult:
    charge = Charge(purchase.charge_id, purchase.account_id, purchase.amount_cents, purchase.currency, purchase.source)
    try:
        return gateway.charge(charge)
    except NoAnswerError:
        return IN_PROGRESS


def _resolve(gateway: PaymentGateway, purchase: Purchase) -> ChargeResult:
    try:
        return gateway.resolve(purchase.charge_id)
    except NoAnswerError:
        return IN_PROGRESS


def _store_result(ledger: Ledger, purchase: Purchase, result: ChargeResult, *, deadline: float) -> Bought:
    """Store the result of a charge. If another process has stored it already, return what that one wrote."""
    try:
        match result.state:
            case ChargeState.CHARGED:
                return _complete(ledger, purchase, deadline=deadline)
            case ChargeState.DECLINED:
                after = purchase.declined(result.reason)
            case ChargeState.IN_PROGRESS:
                after = purchase.still_pending(ledger.clock.now())
        return _save(ledger, purchase, after)
    except (BusyError, ContentionError):
        # The charge went through, or may have: the purchase stays pending, and the reconciliation decides.
        return Bought(purchase, None)


def _save(ledger: Ledger, before: Purchase, after: Purchase) -> Bought:
    try:
        return Bought(Purchases(ledger.table).save(before, after), None)
    except PurchaseMovedError:
        return read_purchase(ledger, before.account_id, before.purchase_id)


def _complete(ledger: Ledger, purchase: Purchase, *, deadline: float) -> Bought:
    try:
        if purchase.promo_code:
            return _complete_with_promo(ledger, purchase, purchase.promo_code, deadline=deadline)
        return _pay_out(ledger, purchase, deadline=deadline)
    except PurchaseMovedError:
        return read_purchase(ledger, purchase.account_id, purchase.purchase_id)


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
    if purchase.promo_code and not outcome.written:
        # Another process completed it, or this one did without an answer: the row says whether with the promo code.
        return read_purchase(ledger, purchase.account_id, purchase.purchase_id)
    promo = next((entry for entry in outcome.written if entry.type is EntryType.PROMO), None)
    return Bought(purchase.completed(), outcome.entry, promo)


def _first_answer(ledger: Ledger, purchase: Purchase) -> Bought:
    """The answer to the first request. A caller that was answered ``pending`` reads the purchase for more."""
    if purchase.answered_pending:
        return Bought(replace(purchase, state=PurchaseState.PENDING, promo_refused=None), None, replayed=True)
    as_it_was = replace(purchase, returned_cents=0, reclaimed=0, dispute=None)
    return Bought(as_it_was, *_entries_of(ledger, purchase), replayed=True)


def _entries_of(ledger: Ledger, purchase: Purchase) -> tuple[Entry | None, Entry | None]:
    """The entries of its Connects and of its promo code."""
    if purchase.state is not PurchaseState.COMPLETED:
        return None, None
    bought = ledger.table.entry(purchase.account_id, purchase.entry_id)
    if purchase.promo_code is None or purchase.promo_refused:
        return bought, None
    return bought, ledger.table.entry(purchase.account_id, purchase.promo_entry_id)
