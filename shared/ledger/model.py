"""What the ledger is made of: lots in buckets, an account, and the entries that explain every change.

Connects come in **lots** that expire. Lots that expire on the same day and are of the same class are
interchangeable, so an account keeps one number for each **bucket** (day of expiry, free or purchased) instead of one
record for each lot: however much it does, it has at most two buckets for each day of a lot's life.

An **entry** is one row of the journal. Its amount is the sum of its slices, its slices by bucket add up to the
account's lots, and its ``seq`` leaves no gap: the journal alone explains the account.

A **debt** is what was used of a purchase whose payment went back (`shared.ledger.chargebacks`). Whatever comes into an
account that owes pays its debts at once: `Decision.add_entry` adds the entries, so no command has to.
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
    """A change of plan. Of two at the same instant, the later one in this list counts."""

    BASIC = "basic"
    """A downgrade that counts from the first day of the next cycle on."""
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
    CHARGEBACK = "chargeback"


DEBT = "debt"
"""The type of the reference of an entry that pays a debt; ``of`` is the entry that it was paid out of."""


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """Connects of one class that expire on one day. Buckets sort in burn order.

    ``expires_on`` is the first day (UTC) on which they can no longer be used. Earliest expiry burns first, and on
    the same day free (``paid`` false) before purchased.
    """

    expires_on: date
    paid: bool

    def expired(self, today: date) -> bool:
        return self.expires_on <= today


@dataclass(frozen=True, slots=True)
class Badge:
    """The availability badge of an account that has had it; ``paid_until`` is kept while it is off."""

    enabled: bool
    max_per_week: int
    """The most Connects that the account will pay for a week."""
    paid_until: datetime
    """The end of the newest week that was paid for. While the badge is on, the next week is charged then."""

    @property
    def renews_at(self) -> datetime | None:
        return self.paid_until if self.enabled else None


@dataclass(frozen=True, slots=True)
class Granted:
    """What one cycle has granted of its monthly Connects, and for what."""

    plan: Plan | None = None
    """The plan whose monthly amount was granted; None if the account was not active on the cycle's first day."""
    upgraded_days: int = 0
    """How many days of the cycle were left at the upgrade for which the rest of plus was granted; 0 without one."""
    amount: int = 0
    """How many Connects were granted, whatever the product's numbers are now."""


@dataclass(frozen=True, slots=True)
class Debt:
    """Connects that an account owes for a purchase: its payment went back and they had been used."""

    purchase_id: str
    left: int


@dataclass(frozen=True, slots=True)
class Account:
    """One account as of its last change. Immutable; ``version`` counts writes and ``seq`` entries."""

    account_id: str
    kind: Kind
    plan: Plan
    """As of the last settling: a pending downgrade counts from the first day of the next cycle on."""
    joined_on: date
    """The anchor: cycles start on this day of the month."""
    lots: Mapping[Bucket, int] = field(default_factory=dict)
    """What is left in each bucket; never zero or less."""
    held: int = 0
    """What open holds have taken out of the lots."""
    frozen: bool = False
    """An agency that left the plus plan: it keeps its Connects and cannot use them."""
    opened_at: datetime | None = None
    """No older change of its plan or status counts."""
    plans: Mapping[datetime, PlanChange] = field(default_factory=dict)
    """The changes of plan by when they happened, the first plan included. Empty while there were none."""
    statuses: Mapping[datetime, Status] = field(default_factory=dict)
    """The same for the status. Empty for an account that has always been active."""
    version: int = 0
    seq: int = 0
    last_at: datetime | None = None
    """When the newest entry happened; time in the journal never runs backwards."""
    granted_month: date | None = None
    """The newest cycle whose monthly Connects were granted (first day of its month); None for agencies."""
    granted: Mapping[date, Granted] = field(default_factory=dict)
    """What the newest cycles granted, by month; a cycle that granted the same as the one before it is left out."""
    interviews: tuple[InterviewAward, ...] = ()
    """What interviews awarded, by when they took place, in the order of time."""
    grant_due: date | None = None
    """The day of the next monthly Connects."""
    expiry_due: date | None = None
    """No lot expires before this day. A lower bound: a spend that empties a lot does not change it, so that a spend
    never writes to an index; the sweep sets it anew."""
    notice_due: date | None = None
    """No notice of lots about to expire has a day before this one that was not sent. A lower bound too."""
    badge: Badge | None = None
    owed: tuple[Debt, ...] = ()
    """What it owes for purchases, the oldest debt first, at most one for each."""

    @property
    def balance(self) -> int:
        """The sum of all lots, including expired ones that are not written off yet: settle first."""
        return sum(self.lots.values())

    @property
    def total_owed(self) -> int:
        return sum(debt.left for debt in self.owed)

    def owed_for(self, purchase_id: str) -> int:
        return sum(debt.left for debt in self.owed if debt.purchase_id == purchase_id)

    def with_debt(self, purchase_id: str, more: int) -> Account:
        """The account that owes ``more`` for a purchase, or less; a debt that is paid is dropped."""
        known = {debt.purchase_id: debt.left for debt in self.owed}
        known[purchase_id] = known.get(purchase_id, 0) + more
        return replace(self, owed=tuple(Debt(name, left) for name, left in known.items() if left))

    @property
    def closed_at(self) -> datetime | None:
        """When it was closed: for ever, whatever change is stored for a later instant."""
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
        """What a use of ``amount`` takes from each bucket, in burn order.

        Raises:
            AccountClosedError, AccountSuspendedError, AccountFrozenError, InsufficientConnectsError: in this order of
                precedence.
        """
        self.check_may_use()
        if self.balance < amount:
            raise InsufficientConnectsError(balance=self.balance, required=amount)
        return self.burn(amount)

    def burn(self, amount: int) -> dict[Bucket, int]:
        """What a debit takes from each bucket, in burn order. The balance has to cover it."""
        return burn(self.lots, amount)


