"""``POST /accounts/{account_id}/purchases`` and ``GET .../{purchase_id}``. For the account itself, and services."""

from aws_lambda_powertools.event_handler import Response

from shared.aws.wiring import payment_gateway, wiring
from shared.http.api import Router, answer
from shared.http.requests import Amount, Body, Id, PromoCode
from shared.ledger.errors import InvalidRequestError
from shared.ledger.model import Request
from shared.ledger.promos import normalised_code
from shared.ledger.purchases import Order, PaymentSource, PurchaseState
from shared.payments import PaymentGateway
from shared.services.purchases import buy, read_purchase
from shared.services.views import purchase_view

app = Router()

STATUS = {PurchaseState.COMPLETED: 201, PurchaseState.PENDING: 202}


class Payment(Body):
    source: PaymentSource


class PurchaseBody(Body):
    quantity: Amount
    payment: Payment
    promo_code: PromoCode | None = None

    def __post_init__(self) -> None:
        if self.promo_code:
            self.promo_code = normalised_code(self.promo_code)


@app.route(
    "POST /accounts/{account_id}/purchases",
    "purchase",
    "Buy Connects; pending where the payment provider has not said yet what became of the charge",
    who="self",
    answers={201: "Purchase", 202: "Purchase"},
    refuses=(
        "payment_declined",
        "plan_required",
        "account_closed",
        "account_suspended",
        "account_frozen",
        "account_not_found",
        "promo_not_found",
        "promo_not_active",
        "promo_used",
        "promo_exhausted",
    ),
    keyed_as="purchase",
    headers=("X-Sandbox-Payment",),
)
def purchase(account_id: Id, body: PurchaseBody, request: Request) -> Response[str]:
    order = Order(body.quantity, body.payment.source, body.promo_code)
    bought = buy(wiring().ledger, _gateway(), account_id, order, request, deadline=app.deadline())
    return answer(purchase_view(bought), STATUS[bought.purchase.state], replayed=bought.replayed)


@app.route(
    "GET /accounts/{account_id}/purchases/{purchase_id}",
    "read_purchase",
    "What became of a purchase",
    who="self",
    answers={200: "Purchase"},
    refuses=("purchase_not_found",),
)
def read(account_id: Id, purchase_id: Id) -> Response[str]:
    return answer(purchase_view(read_purchase(wiring().ledger, account_id, purchase_id)))


def _gateway() -> PaymentGateway:
    try:
        return payment_gateway(app.header("X-Sandbox-Payment"))
    except ValueError as error:
        raise InvalidRequestError("header.X-Sandbox-Payment", str(error)) from error


handler = app.serve()
