"""The invariants of an account, checked against its whole journal and its purchases.

The same checks run after every test (`audit`, on lists) and behind the audit call in production (`Audit`, entry by
entry). An account is checked **as it was read**: entries written since then have a higher ``seq`` than the account and
are left out. Kept in memory are one number for each entry and the state of holds, badges and purchases, never the
entries themselves.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.ledger.badges import BADGE, ONE_WEEK, timestamp
from shared.ledger.model import DEBT, Account, Bucket, Entry, EntryType
from shared.ledger.purchases import Purchase, PurchaseState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOTS = "every lot is positive, so the balance is never negative"
BUCKETS = "the entries of each bucket add up to what is left in it"
SLICES = "an entry's slices add up to its amount"
SEQUENCE = "seq counts from 1 without a gap, and time never runs backwards"
BALANCES = "each balance follows from the one before"
ONCE = "a key has one effect, and of a spend comes back at most what it took"
HOLDS = "of a hold, what is released and what is captured is all of it, and what is held is in open holds"
AWARDS = "what is awarded once for ever was awarded once"
BADGE_WEEKS = "no week of a badge was paid for twice, and the last one ends when the account says"
DEBTS = "of each purchase is owed what its chargebacks add up to, and what of it was taken back is as it says"
PAID = "whatever comes while something is owed pays it, at once"
PURCHASES = "each completed purchase has one entry and one charge, and nothing else was bought or charged"
INVARIANTS = (LOTS, BUCKETS, SLICES, SEQUENCE, BALANCES, ONCE, HOLDS, AWARDS, BADGE_WEEKS, DEBTS, PAID, PURCHASES)

MOST_PROBLEMS = 20
"""How many problems of one invariant are reported: one fault in a long journal breaks all that comes after it."""
ONCE_FOR_EVER = {"rising_talent", "certification", "interview", "promo"}
BOOST = "boost"
"""The type of the reference of a refund that belongs to a hold, and not to a spend."""
COME_BACK = -1
"""Stored instead of what is left of a spend that was refunded whole, so that one of 0 is not refunded twice either."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant and what contradicts it; it holds if ``problems`` is empty."""

    invariant: str
    problems: tuple[str, ...]


@dataclass(slots=True)
class Line:
    """What is checked of an entry. Not frozen: a million are made, and a frozen one takes three times as long."""

    entry_id: str
    seq: int
    at: datetime
    type: str
    amount: int
    balance_after: int
    slices: Mapping[Bucket, int]
    reference: Mapping[str, str]


def audit(
    account: Account, entries: Iterable[Entry | Line], purchases: Iterable[Purchase] | None = None
) -> list[Finding]:
    """Check an account against all of its entries, oldest first, and against its purchases if they are given.

    Nothing may have been written meanwhile: an entry that the account does not count is a problem.
    """
    checked = Audit(account)
    for entry in entries:
        checked.add(entry)
    if purchases is not None:
        for purchase in purchases:
            checked.add_purchase(purchase)
        checked.end_of_purchases()
    return checked.findings(account.seq)


