"""The bodies of answers, for the document. The tests compare every answer with them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from shared.http.requests import Instant
from shared.ledger.jobs import JobStatus
from shared.ledger.model import EntryType, Kind, Plan
from shared.ledger.purchases import PurchaseState

SCHEMAS = "#/components/schemas/"

NonNegativeInt = Annotated[int, Meta(ge=0)]
PositiveInt = Annotated[int, Meta(gt=0)]


class Answer(Struct, forbid_unknown_fields=True, kw_only=True):
    """All fields are there, but for those that can be unset, and no others are."""

    beyond_fields: ClassVar[dict[str, Any]] = {}
    """What the document says of the whole, as JSON Schema."""


class Lot(Answer):
    """So many Connects of one class that expire together."""

    expires_on: Annotated[date, Meta(description="The first date on which they can no longer be used.")]
    paid: bool
    amount: int


class NextExpiry(Answer):
    on: date
    amount: PositiveInt


class Expiring(Answer):
    """How many Connects expire within `ExpiringSoonDays`, under a name that says how many days that is; and next."""

    beyond_fields: ClassVar[dict[str, Any]] = {
        "patternProperties": {"^within_[1-9][0-9]*_days$": {"type": "integer", "minimum": 0}},
        "minProperties": 2,
    }

    next: NextExpiry | None


class Cycle(Answer):
    starts_on: date
    ends_on: Annotated[date, Meta(description="Its last day.")]
    next_grant_on: Annotated[date | None, Meta(description="Null for agencies and closed accounts.")]


class Badge(Answer):
    """The availability badge. All but `enabled` is null where there never was one."""

    enabled: bool
    max_per_week: PositiveInt | None
    renews_at: Annotated[Instant | None, Meta(description="When the next week is charged. Null while it is off.")]
    paid_until: Annotated[Instant | None, Meta(description="Until then it costs nothing to switch it on again.")]


class SwitchedBadge(Badge):
    price: Annotated[PositiveInt, Meta(description="What a week costs now.")]


class Account(Answer):
    account_id: str
    kind: Kind
    plan: Plan
    next_plan: Annotated[
        Plan | None, Meta(description="From the first day of the next cycle on. Null where it stays the same.")
    ]
    status: Annotated[
        Literal["active", "frozen", "suspended", "closed"],
        Meta(description="`frozen` is an active agency that fell back to basic."),
    ]
    balance: NonNegativeInt
    held: Annotated[NonNegativeInt, Meta(description="What open bids for boosts hold; the balance is without it.")]
    expiring: Expiring
    lots: Annotated[list[Lot], Meta(description="What the balance consists of; what is used first comes first.")]
    cycle: Cycle
    badge: Badge
    owed: (
        Annotated[
            NonNegativeInt,
            Meta(
                description="What was used of purchases whose payment went back; whatever comes into the account pays "
                "it. Missing where an opening is repeated that an earlier release had answered."
            ),
        ]
        | UnsetType
    ) = UNSET


class Entry(Answer):
    """One change of a balance."""

    id: str
    seq: Annotated[PositiveInt, Meta(description="Counts the entries of the account.")]
    at: Annotated[Instant, Meta(description="When it took effect.")]
    type: EntryType
    amount: Annotated[int, Meta(description="Signed.")]
    balance_after: NonNegativeInt
    lots: Annotated[list[Lot], Meta(description="Of which lots; their amounts add up to `amount`.")]
    reason: str
    reference: Annotated[dict[str, Any], Meta(description="What it is about, as far as anything is known.")]


class Entries(Answer):
    entries: Annotated[list[Entry], Meta(min_length=1)]


class History(Answer):
    """Newest first. What fell due is among them, and in the balance, before it is written."""

    entries: list[Entry]
    next_cursor: Annotated[str | None, Meta(description="Send it as `cursor` for the next page. Null at the end.")]


class PromoEntry(Answer):
    entry: Entry


class PromoRefused(Answer):
    code: Annotated[str, Meta(description="Why the promo code could not be redeemed when the purchase completed.")]


PROMO_OF_PURCHASE = Meta(
    description="Once it is completed, if it had a code.",
    # msgspec takes no unions of these, having to tell them apart as it reads.
    extra_json_schema={"anyOf": [{"$ref": f"{SCHEMAS}PromoEntry"}, {"$ref": f"{SCHEMAS}PromoRefused"}]},
)


class Purchase(Answer):
    purchase_id: str
    status: PurchaseState
    quantity: PositiveInt
    amount_cents: PositiveInt
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    declined_because: Annotated[str, Meta(description="Where it was declined.")] | UnsetType = UNSET
    returned_cents: (
        Annotated[NonNegativeInt, Meta(description="What of the payment is back with the buyer.")] | UnsetType
    ) = UNSET
    reclaimed: (
        Annotated[
            NonNegativeInt,
            Meta(description="How many of its Connects were taken back for that, are owed, or had expired."),
        ]
        | UnsetType
    ) = UNSET
    dispute: Annotated[str, Meta(description="The payment provider's status of its dispute.")] | UnsetType = UNSET
    entry: Annotated[Entry, Meta(description="Once it is completed.")] | UnsetType = UNSET
    promo: Annotated[Any, PROMO_OF_PURCHASE] | UnsetType = UNSET


class PaymentEventAnswer(Answer):
    """Nothing where the event is of no charge."""

    purchase_id: str | UnsetType = UNSET
    status: PurchaseState | UnsetType = UNSET


class Promo(Answer):
    code: str
    connects: PositiveInt
    max_redemptions: NonNegativeInt
    from_: Instant = field(name="from")
    to: Annotated[Instant, Meta(description="The first instant at which it is no longer valid.")]
    redeemed: NonNegativeInt


class Slot(Answer):
    rank: PositiveInt
    bid: PositiveInt


class Boosts(Answer):
    closes_at: Annotated[
        Instant | None, Meta(description="From then on no bid is taken. Null where no version of the job is known.")
    ]
    slots: Annotated[list[Slot], Meta(description="The boosted places, the highest bid first, without names.")]


class Boost(Answer):
    """A bid that has a place."""

    rank: PositiveInt
    boosted: Annotated[bool, Meta(extra_json_schema={"const": True})]
    entry: Entry


class Job(Answer):
    job_id: str
    price: Annotated[int | None, Meta(description="Null where no version of the job is known.")]
    status: JobStatus
    version: int | None
    boosts: Boosts


class Invariant(Answer):
    invariant: str
    ok: bool
    found: list[str]


class Audit(Answer):
    """Of the account as it was when it had `as_of_seq` entries."""

    status: Literal["finished"]
    ok: bool
    as_of_seq: NonNegativeInt
    charges_compared: Annotated[
        bool, Meta(description="Whether purchases were compared with the charges of a payment provider.")
    ]
    invariants: list[Invariant]


class AuditRunning(Answer):
    """An audit that takes long: ask again for what it finds."""

    status: Literal["running"]
    checked: Annotated[NonNegativeInt, Meta(description="How many entries have been checked.")]
    of: NonNegativeInt


class Clock(Answer):
    now: Instant
    settled_accounts: NonNegativeInt
    told_accounts: NonNegativeInt
    reconciled_purchases: NonNegativeInt
    refunded_proposals: NonNegativeInt
    closed_auctions: NonNegativeInt
    renewed_badges: NonNegativeInt


class Gateway(Struct):
    """The API gateway's own answer, before any function runs."""

    message: str | None


class InvalidField(Answer):
    """What was wrong in a request, and where."""

    loc: str
    msg: str
