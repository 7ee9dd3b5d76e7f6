"""The bodies that calls answer with, as the document tells them. The tests hold every answer against these."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from shared.ledger.job import JobStatus
from shared.ledger.model import EntryType, Kind, Plan
from shared.ledger.purchase import PurchaseState

ABSENT: Any = None
"""The default of a field that is left out where it has nothing to say; it never is null."""


class Answer(BaseModel):
    """All fields are there but for those that default to `ABSENT`, and no others are."""

    model_config = ConfigDict(extra="forbid")


class Lot(Answer):
    """So many Connects of one class that expire together."""

    expires_on: Annotated[date, Field(description="The first date on which they can no longer be used.")]
    paid: bool
    amount: int


class NextExpiry(Answer):
    on: date
    amount: PositiveInt


class Expiring(Answer):
    """How many Connects expire within `ExpiringSoonDays`, under a name that says how many days that is; and next."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "patternProperties": {"^within_[1-9][0-9]*_days$": {"type": "integer", "minimum": 0}},
            "minProperties": 2,
        },
    )

    next: NextExpiry | None


class Cycle(Answer):
    starts_on: date
    ends_on: Annotated[date, Field(description="Its last day.")]
    next_grant_on: Annotated[date | None, Field(description="Null where no monthly Connects are due: agencies.")]


class Badge(Answer):
    """The availability badge. All but `enabled` is null where there never was one."""

    enabled: bool
    max_per_week: PositiveInt | None
    renews_at: Annotated[datetime | None, Field(description="When the next week is charged. Null while it is off.")]
    paid_until: Annotated[datetime | None, Field(description="Until then it costs nothing to switch it on again.")]


class SwitchedBadge(Badge):
    price: Annotated[PositiveInt, Field(description="What a week costs now.")]


class Account(Answer):
    account_id: str
    kind: Kind
    plan: Plan
    status: Literal["active", "frozen"]
    balance: NonNegativeInt
    held: Annotated[NonNegativeInt, Field(description="What open bids for boosts hold; the balance is without it.")]
    expiring: Expiring
    lots: Annotated[list[Lot], Field(description="What the balance consists of; what is used first comes first.")]
    cycle: Cycle
    badge: Badge


class Entry(Answer):
    """One change of a balance."""

    id: str
    seq: Annotated[PositiveInt, Field(description="Counts the entries of the account.")]
    at: Annotated[datetime, Field(description="When it took effect.")]
    type: EntryType
    amount: Annotated[int, Field(description="Signed.")]
    balance_after: NonNegativeInt
    lots: Annotated[list[Lot], Field(description="Of which lots; their amounts add up to `amount`.")]
    reason: str
    reference: Annotated[dict[str, Any], Field(description="What it is about, as far as anything is known.")]


class Entries(Answer):
    entries: Annotated[list[Entry], Field(min_length=1)]


class History(Answer):
    """Newest first."""

    entries: list[Entry]
    next_cursor: Annotated[str | None, Field(description="Send it as `cursor` for the next page. Null at the end.")]


class PromoEntry(Answer):
    entry: Entry


class PromoRefused(Answer):
    code: Annotated[str, Field(description="Why the promo code could not be redeemed when the purchase completed.")]


class Purchase(Answer):
    purchase_id: str
    status: PurchaseState
    quantity: PositiveInt
    amount_cents: PositiveInt
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    declined_because: Annotated[str, Field(description="Where it was declined.")] = ABSENT
    entry: Annotated[Entry, Field(description="Once it is completed.")] = ABSENT
    promo: Annotated[PromoEntry | PromoRefused, Field(description="Once it is completed, if it had a code.")] = ABSENT


class Promo(Answer):
    code: str
    connects: PositiveInt
    max_redemptions: NonNegativeInt
    from_: Annotated[datetime, Field(alias="from")]
    to: Annotated[datetime, Field(description="The first instant at which it is no longer valid.")]
    redeemed: NonNegativeInt


class Slot(Answer):
    rank: PositiveInt
    bid: PositiveInt


class Boosts(Answer):
    closes_at: Annotated[
        datetime | None, Field(description="From then on no bid is taken. Null where the job was never posted.")
    ]
    slots: Annotated[list[Slot], Field(description="The boosted places, the highest bid first, without names.")]


class Boost(Answer):
    """A bid that has a place."""

    rank: PositiveInt
    boosted: Literal[True]
    entry: Entry


class Job(Answer):
    job_id: str
    price: Annotated[int | None, Field(description="Null where it ended before anything else was heard of it.")]
    status: JobStatus
    version: int | None
    boosts: Boosts


class Invariant(Answer):
    invariant: str
    ok: bool
    found: list[str]


class Audit(Answer):
    ok: bool
    invariants: list[Invariant]


class Clock(Answer):
    now: datetime
    settled_accounts: NonNegativeInt
    told_accounts: NonNegativeInt
    reconciled_purchases: NonNegativeInt
    refunded_proposals: NonNegativeInt
    closed_auctions: NonNegativeInt
    renewed_badges: NonNegativeInt


class Gateway(BaseModel):
    """The API gateway's own answer, before any function runs."""

    message: str | None


class InvalidField(Answer):
    """What was wrong in a request, and where."""

    loc: str
    msg: str
