"""``POST /payments/webhook``. For the payment provider, which has no token and signs what it sends."""

from aws_lambda_powertools.event_handler import Response

from shared.aws.wiring import payment_gateway, wiring
from shared.http.api import Router, answer
from shared.http.requests import Body, Id
from shared.ledger.errors import InvalidRequestError
from shared.services.purchases import look_at_charge

app = Router()

OF_A_CHARGE = "charge."


class PaymentEvent(Body, forbid_unknown_fields=False):
    """What happened to a charge, where ``type`` begins with ``charge.``; other events are of no interest here.

    A provider adds types and fields as it likes.
    """

    type: str
    account_id: Id | None = None
    charge_id: Id | None = None


@app.route(
    "POST /payments/webhook",
    "payment_event",
    "Tell that something happened to a charge: the provider is asked what, and its purchase settled",
    who="provider",
    answers={200: "PaymentEventAnswer"},
    refuses=("purchase_not_found",),
)
def payment_event(body: PaymentEvent) -> Response[str]:
    """A repeat changes nothing more, so no key is needed."""
    if not body.type.startswith(OF_A_CHARGE):
        return answer({})
    if not body.account_id or not body.charge_id:
        raise InvalidRequestError("body", "an event of a charge has an account_id and a charge_id")
    ledger, gateway = wiring().ledger, payment_gateway()
    purchase = look_at_charge(ledger, gateway, body.account_id, body.charge_id, deadline=app.deadline())
    return answer({"purchase_id": purchase.purchase_id, "status": purchase.state.value})


handler = app.serve()
