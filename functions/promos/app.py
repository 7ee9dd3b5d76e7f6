"""``PUT /promos/{code}`` (staff) and ``POST /accounts/{account_id}/promo-redemptions`` (the account itself)."""

from datetime import UTC, datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from msgspec import Meta, field

from shared.aws.wiring import wiring
from shared.http.api import Router, answer
from shared.http.requests import Amount, Body, Id, Instant, PromoCode, next_millisecond
from shared.ledger.errors import InvalidRequestError
from shared.ledger.model import Request
from shared.ledger.promos import PROMO, Campaign, normalised_code
from shared.services.promos import put_campaign, redeem
from shared.services.views import campaign_view, entry_view

app = Router()

MAX_REDEMPTIONS = 1_000_000_000
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class CampaignBody(Body):
    connects: Amount
    max_redemptions: Annotated[int, Meta(ge=0, le=MAX_REDEMPTIONS)]
    starts_at: Instant = field(name="from")
    ends_at: Instant = field(name="to")


class RedemptionBody(Body):
    code: PromoCode

    def __post_init__(self) -> None:
        self.code = normalised_code(self.code)


@app.route(
    "PUT /promos/{code}",
    "put_promo",
    "Create a campaign or change its terms",
    who="staff",
    answers={200: "Promo"},
)
def put(code: PromoCode, body: CampaignBody) -> Response[str]:
    starts_at, ends_at = _stored("body.from", body.starts_at), _stored("body.to", body.ends_at)
    campaign, redeemed = put_campaign(
        wiring().ledger,
        Campaign(normalised_code(code), body.connects, body.max_redemptions, starts_at, ends_at),
        counters=wiring().settings.promo_counters,
        deadline=app.deadline(),
    )
    return answer(campaign_view(campaign, redeemed))


@app.route(
    "POST /accounts/{account_id}/promo-redemptions",
    "redeem_promo",
    "Redeem a promo code; once an account",
    who="self",
    answers={201: "Entry"},
    refuses=(
        "account_not_found",
        "account_closed",
        "account_suspended",
        "promo_not_found",
        "promo_not_active",
        "promo_used",
        "promo_exhausted",
    ),
    keyed_as=PROMO,
)
def redemption(account_id: Id, body: RedemptionBody, request: Request) -> Response[str]:
    outcome = redeem(wiring().ledger, account_id, body.code, request, deadline=app.deadline())
    return answer(entry_view(outcome.posted), 201, replayed=outcome.replayed)


def _stored(where: str, at: datetime) -> datetime:
    """The time as it is stored, in UTC and whole milliseconds, so that the same terms put again are equal."""
    if not FIRST <= at < LAST:
        raise InvalidRequestError(where, f"must lie between {FIRST:%Y} and {LAST:%Y}")
    return next_millisecond(at.astimezone(UTC))


handler = app.serve()
