"""A purchase: one id, at most one charge, and a charge always ends in its Connects.

::

    (none) ──► pending ──► completed      the charge went through; credited in the same transaction
                 ▲  ├────► declined       nothing was charged, and nothing can be any more
                 │  │         │           the same request sent again is a next attempt, with a charge id of its own,
                 └──┼─────────┘           unless the first one was answered `pending`: then so is each repeat
                    └────► under_review   something else was charged than was asked for; nothing is credited

While it is pending, the provider is asked what became of the charge (`Purchase.still_pending` says when).

A completed purchase whose whole payment went back is shown as `refunded_to_card`, and as completed again should the
payment come again. That is no step of its own: it follows from ``returned_cents`` (`Purchase.status`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from shared.ledger.credits import Credit
from shared.ledger.errors import InvalidRequestError, PlanRequiredError
from shared.ledger.model import Account, EntryType, Kind, Plan, Request, entry_id
from shared.ledger.promos import promo_credit

if TYPE_CHECKING:
    from shared.ledger.policy import Policy
    from shared.ledger.promos import Campaign

PURCHASE = "purchase"
"""The operation of a purchase's key, and the type of its entry's reference."""
PURCHASE_PROMO = "purchase_promo"
"""The operation of the key of the promo code's entry that comes with a purchase."""
CHARGEBACK = "chargeback"
"""The operation of the key of an entry that takes Connects back or gives them back, and the type of its reference."""
FIRST_CHECK = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=5)
"""So that Connects come within minutes of the charge, if no event comes."""
SOON_ENOUGH_FOR = timedelta(days=1)
LONGEST_WAIT_AFTER = timedelta(hours=1)
"""For a charge that takes days, as a bank's debit does."""
LOOK_AGAIN = timedelta(minutes=1)
"""When the provider is asked once more after an answer by which something was written: that answer may have been older
than another one, which was written before."""


