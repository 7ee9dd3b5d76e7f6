"""``PUT /promos/{code}`` (staff) and ``POST /accounts/{account_id}/promo-redemptions`` (the account itself)."""

from datetime import UTC, datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from msgspec import Meta, field

from shared.aws.wiring import deadline, wiring
from shared.http.api import answer, caller, request_of, router, serve
from shared.http.operations import operation
from shared.http.requests import Amount, Body, Id, Instant, PromoCode, next_millisecond
from shared.ledger.errors import InvalidRequestError
from shared.ledger.promos import PROMO, Campaign, normalised_code
from shared.services.promos import put_campaign, redeem
from shared.services.views import campaign_view, entry_view

app = router()

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


@app.put(
    "/promos/<code>",
    **operation(
        "put_promo",
        "Create a campaign or change its terms",
        who="staff",
        answers={200: "Promo"},
    ),
)
def put(code: PromoCode, body: CampaignBody) -> Response[str]:
    caller(app).require_staff()
    starts_at, ends_at = _stored("body.from", body.starts_at), _stored("body.to", body.ends_at)
    campaign, redeemed = put_campaign(
        wiring().ledger,
        Campaign(normalised_code(code), body.connects, body.max_redemptions, starts_at, ends_at),
        counters=wiring().settings.promo_counters,
        deadline=deadline(app.lambda_context),
    )
    return answer(campaign_view(campaign, redeemed))


@app.post(
    "/accounts/<account_id>/promo-redemptions",
    **operation(
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
        keyed=True,
    ),
)
def redemption(account_id: Id, body: RedemptionBody) -> Response[str]:
    who = caller(app)
    who.require_account(account_id)
    outcome = redeem(
        wiring().ledger,
        account_id,
        body.code,
        request_of(app, PROMO, body, who.actor),
        deadline=deadline(app.lambda_context),
    )
    return answer(entry_view(outcome.posted), 201, replayed=outcome.replayed)


def _stored(where: str, at: datetime) -> datetime:
    """As it will be read back: in UTC and whole milliseconds. The same terms put again are the same."""
    if not FIRST <= at < LAST:
        raise InvalidRequestError(where, f"must lie between {FIRST:%Y} and {LAST:%Y}")
    return next_millisecond(at.astimezone(UTC))


handler = serve(app)
