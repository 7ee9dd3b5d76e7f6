"""``POST /accounts/{account_id}/purchases`` and ``GET .../{purchase_id}``. For the account itself, and services."""

from aws_lambda_powertools.event_handler import Response

from shared.aws.wiring import deadline, payment_gateway, wiring
from shared.http.api import answer, caller, header, request_of, router, serve
from shared.http.operations import operation
from shared.http.requests import Amount, Body, Id, PromoCode
from shared.ledger.errors import InvalidRequestError
from shared.ledger.promos import normalised_code
from shared.ledger.purchases import Order, PaymentSource, PurchaseState
from shared.payments import PaymentGateway
from shared.services.purchases import buy, read_purchase
from shared.services.views import purchase_view

app = router()

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


@app.post(
    "/accounts/<account_id>/purchases",
    **operation(
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
        keyed=True,
        headers=("X-Sandbox-Payment",),
    ),
)
def purchase(account_id: Id, body: PurchaseBody) -> Response[str]:
    who = caller(app)
    who.require_account(account_id)
    bought = buy(
        wiring().ledger,
        _gateway(),
        account_id,
        Order(body.quantity, body.payment.source, body.promo_code),
        request_of(app, "purchase", body, who.actor),
        deadline=deadline(app.lambda_context),
    )
    view = purchase_view(bought)
    return answer(view, STATUS[bought.purchase.state], replayed=bought.replayed)


@app.get(
    "/accounts/<account_id>/purchases/<purchase_id>",
    **operation(
        "read_purchase",
        "What became of a purchase",
        who="self",
        answers={200: "Purchase"},
        refuses=("purchase_not_found",),
    ),
)
def read(account_id: Id, purchase_id: Id) -> Response[str]:
    caller(app).require_account(account_id)
    bought = read_purchase(wiring().ledger, account_id, purchase_id)
    return answer(purchase_view(bought))


def _gateway() -> PaymentGateway:
    try:
        return payment_gateway(header(app, "X-Sandbox-Payment"))
    except ValueError as error:
        raise InvalidRequestError("header.X-Sandbox-Payment", str(error)) from error


handler = serve(app)
