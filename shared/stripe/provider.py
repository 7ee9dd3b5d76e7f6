"""Stripe behind the port: payment intents of saved cards, created unconfirmed and then confirmed.

An intent is Stripe's payment with a state of its own::

    requires_confirmation ──► succeeded
        │  │  ▲ └─► requires_action (the bank asks the buyer) ──► succeeded, or:
        │  └─────► requires_payment_method (declined)
        └──────── each but succeeded ──► canceled, for ever

A declined intent could still be paid with another card by whoever has its client secret. So a decline is final only
once its intent is canceled, and `StripeProvider.give_up` alone says that it is.

What went back is read from the money, not from the statuses of disputes: Stripe adds statuses, and a lost dispute may
be won on appeal.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import stripe

from shared.config import ConfigurationError
from shared.ledger.errors import PaymentDeclinedError
from shared.ledger.purchases import PaymentSource
from shared.payments import Action, Charge, Heard, NoAnswerError, Payment, PaymentState
from shared.stripe.transport import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stripe.params import EventListParams, PaymentIntentConfirmParams, PaymentIntentCreateParams

API_VERSION = "2026-10-28.endive"
"""What the parameters and answers here are of. Events may have any other version: only ids and metadata are read."""
CARDS = "card"
"""The one kind of payment method, wallets included: a card is charged at once, others settle for days."""
EVENT_TYPES = (
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "payment_intent.requires_action",
    "payment_intent.processing",
    "charge.refunded",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
)
"""After which a payment may have to be looked at. Thin events of them have ``v1.`` before."""
EVENTS_A_PAGE = 100
CANCELED = "canceled"
NOT_PAID = frozenset({"requires_confirmation", "requires_payment_method", CANCELED})
UNEXPECTED_STATE = "payment_intent_unexpected_state"
MISSING = "resource_missing"
OF_THE_BUYER = ("customer", "payment_method", "amount")
"""Parameters that Stripe refuses because of this purchase, and not because of how the stack is set up."""
NOT_TO_BE_TOLD = frozenset({"fraudulent", "lost_card", "stolen_card", "merchant_blacklist", "pickup_card"})
"""Stripe asks not to tell these to the buyer, who may be a thief: docs.stripe.com/declines/codes."""
GENERIC_DECLINE = "generic_decline"
NOT_COMPLETED = "the payment was not completed"

Answer = TypeVar("Answer")

# Its lines have whole answers in them, with client secrets.
logging.getLogger("stripe").setLevel(logging.WARNING)
# Would write a file of its own, and send the times of earlier requests.
stripe.enable_telemetry = False


class ApiKey(Protocol):
    """Where the API key is kept."""

    def __call__(self, *, refused: str | None = None) -> str:
        """The key; read anew where the known one is ``refused``."""
        ...


class StripeProvider:
    """One a process. It makes one client a key, which keeps its connections.

    Args:
        api_key: Where the key is kept.
        app: Which ledger this is, among all that share the Stripe account. It is written into each intent.
        return_url: Where the bank sends the buyer back to; without, the page has to call Stripe's script.
        action_time: How long the buyer has to answer the bank.
        api_base: Where Stripe is, if not where it always is.
        transport: How to reach it.
    """

    sources: ClassVar[frozenset[PaymentSource]] = frozenset({PaymentSource.BILLING_METHOD})
    needs_payment_method: ClassVar[bool] = True

    def __init__(
        self,
        api_key: ApiKey,
        *,
        app: str,
        return_url: str | None = None,
        action_time: timedelta = timedelta(minutes=15),
        api_base: str | None = None,
        transport: stripe.HTTPClient | None = None,
    ) -> None:
        self._api_key = api_key
        self._app = app
        self._return_url = return_url
        self._action_time = action_time
        self._api_base = api_base or stripe.DEFAULT_API_BASE
        self._transport = transport or Urllib3Transport()

    def prepare(self, charge: Charge) -> str:
        """Create an intent that is not confirmed, and return its id.

        The key of the request makes a repeat return the same intent, for a day. Where the buyer's payment method has
        changed meanwhile it is another request, so another intent is made.

        Raises:
            PaymentDeclinedError: Stripe does not take this customer, payment method or amount.
            ConfigurationError
            NoAnswerError
        """
        params: PaymentIntentCreateParams = {
            "amount": charge.amount_cents,
            "currency": charge.currency.lower(),
            "allowed_payment_method_types": [CARDS],
            "metadata": {
                "account_id": charge.account_id,
                "purchase_id": charge.purchase_id,
                "attempt": str(charge.attempt),
                "app": self._app,
            },
        }
        if charge.customer:
            params["customer"] = charge.customer
        if charge.payment_method:
            params["payment_method"] = charge.payment_method
        with _answered():
            try:
                try:
                    key = f"{charge.charge_id}.create"
                    intent = self._ask(
                        lambda client: client.v1.payment_intents.create(params, {"idempotency_key": key})
                    )
                except stripe.IdempotencyError:
                    intent = self._ask(lambda client: client.v1.payment_intents.create(params))
            except stripe.InvalidRequestError as error:
                if error.param not in OF_THE_BUYER:
                    raise
                raise PaymentDeclinedError(_reason(error.user_message), purchase_id=charge.purchase_id) from None
        return intent.id

    def confirm(self, ref: str, charge: Charge, *, present: bool) -> Payment:
        """Confirm an intent, which charges it at most once, by its state. One that is declined has to be given up.

        Only where nobody is there to be asked it is off session: else a bank that wants to ask would have to decline.

        Raises:
            ConfigurationError
            NoAnswerError
        """
        params: PaymentIntentConfirmParams = {"expand": ["latest_charge"]}
        if not present:
            params["off_session"] = True
        elif self._return_url:
            params["return_url"] = self._return_url
        key = f"{charge.charge_id}.confirm"
        with _answered():
            try:
                intent = self._ask(
                    lambda client: client.v1.payment_intents.confirm(ref, params, {"idempotency_key": key})
                )
            except stripe.CardError as error:
                return _declined(error)
            except stripe.InvalidRequestError as error:
                if error.code == UNEXPECTED_STATE:
                    return self.look(ref, charge)
                if error.param not in OF_THE_BUYER:
                    raise
                return _declined(error)
            except stripe.IdempotencyError:  # confirmed before, by another kind of caller
                return self.look(ref, charge)
            return self.look(ref, charge) if _is_replay(intent) else self._payment(intent, charge)

    def look(self, ref: str, charge: Charge) -> Payment:
        """Declined too: what was not confirmed, or could be confirmed once more until it is given up.

        Raises:
            ConfigurationError
            NoAnswerError
        """
        with _answered():
            return self._payment(self._intent(ref), charge)

    def give_up(self, ref: str, charge: Charge) -> Payment:
        """Cancel an intent, unless it was paid or is being paid. Declined only where it is canceled.

        Raises:
            ConfigurationError
            NoAnswerError
        """
        with _answered():
            try:
                intent = self._ask(lambda client: client.v1.payment_intents.cancel(ref, {"expand": ["latest_charge"]}))
            except stripe.InvalidRequestError as error:
                if error.code != UNEXPECTED_STATE:
                    raise
                intent = self._intent(ref)
            payment = self._payment(intent, charge)
        if payment.state is PaymentState.DECLINED and intent.status != CANCELED:
            return Payment(PaymentState.IN_PROGRESS)  # it was being paid just now, and was declined since
        return payment

    def hear(self, event: Mapping[str, Any]) -> Heard | None:
        """Of thin events and of those with a snapshot, as they are sent or in the envelope of EventBridge.

        Raises:
            ConfigurationError
            NoAnswerError
        """
        event = event.get("detail") or event
        if str(event.get("type")).removeprefix("v1.") not in EVENT_TYPES:
            return None
        with _answered():
            related = event.get("related_object")
            if related:
                return self._heard(self._intent_of(related["type"], related["id"]))
            about = event["data"]["object"]
            if about["object"] == "payment_intent":
                return self._of_ours(about["id"], about["metadata"])
            return self._heard(self._intent(about["payment_intent"]) if about["payment_intent"] else None)

    def heard_since(self, cursor: str | None) -> tuple[list[Heard], str | None]:
        """A page of events after the one whose id is ``cursor``, oldest first; Stripe keeps them for 30 days.

        Where there is no cursor, or Stripe has forgotten it, the page of the oldest.

        Raises:
            ConfigurationError
            NoAnswerError
        """
        with _answered():
            page = self._events_after(cursor) if cursor else None
            if page is None:
                page = self._oldest_events()
            heard: dict[Heard, None] = {}
            for event in reversed(page):
                about = self.hear(event.to_dict())
                if about:
                    heard[about] = None
            return list(heard), page[0].id if page else cursor

    # --- What an intent says

    def _payment(self, intent: stripe.PaymentIntent, charge: Charge) -> Payment:
        if intent.status in NOT_PAID:
            return Payment(PaymentState.DECLINED, *_last_error(intent))
        if intent.status == "requires_action":
            return Payment(PaymentState.NEEDS_BUYER, action=self._action(intent))
        paid = intent.latest_charge if isinstance(intent.latest_charge, stripe.Charge) else None
        if intent.status != "succeeded" or paid is None:
            return Payment(PaymentState.IN_PROGRESS)
        if not _is_ours(intent, charge):
            return Payment(PaymentState.WRONG, taken_cents=intent.amount_received, provider_charge=paid.id)
        return self._charged(intent, paid)

    def _charged(self, intent: stripe.PaymentIntent, paid: stripe.Charge) -> Payment:
        disputes = self._disputes(intent.id) if paid.disputed else []
        returned = paid.amount_refunded + sum(_withdrawn(dispute, paid) for dispute in disputes)
        return Payment(
            PaymentState.CHARGED,
            taken_cents=intent.amount_received,
            returned_cents=min(returned, intent.amount_received),  # what was refunded may be disputed as well
            provider_charge=paid.id,
            receipt_url=paid.receipt_url,
            dispute=disputes[0].status if disputes else None,
        )

    def _action(self, intent: stripe.PaymentIntent) -> Action:
        page = intent.next_action and getattr(intent.next_action, "redirect_to_url", None)
        until = datetime.fromtimestamp(intent.created, UTC) + self._action_time
        return Action(page.url if page else None, intent.client_secret, until)

    # --- What an event is about

    def _intent_of(self, kind: str, its_id: str) -> stripe.PaymentIntent | None:
        """The intent of the object that a thin event names. None where it has none, as a charge without intent."""
        about: stripe.Charge | stripe.Refund | stripe.Dispute
        match kind:
            case "payment_intent":
                return self._intent(its_id)
            case "charge":
                about = self._ask(lambda client: client.v1.charges.retrieve(its_id, {"expand": ["payment_intent"]}))
            case "refund":
                about = self._ask(lambda client: client.v1.refunds.retrieve(its_id, {"expand": ["payment_intent"]}))
            case "dispute":
                about = self._ask(lambda client: client.v1.disputes.retrieve(its_id, {"expand": ["payment_intent"]}))
            case _:
                return None
        return about.payment_intent if isinstance(about.payment_intent, stripe.PaymentIntent) else None

    def _heard(self, intent: stripe.PaymentIntent | None) -> Heard | None:
        return self._of_ours(intent.id, intent.metadata.to_dict()) if intent else None

    def _of_ours(self, ref: str, metadata: Mapping[str, str]) -> Heard | None:
        if metadata.get("app") != self._app:
            return None
        return Heard(metadata["account_id"], metadata["purchase_id"], ref)

    # --- Asking

    def _intent(self, ref: str) -> stripe.PaymentIntent:
        return self._ask(lambda client: client.v1.payment_intents.retrieve(ref, {"expand": ["latest_charge"]}))

    def _disputes(self, ref: str) -> list[stripe.Dispute]:
        """Newest first."""
        return self._ask(lambda client: client.v1.disputes.list({"payment_intent": ref, "limit": 100})).data

    def _events_after(self, cursor: str) -> list[stripe.Event] | None:
        """Newest first, those that follow the cursor. None where the cursor is not known any more."""
        try:
            return self._events({"ending_before": cursor}).data
        except stripe.InvalidRequestError as error:
            if error.code != MISSING:
                raise
            return None

    def _oldest_events(self) -> list[stripe.Event]:
        """Stripe lists from the newest on alone, so this asks for all pages once."""
        page = self._events({})
        while page.has_more:
            page = self._events({"starting_after": page.data[-1].id})
        return page.data

    def _events(self, where: EventListParams) -> stripe.ListObject[stripe.Event]:
        params: EventListParams = {"types": list(EVENT_TYPES), "limit": EVENTS_A_PAGE, **where}
        return self._ask(lambda client: client.v1.events.list(params))

    def _ask(self, ask: Callable[[stripe.StripeClient], Answer]) -> Answer:
        """Asked once more where the key was replaced meanwhile: a refused key has done nothing."""
        key = self._api_key()
        try:
            return ask(self._client(key))
        except stripe.AuthenticationError:
            anew = self._api_key(refused=key)
            if anew == key:
                raise
            return ask(self._client(anew))

    def _client(self, key: str) -> stripe.StripeClient:
        """Cheap; what costs time, connections, is the transport's."""
        return stripe.StripeClient(
            key,
            stripe_version=API_VERSION,
            base_addresses={"api": self._api_base},
            max_network_retries=0,
            http_client=self._transport,
        )


