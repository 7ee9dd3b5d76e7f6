"""``POST /accounts/{account_id}/spends``: spend Connects on a proposal. For services."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from msgspec import Meta

from shared.aws.wiring import wiring
from shared.http.api import Router, answer
from shared.http.requests import Amount, Body, Id
from shared.ledger.jobs import Channel
from shared.ledger.model import Request
from shared.ledger.policy import MAX_AMOUNT
from shared.ledger.proposals import ProposalSent
from shared.services.proposals import spend_on_proposal
from shared.services.views import entry_view

app = Router()


class Reference(Body):
    type: Literal["proposal"]
    proposal_id: Id
    job_id: Id | None = None
    channel: Channel = Channel.SEARCH
    """How the proposal came about; all but ``search`` are free."""


class SpendBody(Body):
    """``amount`` may be left out where the job, and so its price, is known."""

    reference: Reference
    amount: Amount | None = None
    expected_price: Annotated[int, Meta(ge=0, le=MAX_AMOUNT)] | None = None


@app.route(
    "POST /accounts/{account_id}/spends",
    "spend",
    "Spend Connects on a proposal",
    who="service",
    answers={201: "Entry"},
    refuses=(
        "account_closed",
        "account_suspended",
        "account_frozen",
        "account_not_found",
        "insufficient_connects",
        "price_changed",
        "already_exists",
        "job_not_open",
    ),
    keyed_as="spend",
)
def spend(account_id: Id, body: SpendBody, request: Request) -> Response[str]:
    about = body.reference
    sent = ProposalSent(about.proposal_id, about.job_id, about.channel, body.amount, body.expected_price)
    outcome = spend_on_proposal(wiring().ledger, account_id, sent, request, deadline=app.deadline())
    return answer(entry_view(outcome.posted), 201, replayed=outcome.replayed)


handler = app.serve()
