"""``POST /accounts/{account_id}/boosts``: bid for one of a job's boosted places. For services."""

from aws_lambda_powertools.event_handler import Response

from shared.aws.wiring import wiring
from shared.http.api import Router, answer
from shared.http.requests import Amount, Body, Id
from shared.ledger.holds import BOOST, BidSent
from shared.ledger.model import Request
from shared.services.boosts import place_bid
from shared.services.views import boost_view

app = Router()


class BoostBody(Body):
    """``bid`` is in Connects and in all: a higher one than before raises it."""

    job_id: Id
    proposal_id: Id
    bid: Amount


@app.route(
    "POST /accounts/{account_id}/boosts",
    "boost",
    "Bid for one of the boosted places on a job, or raise the bid; it is held until the auction decides",
    who="service",
    answers={201: "Boost"},
    refuses=(
        "account_closed",
        "account_suspended",
        "account_frozen",
        "account_not_found",
        "job_not_found",
        "insufficient_connects",
        "auction_closed",
        "bid_too_low",
    ),
    keyed_as=BOOST,
)
def boost(account_id: Id, body: BoostBody, request: Request) -> Response[str]:
    sent = BidSent(body.job_id, body.proposal_id, body.bid)
    outcome = place_bid(wiring().ledger, account_id, sent, request, deadline=app.deadline())
    return answer(boost_view(outcome.posted), 201, replayed=outcome.replayed)


handler = app.serve()
