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


class BillingMethod(Answer):
    """With what an account's purchases are paid, where they are not paid from its earnings."""

    provider: Literal["stripe"]
    customer: str
    payment_method: str


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


class BuyerAction(Answer):
    """What the buyer has to do: open `url`, or hand `client_secret` to the payment provider's script on the page."""

    url: str | None
    client_secret: str | None
    expires_at: Annotated[Instant, Meta(description="Then the purchase is given up, and declined.")]


class Purchase(Answer):
    purchase_id: str
    status: PurchaseState
    quantity: PositiveInt
    amount_cents: PositiveInt
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    action: Annotated[BuyerAction, Meta(description="While the bank waits for the buyer.")] | UnsetType = UNSET
    declined_because: Annotated[str, Meta(description="Where it was declined.")] | UnsetType = UNSET
    receipt_url: Annotated[str, Meta(description="The payment provider's receipt.")] | UnsetType = UNSET
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


class PurchaseRow(Answer):
    """A purchase as it is now, without its entry."""

    purchase_id: str
    status: PurchaseState
    created_at: Annotated[Instant, Meta(description="When it began; where it was declined and sent again, that time.")]
    quantity: PositiveInt
    amount_cents: PositiveInt
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    source: Annotated[str, Meta(description="What it is paid from.")]
    entry_id: Annotated[str, Meta(description="Of its Connects, once it is completed.")] | UnsetType = UNSET
    promo_code: str | UnsetType = UNSET
    receipt_url: Annotated[str, Meta(description="The payment provider's receipt.")] | UnsetType = UNSET
    declined_because: str | UnsetType = UNSET


class PurchaseList(Answer):
    """Newest first."""

    purchases: list[PurchaseRow]
    next_cursor: Annotated[str | None, Meta(description="Send it as `cursor` for the next page. Null at the end.")]


class PurchaseInLedger(Answer):
    """A purchase as the ledger had it."""

    status: PurchaseState
    returned_cents: NonNegativeInt
    reclaimed: Annotated[NonNegativeInt, Meta(description="How many Connects were taken back for that, or are owed.")]
    attempt: PositiveInt
    ref: Annotated[str | None, Meta(description="The provider's name for the payment. Null where none was named.")]
    answered_pending: Annotated[bool, Meta(description="Each repeat of its request is answered 202.")]
    looked_at: Annotated[NonNegativeInt, Meta(description="How often.")]
    next_look_at: Annotated[Instant | None, Meta(description="Null once it is decided.")]
    action_until: Annotated[Instant | None, Meta(description="Until when the buyer may answer the bank.")]
    provider_charge: str | None


class PaymentAtProvider(Answer):
    """A payment as the provider has it."""

    state: Literal["charged", "declined", "in_progress", "needs_buyer", "wrong"]
    reason: str
    code: Annotated[str, Meta(description="The provider's own, of a decline.")]
    taken_cents: NonNegativeInt
    returned_cents: NonNegativeInt
    provider_charge: str | None
    dispute: str | None


class PurchaseCheck(Answer):
    """What the ledger had, what the provider says, and what was done."""

    purchase: Annotated[PurchaseRow, Meta(description="As it is now.")]
    ledger: PurchaseInLedger
    provider: Annotated[PaymentAtProvider | None, Meta(description="Null where no payment was named.")]
    done: Annotated[
        Literal["nothing", "completed", "declined", "under_review", "leveled"],
        Meta(description="`leveled`: Connects were taken back, or given back, for what went back of the payment."),
    ]
    agrees: Annotated[bool, Meta(description="Whether the ledger has what the provider says; a pending one does.")]


class PaymentEventAnswer(Answer):
    """Nothing where the event is of no payment of a purchase."""

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
