"""The ports to a payment provider.

What the ledger needs of one: a payment is named at the provider before any money moves, and the name is stored; to
confirm it again is to charge once; what became of it can be asked for at any time; and one that was not confirmed can
be kept from ever happening.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from shared.ledger.purchases import PaymentSource


class PaymentState(Enum):
    CHARGED = "charged"
    DECLINED = "declined"
    """Nothing was charged. It is final once `PaymentProvider.give_up` said so."""
    IN_PROGRESS = "in_progress"
    NEEDS_BUYER = "needs_buyer"
    WRONG = "wrong"
    """The provider's payment has another amount, currency or purchase than ours."""


@dataclass(frozen=True, slots=True)
class Action:
    """What the buyer has to do before the payment can go on: open a page, or have the provider's script ask."""

    url: str | None
    client_secret: str | None
    until: datetime


@dataclass(frozen=True, slots=True)
class Payment:
    """What became of a charge at its provider."""

    state: PaymentState
    reason: str = ""
    code: str = ""
    action: Action | None = None
    taken_cents: int = 0
    returned_cents: int = 0
    """Of what was taken: refunds, and disputes for which the money was withdrawn."""
    provider_charge: str | None = None
    receipt_url: str | None = None
    dispute: str | None = None
    """The provider's word for the last dispute's status."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Which purchase an event is about, and which payment of the provider."""

    account_id: str
    purchase_id: str
    ref: str


class ChargeState(Enum):
    CHARGED = "charged"
    DECLINED = "declined"
    IN_PROGRESS = "in_progress"


@dataclass(frozen=True, slots=True)
class Charge:
    charge_id: str
    account_id: str
    purchase_id: str
    attempt: int
    amount_cents: int
    currency: str
    source: PaymentSource | str
    customer: str | None = None
    payment_method: str | None = None


@dataclass(frozen=True, slots=True)
class ChargeResult:
    state: ChargeState
    reason: str = ""


class NoAnswerError(Exception):
    """The provider did not answer in time: the charge may or may not have gone through."""


class PaymentProvider(Protocol):
    """All methods raise NoAnswerError."""

    def prepare(self, charge: Charge) -> str:
        """Name the charge at the provider and return that name; no money moves. One that is forgotten does no harm."""
        ...

    def confirm(self, ref: str, charge: Charge, *, present: bool) -> Payment:
        """Charge, at most once, however often it is called. ``present``: the buyer is there, and can be asked."""
        ...

    def look(self, ref: str, charge: Charge) -> Payment:
        """What became of it, and how much went back. Changes nothing.

        One that is not confirmed yet, or could be confirmed once more, is DECLINED here.
        """
        ...

    def give_up(self, ref: str, charge: Charge) -> Payment:
        """Keep it from being charged where that is still possible, and say what became of it."""
        ...

    def hear(self, event: Mapping[str, Any]) -> Heard | None:
        """What an event of the provider is about; None where it is about no payment of ours."""
        ...

    def heard_since(self, cursor: str | None) -> tuple[list[Heard], str | None]:
        """The next page of the provider's own list of events, and the cursor behind it.

        None begins with the oldest; the cursor stays the same where there is nothing more.
        """
        ...


class PaymentGateway(Protocol):
    def charge(self, charge: Charge) -> ChargeResult:
        """Charge once, however often it is called with one ``charge_id``; the first result stays the result.

        Raises:
            NoAnswerError: ask `resolve` later.
        """
        ...

    def resolve(self, charge_id: str) -> ChargeResult:
        """What became of a charge. One that never arrived is declined now and cannot go through later.

        Raises:
            NoAnswerError: ask again later.
        """
        ...

    def look(self, charge_id: str) -> ChargeResult | None:
        """What is known of a charge, and nothing is done to it: None where none arrived.

        Raises:
            NoAnswerError: look again later.
        """
        ...
