"""What the ledger is made of: lots in buckets, an account, and the entries that explain every change.

Connects come in **lots** that expire. Lots that expire on the same day and are of the same class are
interchangeable, so an account keeps one number a **bucket** (day of expiry, free or purchased) instead of one record
a lot: however much it does and however long it lives, it has at most two buckets a day of a lot's life.

An **entry** is one row of the journal. Its amount is the sum of its slices, its slices by bucket add up to the
account's lots, and its ``seq`` leaves no gap: the journal alone explains the account.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.ledger.errors import (
    AccountClosedError,
    AccountFrozenError,
    AccountSuspendedError,
    InsufficientConnectsError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.ledger.interviews import InterviewAward


class Kind(StrEnum):
    FREELANCER = "freelancer"
    AGENCY = "agency"


class Plan(StrEnum):
    BASIC = "basic"
    PLUS = "plus"


class PlanChange(StrEnum):
    """What is told of a plan. Of two that name the same instant, the later one in this list counts."""

    BASIC = "basic"
    """From the first day of the next cycle on."""
    BASIC_NOW = "basic_now"
    PLUS = "plus"

    @classmethod
    def to(cls, plan: Plan, *, at_once: bool) -> PlanChange:
        """A downgrade waits for the next cycle unless it is to count at once; an upgrade never waits."""
        return cls.BASIC_NOW if at_once and plan is Plan.BASIC else cls(plan.value)


class Status(StrEnum):
    """Whether an account may act. Of two that are told for the same instant, the later one in this list counts."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class EntryType(StrEnum):
    GRANT = "grant"
    REWARD = "reward"
    PURCHASE = "purchase"
    PROMO = "promo"
    SPEND = "spend"
    HOLD = "hold"
    CAPTURE = "capture"
    RELEASE = "release"
    REFUND = "refund"
    EXPIRY = "expiry"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """Where Connects that expire together are kept. Buckets sort in burn order.

    ``expires_on`` is the first day (UTC) on which they can no longer be used. Earliest expiry burns first, and on
    the same day free (``paid`` false) before purchased.
    """

    expires_on: date
    paid: bool

    def expired(self, today: date) -> bool:
        return self.expires_on <= today


@dataclass(frozen=True, slots=True)
class Badge:
    """The availability badge of an account that has had it. Off, it still knows how far it was paid for."""

    enabled: bool
    max_per_week: int
    """The most Connects that the account will pay for a week."""
    paid_until: datetime
    """When the newest week that was paid for ends; where it is on, when the next one is charged."""

    @property
    def renews_at(self) -> datetime | None:
        return self.paid_until if self.enabled else None


@dataclass(frozen=True, slots=True)
class Granted:
    """What one cycle has brought of its monthly Connects, and for what."""

    plan: Plan | None = None
    """The plan whose monthly amount came, or None: nothing came, as the account was not active on its first day."""
    upgraded_days: int = 0
    """How many days were left of the cycle at the upgrade that it brought the rest of plus for; 0 where none did."""
    amount: int = 0
    """How many Connects that were, whatever the product's numbers are now."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account as of its last change. Immutable; ``version`` counts writes and ``seq`` entries."""

    account_id: str
    kind: Kind
    plan: Plan
    """As of when the account was settled: a downgrade under way counts from the first day of the next cycle on."""
    joined_on: date
    """The anchor: cycles start on this day of the month."""
    lots: Mapping[Bucket, int] = field(default_factory=dict)
    """What is left in each bucket; never zero or less."""
    held: int = 0
    """What open holds have taken out of the lots."""
    frozen: bool = False
    """An agency that left the plus plan: it keeps its Connects and cannot use them."""
    opened_at: datetime | None = None
    """When the account was opened: no older news of its plan or status counts."""
    plans: Mapping[datetime, PlanChange] = field(default_factory=dict)
    """What was told of the plan, by when it happened, what it began with included. Empty while nothing was told."""
    statuses: Mapping[datetime, Status] = field(default_factory=dict)
    """The same of the status. Empty for an account that has always been active."""
    version: int = 0
    seq: int = 0
    last_at: datetime | None = None
    """When the newest entry happened; time in the journal never runs backwards."""
    granted_month: date | None = None
    """The newest cycle whose monthly Connects came (first day of its month); none for agencies."""
    granted: Mapping[date, Granted] = field(default_factory=dict)
    """What the newest cycles brought, by month; one that brought the same as the one before it is left out."""
    interviews: tuple[InterviewAward, ...] = ()
    """What interviews brought, by when they were, in the order of time."""
    grant_due: date | None = None
    """When the next monthly Connects come."""
    expiry_due: date | None = None
    """No lot expires before this day. A lower bound: spending a lot up leaves it alone, so that a spend never
    rewrites an index; the sweep moves it on."""
    notice_due: date | None = None
    """No notice of lots about to expire is to be told before this day, and all before it were. A lower bound too."""
    badge: Badge | None = None

    @property
    def balance(self) -> int:
        """All lots, also those that have expired and are still to be written off: settle first."""
        return sum(self.lots.values())

    @property
    def closed_at(self) -> datetime | None:
        """When it was closed: for ever, whatever was told for a later instant."""
        return min((at for at, status in self.statuses.items() if status is Status.CLOSED), default=None)

    @property
    def status(self) -> Status:
        if not self.statuses:
            return Status.ACTIVE
        return Status.CLOSED if self.closed_at else self.statuses[max(self.statuses)]

    def check_may_act(self) -> None:
        """Raises AccountClosedError, AccountSuspendedError."""
        if self.status is Status.CLOSED:
            raise AccountClosedError
        if self.status is Status.SUSPENDED:
            raise AccountSuspendedError

    def check_may_use(self) -> None:
        """Raises AccountClosedError, AccountSuspendedError, AccountFrozenError: in this order of precedence."""
        self.check_may_act()
        if self.frozen:
            raise AccountFrozenError

    def use(self, amount: int) -> dict[Bucket, int]:
        """What using so many takes from each bucket, in burn order.

        Raises:
            AccountClosedError, AccountSuspendedError, AccountFrozenError, InsufficientConnectsError: in this order of
                precedence.
        """
        self.check_may_use()
        if self.balance < amount:
            raise InsufficientConnectsError(balance=self.balance, required=amount)
        return self.burn(amount)

    def burn(self, amount: int) -> dict[Bucket, int]:
        """What a debit takes from each bucket, in burn order. There has to be as much."""
        slices = {}
        for bucket in sorted(self.lots):
            if not amount:
                break
            taken = min(self.lots[bucket], amount)
            slices[bucket] = -taken
            amount -= taken
        return slices


