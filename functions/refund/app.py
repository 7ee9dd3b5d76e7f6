"""``POST /accounts/{account_id}/spends/{spend_id}/refund``: give one spend back. For services."""

from typing import Literal

from aws_lambda_powertools.event_handler import Response

from shared.aws.wiring import deadline, wiring
from shared.http.api import answer, caller, request_of, router, serve
from shared.http.operations import operation
from shared.http.requests import Body, Id
from shared.services.proposals import refund_spend
from shared.services.views import entry_view

app = router()


class RefundBody(Body):
    reason: Literal["job_canceled", "job_removed", "fraud", "job_expired", "job_filled", "not_chosen", "withdrawn"]


@app.post(
    "/accounts/<account_id>/spends/<spend_id>/refund",
    **operation(
        "refund",
        "Give one spend back, to its lots",
        who="service",
        answers={201: "Entry"},
        refuses=("account_not_found", "spend_not_found", "already_refunded", "not_refundable"),
        keyed=True,
    ),
)
def refund(account_id: Id, spend_id: Id, body: RefundBody) -> Response[str]:
    who = caller(app)
    who.require_service()
    outcome = refund_spend(
        wiring().ledger,
        account_id,
        spend_id,
        reason=body.reason,
        request=request_of(app, "refund", body, who.actor, spend_id=spend_id),
        deadline=deadline(app.lambda_context),
    )
    return answer(entry_view(outcome.posted), 201, replayed=outcome.replayed)


handler = serve(app)
