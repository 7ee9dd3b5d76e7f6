"""A purchase: one id, at most one charge, and a charge always ends in its Connects.

::

    (none) ──► pending ──► completed      the charge went through; credited in the same transaction
                 ▲  └────► declined       nothing was charged
                 └────────────┘           the same request sent again is a next attempt, with a charge id of its own
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.ledger.errors import PlanRequiredError
from shared.ledger.model import Account, Kind, Plan


class PurchaseState(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    DECLINED = "declined"


class PaymentSource(StrEnum):
    """A purchase is paid from one of these, never both."""

    BILLING_METHOD = "billing_method"
    EARNINGS_BALANCE = "earnings_balance"


@dataclass(frozen=True, slots=True)
class Purchase:
    account_id: str
    purchase_id: str
    state: PurchaseState
    quantity: int
    amount_cents: int
    currency: str
    source: PaymentSource | str
    """A text where a newer release, since taken back, wrote a source that this one does not know."""
    created_at: datetime
    actor: str
    fingerprint: str
    attempt: int = 1
    checks: int = 0
    """How often the payment provider was asked what became of the charge."""
    due_at: datetime | None = None
    """When the provider is asked next; none once it is decided."""
    answered_pending: bool = False
    """The caller was told ``pending``; a repeat is told the same."""
    declined_because: str = ""
    promo_code: str | None = None
    """To be redeemed with it, if that can still be done when it completes."""
    promo_refused: str | None = None
    """The code of the refusal where it could not: a charge ends in its Connects all the same."""
    revision: int = 0
    """Counts writes."""

    @property
    def charge_id(self) -> str:
        """What the payment provider knows this attempt by: charging it twice is charging it once."""
        return f"{self.purchase_id}-{self.attempt}"


def purchase_of(charge_id: str) -> str:
    """The id of the purchase whose attempt a provider knows by this one."""
    return charge_id.rpartition("-")[0]


def check_may_buy(account: Account) -> None:
    """Agencies may buy only on plus.

    Raises:
        AccountClosedError, AccountSuspendedError
        AccountFrozenError: an agency that fell back to basic.
        PlanRequiredError: an agency that has not been on plus.
    """
    account.check_may_use()
    if account.kind is Kind.AGENCY and account.plan is Plan.BASIC:
        raise PlanRequiredError