@dataclass(slots=True)
class Audit:
    """The audit of one account, as it was read; it takes the journal entry by entry."""

    account: Account
    last_seq: int = 0
    """The ``seq`` of the newest entry that was checked."""
    newer_seq: int = 0
    """The ``seq`` of the newest entry that was written after the account was read; 0 if there is none."""
    _last_at: datetime | None = None
    _balance: int = 0
    _buckets: dict[Bucket, int] = field(default_factory=lambda: defaultdict(int))
    _left: dict[str, int] = field(default_factory=dict)
    """By entry: what of a spend may still be refunded, 0 for all other entries."""
    _open: dict[str, int] = field(default_factory=dict)
    """By hold: what is held; 0 if it has ended."""
    _captured: dict[str, int] = field(default_factory=dict)
    """By hold: what of its capture may still be refunded."""
    _awarded: set[tuple[str, ...]] = field(default_factory=set)
    _badge_week: datetime | None = None
    _owed: dict[str, int] = field(default_factory=dict)
    """By purchase, the oldest debt first."""
    _reclaimed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By purchase: what was taken back, is owed, or is excused."""
    _reclaims: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By purchase: by how many entries, without those that paid its debt."""
    _came: Entry | Line | None = None
    """The newest entry that brought something, while some of it is left and something is owed."""
    _came_left: int = 0
    _bought: dict[str, int] = field(default_factory=dict)
    """By purchase: the amount of its entry, until the purchase itself is checked."""
    _problems: dict[str, list[str]] = field(default_factory=lambda: {invariant: [] for invariant in INVARIANTS})
    _left_out: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, entry: Entry | Line) -> bool:
        """Check the next entry, oldest first. Returns False if it was written after the account was read."""
        if entry.seq > self.account.seq:
            self.newer_seq = max(self.newer_seq, entry.seq)
            return False
        self._add_in_order(entry)
        self._add_up(entry)
        self._add_once(entry)
        self._add_what_came(entry)
        match entry.type:
            case EntryType.REFUND:
                self._add_refund(entry)
            case EntryType.HOLD:
                self._add_hold(entry)
            case EntryType.RELEASE:
                self._add_release(entry)
            case EntryType.CAPTURE:
                self._add_capture(entry)
            case EntryType.PURCHASE:
                self._add_bought(entry)
            case EntryType.CHARGEBACK:
                self._add_chargeback(entry)
        reference_type = entry.reference.get("type")
        if reference_type == BADGE:
            self._add_badge(entry)
        elif reference_type in ONCE_FOR_EVER:
            self._add_award(entry)
        return True

    def add_purchase(self, purchase: Purchase, entry: Entry | None = None, *, newer_level: bool = False) -> None:
        """Check a purchase that was read after the last entry.

        Args:
            purchase: As it was read.
            entry: Its entry, if that is newer than the account as it was read (see `lacks_entry`).
            newer_level: Whether what was last taken or given back is newer too (see `lacks_level`).
        """
        bought = entry.amount if entry else self._bought.pop(purchase.purchase_id, None)
        expected = purchase.quantity if purchase.state is PurchaseState.COMPLETED else None
        if bought != expected:
            self._report(PURCHASES, f"{_named(purchase)} and its entry brought {bought}, expected {expected}")
        self._add_level(purchase, newer=newer_level)

    def lacks_entry(self, purchase: Purchase) -> bool:
        """Whether a completed purchase has no entry among those that were checked: it may have a newer one."""
        return purchase.state is PurchaseState.COMPLETED and purchase.purchase_id not in self._bought

    def lacks_level(self, purchase: Purchase) -> bool:
        """Whether more was taken or given back of a purchase than by the entries that were checked."""
        return purchase.reclaims > self._reclaims.get(purchase.purchase_id, 0)

    def add_charges(self, purchase: Purchase, charged: Iterable[str]) -> None:
        """Check which charges of a purchase went through: only that of its last attempt, and only if it is completed.

        The charge of a pending purchase may have gone through already.
        """
        found = set(charged)
        expected = set() if purchase.state is PurchaseState.DECLINED else {purchase.charge_id}
        if purchase.state is PurchaseState.COMPLETED and not found:
            self._report(PURCHASES, f"{_named(purchase)} and was never charged")
        for charge_id in sorted(found - expected):
            self._report(PURCHASES, f"{_named(purchase)} and was charged as {charge_id}")

    def end_of_purchases(self) -> None:
        """To be called after the last purchase: what is left are entries without one."""
        for purchase_id, amount in self._bought.items():
            self._report(PURCHASES, f"there is no purchase {purchase_id!r}, its entry brought {amount}")
        for purchase_id, amount in self._reclaimed.items():
            if amount:
                self._report(DEBTS, f"of purchase {purchase_id!r} {amount} were taken back, and it says none")

    def findings(self, counted: int) -> list[Finding]:
        """Check the account itself, and return a finding for each invariant.

        Args:
            counted: The account's ``seq``, read after the last entry: it has to count all of them.
        """
        self._end_of_lots()
        self._end_of_journal(counted)
        self._end_of_badge()
        self._end_of_debts()
        return [Finding(invariant, self._problems_of(invariant)) for invariant in INVARIANTS]

    # Entry by entry

    def _add_in_order(self, entry: Entry | Line) -> None:
        if entry.seq != self.last_seq + 1:
            self._report(SEQUENCE, f"entry {entry.seq} stands where {self.last_seq + 1} is expected")
        if self._last_at and entry.at < self._last_at:
            self._report(SEQUENCE, f"entry {entry.seq} is dated before the one that it comes after")
        self.last_seq, self._last_at = entry.seq, entry.at

    def _add_up(self, entry: Entry | Line) -> None:
        total, buckets = 0, self._buckets
        for bucket, amount in entry.slices.items():
            total += amount
            buckets[bucket] += amount
            if not buckets[bucket]:
                del buckets[bucket]
        if total != entry.amount:
            self._report(SLICES, f"entry {entry.seq}: amount {entry.amount}, slices {total}")
        self._balance += entry.amount
        if entry.balance_after != self._balance or self._balance < 0:
            problem = f"entry {entry.seq}: balance after is {entry.balance_after}, expected {self._balance}"
            self._report(BALANCES, problem)

    def _add_once(self, entry: Entry | Line) -> None:
        if entry.entry_id in self._left:
            self._report(ONCE, f"entry {entry.seq} has the key of another, {entry.entry_id}")
        self._left[entry.entry_id] = -entry.amount if entry.type == EntryType.SPEND else 0

    def _add_refund(self, entry: Entry | Line) -> None:
        """An interview refunds a part, a boost what should not have been captured, all other reasons what is left."""
        of_boost = entry.reference.get("type") == BOOST
        whose, name = (self._captured, "hold") if of_boost else (self._left, "spend")
        subject = entry.reference.get(f"{name}_id", "")
        left = whose.get(subject, 0)
        in_part = of_boost or entry.reference.get("type") == "interview"
        if subject not in whose or not (0 < entry.amount <= left if in_part else 0 <= entry.amount == left):
            problem = f"refund {entry.seq} gives {entry.amount} for {name} {subject}, of which {max(left, 0)} was left"
            self._report(ONCE, problem)
        if subject in whose:
            whose[subject] = left - entry.amount or COME_BACK

    def _add_hold(self, entry: Entry | Line) -> None:
        hold_id = entry.reference.get("hold_id", "")
        if self._open.get(hold_id) == 0:
            self._report(HOLDS, f"entry {entry.seq} holds for {hold_id}, which has ended")
        self._open[hold_id] = self._open.get(hold_id, 0) - entry.amount

    def _add_release(self, entry: Entry | Line) -> None:
        """A release of a whole hold, which ends it, or of a part."""
        hold_id = entry.reference.get("hold_id", "")
        held = self._open.get(hold_id, 0)
        if not 0 < entry.amount <= held:
            self._report(HOLDS, f"release {entry.seq} of {entry.amount} is of hold {hold_id} of {held}")
        self._open[hold_id] = held - entry.amount

    def _add_capture(self, entry: Entry | Line) -> None:
        """A capture of all that is left of a hold. Its amount is 0, so what was captured is in its reference."""
        hold_id = entry.reference.get("hold_id", "")
        held = self._open.get(hold_id, 0)
        took = entry.reference.get("bid", str(held))
        if entry.amount or not held or took != str(held):
            problem = f"capture {entry.seq} of {entry.amount} ends hold {hold_id} of {held}, it says of {took}"
            self._report(HOLDS, problem)
        self._open[hold_id] = 0
        self._captured[hold_id] = held

    def _add_bought(self, entry: Entry | Line) -> None:
        purchase_id = entry.reference.get("purchase_id", "")
        if purchase_id and purchase_id in self._bought:
            self._report(PURCHASES, f"entry {entry.seq} is of purchase {purchase_id}, as another is")
        self._bought[purchase_id] = entry.amount

    def _add_award(self, entry: Entry | Line) -> None:
        """Rising Talent, each certificate, each proposal's interview (its refund and its reward), each promo code."""
        reference = entry.reference
        subject = reference.get("certificate") or reference.get("spend_id") or reference.get("code", "")
        award = (entry.type, reference["type"], subject)
        if award in self._awarded:
            self._report(AWARDS, f"{reference['type']} {subject}".rstrip() + f" was awarded again by entry {entry.seq}")
        self._awarded.add(award)

    def _add_badge(self, entry: Entry | Line) -> None:
        try:
            week = datetime.fromisoformat(entry.reference.get("starts_at", "")).astimezone(UTC)
        except ValueError:
            self._report(BADGE_WEEKS, f"entry {entry.seq} does not say which week of the badge it is of")
            return
        before = self._badge_week
        if before and week < before + ONE_WEEK:
            self._report(
                BADGE_WEEKS, f"the badge was paid for from {timestamp(before)} and again from {timestamp(week)}"
            )
        self._badge_week = max(week, before or week)

    def _add_what_came(self, entry: Entry | Line) -> None:
        """What comes while something is owed is followed by what it pays, until one of both is used up."""
        if entry.reference.get("type") != DEBT:
            self._end_of_what_came()
            self._came, self._came_left = entry, max(entry.amount, 0)
            return
        came, paid = self._came, -entry.amount
        if not came or came.entry_id != entry.reference.get("of") or not entry.slices.keys() <= came.slices.keys():
            self._report(PAID, f"entry {entry.seq} pays out of what did not come right before it")
        elif not 0 < paid <= self._came_left:
            self._report(PAID, f"entry {entry.seq} pays {paid} out of {self._came_left}")
        self._came_left -= paid

    def _end_of_what_came(self) -> None:
        if self._came and self._came_left > 0 and (owed := sum(self._owed.values())):
            self._report(PAID, f"entry {self._came.seq} left {self._came_left} while {owed} were owed")

    def _add_chargeback(self, entry: Entry | Line) -> None:
        """What is taken, owed and excused is to be taken back; a debt that is paid is taken and no longer owed."""
        reference = entry.reference
        purchase_id, owed = reference.get("purchase_id", ""), int(reference.get("owed", "0"))
        self._reclaimed[purchase_id] += owed + int(reference.get("lost", "0")) - entry.amount
        self._reclaims[purchase_id] += reference.get("type") != DEBT
        left = self._owed.get(purchase_id, 0) + owed
        if left > 0:
            self._owed[purchase_id] = left
        else:
            self._owed.pop(purchase_id, None)
        total = sum(self._owed.values())
        if left < 0 or reference.get("owed_after") != str(total):
            said = f"it says {reference.get('owed_after')}, {left} of them for purchase {purchase_id}"
            self._report(DEBTS, f"after entry {entry.seq} {total} are owed, {said}")

    def _add_level(self, purchase: Purchase, *, newer: bool) -> None:
        found, steps = self._reclaimed.pop(purchase.purchase_id, 0), self._reclaims.pop(purchase.purchase_id, 0)
        if not newer and (found, steps) != (purchase.reclaimed, purchase.reclaims):
            self._report(DEBTS, f"{_named(purchase)}, {found} of it were taken back, it says {purchase.reclaimed}")
        if (expected := purchase.to_reclaim(purchase.returned_cents)) != purchase.reclaimed:
            self._report(DEBTS, f"{_named(purchase)}, {purchase.reclaimed} of it were taken back, not {expected}")

    # The account in the end

    def _end_of_lots(self) -> None:
        account = self.account
        for bucket, left in account.lots.items():
            if left <= 0:
                self._report(LOTS, f"{bucket} holds {left}")
            if account.expiry_due is None or bucket.expires_on < account.expiry_due:
                problem = f"{bucket} expires before the account's next expiry, {account.expiry_due}"
                self._report(LOTS, problem)
        for bucket in self._buckets.keys() | account.lots.keys():
            left, added = account.lots.get(bucket, 0), self._buckets.get(bucket, 0)
            if left != added:
                self._report(BUCKETS, f"{bucket} holds {left}, its entries add up to {added}")

    def _end_of_journal(self, counted: int) -> None:
        account = self.account
        if self.last_seq != account.seq:
            self._report(SEQUENCE, f"the account counts {account.seq} entries, the last one is {self.last_seq}")
        if self.newer_seq > counted:
            self._report(SEQUENCE, f"there is an entry {self.newer_seq}, and the account counts {counted}")
        if self._balance != account.balance:
            self._report(BALANCES, f"the account holds {account.balance}, its entries add up to {self._balance}")
        if (held := sum(self._open.values())) != account.held:
            self._report(HOLDS, f"the account has {account.held} held, its open holds add up to {held}")

    def _end_of_badge(self) -> None:
        expected = self._badge_week and self._badge_week + ONE_WEEK
        known = self.account.badge and self.account.badge.paid_until
        if known != expected:
            self._report(BADGE_WEEKS, f"the badge is paid for until {known}, its entries say {expected}")

    def _end_of_debts(self) -> None:
        self._end_of_what_came()
        known = {debt.purchase_id: debt.left for debt in self.account.owed}
        if list(known.items()) != list(self._owed.items()):
            self._report(DEBTS, f"the account owes {known}, its entries say {self._owed}")

    def _report(self, invariant: str, problem: str) -> None:
        if len(self._problems[invariant]) < MOST_PROBLEMS:
            self._problems[invariant].append(problem)
        else:
            self._left_out[invariant] += 1

    def _problems_of(self, invariant: str) -> tuple[str, ...]:
        more = self._left_out[invariant]
        return (*self._problems[invariant], *([f"and {more} more"] if more else []))


def _named(purchase: Purchase) -> str:
    return f"purchase {purchase.purchase_id} is {purchase.state}"
