"""``POST /sandbox/clock``: move the product's clock and run what has fallen due. For staff, in a sandbox only."""

from datetime import timedelta
from itertools import chain
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, model_validator

from shared.edge.about import about
from shared.edge.http import Body, answer, caller, router, serve
from shared.edge.wiring import deadline, payment_gateway, sandbox_clock, wiring
from shared.sandbox.clock import MAX_AHEAD
from shared.services.due import settle_accounts
from shared.services.purchasing import reconcile
from shared.store.rows import instant

app = router()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text in ISO 8601")  # noqa: TRY004 - pydantic turns ValueError into a refusal
    return value


class ClockBody(Body):
    """One of the two: an instant, or how far to go from where the clock stands, like ``P31D`` or ``PT1H``."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "oneOf": [{"required": [one], "properties": {one: {"type": "string"}}} for one in ("now", "advance")]
        },
    )

    now: Annotated[AwareDatetime, BeforeValidator(_text)] | None = None
    advance: Annotated[timedelta, BeforeValidator(_text), Field(le=MAX_AHEAD)] | None = None

    @model_validator(mode="after")
    def one_of_both(self) -> "ClockBody":
        if (self.now is None) == (self.advance is None):
            raise ValueError("give either now or advance")
        return self


@app.post(
    "/sandbox/clock",
    **about(
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
    purchases = list(ledger.table.due_purchases(now))
    settled = settle_accounts(ledger, accounts, until)
    reconciled = reconcile(ledger, payment_gateway(), purchases, until)
    return answer({"now": instant(now), "settled_accounts": settled, "reconciled_purchases": reconciled})


def until() -> float:
    return deadline(app.lambda_context)


handler = serve(app)
