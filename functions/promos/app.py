"""``PUT /promos/{code}`` (staff) and ``POST /accounts/{account_id}/promo-redemptions`` (the account itself)."""

from datetime import UTC, datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, model_validator

from shared.edge.about import about
from shared.edge.http import (
    PROMO_CODE_SCHEMA,
    Amount,
    Body,
    PathId,
    PromoCode,
    answer,
    caller,
    request_of,
    router,
    serve,
)
from shared.edge.wiring import deadline, wiring
from shared.ledger.campaign import Campaign, normalised_code
from shared.services.promos import PROMO, put_campaign, redeem
from shared.services.views import campaign_view, entry_view

app = router()

MAX_REDEMPTIONS = 1_000_000_000
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text in ISO 8601")  # noqa: TRY004 - pydantic turns ValueError into a refusal
    return value


def _stored(at: datetime) -> datetime:
    """As it will be read back: in UTC and whole milliseconds. The same terms put again are the same."""
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


Instant = Annotated[AwareDatetime, BeforeValidator(_text), Field(ge=FIRST, lt=LAST), AfterValidator(_stored)]
PathCode = Annotated[str, AfterValidator(normalised_code), Path(json_schema_extra=PROMO_CODE_SCHEMA)]


class CampaignBody(Body):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_alias=True)

    connects: Amount
    max_redemptions: Annotated[int, Field(strict=True, ge=0, le=MAX_REDEMPTIONS)]
    starts_at: Annotated[Instant, Field(alias="from")]
    ends_at: Annotated[Instant, Field(alias="to")]

    @model_validator(mode="after")
    def in_order(self) -> "CampaignBody":
        if self.starts_at >= self.ends_at:
            raise ValueError("from must lie before to")
        return self


class RedemptionBody(Body):
    code: PromoCode


@app.put(
    "/promos/<code>",
    **about(
        "put_promo",
        "Create a campaign or change its terms",
        who="staff",
        answers={200: "Promo"},
    ),
)
def put(code: PathCode, body: CampaignBody) -> Response[str]:
    caller(app).require_staff()
    campaign, redeemed = put_campaign(
        wiring().ledger,
        Campaign(code, body.connects, body.max_redemptions, body.starts_at, body.ends_at),
        counters=wiring().settings.promo_counters,
        deadline=deadline(app.lambda_context),
    )
    return answer(campaign_view(campaign, redeemed))


@app.post(
    "/accounts/<account_id>/promo-redemptions",
    **about(
        "redeem_promo",
        "Redeem a promo code; once an account",
        who="self",
        answers={201: "Entry"},
        refuses=("account_not_found", "promo_not_found", "promo_not_active", "promo_used", "promo_exhausted"),
        keyed=True,
    ),
)
def redemption(account_id: PathId, body: RedemptionBody) -> Response[str]:
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


handler = serve(app)
