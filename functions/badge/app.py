"""``PUT /accounts/{account_id}/badge``: switch the availability badge and say what a week may cost, for the account."""

from typing import Any, ClassVar

from aws_lambda_powertools.event_handler import Response

from shared.aws.wiring import wiring
from shared.http.api import Router, answer
from shared.http.callers import Caller
from shared.http.requests import Amount, Body, Id
from shared.services.badges import switch_badge
from shared.services.views import badge_view

app = Router()


class BadgeBody(Body):
    """Without ``max_per_week``, which only a badge that goes off may leave out, the one from before stays."""

    beyond_fields: ClassVar[dict[str, Any]] = {
        "if": {"properties": {"enabled": {"const": True}}, "required": ["enabled"]},
        "then": {"properties": {"max_per_week": {"type": "integer"}}, "required": ["max_per_week"]},
    }

    enabled: bool
    max_per_week: Amount | None = None


@app.route(
    "PUT /accounts/{account_id}/badge",
    "switch_badge",
    "Switch the availability badge on or off, and say what a week may cost; repeating it changes nothing",
    who="self",
    answers={200: "SwitchedBadge"},
    refuses=(
        "account_not_found",
        "account_closed",
        "account_suspended",
        "account_frozen",
        "price_changed",
        "insufficient_connects",
    ),
)
def switch(account_id: Id, body: BadgeBody, caller: Caller) -> Response[str]:
    switched = switch_badge(
        wiring().ledger,
        account_id,
        caller.actor,
        enabled=body.enabled,
        max_per_week=body.max_per_week,
        deadline=app.deadline(),
    )
    return answer({**badge_view(switched.badge), "price": switched.price})


handler = app.serve()
