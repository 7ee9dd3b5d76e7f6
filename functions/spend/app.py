"""``POST /accounts/{account_id}/spends``: spend Connects on a proposal. For services."""

from typing import Literal

from aws_lambda_powertools.event_handler import Response

from shared.edge.about import about
from shared.edge.http import Amount, Body, Id, PathId, answer, caller, request_of, router, serve
from shared.edge.wiring import deadline, wiring
from shared.services.spending import spend_on_proposal
from shared.services.views import entry_view

app = router()


class Proposal(Body):
    type: Literal["proposal"]
    proposal_id: Id
    job_id: Id


class SpendBody(Body):
    amount: Amount
    reference: Proposal
    expected_price: Amount | None = None


@app.post(
    "/accounts/<account_id>/spends",
    **about(
        "spend",
        "Spend Connects on a proposal",
        who="service",
        answers={201: "Entry"},
        refuses=("account_frozen", "account_not_found", "insufficient_connects", "price_changed"),
        keyed=True,
    ),
)
def spend(account_id: PathId, body: SpendBody) -> Response[str]:
    who = caller(app)
    who.require_service()
    outcome = spend_on_proposal(
        wiring().ledger,
        account_id,
        amount=body.amount,
        expected_price=body.expected_price,
        reference=body.reference.model_dump(),
        request=request_of(app, "spend", body, who.actor),
        deadline=deadline(app.lambda_context),
    )
    return answer(entry_view(outcome.posted), 201, replayed=outcome.replayed)


handler = serve(app)
