"""Buying Connects: one id, at most one charge, and a charge always ends in its Connects.

The order of the steps makes a crash between any two of them safe::

    1  store the purchase as pending, due for a look in a minute
    2  have the provider name a payment                      nothing is charged
    3  store that name, if the purchase is as it was read    one of several that meet here goes on
    4  confirm the payment, if the account may still buy     at most one charge under one name, however often
    5  credit the Connects and complete the purchase, in one transaction

The same request sent again, the reconciliation a minute later, and the provider's own event each continue a purchase
that is still pending. Each write requires the revision that was read; whoever is too late answers by what it finds. A
purchase is declined only where its payment was given up at the provider, or has no stored name: what was prepared
under another name is confirmed by nobody.

A request is answered ``pending`` only once the purchase says so, since each repeat of it is then answered the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.errors import (
    AccountClosedError,
    AccountFrozenError,
    AccountSuspendedError,
    BusyError,
    InvalidRequestError,
    LedgerError,
    PaymentDeclinedError,
    PlanRequiredError,
)
from shared.ledger.model import Request, entry_id
from shared.ledger.purchases import (
    PURCHASE,
    Order,
    Purchase,
    PurchaseState,
    check_may_buy,
    check_quantity,
    new_attempt,
)
from shared.payments import Heard, NoAnswerError, Payment, PaymentProvider, PaymentState
from shared.services.batches import for_each
from shared.services.billing import billing_method
from shared.services.chargebacks import bring_to_level
from shared.services.due import SOON, STILL_SOON, Work
from shared.services.ledger import Ledger, check_same_request
from shared.services.promos import check_redeemable
from shared.services.purchase_outcomes import Bought, entries_of, read_purchase, reread, save, settle
from shared.services.purchase_payments import (
    NO_ANSWER,
    UNKNOWN,
    confirm,
    final_outcome,
    give_up,
    look,
    open_action,
    prepare,
    what_became,
)
from shared.services.retry import attempts, in_time
from shared.store.errors import ContentionError, PurchaseMovedError
from shared.store.purchases import PURCHASE_DUE, DuePurchase, Purchases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Seen = Callable[[Purchase], object]
    """Called with a purchase as it is after it was settled, or could not be."""

LEDGER_BUSY = "The ledger is busy."
PURCHASES = Work(
    PURCHASE_DUE,
    "purchases",
    10,  # each waits for the payment provider
    rest=SOON,
    longest_rest=STILL_SOON,
)
"""Pending purchases, whose charge is to be looked up."""
UNDECIDED = frozenset({PurchaseState.PENDING, PurchaseState.UNDER_REVIEW})
"""A caller who finds a purchase in one of these is answered ``pending``."""
PAYMENT_OF = {
    PurchaseState.COMPLETED: PaymentState.CHARGED,
    PurchaseState.DECLINED: PaymentState.DECLINED,
    PurchaseState.UNDER_REVIEW: PaymentState.WRONG,
}
"""What the payment of a decided purchase is."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A purchase as the ledger had it, its payment as the provider says, and the purchase after that was acted on."""

    before: Purchase
    payment: Payment | None
    """None where none was named."""
    after: Purchase

    @property
    def agrees(self) -> bool:
        """Whether the ledger has now what the provider says."""
        if self.after.state is PurchaseState.PENDING:
            return True
        said = self.payment or Payment(PaymentState.DECLINED)
        return (said.state, said.returned_cents) == (PAYMENT_OF[self.after.state], self.after.returned_cents)

    @property
    def done(self) -> str:
        """The new state, ``leveled`` where Connects were taken back or given back, or ``nothing``."""
        if self.after.state is not self.before.state:
            return self.after.state.value
        return "nothing" if self.after.reclaimed == self.before.reclaimed else "leveled"


