"""``POST /accounts/{account_id}/rewards`` (services) and ``POST /accounts/{account_id}/adjustments`` (staff)."""

from typing import Annotated, Any, ClassVar, Literal

from aws_lambda_powertools.event_handler import Response
from msgspec import Meta, field

from shared.aws.wiring import deadline, wiring
from shared.http.api import answer, caller, request_of, router, serve
from shared.http.operations import operation
from shared.http.requests import Body, Id, Instant
from shared.ledger.errors import InvalidRequestError
from shared.ledger.event_times import happened_at
from shared.ledger.model import Entry, Request
from shared.ledger.policy import MAX_AMOUNT
from shared.services.rewards import adjust, reward_certification, reward_interview, reward_rising_talent
from shared.services.views import entry_view

app = router()


class Reference(Body):
    """What the reward is for: the spend whose proposal won an interview, or the certificate."""

    spend_id: Id | None = None
    certificate: Id | None = None


def _needs(what: str) -> dict[str, Any]:
    return {
        "required": ["reference"],
        "properties": {"reference": {"properties": {what: {"type": "string"}}, "required": [what]}},
    }


class RewardBody(Body):
    """``at`` is when it happened, at most five minutes ahead; now where it is left out."""

    beyond_fields: ClassVar[dict[str, Any]] = {
        "allOf": [
            {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": _needs(what)}
            for kind, what in (("interview", "spend_id"), ("certification", "certificate"))
        ]
    }

    kind: Literal["rising_talent", "interview", "certification"]
    reference: Reference = field(default_factory=Reference)
    at: Instant | None = None


class AdjustmentBody(Body):
    amount: Annotated[int, Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT, extra_json_schema={"not": {"const": 0}})]
    reason: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]


@app.post(
    "/accounts/<account_id>/rewards",
    **operation(
        "reward",
        "Rising Talent, an interview or a certificate; each once",
        who="service",
        answers={201: "Entries"},
        refuses=(
            "account_not_found",
            "spend_not_found",
            "already_refunded",
            "already_awarded",
            "reward_cap_reached",
            "not_refundable",
            "account_closed",
        ),
        keyed=True,
    ),
)
def reward(account_id: Id, body: RewardBody) -> Response[str]:
    who = caller(app)
    who.require_service()
    request = request_of(app, "reward", body, who.actor)
    entries, replayed = _reward(account_id, body, request)
    return answer({"entries": [entry_view(entry) for entry in entries]}, 201, replayed=replayed)


@app.post(
    "/accounts/<account_id>/adjustments",
    **operation(
        "adjustment",
        "Give or take Connects, for a reason",
        who="staff",
        answers={201: "Entry"},
        refuses=("account_not_found", "account_closed", "insufficient_connects"),
        keyed=True,
    ),
)
def adjustment(account_id: Id, body: AdjustmentBody) -> Response[str]:
    who = caller(app)
    who.require_staff()
    if not body.amount:
        raise InvalidRequestError("body.amount", "must not be 0")
    outcome = adjust(
        wiring().ledger,
        account_id,
        amount=body.amount,
        reason=body.reason,
        request=request_of(app, "adjustment", body, who.actor),
        deadline=deadline(app.lambda_context),
    )
    return answer(entry_view(outcome.posted), 201, replayed=outcome.replayed)


def _reward(account_id: str, body: RewardBody, request: Request) -> tuple[list[Entry], bool]:
    ledger, until = wiring().ledger, deadline(app.lambda_context)
    at = body.at and happened_at(body.at, ledger.clock.now(), "body.at")
    match body:
        case RewardBody(kind="interview", reference=Reference(spend_id=str(spend_id))):
            return reward_interview(ledger, account_id, spend_id, request, deadline=until, at=at)
        case RewardBody(kind="certification", reference=Reference(certificate=str(certificate))):
            outcome = reward_certification(ledger, account_id, certificate, request, deadline=until, at=at)
        case RewardBody(kind="rising_talent"):
            outcome = reward_rising_talent(ledger, account_id, request, deadline=until, at=at)
        case RewardBody(kind="interview"):
            raise InvalidRequestError("body.reference.spend_id", "is required for an interview")
        case _:
            raise InvalidRequestError("body.reference.certificate", "is required for a certification")
    return [outcome.posted], outcome.replayed


handler = serve(app)
