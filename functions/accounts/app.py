"""Accounts: open, change plan and status (services), read and history (the account itself)."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from aws_lambda_powertools.event_handler import Response
from msgspec import UNSET, Meta, UnsetType, field

from shared.edge.about import about
from shared.edge.http import answer, caller, header, request_of, router, serve
from shared.edge.requests import Body, Id, Instant, Query
from shared.edge.wiring import deadline, wiring
from shared.ledger.commands import OpenAccount
from shared.ledger.errors import InvalidRequestError
from shared.ledger.model import EntryType, Kind, Plan, PlanNews, Status
from shared.services.accounts import OPENING, change_account, open_new_account
from shared.services.happened import happened_at
from shared.services.history import Asked, history_csv, read_history
from shared.services.views import account_view, entry_view

app = router()

CSV = "text/csv"
DEFAULT_DAYS = 30
INSTANT = "A date or a time in ISO 8601; UTC where it names no offset."
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Far before any entry, and far from where computing with times and sorting them as text ends."""


class OpenBody(Body):
    account_id: Id
    kind: Kind
    plan: Plan
    joined_on: date | None = None
    at: Annotated[Instant | None, Meta(description="When it was opened; now where it is left out.")] = None


class ChangeBody(Body):
    """The plan, the status, or both. A downgrade counts from the next cycle on, or at once if it is to."""

    beyond_fields: ClassVar[dict[str, Any]] = {
        "anyOf": [{"required": ["plan"]}, {"required": ["status"]}],
        "dependentRequired": {"effective": ["plan"]},
    }

    plan: Plan | UnsetType = UNSET
    effective: Annotated[Literal["now"], Meta(description="A downgrade for a failed payment.")] | UnsetType = UNSET
    status: Annotated[Status, Meta(description="`closed` is for ever.")] | UnsetType = UNSET
    at: Annotated[Instant, Meta(description="When it happened; now where it is left out.")] | UnsetType = UNSET


class HistoryQuery(Query):
    """What is not sent is unset: text that says null is text."""

    days: Annotated[Literal["7", "30", "90"], Meta(description="Not together with from or to.")] | UnsetType = UNSET
    since: Annotated[str, Meta(description=INSTANT)] | UnsetType = field(name="from", default=UNSET)
    until: Annotated[str, Meta(description=INSTANT)] | UnsetType = field(name="to", default=UNSET)
    entry_type: EntryType | UnsetType = field(name="type", default=UNSET)
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    cursor: Annotated[str, Meta(max_length=500)] | UnsetType = UNSET


@app.post(
    "/accounts",
    **about(
        "open_account",
        "Open an account, with what it gets for signing up and its first monthly Connects",
        who="service",
        answers={201: "Account"},
        refuses=("already_exists",),
        keyed=True,
    ),
)
def open_account(body: OpenBody) -> Response[str]:
    who = caller(app)
    who.require_service()
    request = request_of(app, OPENING, body, who.actor)
    ledger = wiring().ledger
    at = happened_at(body.at, ledger.clock.now(), "body.at")
    command = OpenAccount(body.account_id, body.kind, body.plan, body.joined_on, request, at)
    opened = open_new_account(ledger, command, deadline=deadline(app.lambda_context))
    return answer(dict(opened.account), 201, replayed=opened.replayed)


@app.get(
    "/accounts/<account_id>",
    **about(
        "read_account",
        "Balance, lots, what expires next, the cycle",
        who="self",
        answers={200: "Account"},
        refuses=("account_not_found",),
    ),
)
def read_account(account_id: Id) -> Response[str]:
    caller(app).require_account(account_id)
    ledger = wiring().ledger
    now = ledger.clock.now()
    return answer(account_view(ledger.view(account_id, now), now.date(), ledger.policy))


@app.patch(
    "/accounts/<account_id>",
    **about(
        "change_account",
        "Change the plan, the status, or both; an older change never undoes a newer one",
        who="service",
        answers={200: "Account"},
        refuses=("account_not_found", "account_closed"),
    ),
)
def change(account_id: Id, body: ChangeBody) -> Response[str]:
    who = caller(app)
    who.require_service()
    ledger = wiring().ledger
    account = change_account(
        ledger,
        account_id,
        who.actor,
        deadline=deadline(app.lambda_context),
        plan=_plan_news(body),
        status=body.status or None,
        at=happened_at(body.at, ledger.clock.now(), "body.at") if body.at else None,
    )
    return answer(account_view(account, ledger.clock.now().date(), ledger.policy))


def _plan_news(body: ChangeBody) -> PlanNews | None:
    if body.effective and not body.plan:
        raise InvalidRequestError("body.effective", "is how a plan changes, and there is none")
    if not body.plan:
        return None
    return PlanNews.BASIC_NOW if body.effective and body.plan is Plan.BASIC else PlanNews(body.plan.value)


@app.get(
    "/accounts/<account_id>/history",
    **about(
        "history",
        "The entries, newest first: the last 7, 30 (unless told) or 90 days, or [from, to)",
        who="self",
        answers={200: "History | text/csv"},
        refuses=("account_not_found",),
    ),
)
def history(account_id: Id, query: HistoryQuery) -> Response[str]:
    caller(app).require_account(account_id)
    ledger = wiring().ledger
    start, end = _range(ledger.clock.now(), query)
    cursor = None if query.cursor is UNSET else query.cursor
    asked = Asked(account_id, start, end, query.limit, query.entry_type or None, cursor)
    if CSV in (header(app, "Accept") or ""):
        text, rest = history_csv(ledger, asked)
        return Response(200, CSV, text, {"X-Next-Cursor": rest} if rest else {})
    entries, next_cursor = read_history(ledger, asked)
    return answer({"entries": [entry_view(entry) for entry in entries], "next_cursor": next_cursor})


def _range(now: datetime, query: HistoryQuery) -> tuple[datetime, datetime]:
    """[from, to): the last so many days up to now, or any range."""
    if query.days and (query.since or query.until):
        raise InvalidRequestError("query.days", "cannot go together with from or to")
    days = int(query.days or DEFAULT_DAYS)
    end = _instant("query.to", query.until) if query.until else now + timedelta(seconds=1)
    start = _instant("query.from", query.since) if query.since else end - timedelta(days)
    if start >= end:
        raise InvalidRequestError("query.from", "must lie before to")
    return start, end


def _instant(where: str, text: str) -> datetime:
    """A date or a time; UTC where it names no offset."""
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequestError(where, "must be a date or a time in ISO 8601") from None
    if found < EPOCH:
        raise InvalidRequestError(where, "must not lie before 1970")
    return found


handler = serve(app)