@in_time
def buy(
    ledger: Ledger,
    provider: PaymentProvider,
    account_id: str,
    order: Order,
    request: Request,
    *,
    present: bool,
    deadline: float,
    seen: Seen = lambda _: None,
) -> Bought:
    """Buy Connects. The purchase is pending if the provider has not decided on the charge yet.

    Args:
        ledger: The ledger.
        provider: The provider.
        account_id: Whose purchase.
        order: What is bought.
        request: The idempotency key, and who asks.
        present: Whether the buyer is there to answer the bank.
        deadline: When to give up, in monotonic seconds.
        seen: Called with the purchase as it is after its payment was confirmed.

    Raises:
        InvalidRequestError: less than the minimum purchase, or the provider cannot be paid from this source.
        PaymentDeclinedError: nothing was charged; the same key may try again.
        PromoError: the promo code cannot be redeemed now, and nothing was charged.
        BusyError: it says what is known. Nothing was charged, or the purchase is pending.
        AccountClosedError, AccountSuspendedError, AccountFrozenError, PlanRequiredError: nothing was charged.
        AccountNotFoundError, IdempotencyKeyReusedError, BillingMethodMissingError
    """
    purchase = _begin(ledger, provider, account_id, order, request, deadline=deadline)
    if purchase.state is PurchaseState.COMPLETED or purchase.answered_pending:
        return _answer_again(ledger, provider, purchase)
    purchase = _name_payment(ledger, provider, purchase, present=present, deadline=deadline)
    try:
        bought = _pay(ledger, provider, purchase, deadline=deadline)
    except (BusyError, ContentionError, PurchaseMovedError) as error:
        known = f"Purchase {purchase.purchase_id} is pending: its charge may have gone through or not."
        raise BusyError(known=known, purchase_id=purchase.purchase_id) from error
    seen(bought.purchase)
    if bought.purchase.answered_pending:
        return _as_pending(bought)
    if bought.purchase.state is PurchaseState.DECLINED:
        raise PaymentDeclinedError(bought.purchase.declined_because, purchase_id=purchase.purchase_id)
    return bought


def show_purchase(ledger: Ledger, provider: Callable[[], PaymentProvider], account_id: str, purchase_id: str) -> Bought:
    """A purchase with what its buyer has to do, which the provider is asked for: the ledger stores no secret.

    Raises:
        PurchaseNotFoundError
    """
    bought = read_purchase(ledger, account_id, purchase_id)
    return replace(bought, action=open_action(provider, bought.purchase, ledger.clock.now()))


def reconcile(
    ledger: Ledger,
    provider: PaymentProvider,
    due: Iterable[DuePurchase],
    deadline: Callable[[], float],
    seen: Seen = lambda _: None,
) -> int:
    """Find out what became of each purchase that is due, give up what nobody waits for, and act on it.

    A completed one is due where the level of what went back was just written (`shared.services.chargebacks`).

    Args:
        ledger: The ledger.
        provider: The provider.
        due: The purchases.
        deadline: When to give up one of them; called for each.
        seen: Called with each as it is afterwards or, where that failed, was before.

    Returns:
        How many.

    Raises:
        ExceptionGroup: at the end, the errors of some, or that time ran out; these stay due, the others are done.
    """

    def look_at(found: DuePurchase) -> None:
        purchase = read_purchase(ledger, found.account_id, found.purchase_id).purchase
        if not purchase.is_due(ledger.clock.now()):
            return
        after = purchase
        try:
            if purchase.state is PurchaseState.PENDING:
                payment = what_became(provider, purchase, ledger.clock.now())
                after = settle(ledger, purchase, payment, deadline=deadline()).purchase
            else:
                after = _look_and_settle(ledger, provider, purchase, deadline=deadline()).after
        finally:
            seen(after)

    return for_each(due, look_at, deadline)


