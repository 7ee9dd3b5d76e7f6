"""``POST /accounts/{account_id}/spends/{spend_id}/refund``: refund one spend. For services."""

from typing import Literal

from aws_lambda_powertools.event_handler import Response

from shared.aws.wiring import wiring
from shared.http.api import Router, answer
from shared.http.requests import Body, Id
from shared.ledger.model import Request
from shared.services.proposals import refund_spend
from shared.services.views import entry_view

app = Router()


class RefundBody(Body):
    reason: Literal["job_canceled", "job_removed", "fraud", "job_expired", "job_filled", "not_chosen", "withdrawn"]


@app.route(
    "POST /accounts/{account_id}/spends/{spend_id}/refund",
    "refund",
    "Give one spend back, to its lots",
    who="service",
    answers={201: "Entry"},
    refuses=("account_not_found", "spend_not_found", "already_refunded", "not_refundable"),
    keyed_as="refund",
)
def refund(account_id: Id, spend_id: Id, body: RefundBody, request: Request) -> Response[str]:
    ledger, until = wiring().ledger, app.deadline()
    outcome = refund_spend(ledger, account_id, spend_id, reason=body.reason, request=request, deadline=until)
    return answer(entry_view(outcome.posted), 201, replayed=outcome.replayed)


handler = app.serve()
