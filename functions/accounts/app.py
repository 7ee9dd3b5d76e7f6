"""Accounts: open, change plan, status and payment method (services), read and history (the account itself)."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from aws_lambda_powertools.event_handler import Response
from msgspec import UNSET, Meta, UnsetType, field

from shared.aws.wiring import wiring
from shared.http.accept import preferred
from shared.http.api import Router, answer, event_time
from shared.http.callers import Caller
from shared.http.requests import JSON, Body, Id, Instant, ProviderId, Query, next_millisecond
from shared.ledger.accounts import OpenAccount
from shared.ledger.errors import InvalidRequestError
from shared.ledger.model import EntryType, Kind, Plan, PlanChange, Request, Status
from shared.services.accounts import OPENING, change_account, open_new_account
from shared.services.billing import set_billing_method
from shared.services.history import EntryQuery, history_csv, history_json
from shared.services.views import account_view, billing_view

app = Router()

CSV = "text/csv"
FORMS = (JSON, f"{CSV}; charset=utf-8; header=present")
"""The media types of a history, each with its parameters; JSON where a caller has no preference."""
DEFAULT_DAYS = 30
INSTANT = "A date or a time in ISO 8601; UTC where it names no offset."
LIMIT = "Of entries in a page of JSON; it may hold less and not be the last."
CURSOR = "Where a page of the same query ended. It is good whenever it is used, with any `limit`, for JSON and CSV."
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""Limits of a range: far from any entry, and from where times can no longer be computed or sorted as text."""
MICROSECOND = timedelta(microseconds=1)
BELOW_A_MICROSECOND = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]")
"""Digits that `datetime.fromisoformat` cuts off."""


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


class BillingMethodBody(Body):
    """A payment method that the account's owner saved at the provider."""

    provider: Literal["stripe"]
    customer: ProviderId
    payment_method: ProviderId


class HistoryQuery(Query):
    """A parameter that is not sent is UNSET. If it could be None, msgspec would read the text ``null`` as that."""

    days: Annotated[Literal["7", "30", "90"], Meta(description="Not together with from or to.")] | UnsetType = UNSET
    since: Annotated[str, Meta(description=INSTANT)] | UnsetType = field(name="from", default=UNSET)
    until: Annotated[str, Meta(description=INSTANT)] | UnsetType = field(name="to", default=UNSET)
    entry_type: EntryType | UnsetType = field(name="type", default=UNSET)
    limit: Annotated[int, Meta(ge=1, le=100, description=LIMIT)] = 50
    cursor: Annotated[str, Meta(max_length=500, description=CURSOR)] | UnsetType = UNSET


@app.route(
    "POST /accounts",
    "open_account",
    "Open an account, with what it gets for signing up and its first monthly Connects",
    who="service",
    answers={201: "Account"},
    refuses=("already_exists",),
    keyed_as=OPENING,
)
def open_account(body: OpenBody, request: Request) -> Response[str]:
    command = OpenAccount(body.account_id, body.kind, body.plan, body.joined_on, request, event_time(body.at))
    opened = open_new_account(wiring().ledger, command, deadline=app.deadline())
    return answer(dict(opened.account), 201, replayed=opened.replayed)


@app.route(
    "GET /accounts/{account_id}",
    "read_account",
    "Balance, lots, what expires next, the cycle",
    who="self",
    answers={200: "Account"},
    refuses=("account_not_found",),
)
def read_account(account_id: Id) -> Response[str]:
    ledger = wiring().ledger
    now = ledger.clock.now()
    return answer(account_view(ledger.view(account_id, now), now.date(), ledger.policy))


@app.route(
    "PATCH /accounts/{account_id}",
    "change_account",
    "Change the plan, the status, or both; an older change never undoes a newer one",
    who="service",
    answers={200: "Account"},
    refuses=("account_not_found", "account_closed"),
)
def change(account_id: Id, body: ChangeBody, caller: Caller) -> Response[str]:
    ledger = wiring().ledger
    account = change_account(
        ledger,
        account_id,
        caller.actor,
        deadline=app.deadline(),
        plan=_plan_news(body),
        status=body.status or None,
        at=event_time(body.at) if body.at else None,
    )
    return answer(account_view(account, ledger.clock.now().date(), ledger.policy))


def _plan_news(body: ChangeBody) -> PlanChange | None:
    if body.effective and not body.plan:
        raise InvalidRequestError("body.effective", "is how a plan changes, and there is none")
    if not body.plan:
        return None
    return PlanChange.to(body.plan, at_once=bool(body.effective))


@app.route(
    "PUT /accounts/{account_id}/billing-method",
    "put_billing_method",
    "Say with which saved payment method an account pays from now on; repeating it changes nothing",
    who="service",
    answers={200: "BillingMethod"},
    refuses=("account_not_found", "account_closed"),
)
def put_billing_method(account_id: Id, body: BillingMethodBody) -> Response[str]:
    method = set_billing_method(
        wiring().ledger,
        account_id,
        provider=body.provider,
        customer=body.customer,
        payment_method=body.payment_method,
        deadline=app.deadline(),
    )
    return answer(billing_view(method))


@app.route(
    "GET /accounts/{account_id}/history",
    "history",
    "The entries, newest first: the last 7, 30 (unless told) or 90 days, or [from, to); CSV if `Accept` prefers it",
    who="self",
    answers={200: "History | text/csv"},
    refuses=("account_not_found",),
)
def history(account_id: Id, query: HistoryQuery) -> Response[str]:
    asked, by = _asked(account_id, query), app.deadline()
    if preferred(app.header("Accept"), FORMS) == FORMS[1]:
        text, rest = history_csv(wiring().ledger, asked, deadline=by)
        return Response(200, CSV, text, {"Vary": "Accept", **({"X-Next-Cursor": rest} if rest else {})})
    return Response(200, JSON, history_json(wiring().ledger, asked, deadline=by), {"Vary": "Accept"})


def _asked(account_id: str, query: HistoryQuery) -> EntryQuery:
    if query.days and (query.since or query.until):
        raise InvalidRequestError("query.days", "cannot go together with from or to")
    since = _instant("query.from", query.since) if query.since else None
    until = _instant("query.to", query.until) if query.until else None
    if since and until and since >= until:
        raise InvalidRequestError("query.from", "must lie before to")
    # Entries have whole milliseconds: a range that begins or ends between two of them does so at the later one.
    since, until = since and next_millisecond(since), until and next_millisecond(until)
    cursor = None if query.cursor is UNSET else query.cursor
    return EntryQuery(
        account_id, query.limit, int(query.days or DEFAULT_DAYS), since, until, query.entry_type or None, cursor
    )


def _instant(where: str, text: str) -> datetime:
    """A date or a time, to the microsecond or the next one; UTC where it names no offset."""
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequestError(where, "must be a date or a time in ISO 8601") from None
    if not FIRST <= found <= LAST:
        raise InvalidRequestError(where, f"must lie between {FIRST:%Y} and {LAST:%Y}")
    return found + MICROSECOND if BELOW_A_MICROSECOND.search(text) else found


handler = app.serve()