@in_time
def settle_heard(
    ledger: Ledger, provider: PaymentProvider, heard: Heard, *, deadline: float, seen: Seen = lambda _: None
) -> Purchase | None:
    """Ask the provider what became of a payment, as an event of it was received, and act on the answer alone.

    So an event that arrives twice, late or out of order does no harm. A payment that is not decided is left alone: the
    reconciliation has its own times to ask, and a buyer may be answering the bank.

    Returns:
        The purchase as it then is. None if the payment is not the one whose name the purchase has: nobody confirms it.

    Raises:
        PurchaseNotFoundError
        BusyError: the ledger is busy, or the provider does not answer; the event has to come again.
    """
    purchase = read_purchase(ledger, heard.account_id, heard.purchase_id).purchase
    if purchase.ref != heard.ref:
        return None
    if purchase.state not in {PurchaseState.PENDING, PurchaseState.COMPLETED}:
        return purchase
    checked = _look_and_settle(ledger, provider, purchase, deadline=deadline)
    seen(checked.after)
    return checked.after


@in_time
def check_purchase(
    ledger: Ledger,
    provider: PaymentProvider,
    account_id: str,
    purchase_id: str,
    *,
    deadline: float,
    seen: Seen = lambda _: None,
) -> Checked:
    """Ask the provider what became of a purchase's payment now, and act on the answer as on an event.

    A payment that waits is not given up: that is the reconciliation's.

    Raises:
        PurchaseNotFoundError
        BusyError: the ledger is busy, or the provider does not answer.
    """
    purchase = read_purchase(ledger, account_id, purchase_id).purchase
    if purchase.ref is None:
        return Checked(purchase, None, purchase)
    checked = _look_and_settle(ledger, provider, purchase, deadline=deadline)
    seen(checked.after)
    return checked


def _look_and_settle(ledger: Ledger, provider: PaymentProvider, purchase: Purchase, *, deadline: float) -> Checked:
    """Look at a payment, and act on it: settle a pending purchase, and bring a completed one to what went back.

    Raises:
        BusyError: also where the provider does not answer.
        ContentionError
    """
    try:
        payment = look(provider, purchase)
        final = final_outcome(provider, purchase, payment) if purchase.state is PurchaseState.PENDING else payment
    except NoAnswerError as error:
        raise BusyError(known=NO_ANSWER) from error
    after = purchase
    if purchase.state is PurchaseState.PENDING and final is not None:
        payment, after = final, settle(ledger, purchase, final, deadline=deadline).purchase
    elif purchase.state is PurchaseState.COMPLETED and payment.state is PaymentState.CHARGED:
        after = bring_to_level(ledger, purchase, payment.returned_cents, payment.dispute, deadline=deadline)
    return Checked(purchase, payment, after)


def _begin(
    ledger: Ledger, provider: PaymentProvider, account_id: str, order: Order, request: Request, *, deadline: float
) -> Purchase:
    """The purchase of this key: the existing one or, if there is none or it may begin anew, a new attempt."""
    purchases, purchase_id = Purchases(ledger.table), entry_id(account_id, PURCHASE, request.key)
    tries = attempts(deadline)
    for _ in tries:
        try:
            known = purchases.purchase(account_id, purchase_id)
            if known and not known.may_begin_anew:
                check_same_request(known.fingerprint, request)
                return known
            now = ledger.clock.now()
            check_quantity(order.quantity, ledger.policy)
            if order.source not in provider.sources:
                raise InvalidRequestError("body.payment.source", "is connected to no payment provider here")
            check_may_buy(ledger.view(account_id, now))
            if provider.needs_payment_method:
                billing_method(ledger, account_id)
            if order.promo_code:
                check_redeemable(ledger, account_id, order.promo_code)
            return purchases.save(known, new_attempt(account_id, order, request, known, now=now, policy=ledger.policy))
        except (PurchaseMovedError, ContentionError) as error:
            tries.failed(error)
    if not tries.unanswered:
        raise tries.busy
    begun = f"No answer came in time: purchase {purchase_id} is pending, or was not begun. Nothing was charged."
    raise BusyError(known=begun, purchase_id=purchase_id)


