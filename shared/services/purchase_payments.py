"""What a payment provider is asked about a purchase, and when a payment is given up.

All but `what_became` and `open_action` raise NoAnswerError, unless they say otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shared.ledger.errors import BusyError
from shared.payments import Action, Heard, NoAnswerError, Payment, PaymentProvider, PaymentState, charge_of
from shared.services.billing import billing_method

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from shared.ledger.purchases import Purchase
    from shared.services.ledger import Ledger

UNKNOWN = Payment(PaymentState.IN_PROGRESS)
"""As far as is known, where the provider does not answer."""
NEVER_MADE = "the payment was never made"
NO_ANSWER = "The payment provider does not answer."


def hear_event(provider: PaymentProvider, event: Mapping[str, Any]) -> Heard | None:
    """What an event of the provider is about; None if it is of no payment of ours.

    Raises:
        BusyError: it does not answer, where it has to be asked for that; the event has to come again.
    """
    try:
        return provider.hear(event)
    except NoAnswerError as error:
        raise BusyError(known=NO_ANSWER) from error


def prepare(ledger: Ledger, provider: PaymentProvider, purchase: Purchase) -> str:
    """The provider's name for a new payment, with the account's saved payment method where the provider needs one.

    Raises:
        PaymentDeclinedError: the provider does not take this payment.
        BillingMethodMissingError, ContentionError
    """
    charge = charge_of(purchase)
    if provider.needs_payment_method:
        method = billing_method(ledger, purchase.account_id)
        charge = replace(charge, customer=method.customer, payment_method=method.payment_method)
    return provider.prepare(charge)


def confirm(provider: PaymentProvider, purchase: Purchase) -> Payment:
    """Confirm a payment and, where it is declined, give it up: until then it could be confirmed once more."""
    payment = provider.confirm(ref_of(purchase), charge_of(purchase), present=purchase.present)
    return give_up(provider, purchase, payment.reason) if payment.state is PaymentState.DECLINED else payment


def give_up(provider: PaymentProvider, purchase: Purchase, reason: str = "") -> Payment:
    """``reason``: why, where it is known better than by the provider's last answer."""
    payment = provider.give_up(ref_of(purchase), charge_of(purchase))
    return replace(payment, reason=reason or payment.reason)


def look(provider: PaymentProvider, purchase: Purchase) -> Payment:
    return provider.look(ref_of(purchase), charge_of(purchase))


def final_outcome(provider: PaymentProvider, purchase: Purchase, payment: Payment) -> Payment | None:
    """What a payment that was looked at comes to in the end; None where that is open.

    One that looks declined is given up if the buyer's request was answered. Before that, the request may be about to
    confirm it.
    """
    if payment.state in {PaymentState.IN_PROGRESS, PaymentState.NEEDS_BUYER}:
        return None
    if payment.state is PaymentState.DECLINED:
        return give_up(provider, purchase, payment.reason) if purchase.answered_pending else None
    return payment


def what_became(provider: PaymentProvider, purchase: Purchase, now: datetime) -> Payment:
    """What became of the payment of a pending purchase. It is given up, unless its buyer may still answer the bank."""
    if purchase.ref is None:
        return Payment(PaymentState.DECLINED, NEVER_MADE)
    try:
        payment = look(provider, purchase) if purchase.waits_for_buyer(now) else None
        if payment and payment.state is not PaymentState.DECLINED:
            return payment
        return give_up(provider, purchase, payment.reason if payment else "")
    except NoAnswerError:
        return UNKNOWN


def open_action(provider: Callable[[], PaymentProvider], purchase: Purchase, now: datetime) -> Action | None:
    """What the buyer has to do at present. None also where the provider does not answer: it can be read again."""
    if not purchase.waits_for_buyer(now):
        return None
    try:
        return look(provider(), purchase).action
    except NoAnswerError:
        return None


def ref_of(purchase: Purchase) -> str:
    if purchase.ref is None:
        raise AssertionError("no payment was named for this purchase")
    return purchase.ref
