"""``/accounts/{account_id}/purchases``: buy, list and read. For the account itself, and services."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from msgspec import UNSET, Meta, UnsetType

from shared.aws.purchases import count_review
from shared.aws.wiring import payment_provider, wiring
from shared.http.api import Router, answer
from shared.http.callers import Caller
from shared.http.requests import Amount, Body, Id, PromoCode, Query
from shared.ledger.errors import InvalidRequestError
from shared.ledger.model import Request
from shared.ledger.promos import normalised_code
from shared.ledger.purchases import Order, PaymentSource, PurchaseState
from shared.payments import PaymentProvider
from shared.services.purchase_list import PurchaseQuery, list_purchases
from shared.services.purchases import buy, check_purchase, show_purchase
from shared.services.views import check_view, purchase_view, purchases_view

app = Router()

CURSOR = "Where a page of the same query ended. It is good whenever it is used, with any `limit`."
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


class PurchasesQuery(Query):
    """A parameter that is not sent is UNSET, as in a history."""

    status: Annotated[PurchaseState, Meta(description="In this state alone.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    cursor: Annotated[str, Meta(max_length=500, description=CURSOR)] | UnsetType = UNSET


@app.route(
    "POST /accounts/{account_id}/purchases",
    "purchase",
    "Buy Connects; pending where the payment provider has not said yet what became of the charge",
    who="self",
    answers={201: "Purchase", 202: "Purchase"},
    refuses=(
        "payment_declined",
        "plan_required",
        "billing_method_missing",
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


@app.route(
    "GET /accounts/{account_id}/purchases",
    "purchases",
    "The purchases of an account, newest first",
    who="self",
    answers={200: "PurchaseList"},
    refuses=("account_not_found",),
)
def purchases(account_id: Id, query: PurchasesQuery) -> Response[str]:
    cursor = None if query.cursor is UNSET else query.cursor
    asked = PurchaseQuery(account_id, query.limit, query.status or None, cursor)
    return answer(purchases_view(list_purchases(wiring().ledger, asked)))


@app.route(
    "POST /accounts/{account_id}/purchases/{purchase_id}/check",
    "check_purchase",
    "Ask the payment provider what became of a purchase now, act on it, and show both sides",
    who="staff",
    answers={200: "PurchaseCheck"},
    refuses=("purchase_not_found",),
)
def check(account_id: Id, purchase_id: Id) -> Response[str]:
    """A repeat finds nothing more to do, so no key is needed."""
    provider = payment_provider()
    checked = check_purchase(
        wiring().ledger, provider, account_id, purchase_id, deadline=app.deadline(), seen=count_review
    )
    return answer(check_view(checked))


def _provider() -> PaymentProvider:
    try:
        return payment_provider(app.header("X-Sandbox-Payment"))
    except ValueError as error:
        raise InvalidRequestError("header.X-Sandbox-Payment", str(error)) from error


handler = app.serve()