def slices_back(
    slices: Mapping[Bucket, int], amount: int, today: date, grace_days: int, *, before: int = 0
) -> dict[Bucket, int]:
    """Connects that a debit took, back in the very lots it took them from.

    What has expired since comes back for the days of grace. Where not all of it comes back, the lots that were taken
    from last come first: they last longest. So of what came back ``before`` the lots are known by their number alone.
    """
    returned: dict[Bucket, int] = {}
    for bucket in sorted(slices, reverse=True):
        gone = min(-slices[bucket], before)
        before -= gone
        share = min(-slices[bucket] - gone, amount)
        if not share:
            continue
        amount -= share
        lot = Bucket(today + timedelta(days=grace_days), bucket.paid) if bucket.expired(today) else bucket
        returned[lot] = returned.get(lot, 0) + share
    return returned


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, and under which idempotency key. ``fingerprint`` tells a repeat from another request."""

    operation: str
    key: str
    fingerprint: str
    actor: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of an account. ``slices`` are signed and sum to ``amount``."""

    entry_id: str
    account_id: str
    seq: int
    at: datetime
    """When it took effect: an expiry at the instant of expiry and a grant at the start of its cycle, whenever the
    job that wrote it ran."""
    recorded_at: datetime
    type: EntryType | str
    """A text where a newer release, since taken back, wrote a type that this one does not know."""
    amount: int
    balance_after: int
    slices: Mapping[Bucket, int]
    reason: str
    reference: Mapping[str, str]
    actor: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that happens once for ever on an account, and the operation that holds it."""

    name: str
    holder: str
    fingerprint: str
    answer: str | None = None
    """What the holder was answered, where no entry can tell it again."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that an account's owner is told once: ``kind`` and ``about`` name it for ever.

    For what no entry tells by itself; what an entry tells is made of the entry.
    """

    account_id: str
    kind: str
    about: str
    at: datetime
    facts: Mapping[str, str | int]


def entry_id(account_id: str, operation: str, key: str) -> str:
    """The name of the one entry that a key of an operation can ever have on an account.

    It is computed, not drawn, so that a retry finds what the first try wrote. 130 bits of SHA-256, lower-case
    base 32, safe in a path.
    """
    digest = hashlib.sha256(f"{account_id}\x00{operation}\x00{key}".encode()).digest()
    return b32encode(digest).decode().lower()[:26]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a command makes of an account: its new state and the entries that lead there, oldest first."""

    account: Account
    entries: tuple[Entry, ...] = ()
    claims: tuple[str, ...] = ()
    """What this does that may happen once for ever."""
    notices: tuple[Notice, ...] = ()
    """What the owner is told of it."""
    complete: bool = True
    """False where so much had fallen due that the command itself waits for a next decision."""

    def once(self, claim: str) -> Decision:
        """Claim something that may happen once for ever."""
        return replace(self, claims=(*self.claims, claim))

    def notify(self, kind: str, about: str, *, at: datetime, facts: Mapping[str, str | int]) -> Decision:
        """Tell the account's owner something, in the same transaction."""
        return replace(self, notices=(*self.notices, Notice(self.account.account_id, kind, about, at, facts)))

    def add_entry(
        self,
        entry_type: EntryType,
        slices: Mapping[Bucket, int],
        request: Request,
        *,
        at: datetime,
        now: datetime,
        reason: str,
        reference: Mapping[str, str],
    ) -> Decision:
        """Add one entry and apply its slices."""
        account = self.account
        lots = dict(account.lots)
        for bucket, amount in slices.items():
            lots[bucket] = lots.get(bucket, 0) + amount
            if lots[bucket] < 0:
                raise AssertionError(f"{account.account_id}: {bucket} would hold {lots[bucket]}")
            if lots[bucket] == 0:
                del lots[bucket]
        gained = [bucket.expires_on for bucket, amount in slices.items() if amount > 0]
        known = [account.expiry_due] if account.expiry_due else []
        at = max(at, account.last_at or at)
        amount = sum(slices.values())
        after = replace(
            account,
            lots=lots,
            seq=account.seq + 1,
            last_at=at,
            expiry_due=min(gained + known, default=None),
        )
        entry = Entry(
            entry_id=entry_id(account.account_id, request.operation, request.key),
            account_id=account.account_id,
            seq=after.seq,
            at=at,
            recorded_at=now,
            type=entry_type,
            amount=amount,
            balance_after=after.balance,
            slices=dict(slices),
            reason=reason,
            reference=reference,
            actor=request.actor,
            fingerprint=request.fingerprint,
        )
        return replace(self, account=after, entries=(*self.entries, entry))
