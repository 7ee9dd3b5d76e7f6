"""The port to a payment provider.

A payment is made in two steps. `prepare` gives it a name at the provider and moves nothing; the ledger stores that name
under the purchase's revision; only then is it confirmed, under that name. So no provider has to know a payment by an id
of ours, and one whose name was not stored can never be confirmed.

A provider's events are hints: what one is about is found by `hear`, what became of the payment by `look`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Protocol

from shared.ledger.purchases import PaymentSource, Purchase


class PaymentState(Enum):
    CHARGED = "charged"
    DECLINED = "declined"
    """Nothing was charged. It is final once `PaymentProvider.give_up` said so."""
    IN_PROGRESS = "in_progress"
    NEEDS_BUYER = "needs_buyer"
    """The buyer's bank asks the buyer: `Payment.action` is how the buyer answers."""
    WRONG = "wrong"
    """It went through, with another amount, currency or purchase than was asked for: a person has to look at it."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a buyer has to do: open ``url``, or hand ``client_secret`` to the provider's script on the page."""

    url: str | None
    client_secret: str | None
    until: datetime
    """From when on the provider takes it no more. The purchase may be given up sooner."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What a payment is at the provider, as of an answer."""

    state: PaymentState
    reason: str = ""
    """Why it was declined, for the buyer."""
    code: str = ""
    """The provider's own code for that."""
    action: Action | None = None
    taken_cents: int = 0
    returned_cents: int = 0
    provider_charge: str | None = None
    """The provider's id of what went through, for support."""
    receipt_url: str | None = None
    dispute: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What is to be charged by one attempt at a purchase."""

    charge_id: str
    """Our own id of the attempt: no two attempts have one."""
    account_id: str
    purchase_id: str
    attempt: int
    amount_cents: int
    currency: str
    source: PaymentSource | str
    customer: str | None = None
    payment_method: str | None = None


def charge_of(purchase: Purchase) -> Charge:
    """The present attempt at a purchase."""
    return Charge(
        charge_id=purchase.charge_id,
        account_id=purchase.account_id,
        purchase_id=purchase.purchase_id,
        attempt=purchase.attempt,
        amount_cents=purchase.amount_cents,
        currency=purchase.currency,
        source=purchase.source,
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """What an event of the provider is about."""

    account_id: str
    purchase_id: str
    ref: str


class NoAnswerError(Exception):
    """The provider did not answer, or only that it cannot now: what was asked for may have happened or not."""


class PaymentProvider(Protocol):
    """``ref`` is what `prepare` returned for ``charge``, the same charge at each call.

    Each method raises NoAnswerError: time-outs, too many requests, errors on the provider's side.
    """

    sources: ClassVar[frozenset[PaymentSource]]
    """What it can be paid from."""
    needs_payment_method: ClassVar[bool]
    """Whether a new payment needs one that the account's owner saved at the provider (`Charge.payment_method`)."""

    def prepare(self, charge: Charge) -> str:
        """The provider's name for a new payment. Nothing is charged: one that is never confirmed does no harm.

        Raises:
            PaymentDeclinedError: the provider does not take this payment; it has no name, and can never be made.
        """
        ...

    def confirm(self, ref: str, charge: Charge, *, present: bool) -> Payment:
        """Charge it. It succeeds at most once, however often and by how many it is confirmed.

        ``present``: whether the buyer is there to answer the bank.
        """
        ...

    def look(self, ref: str, charge: Charge) -> Payment:
        """What became of it, and what went back. Nothing is done to it.

        One that is not confirmed yet, or could be confirmed once more, is DECLINED here: only `give_up` decides it.
        """
        ...

    def give_up(self, ref: str, charge: Charge) -> Payment:
        """Cancel what can still be canceled. DECLINED says that it is, and that nothing can be charged any more."""
        ...

    def hear(self, event: Mapping[str, Any]) -> Heard | None:
        """What an event is about. None if it is of no payment of ours."""
        ...

    def heard_since(self, cursor: str | None) -> tuple[list[Heard], str | None]:
        """The provider's own list of what happened after ``cursor``, a part of it, and the cursor for the next part."""
        ...
