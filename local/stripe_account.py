"""What Stripe keeps for an account, as far as payments of saved cards go: intents, charges, refunds, disputes, events.

Objects are JSON as Stripe answers it. Everything here runs under the twin's lock, one call after the other.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.stripe_types import whole

if TYPE_CHECKING:
    from collections.abc import Callable

JSON = dict[str, Any]

API_VERSION = "2026-10-28.endive"
DISPUTE_FEE = 1500
EVENTS_KEPT_S = 30 * 24 * 3600
CANCELABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
URLS = {
    "payment_intent": "/v1/payment_intents/",
    "charge": "/v1/charges/",
    "refund": "/v1/refunds/",
    "dispute": "/v1/disputes/",
}
DECLINES = {
    "pm_card_chargeCustomerFail": "generic_decline",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_chargeDeclinedStolenCard": "stolen_card",
}
"""Cards that are declined when they are charged, not before, and the code."""
ASKS = "pm_card_authenticationRequired"
DISPUTED = {"pm_card_createDispute": "needs_response", "pm_card_createDisputeInquiry": "warning_needs_response"}
"""Cards whose charges are disputed at once, and the status that the dispute begins with."""
REFUND_PENDING = "pm_card_pendingRefund"
METHODS = ("pm_card_visa", *DECLINES, ASKS, *DISPUTED, REFUND_PENDING)

NEXT_STATUSES = {
    "warning_needs_response": {"warning_under_review", "warning_closed", "needs_response", "prevented"},
    "warning_under_review": {"warning_closed", "needs_response"},
    "needs_response": {"under_review", "won", "lost", "prevented"},
    "under_review": {"won", "lost"},
    "lost": {"appeal_needs_response"},
    "appeal_needs_response": {"appeal_under_review", "lost"},
    "appeal_under_review": {"won", "lost"},
}
"""Of a dispute. An inquiry (``warning_``) takes no money; what is won, closed or prevented stays so."""
CLOSED = ("won", "lost", "warning_closed", "prevented")


class StripeTwinError(Exception):
    """An answer that is an error, in Stripe's form. ``kept``: a repeat under the same idempotency key gets it again."""

    def __init__(
        self, status: int, kind: str, code: str | None, message: str, *, kept: bool = True, **more: object
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kept = kept
        said = {"type": kind, "message": message, "code": code, **more}
        self.body = {"error": {name: value for name, value in said.items() if value is not None}}


def invalid(message: str, code: str | None = None, *, param: str | None = None, **more: object) -> StripeTwinError:
    """A request that is wrong by itself. It was not carried out, so its idempotency key is not used up."""
    return StripeTwinError(400, "invalid_request_error", code, message, kept=False, param=param, **more)


def missing(kind: str, its_id: object, param: str = "id") -> StripeTwinError:
    message = f"No such {kind}: '{its_id}'"
    status = 404 if param == "id" else 400
    return StripeTwinError(status, "invalid_request_error", "resource_missing", message, kept=False, param=param)


@dataclass
class StripeAccount:
    """Everything, by id, and what happened, oldest first.

    Args:
        now: The time, in seconds since the epoch.
        page_of: The page where a buyer answers the bank, of an intent.
    """

    now: Callable[[], int]
    page_of: Callable[[JSON], str]
    objects: dict[str, JSON] = field(default_factory=dict)
    events: list[JSON] = field(default_factory=list)
    request: JSON | None = None
    """The request that is being answered; events name it."""
    _cards: dict[str, str] = field(default_factory=dict)
    """Which of Stripe's test cards a payment method is."""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def get(self, kind: str, its_id: object, param: str = "id") -> JSON:
        found = self.objects.get(str(its_id))
        if found is None or found["object"] != kind:
            raise missing(kind, its_id, param)
        return found

    def of(self, kind: str, **fields: object) -> list[JSON]:
        """Newest first."""
        found = [each for each in self.objects.values() if each["object"] == kind]
        return [each for each in reversed(found) if all(each[name] == value for name, value in fields.items())]

    # --- Customers and their cards

    def create_customer(self, params: JSON) -> JSON:
        return self._new("customer", "cus", metadata=params.get("metadata", {}))

    def attach(self, method: str, params: JSON) -> JSON:
        """Make one of Stripe's test cards a customer's own: a new payment method each time, as at Stripe."""
        customer = self.get("customer", params["customer"], "customer")
        if method not in METHODS:
            raise missing("PaymentMethod", method)
        attached = self._new(
            "payment_method", "pm", billing_details={}, type="card", customer=customer["id"], metadata={}
        )
        self._cards[attached["id"]] = method
        return attached

    def detach(self, method: JSON) -> JSON:
        """It cannot be used again."""
        self.objects.pop(method["id"])
        return method | {"customer": None}

    # --- Payment intents

    def create_intent(self, params: JSON) -> JSON:
        method = params.get("payment_method")
        if "customer" in params:
            self.get("customer", params["customer"], "customer")
        if method:
            owner = self.get("payment_method", method, "payment_method")["customer"]
            if owner != params.get("customer"):
                raise invalid("The payment method belongs to another customer.", param="payment_method")
        if int(params["amount"]) < 50:  # noqa: PLR2004 - Stripe's least amount, in cents of a dollar
            raise invalid("Amount must be at least $0.50 usd.", "amount_too_small", param="amount")
        intent = self._new(
            "payment_intent",
            "pi",
            amount=int(params["amount"]),
            amount_capturable=0,
            amount_received=0,
            allowed_payment_method_types=params.get("allowed_payment_method_types"),
            capture_method="automatic",
            confirmation_method="automatic",
            currency=params["currency"],
            customer=params.get("customer"),
            metadata=params.get("metadata", {}),
            payment_method=method,
            payment_method_types=params.get("allowed_payment_method_types", ["card"]),
            status="requires_confirmation" if method else "requires_payment_method",
        )
        intent["client_secret"] = f"{intent['id']}_secret_{next(self._numbers):08}"
        self.tell("payment_intent.created", intent)
        return intent

    def confirm(self, intent: JSON, params: JSON) -> JSON:
        if intent["status"] != "requires_confirmation":
            raise self._unexpected(intent, "confirm")
        if params.get("off_session") == "true" and "return_url" in params:
            raise invalid("return_url cannot be passed when off_session is true.", param="return_url")
        card = self._cards[self.get("payment_method", intent["payment_method"], "payment_method")["id"]]
        if card == ASKS and params.get("off_session") == "true":
            self._decline(intent, "authentication_required", "authentication_required")
        if card in DECLINES:
            self._decline(intent, "card_declined", DECLINES[card])
        if card == ASKS:
            intent["status"] = "requires_action"
            intent["next_action"] = self._ask_buyer(intent, params.get("return_url"))
            self.tell("payment_intent.requires_action", intent)
            return intent
        self._pay(intent)
        return intent

    def cancel(self, intent: JSON, params: JSON) -> JSON:
        if intent["status"] not in CANCELABLE:
            raise self._unexpected(intent, "cancel")
        reason = params.get("cancellation_reason")
        intent |= {"status": "canceled", "canceled_at": self.now(), "cancellation_reason": reason, "next_action": None}
        self.tell("payment_intent.canceled", intent)
        return intent

    def authenticate(self, intent: JSON, *, success: bool) -> None:
        """The buyer answers the bank."""
        if intent["status"] != "requires_action":
            raise self._unexpected(intent, "authenticate")
        intent["next_action"] = None
        if success:
            self._pay(intent)
            return
        error = {
            "type": "card_error",
            "code": "payment_intent_authentication_failure",
            "message": "The provided PaymentMethod has failed authentication.",
        }
        intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": error}
        self.tell("payment_intent.payment_failed", intent)

    def process(self, intent: JSON) -> None:
        """As a payment whose bank takes its time: it is neither paid nor can it be canceled."""
        intent["status"] = "processing"
        self.tell("payment_intent.processing", intent)

    def settle(self, intent: JSON) -> None:
        """The bank has decided: a payment in progress is paid."""
        self._pay(intent)

    def _ask_buyer(self, intent: JSON, return_url: str | None) -> JSON:
        if return_url is None:
            return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        return {"type": "redirect_to_url", "redirect_to_url": {"url": self.page_of(intent), "return_url": return_url}}

    def _pay(self, intent: JSON) -> None:
        charge = self._charge(intent, "succeeded")
        intent |= {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "latest_charge": charge["id"],
            "last_payment_error": None,
        }
        charge["balance_transaction"] = self._move(charge["amount"], charge["currency"], "charge", charge["id"])["id"]
        self.tell("charge.succeeded", charge)
        self.tell("payment_intent.succeeded", intent)
        status = DISPUTED.get(self._cards[intent["payment_method"]])
        if status:
            self.dispute(charge, status)

    def _decline(self, intent: JSON, code: str, decline_code: str) -> None:
        message = "Your card was declined."
        charge = self._charge(intent, "failed", failure_code=code, failure_message=message)
        error = {
            "type": "card_error",
            "code": code,
            "decline_code": decline_code,
            "message": message,
            "charge": charge["id"],
        }
        intent |= {
            "status": "requires_payment_method",
            "payment_method": None,
            "latest_charge": charge["id"],
            "last_payment_error": error,
        }
        self.tell("charge.failed", charge)
        self.tell("payment_intent.payment_failed", intent)
        raise StripeTwinError(
            402,
            "card_error",
            code,
            message,
            decline_code=decline_code,
            charge=charge["id"],
            payment_intent=copy.deepcopy(intent),
        )

    def _charge(self, intent: JSON, status: str, **more: object) -> JSON:
        paid = status == "succeeded"
        charge = self._new(
            "charge",
            "ch",
            amount=intent["amount"],
            amount_captured=intent["amount"] if paid else 0,
            amount_refunded=0,
            billing_details={},
            captured=paid,
            currency=intent["currency"],
            customer=intent["customer"],
            disputed=False,
            metadata=dict(intent["metadata"]),
            paid=paid,
            payment_intent=intent["id"],
            payment_method=intent["payment_method"],
            refunded=False,
            status=status,
            **more,
        )
        charge["receipt_url"] = f"https://pay.stripe.com/receipts/{charge['id']}" if paid else None
        return charge

    @staticmethod
    def _unexpected(intent: JSON, what: str) -> StripeTwinError:
        message = f"You cannot {what} this PaymentIntent because it has a status of {intent['status']}."
        return StripeTwinError(
            400,
            "invalid_request_error",
            "payment_intent_unexpected_state",
            message,
            payment_intent=copy.deepcopy(intent),
        )

    # --- Money that goes back

    def refund(self, params: JSON) -> JSON:
        intent = self.get("payment_intent", params.get("payment_intent"), "payment_intent")
        charge = self.get("charge", intent["latest_charge"], "payment_intent")
        left = charge["amount"] - charge["amount_refunded"]
        amount = int(params.get("amount", left))
        if self._withdrawn(charge):
            raise invalid("The charge is disputed.", "charge_disputed", param="charge")
        if left == 0:
            raise invalid("The charge has already been refunded.", "charge_already_refunded")
        if not 0 < amount <= left:
            raise invalid(f"Refund amount is greater than unrefunded amount on charge ({left}).", param="amount")
        pending = self._cards[charge["payment_method"]] == REFUND_PENDING
        refund = self._new(
            "refund",
            "re",
            amount=amount,
            charge=charge["id"],
            currency=charge["currency"],
            metadata=params.get("metadata", {}),
            payment_intent=intent["id"],
            reason=params.get("reason"),
            status="pending" if pending else "succeeded",
        )
        self._refunded(charge, amount)
        moved = self._move(-amount, charge["currency"], "refund", refund["id"])
        refund["balance_transaction"] = moved["id"]
        self.tell("charge.refunded", charge)
        self.tell("refund.created", refund)
        return refund

    def settle_refund(self, refund: JSON, *, success: bool) -> None:
        """The bank has decided on a pending refund. One that fails comes back into the balance."""
        refund["status"] = "succeeded" if success else "failed"
        if not success:
            refund["failure_reason"] = "expired_or_canceled_card"
            moved = self._move(refund["amount"], refund["currency"], "refund_failure", refund["id"])
            refund["failure_balance_transaction"] = moved["id"]
            self._refunded(self.get("charge", refund["charge"]), -refund["amount"])
            self.tell("refund.failed", refund)
        self.tell("refund.updated", refund)

    def dispute(self, charge: JSON, status: str = "needs_response", amount: int | None = None) -> JSON:
        """The buyer's bank opens a dispute; unless it is an inquiry, the money is withdrawn at once."""
        dispute = self._new(
            "dispute",
            "du",
            amount=amount or charge["amount"],
            balance_transactions=[],
            charge=charge["id"],
            currency=charge["currency"],
            enhanced_eligibility_types=[],
            evidence={"enhanced_evidence": {}},
            evidence_details={
                "due_by": self.now() + 7 * 24 * 3600,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
                "submission_method": "not_submitted",
            },
            is_charge_refundable=status.startswith("warning_"),
            metadata={},
            payment_intent=charge["payment_intent"],
            reason="fraudulent",
            status=status,
        )
        charge["disputed"] = True
        self.tell("charge.dispute.created", dispute)
        if status == "needs_response":
            self._withdraw(dispute)
        return dispute

    def move_dispute(self, dispute: JSON, status: str) -> None:
        """Its next status, with the money that goes with it.

        Raises:
            ValueError: it cannot get there from where it is.
        """
        before = dispute["status"]
        if status not in NEXT_STATUSES.get(before, ()):
            raise ValueError(f"a dispute does not go from {before} to {status}")
        dispute["status"] = status
        dispute["is_charge_refundable"] = status.startswith("warning_")
        self.tell("charge.dispute.updated", dispute)
        if status == "needs_response":
            self._withdraw(dispute)
        if status in {"won", "prevented"} and self._net(dispute) < 0:
            self._balance(dispute, -self._net(dispute))
            self.tell("charge.dispute.funds_reinstated", dispute)
        if status in CLOSED:
            self.tell("charge.dispute.closed", dispute)

    def _withdraw(self, dispute: JSON) -> None:
        self._balance(dispute, -dispute["amount"], fee=DISPUTE_FEE)
        self.tell("charge.dispute.funds_withdrawn", dispute)

    def _balance(self, dispute: JSON, amount: int, fee: int = 0) -> None:
        moved = self._move(amount, dispute["currency"], "adjustment", dispute["id"], fee)
        dispute["balance_transactions"] = [*dispute["balance_transactions"], moved]

    @staticmethod
    def _net(dispute: JSON) -> int:
        return sum(moved["amount"] for moved in dispute["balance_transactions"])

    def _withdrawn(self, charge: JSON) -> bool:
        return any(self._net(dispute) < 0 for dispute in self.of("dispute", charge=charge["id"]))

    def _refunded(self, charge: JSON, amount: int) -> None:
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]

    def _move(self, amount: int, currency: str, kind: str, source: str, fee: int = 0) -> JSON:
        return self._new(
            "balance_transaction",
            "txn",
            amount=amount,
            available_on=self.now(),
            balance_type="payments",
            currency=currency,
            fee=fee,
            fee_details=[],
            net=amount - fee,
            reporting_category=kind,
            source=source,
            status="available",
            type=kind,
        )

    # --- Events

    def tell(self, happened: str, about: JSON) -> None:
        event = {
            "id": f"evt_{next(self._numbers):08}",
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(),
            "data": {"object": copy.deepcopy(about)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": self.request,
            "type": happened,
        }
        self.events.append(whole(event))

    def kept_events(self) -> list[JSON]:
        """Those of the last 30 days, newest first."""
        return [event for event in reversed(self.events) if event["created"] > self.now() - EVENTS_KEPT_S]

    def _new(self, kind: str, prefix: str, **fields: object) -> JSON:
        its_id = f"{prefix}_{next(self._numbers):08}"
        common = {"id": its_id, "object": kind, "created": self.now()}
        if kind not in {"refund", "balance_transaction"}:
            common["livemode"] = False
        self.objects[its_id] = whole(common | fields)
        return self.objects[its_id]


def thin(event: JSON) -> JSON | None:
    """The event without its object, which it names instead. None of an object that has no events of this kind."""
    about = event["data"]["object"]
    if about["object"] not in URLS:
        return None
    return {
        "id": f"{event['id']}_thin",
        "object": "v2.core.event",
        "type": f"v1.{event['type']}",
        "created": _iso(event["created"]),
        "livemode": False,
        "context": None,
        "snapshot_event": event["id"],
        "related_object": {
            "id": about["id"],
            "type": about["object"],
            "url": URLS[about["object"]] + about["id"],
        },
    }


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
