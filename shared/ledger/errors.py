"""Every refusal of the ledger, as one tree.

::

    LedgerError
    ├── InvalidRequestError          invalid_request
    │   └── NoFreeConnectsError      (the account is an agency)
    ├── AccountNotFoundError         account_not_found
    ├── SpendNotFoundError           spend_not_found
    ├── PurchaseNotFoundError        purchase_not_found
    ├── AlreadyExistsError           already_exists
    ├── PlanRequiredError            plan_required
    ├── AccountFrozenError           account_frozen
    ├── AccountSuspendedError        account_suspended
    ├── AccountClosedError           account_closed
    ├── InsufficientConnectsError    insufficient_connects   (balance, required)
    ├── PriceChangedError            price_changed           (price)
    ├── AlreadyRefundedError         already_refunded
    ├── AlreadyAwardedError          already_awarded
    ├── RewardCapReachedError        reward_cap_reached      (cap, awarded)
    ├── JobNotFoundError             job_not_found
    ├── JobNotOpenError              job_not_open
    ├── AuctionClosedError           auction_closed
    ├── BidTooLowError               bid_too_low             (required)
    ├── PromoError                   (a promo code that cannot be redeemed)
    │   ├── PromoNotFoundError       promo_not_found
    │   ├── PromoNotActiveError      promo_not_active
    │   ├── PromoUsedError           promo_used
    │   └── PromoExhaustedError      promo_exhausted
    ├── NotRefundableError           not_refundable
    ├── NoInterviewRewardError       not_refundable
    ├── IdempotencyKeyReusedError    idempotency_key_reused
    ├── PaymentDeclinedError         payment_declined        (purchase_id)
    └── BusyError                    busy                    (purchase_id, if a purchase may have been begun)

A refusal changes nothing and does not use up its idempotency key, except for a `BusyError` that says otherwise.
``code`` is stable and part of the HTTP contract. If two refusals apply, the first of this order is returned: the form
of the request, the account's existence, the idempotency key, the state of the account (closed, suspended, frozen,
plan), the balance.
"""

from __future__ import annotations

from typing import ClassVar


class LedgerError(Exception):
    """The base of all refusals. ``details`` are numbers that the caller needs, such as the balance."""

    code: ClassVar[str]

    def __init__(self, detail: str, **details: int | str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.details = details


class InvalidRequestError(LedgerError):
    """The request itself is invalid; ``loc`` names the field."""

    code = "invalid_request"

    def __init__(self, loc: str, msg: str) -> None:
        super().__init__(f"{loc}: {msg}")
        self.loc = loc
        self.msg = msg


class NoFreeConnectsError(InvalidRequestError):
    """Agencies get no free Connects. No repeat succeeds, as an account's kind never changes."""

    def __init__(self) -> None:
        super().__init__("account", "is an agency, and agencies get no free Connects")


class AccountNotFoundError(LedgerError):
    code = "account_not_found"

    def __init__(self, account_id: str) -> None:
        super().__init__(f"There is no account {account_id}.")


class SpendNotFoundError(LedgerError):
    code = "spend_not_found"

    def __init__(self, spend_id: str) -> None:
        super().__init__(f"This account has no spend {spend_id}.")


class PurchaseNotFoundError(LedgerError):
    code = "purchase_not_found"

    def __init__(self, purchase_id: str) -> None:
        super().__init__(f"This account has no purchase {purchase_id}.")


class JobNotFoundError(LedgerError):
    code = "job_not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id}.")


class AlreadyExistsError(LedgerError):
    code = "already_exists"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} exists already.")


class PlanRequiredError(LedgerError):
    code = "plan_required"

    def __init__(self) -> None:
        super().__init__("An agency may buy Connects only on the plus plan.")


class AccountFrozenError(LedgerError):
    code = "account_frozen"

    def __init__(self) -> None:
        super().__init__("This agency left the plus plan: it keeps its Connects and can use them again on plus.")


class AccountSuspendedError(LedgerError):
    code = "account_suspended"

    def __init__(self) -> None:
        super().__init__("This account is suspended: it keeps its Connects and can use them once it is active again.")


