"""``POST /sandbox/clock``: move the product's clock and run what has fallen due. For staff, in a sandbox only."""

import json
from collections.abc import Iterable
from datetime import timedelta
from itertools import chain
from typing import Any, ClassVar

from aws_lambda_powertools.event_handler import Response

from shared.aws.timing import next_deadline
from shared.aws.wiring import payment_gateway, sandbox_clock, wiring
from shared.http.api import answer, caller, router, serve
from shared.http.operations import operation
from shared.http.requests import Body, Instant
from shared.ledger.expiry_notices import NotifyExpiring
from shared.services.badges import renew_badges, set_price
from shared.services.due import settle_accounts
from shared.services.due_dates import day_to_look_until
from shared.services.job_sweep import handle_message, sweep
from shared.services.purchases import reconcile
from shared.store.jobs import Jobs
from shared.store.purchases import Purchases
from shared.store.rows import instant

app = router()

TELL = NotifyExpiring()


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


@app.post(
    "/sandbox/clock",
    **operation(
        "move_clock",
        "Move the product's clock and run what has fallen due. There only where Stage is sandbox",
        who="staff",
        answers={200: "Clock"},
    ),
)
def move_clock(body: ClockBody) -> Response[str]:
    caller(app).require_staff()
    ledger, clock = wiring().ledger, sandbox_clock(wiring().settings)
    now = clock.move_to(body.now) if body.now else clock.advance(body.advance or timedelta())
    due = chain(ledger.table.due_expiries(now.date()), ledger.table.due_grants(now.date()))
    accounts = sorted({found.account_id for found in due})
    purchases = list(Purchases(ledger.table).due(now))
    badges = [found.account_id for found in ledger.table.due_badges(now)]
    jobs = [found.job_id for found in Jobs(ledger.table).due(now)]
    settled = settle_accounts(ledger, accounts, until)
    with day_to_look_until(ledger, now.date()) as day:
        told = settle_accounts(ledger, [found.account_id for found in ledger.table.due_notices(day)], until, TELL)
    reconciled = reconcile(ledger, payment_gateway(), purchases, until)
    swept = sweep(ledger, jobs, AtOnce(), until)
    set_price(ledger, until)
    renewed = renew_badges(ledger, badges, until)
    return answer(
        {
            "now": instant(now),
            "settled_accounts": settled,
            "told_accounts": told,
            "reconciled_purchases": reconciled,
            "refunded_proposals": swept.proposals,
            "closed_auctions": swept.auctions,
            "renewed_badges": renewed,
        }
    )


class AtOnce:
    """In the place of the queue: does what a message asks for as it is sent."""

    def send(self, bodies: Iterable[str]) -> None:
        for body in bodies:
            handle_message(wiring().ledger, json.loads(body), self, until)


def until() -> float:
    return next_deadline(app.lambda_context)


handler = serve(app)
