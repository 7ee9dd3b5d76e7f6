"""``POST /sandbox/clock``: move the product's clock and run what has fallen due. For staff, in a sandbox only."""

from datetime import timedelta
from typing import Any, ClassVar

from aws_lambda_powertools.event_handler import Response

from shared.aws.timing import next_deadline
from shared.aws.wiring import payment_provider, sandbox_clock, wiring
from shared.http.api import Router, answer
from shared.http.requests import Body, Instant
from shared.services.due_now import do_all_due
from shared.store.rows import instant

app = Router()


class ClockBody(Body):
    """One of the two: an instant, or how far to go from where the clock stands, like ``P31D`` or ``PT1H``."""

    beyond_fields: ClassVar[dict[str, Any]] = {
        "oneOf": [{"required": [one], "properties": {one: {"type": "string"}}} for one in ("now", "advance")]
    }

    now: Instant | None = None
    advance: timedelta | None = None

    def __post_init__(self) -> None:
        if (self.now is None) == (self.advance is None):
            raise ValueError("give either now or advance")


@app.route(
    "POST /sandbox/clock",
    "move_clock",
    "Move the product's clock and run what has fallen due. There only where Stage is sandbox",
    who="staff",
    answers={200: "Clock"},
)
def move_clock(body: ClockBody) -> Response[str]:
    ledger, clock = wiring().ledger, sandbox_clock(wiring().settings)
    now = clock.move_to(body.now) if body.now else clock.advance(body.advance or timedelta())
    done = do_all_due(ledger, payment_provider(), now, lambda: next_deadline(app.lambda_context))
    return answer(
        {
            "now": instant(now),
            "settled_accounts": done.settled,
            "told_accounts": done.notified,
            "reconciled_purchases": done.reconciled,
            "refunded_proposals": done.swept.proposals,
            "closed_auctions": done.swept.auctions,
            "renewed_badges": done.renewed,
        }
    )


handler = app.serve()