class AccountClosedError(LedgerError):
    code = "account_closed"

    def __init__(self) -> None:
        super().__init__("This account is closed, for ever.")


class InsufficientConnectsError(LedgerError):
    code = "insufficient_connects"

    def __init__(self, *, balance: int, required: int) -> None:
        super().__init__(f"{required} Connects are needed and {balance} are there.", balance=balance, required=required)


class PriceChangedError(LedgerError):
    code = "price_changed"

    def __init__(self, *, price: int) -> None:
        super().__init__(f"The price is {price} Connects now.", price=price)


class JobNotOpenError(LedgerError):
    code = "job_not_open"

    def __init__(self, job_id: str, status: str) -> None:
        super().__init__(f"Job {job_id} is {status} and takes no proposals.")


class AuctionClosedError(LedgerError):
    code = "auction_closed"


class BidTooLowError(LedgerError):
    code = "bid_too_low"

    def __init__(self, *, required: int) -> None:
        super().__init__(f"A bid has to be {required} Connects or more to have a place.", required=required)


class AlreadyRefundedError(LedgerError):
    code = "already_refunded"

    def __init__(self, spend_id: str) -> None:
        super().__init__(f"Spend {spend_id} was refunded before.")


class AlreadyAwardedError(LedgerError):
    code = "already_awarded"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was awarded before.")


class RewardCapReachedError(LedgerError):
    code = "reward_cap_reached"

    def __init__(self, *, cap: int, awarded: int, days: int) -> None:
        super().__init__(
            f"Interviews brought {awarded} Connects within {days} days, and the most is {cap}.",
            cap=cap,
            awarded=awarded,
        )


class PromoError(LedgerError):
    """A promo code that cannot be redeemed. ``code`` is the refusal's own, not the promo code."""


class PromoNotFoundError(PromoError):
    code = "promo_not_found"

    def __init__(self, promo_code: str) -> None:
        super().__init__(f"There is no promo code {promo_code}.")


class PromoNotActiveError(PromoError):
    code = "promo_not_active"

    def __init__(self, promo_code: str) -> None:
        super().__init__(f"Promo code {promo_code} is not valid now.")


class PromoUsedError(PromoError):
    code = "promo_used"

    def __init__(self, promo_code: str) -> None:
        super().__init__(f"This account redeemed promo code {promo_code} before.")


class PromoExhaustedError(PromoError):
    code = "promo_exhausted"

    def __init__(self, promo_code: str) -> None:
        super().__init__(f"Promo code {promo_code} was redeemed as often as it may be.")


class NotRefundableError(LedgerError):
    code = "not_refundable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Connects do not come back for the reason {reason}.")


class NoInterviewRewardError(LedgerError):
    """The proposal came through a free channel."""

    code = "not_refundable"

    def __init__(self, channel: str) -> None:
        super().__init__(f"There is no interview reward for a proposal of the channel {channel}.")


class IdempotencyKeyReusedError(LedgerError):
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This idempotency key was used for another request.")


class BillingMethodMissingError(LedgerError):
    code = "billing_method_missing"

    def __init__(self) -> None:
        super().__init__("This account has no saved payment method to charge.")


class PaymentDeclinedError(LedgerError):
    code = "payment_declined"

    def __init__(self, reason: str, *, purchase_id: str) -> None:
        self.reason = reason
        super().__init__(f"The payment was declined: {reason}. Nothing was charged.", purchase_id=purchase_id)


class BusyError(LedgerError):
    """Contention outlasted the deadline, or the database did not answer.

    Args:
        unanswered: Whether the request may have been carried out.
        known: What is known of it instead, as whole sentences for the caller.
        details: As for every refusal.
    """

    code = "busy"

    def __init__(self, *, unanswered: bool = False, known: str = "", **details: int | str) -> None:
        what = MAY_HAVE_HAPPENED if unanswered else NOTHING_HAPPENED
        super().__init__(f"{known or what} {SEND_AGAIN}", **details)


NOTHING_HAPPENED = "The ledger is busy. Nothing happened."
MAY_HAVE_HAPPENED = "No answer came in time: this may have happened or not."
SEND_AGAIN = "Send the same request again, with the same key if it has one: it happens once."