def _name_payment(
    ledger: Ledger, provider: PaymentProvider, purchase: Purchase, *, present: bool, deadline: float
) -> Purchase:
    """Have the payment of a pending purchase named, and store the name. Nothing is charged.

    Returns:
        The purchase as it then is: another process may have named the payment, or decided the purchase.

    Raises:
        BusyError: nothing was charged.
    """
    if purchase.ref is not None:
        return purchase
    purchases, busy = Purchases(ledger.table), f"Nothing was charged for purchase {purchase.purchase_id}."
    try:
        named = purchase.named(prepare(ledger, provider, purchase), present=present)
    except NoAnswerError as error:
        raise BusyError(known=f"{NO_ANSWER} {busy}", purchase_id=purchase.purchase_id) from error
    except ContentionError as error:
        raise BusyError(known=f"{LEDGER_BUSY} {busy}", purchase_id=purchase.purchase_id) from error
    except PaymentDeclinedError as refusal:
        named = purchase.declined(refusal.reason)
    tries = attempts(deadline)
    for _ in tries:
        try:
            return purchases.save(purchase, named)
        except PurchaseMovedError:
            return reread(ledger, purchase)
        except ContentionError as error:
            tries.failed(error)
    raise BusyError(known=f"{LEDGER_BUSY} {busy}", purchase_id=purchase.purchase_id)


def _pay(ledger: Ledger, provider: PaymentProvider, purchase: Purchase, *, deadline: float) -> Bought:
    """Confirm the payment of a purchase, and settle it.

    Where the account may not buy any more, the payment is given up instead: an earlier request may have confirmed it,
    and then it ends in its Connects all the same.

    Raises:
        AccountClosedError, AccountSuspendedError, AccountFrozenError, PlanRequiredError: nothing was charged.
        BusyError, ContentionError: its charge may have gone through.
    """
    if purchase.state is PurchaseState.UNDER_REVIEW:
        return save(ledger, purchase, replace(purchase, answered_pending=True))
    if purchase.state is not PurchaseState.PENDING:
        return Bought(purchase, *entries_of(ledger, purchase))
    if purchase.ref is None:
        raise BusyError  # a next attempt, which another request has just begun
    refusal = _refusal(ledger, purchase)
    try:
        payment = give_up(provider, purchase, refusal.detail) if refusal else confirm(provider, purchase)
    except NoAnswerError:
        payment = UNKNOWN
    bought = settle(ledger, purchase, payment, deadline=deadline, answering=True)
    if bought.purchase.state in UNDECIDED and not bought.purchase.answered_pending:
        raise BusyError  # as above, or put under review by another process: the next request is answered
    if refusal and bought.purchase.may_begin_anew:
        raise refusal
    return bought


def _refusal(ledger: Ledger, purchase: Purchase) -> LedgerError | None:
    """Why the account may not buy now, if it may not: that may have changed since the purchase began."""
    try:
        check_may_buy(ledger.view(purchase.account_id, ledger.clock.now()))
    except (AccountClosedError, AccountSuspendedError, AccountFrozenError, PlanRequiredError) as refusal:
        return refusal
    return None


# --- What is answered


def _answer_again(ledger: Ledger, provider: PaymentProvider, purchase: Purchase) -> Bought:
    """The answer to the first request. A caller that was answered ``pending`` reads the purchase for more."""
    if purchase.answered_pending:
        return _as_pending(
            Bought(purchase, None, action=open_action(lambda: provider, purchase, ledger.clock.now())), replayed=True
        )
    try:
        as_it_was = replace(purchase, returned_cents=0, reclaimed=0, dispute=None)
        return Bought(as_it_was, *entries_of(ledger, purchase), replayed=True)
    except ContentionError as error:
        known = f"Purchase {purchase.purchase_id} is completed, and could not be read in time."
        raise BusyError(known=known, purchase_id=purchase.purchase_id) from error


def _as_pending(bought: Bought, *, replayed: bool = False) -> Bought:
    """As it was answered when it was pending, whatever has become of it since."""
    purchase = replace(
        bought.purchase, state=PurchaseState.PENDING, promo_refused=None, declined_because="", receipt_url=None
    )
    return Bought(purchase, None, replayed=replayed, action=bought.action)
