"""``POST /accounts/{account_id}/boosts``: bid for one of a job's boosted places. For services."""

from aws_lambda_powertools.event_handler import Response

from shared.aws.wiring import deadline, wiring
from shared.http.api import answer, caller, request_of, router, serve
from shared.http.operations import operation
from shared.http.requests import Amount, Body, Id
from shared.ledger.holds import BOOST, BidSent
from shared.services.boosts import place_bid
from shared.services.views import boost_view

app = router()


class BoostBody(Body):
    """``bid`` is in Connects and in all: a higher one than before raises it."""

    job_id: Id
    proposal_id: Id
    bid: Amount


@app.post(
    "/accounts/<account_id>/boosts",
    **operation(
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
        keyed=True,
    ),
)
def boost(account_id: Id, body: BoostBody) -> Response[str]:
    who = caller(app)
    who.require_service()
    outcome = place_bid(
        wiring().ledger,
        account_id,
        BidSent(body.job_id, body.proposal_id, body.bid),
        request_of(app, BOOST, body, who.actor),
        deadline=deadline(app.lambda_context),
    )
    return answer(boost_view(outcome.posted), 201, replayed=outcome.replayed)


handler = serve(app)
