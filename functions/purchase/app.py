"""``POST /accounts/{account_id}/purchases`` and ``GET .../{purchase_id}``. For the account itself, and services."""

from aws_lambda_powertools.event_handler import Response

from shared.aws.purchases import count_review
from shared.aws.wiring import payment_provider, wiring
from shared.http.api import Router, answer
from shared.http.callers import Caller
from shared.http.requests import Amount, Body, Id, PromoCode
from shared.ledger.errors import InvalidRequestError
from shared.ledger.model import Request
from shared.ledger.promos import normalised_code
from shared.ledger.purchases import Order, PaymentSource, PurchaseState
from shared.payments import PaymentProvider
from shared.services.purchases import buy, show_purchase
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
def purchase(account_id: Id, body: PurchaseBody, request: Request, caller: Caller) -> Response[str]:
    bought = buy(
        wiring().ledger,
        _provider(),
        account_id,
        Order(body.quantity, body.payment.source, body.promo_code),
        request,
        present=caller.is_owner_of(account_id),
        deadline=app.deadline(),
        seen=count_review,
    )
    return answer(purchase_view(bought), STATUS[bought.purchase.state], replayed=bought.replayed)


@app.route(
    "GET /accounts/{account_id}/purchases/{purchase_id}",
    "read_purchase",
    "What became of a purchase, and what its buyer has to do for it at present",
    who="self",
    answers={200: "Purchase"},
    refuses=("purchase_not_found",),
)
def read(account_id: Id, purchase_id: Id) -> Response[str]:
    return answer(purchase_view(show_purchase(wiring().ledger, payment_provider, account_id, purchase_id)))


def _provider() -> PaymentProvider:
    try:
        return payment_provider(app.header("X-Sandbox-Payment"))
    except ValueError as error:
        raise InvalidRequestError("header.X-Sandbox-Payment", str(error)) from error


handler = app.serve()
