"""The port to a payment provider.

What the ledger needs of one: a charge has an id of ours, and charging it again is charging it once; what became of it
can be asked for at any time; and a charge that never arrived can be kept from ever happening.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from shared.ledger.purchases import PaymentSource


class ChargeState(Enum):
    CHARGED = "charged"
    DECLINED = "declined"
    IN_PROGRESS = "in_progress"


@dataclass(frozen=True, slots=True)
class Charge:
    charge_id: str
    account_id: str
    amount_cents: int
    currency: str
    source: PaymentSource | str


@dataclass(frozen=True, slots=True)
class ChargeResult:
    state: ChargeState
    reason: str = ""


class NoAnswerError(Exception):
    """The provider did not answer in time: the charge may or may not have gone through."""


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