@contextmanager
def _answered() -> Iterator[None]:
    """Stripe's errors as ours. The originals are not chained: they may have an answer with a client secret in them."""
    try:
        yield
    except (stripe.AuthenticationError, stripe.PermissionError, stripe.InvalidRequestError) as error:
        raise ConfigurationError(f"Stripe refuses a request: {_described(error)}") from None
    except stripe.StripeError as error:  # a conflict, too many requests, a failure of theirs, or no answer
        raise NoAnswerError(f"Stripe: {_described(error)}") from None


def _described(error: stripe.StripeError) -> str:
    known = {
        "status": error.http_status,
        "code": error.code,
        "param": getattr(error, "param", None),
        "request": error.request_id,
    }
    return " ".join([type(error).__name__, *(f"{name}={value}" for name, value in known.items() if value)])


def _is_replay(intent: stripe.PaymentIntent) -> bool:
    """Whether Stripe answered what it had answered before, to the same idempotency key."""
    answer = intent.last_response
    return answer is not None and answer.headers.get("idempotent-replayed") == "true"


def _is_ours(intent: stripe.PaymentIntent, charge: Charge) -> bool:
    """Whether what was paid is for the amount and the purchase that it was made for, and all of it was paid."""
    metadata = intent.metadata.to_dict()
    return (
        intent.amount == charge.amount_cents
        and intent.currency == charge.currency.lower()
        and metadata.get("account_id") == charge.account_id
        and metadata.get("purchase_id") == charge.purchase_id
        and intent.amount_received == charge.amount_cents
    )


