"""``PUT /accounts/{account_id}/badge``: switch the availability badge and say what a week may cost, for the account."""

from aws_lambda_powertools.event_handler import Response
from pydantic import StrictBool

from shared.edge.http import Amount, Body, PathId, answer, caller, router, serve
from shared.edge.wiring import deadline, wiring
from shared.services.badges import switch_badge
from shared.services.views import badge_view

app = router()


class BadgeBody(Body):
    enabled: StrictBool
    max_per_week: Amount | None = None


@app.put("/accounts/<account_id>/badge")
def switch(account_id: PathId, body: BadgeBody) -> Response[str]:
    who = caller(app)
    who.require_account(account_id)
    switched = switch_badge(
        wiring().ledger,
        account_id,
        who.actor,
        enabled=body.enabled,
        max_per_week=body.max_per_week,
        deadline=deadline(app.lambda_context),
    )
    return answer({**badge_view(switched.badge), "price": switched.price})


handler = serve(app)