class PurchaseState(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    DECLINED = "declined"
    UNDER_REVIEW = "under_review"
    REFUNDED_TO_CARD = "refunded_to_card"
    """Never stored: an earlier release reads such a purchase as completed, as it was."""


class PaymentSource(StrEnum):
    """A purchase is paid from one of these, never both."""

    BILLING_METHOD = "billing_method"
    EARNINGS_BALANCE = "earnings_balance"


@dataclass(frozen=True, slots=True)
class Order:
    quantity: int
    source: PaymentSource
    promo_code: str | None = None


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
    """When the provider is asked next; none once it is decided and, of what went back, known."""
    answered_pending: bool = False
    """The first request was answered ``pending``; a repeat is answered the same."""
    declined_because: str = ""
    promo_code: str | None = None
    """Redeemed with the purchase, if that is still possible when it completes."""
    promo_refused: str | None = None
    """The code of the refusal where it was not: a charge ends in its Connects all the same."""
    ref: str | None = None
    """The provider's name for this attempt's payment, stored before it may be confirmed."""
    present: bool = False
    """Whether the buyer is there to answer the bank: a user who buys, and no service on the user's behalf."""
    action_until: datetime | None = None
    """Until when the buyer may answer the bank, if it asked; then the purchase is given up."""
    provider_charge: str | None = None
    """The provider's id of what was charged."""
    receipt_url: str | None = None
    """The provider's receipt."""
    returned_cents: int = 0
    """What of the payment is back with the buyer now, by refunds and disputes, as the provider last said."""
    reclaimed: int = 0
    """How many of its Connects were taken back for that, are owed, or had expired (`shared.ledger.chargebacks`)."""
    reclaims: int = 0
    """How often ``reclaimed`` changed: each time is one entry."""
    dispute: str | None = None
    """The last status of its dispute, in the provider's words: to be shown. Nothing is decided by it."""
    revision: int = 0
    """Counts writes. Each write requires the revision that was read, so only one of two that meet counts."""

    @property
    def charge_id(self) -> str:
        """Our own id of this attempt, told to the payment provider: no two attempts have one."""
        return f"{self.purchase_id}-{self.attempt}"

    @property
    def entry_id(self) -> str:
        return entry_id(self.account_id, PURCHASE, self.purchase_id)

    @property
    def promo_entry_id(self) -> str:
        return entry_id(self.account_id, PURCHASE_PROMO, self.purchase_id)

    @property
    def may_begin_anew(self) -> bool:
        """Whether the same request sent again is a new attempt: its caller was answered that it was declined."""
        return self.state is PurchaseState.DECLINED and not self.answered_pending

    def is_due(self, now: datetime) -> bool:
        """Whether the provider is to be asked now. A message that says so may be old, and another attempt begun."""
        return self.due_at is not None and self.due_at <= now

    def is_same_attempt(self, other: Purchase) -> bool:
        return (self.attempt, self.ref) == (other.attempt, other.ref)

    def named(self, ref: str, *, present: bool) -> Purchase:
        return replace(self, ref=ref, present=present)

    def charged(self, provider_charge: str | None, receipt_url: str | None) -> Purchase:
        return replace(self, provider_charge=provider_charge, receipt_url=receipt_url)

    def reclaim_id(self, number: int) -> str:
        """The id of the entry by which ``reclaimed`` changed for the ``number``-th time."""
        return entry_id(self.account_id, CHARGEBACK, f"{self.purchase_id}.{number}")

    @property
    def status(self) -> PurchaseState:
        """The state as it is shown."""
        refunded = self.state is PurchaseState.COMPLETED and self.returned_cents >= self.amount_cents
        return PurchaseState.REFUNDED_TO_CARD if refunded else self.state

    def to_reclaim(self, returned_cents: int) -> int:
        """How many of its Connects are to be taken back in all while so much of its payment is back with the buyer.

        Of the whole, and not of each refund, so that parts add up exactly; more than the payment counts as the payment.
        """
        back = min(self.amount_cents, returned_cents)
        return self.quantity * back // self.amount_cents

    def at_level(self, returned_cents: int, dispute: str | None, now: datetime) -> Purchase:
        """The purchase while so much of its payment is back; the provider is to be asked once more."""
        to_reclaim = self.to_reclaim(returned_cents)
        return replace(
            self,
            returned_cents=returned_cents,
            dispute=dispute,
            reclaimed=to_reclaim,
            reclaims=self.reclaims + (to_reclaim != self.reclaimed),
            due_at=now + LOOK_AGAIN,
        )

    def declined(self, reason: str) -> Purchase:
        return replace(self._decided(PurchaseState.DECLINED), declined_because=reason)

    def completed(self) -> Purchase:
        return self._decided(PurchaseState.COMPLETED)

    def under_review(self) -> Purchase:
        """What was charged is not what was asked for. Nothing is credited until a person has looked at it."""
        return self._decided(PurchaseState.UNDER_REVIEW)

    def still_pending(self, now: datetime) -> Purchase:
        """The provider has not decided. It is asked again after 1, 2, 4 minutes, then every 5, and after a day hourly.

        While the buyer is asked, it is each minute, and at the instant at which that ends.
        """
        if self.waits_for_buyer(now):
            due_at = min(now + FIRST_CHECK, cast("datetime", self.action_until))
        else:
            longest = LONGEST_WAIT if now - self.created_at < SOON_ENOUGH_FOR else LONGEST_WAIT_AFTER
            due_at = now + min(FIRST_CHECK * (1 << min(self.checks, 10)), longest)
        return replace(self, checks=self.checks + 1, due_at=due_at)

    def asks_buyer(self, now: datetime, until: datetime, policy: Policy) -> Purchase:
        """The bank asks the buyer, first now or some time ago. ``until``: how long the provider lets it."""
        ends = self.action_until or min(until, now + timedelta(minutes=policy.action_minutes))
        return replace(self, action_until=ends).still_pending(now)

    def waits_for_buyer(self, now: datetime) -> bool:
        return self.state is PurchaseState.PENDING and self.action_until is not None and now < self.action_until

    def _decided(self, state: PurchaseState) -> Purchase:
        return replace(self, state=state, due_at=None, action_until=None)


def purchase_id_of(charge_id: str) -> str:
    """The id of the purchase that an attempt belongs to."""
    return charge_id.rpartition("-")[0]


def check_quantity(quantity: int, policy: Policy) -> None:
    """Raises InvalidRequestError for less than the minimum purchase."""
    if quantity < policy.minimum_purchase:
        raise InvalidRequestError("body.quantity", f"must be {policy.minimum_purchase} or more")


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


def new_attempt(
    account_id: str, order: Order, request: Request, declined: Purchase | None, *, now: datetime, policy: Policy
) -> Purchase:
    """A pending purchase at the price of now, or the next attempt at one that was declined."""
    return Purchase(
        account_id=account_id,
        purchase_id=entry_id(account_id, PURCHASE, request.key),
        state=PurchaseState.PENDING,
        quantity=order.quantity,
        amount_cents=order.quantity * policy.unit_price_cents,
        currency=policy.currency,
        source=order.source,
        created_at=now,
        actor=request.actor,
        fingerprint=request.fingerprint,
        attempt=declined.attempt + 1 if declined else 1,
        due_at=now + FIRST_CHECK,
        promo_code=order.promo_code,
        revision=declined.revision if declined else 0,
    )


def credit_for(purchase: Purchase, campaign: Campaign | None = None) -> Credit:
    """The Connects of a purchase that was charged, with those of its promo code where ``campaign`` is given."""
    request = Request(PURCHASE, purchase.purchase_id, purchase.fingerprint, purchase.actor)
    bonus_request = replace(request, operation=PURCHASE_PROMO)
    return Credit(
        EntryType.PURCHASE,
        purchase.quantity,
        paid=True,
        reason=f"{purchase.quantity} Connects bought",
        reference={"type": PURCHASE, "purchase_id": purchase.purchase_id},
        request=request,
        bonus=promo_credit(campaign, bonus_request, purchase_id=purchase.purchase_id) if campaign else None,
    )