def _withdrawn(dispute: stripe.Dispute, paid: stripe.Charge) -> int:
    """How much of a charge its dispute took back, by its balance transactions: nothing for an inquiry, or once won.

    Without fees. Where the balance is in another currency than the charge, all of the dispute or nothing.
    """
    balance = sum(transaction.amount for transaction in dispute.balance_transactions)
    if balance >= 0:
        return 0
    same = all(transaction.currency == paid.currency for transaction in dispute.balance_transactions)
    return -balance if same else dispute.amount


def _declined(error: stripe.CardError | stripe.InvalidRequestError) -> Payment:
    code = getattr(error.error, "decline_code", None) or error.code or ""
    return Payment(PaymentState.DECLINED, _reason(error.user_message), _tellable(code))


def _last_error(intent: stripe.PaymentIntent) -> tuple[str, str]:
    """Why the last attempt failed, and its code; of an error Stripe leaves out what does not apply."""
    error = intent.last_payment_error.to_dict() if intent.last_payment_error else {}
    return _reason(error.get("message")), _tellable(error.get("decline_code") or error.get("code") or "")


def _reason(message: str | None) -> str:
    """Stripe's sentence for the buyer, as part of one of ours."""
    return (message or NOT_COMPLETED).removesuffix(".")


def _tellable(code: str) -> str:
    return GENERIC_DECLINE if code in NOT_TO_BE_TOLD else code