def burn(lots: Mapping[Bucket, int], amount: int) -> dict[Bucket, int]:
    """What a debit of at most ``amount`` takes from these lots, in burn order: negative slices."""
    slices = {}
    for bucket in sorted(lots):
        if not amount:
            break
        taken = min(lots[bucket], amount)
        slices[bucket] = -taken
        amount -= taken
    return slices


def slices_back(
    slices: Mapping[Bucket, int], amount: int, today: date, grace_days: int, *, before: int = 0
) -> dict[Bucket, int]:
    """What of a debit comes back, by the lots that it was taken from.

    A lot that has expired since comes back for the days of grace. A part comes back starting with the lot that lasts
    longest, so the number that came back ``before`` says which lots it came from.
    """
    returned: dict[Bucket, int] = {}
    for bucket in sorted(slices, reverse=True):
        returned_before = min(-slices[bucket], before)
        before -= returned_before
        share = min(-slices[bucket] - returned_before, amount)
        if not share:
            continue
        amount -= share
        lot = Bucket(today + timedelta(days=grace_days), bucket.paid) if bucket.expired(today) else bucket
        returned[lot] = returned.get(lot, 0) + share
    return returned


@dataclass(frozen=True, slots=True)
class Request:
    """A caller's request and its idempotency key. A repeat has the same ``fingerprint``, another request does not."""

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
    schedule ran that wrote it."""
    recorded_at: datetime
    type: EntryType | str
    """A plain string for a type that only a newer release has, which was rolled back since."""
    amount: int
    balance_after: int
    slices: Mapping[Bucket, int]
    reason: str
    reference: Mapping[str, str]
    actor: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that happens once for ever on an account, and the entry that did it."""

    name: str
    holder: str
    fingerprint: str
    answer: str | None = None
    """The answer to the holder's request, where it cannot be made from an entry."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice to an account's owner, sent once: ``kind`` and ``about`` identify it for ever.

    Only for what no entry implies; other notices are made from the entry.
    """

    account_id: str
    kind: str
    about: str
    at: datetime
    facts: Mapping[str, str | int]


def entry_id(account_id: str, operation: str, key: str) -> str:
    """The id of the one entry that a key of an operation can ever have on an account.

    It is computed and not random, so that a retry finds what the first try wrote. 130 bits of SHA-256, in lower-case
    base 32, safe in a path.
    """
    digest = hashlib.sha256(f"{account_id}\x00{operation}\x00{key}".encode()).digest()
    return b32encode(digest).decode().lower()[:26]


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of a command: the account's new state and the entries that lead to it, oldest first."""

    account: Account
    entries: tuple[Entry, ...] = ()
    claims: tuple[str, ...] = ()
    """The names of what may happen once for ever and happens here."""
    notices: tuple[Notice, ...] = ()
    complete: bool = True
    """False if more had fallen due than one transaction takes: the command itself is left to the next decision."""

    def once(self, claim: str) -> Decision:
        """Claim something that may happen once for ever."""
        return replace(self, claims=(*self.claims, claim))

    def notify(self, kind: str, about: str, *, at: datetime, facts: Mapping[str, str | int]) -> Decision:
        """Add a notice to the account's owner, written in the same transaction."""
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
        """Add one entry and apply its slices. What comes into an account that owes pays its debts at once.

        Each debt that is paid, or a part of it, is an entry right behind, out of the very lots that came.
        """
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
        added = replace(self, account=after, entries=(*self.entries, entry))
        return _repay(added, entry) if amount > 0 and after.owed else added


def _repay(decision: Decision, came: Entry) -> Decision:
    """Pay what is owed with what came: the oldest debt first, out of the lots that came in burn order."""
    left = dict(came.slices)
    for debt in decision.account.owed:
        slices = burn(left, debt.left)
        if not slices:
            break
        left = {bucket: kept for bucket, amount in left.items() if (kept := amount + slices.get(bucket, 0))}
        paid = -sum(slices.values())
        account = decision.account.with_debt(debt.purchase_id, -paid)
        decision = replace(decision, account=account).add_entry(
            EntryType.CHARGEBACK,
            slices,
            Request("repay", f"{came.entry_id}.{debt.purchase_id}", "", "system"),
            at=came.at,
            now=came.recorded_at,
            reason=f"{paid} owed Connects paid back",
            reference={
                "type": DEBT,
                "purchase_id": debt.purchase_id,
                "of": came.entry_id,
                "owed": str(-paid),
                "owed_after": str(account.total_owed),
            },
        )
    return decision
