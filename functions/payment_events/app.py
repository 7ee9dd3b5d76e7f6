"""``POST /payments/webhook``. For the payment provider, which has no token and signs what it sends."""

from aws_lambda_powertools.event_handler import Response

from shared.aws.purchases import count_review, count_stray
from shared.aws.wiring import payment_provider, wiring
from shared.http.api import Router, answer
from shared.http.requests import Body
from shared.ledger.errors import PurchaseNotFoundError
from shared.services.purchase_payments import hear_event
from shared.services.purchases import settle_heard

app = Router()


class PaymentEvent(Body, forbid_unknown_fields=False):
    """What happened at the provider, in its own form: what else it has, the provider's adapter reads."""

    type: str


@app.route(
    "POST /payments/webhook",
    "payment_event",
    "Tell that something happened to a payment: the provider is asked what, and its purchase settled",
    who="provider",
    answers={200: "PaymentEventAnswer"},
)
def payment_event(body: PaymentEvent) -> Response[str]:  # noqa: ARG001 - it is checked, and then read whole
    """A repeat changes nothing more, so no key is needed. What is signed and of no interest here is answered 200 too.

    Otherwise a provider would send it again for days.
    """
    provider = payment_provider()
    heard = hear_event(provider, app.json_body())
    if heard is None:
        return answer({})
    try:
        purchase = settle_heard(wiring().ledger, provider, heard, deadline=app.deadline(), seen=count_review)
    except PurchaseNotFoundError:
        count_stray(heard)
        return answer({})
    return answer({"purchase_id": purchase.purchase_id, "status": purchase.state.value} if purchase else {})


handler = app.serve()
