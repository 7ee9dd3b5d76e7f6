"""Money that goes back: the Connects of a purchase follow its payment, back and forth.

**A level, no events.** While some of a purchase's payment is back with the buyer, by refunds, disputes or reversals,
the same part of its Connects is to be taken back in all (`Purchase.to_reclaim`). If less was taken, the difference is
taken; if more, it is given back. So it makes no difference in which order news arrives and how often, a dispute and a
refund of the same money count once, and a dispute that is won ends as if it had not been.

Taking back is one entry, and so is giving back. What is to be taken is, in this order:

1. **expired** unused: it is gone already, and excused. Each Connect that expired is excused once.
2. **unspent**: of each bucket that the purchase put Connects into, what was not taken from it yet and is still there.
   Connects of one bucket are interchangeable, so those of another purchase of the same day may be among them. What is
   held for a boost counts as used. No other lots are touched.
3. **owed**: the rest was used, and whatever comes into the account pays it (`shared.ledger.model.Decision.add_entry`).
   An account owes for at most `MOST_DEBTS` purchases at once; what it would owe for more is excused.

Giving back undoes it: first what is still owed is forgiven, then what was taken comes back to the very lots that it was
taken from, whether by this or to pay the debt, last taken first. A lot that has expired since comes back for the days
of grace, as by a refund. In the end what was excused is excused no more.

The promo code's Connects that came with a purchase stay: they can be had without one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from shared.ledger.model import Bucket, Decision, Entry, EntryType, Request
from shared.ledger.purchases import CHARGEBACK, PaymentSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from shared.ledger.policy import Policy
    from shared.ledger.purchases import Purchase

B = TypeVar("B", Bucket, Bucket | None)

MOST_DEBTS = 20
"""All of them may be paid by one change, each by an entry; a transaction takes 100 items."""


class Why(StrEnum):
    DISPUTE = "dispute"
    REFUND = "refund"
    REVERSAL = "reversal"
    """Of a payment from the earnings balance."""
    WON = "won"
    """The dispute was decided for the marketplace."""
    REFUND_FAILED = "refund_failed"


HEADS = {
    Why.DISPUTE: "Payment disputed",
    Why.REFUND: "Payment refunded",
    Why.REVERSAL: "Payment reversed",
    Why.WON: "Dispute won",
    Why.REFUND_FAILED: "Refund of the payment failed",
}


def gives_back(entry: Entry) -> bool:
    """Whether a chargeback is of a payment that came again: all others take, or pay a debt."""
    return entry.reference.get("why") in {Why.WON, Why.REFUND_FAILED}


def why_of(purchase: Purchase, returned_cents: int, dispute: str | None) -> Why:
    """Why a payment goes back, or comes again: by the status of its dispute, if it has one that moves money.

    The statuses are Stripe's: an inquiry (``warning_...``) and a dispute that was prevented move none.
    """
    moves = dispute is not None and dispute != "prevented" and not dispute.startswith("warning")
    if returned_cents < purchase.returned_cents:
        return Why.WON if moves else Why.REFUND_FAILED
    if moves and dispute != "won":
        return Why.DISPUTE
    return Why.REVERSAL if purchase.source is PaymentSource.EARNINGS_BALANCE else Why.REFUND


@dataclass(frozen=True, slots=True)
class Journal:
    """Entries of an account from a purchase's own on, up to ``seq``: its expiries and chargebacks at least."""

    entries: tuple[Entry, ...]
    seq: int


def needs_journal(purchase: Purchase, bought: Entry, today: date) -> bool:
    """Whether a purchase's own entry is not enough: Connects of it were taken before, or their lot has expired."""
    return purchase.reclaims > 0 or any(bucket.expired(today) for bucket in bought.slices)


class JournalMovedError(Exception):
    """The journal is needed and was not read, or it is older than the account: read both again."""


@dataclass(frozen=True, slots=True)
class BringToLevel:
    """Take back or give back what of a purchase's Connects is missing to its level."""

    purchase: Purchase
    """As it was read: the store writes the entry only with the next revision of it."""
    bought: Entry
    """The entry of its Connects."""
    returned_cents: int
    why: Why
    journal: Journal | None = None
    """Where `needs_journal` says so."""

    @property
    def request(self) -> Request:
        """One key for each step: an entry is written once, however often a step is tried."""
        return Request(CHARGEBACK, f"{self.purchase.purchase_id}.{self.purchase.reclaims + 1}", "", "system")

    def apply(self, settled: Decision, now: datetime, policy: Policy, /) -> Decision:
        """One entry; its amount is 0 if nothing was there to be taken, or all is forgiven, and it says so.

        Raises:
            JournalMovedError
        """
        past = self._past(settled, now.date())
        more = self.purchase.to_reclaim(self.returned_cents) - self.purchase.reclaimed
        if not more:
            return settled
        step = self._take(settled, past, more, now) if more > 0 else self._give(settled, past, -more, now, policy)
        account = settled.account.with_debt(self.purchase.purchase_id, step.owed)
        reference = {"type": CHARGEBACK, "purchase_id": self.purchase.purchase_id, "why": self.why.value}
        return replace(settled, account=account).add_entry(
            EntryType.CHARGEBACK,
            {bucket: amount for bucket, amount in step.slices.items() if amount},
            self.request,
            at=now,
            now=now,
            reason=f"{HEADS[self.why]}: {step.text}",
            reference=reference | step.facts | {"owed_after": str(account.total_owed)},
        )

    def _past(self, settled: Decision, today: date) -> _Past:
        if self.journal is None:
            if needs_journal(self.purchase, self.bought, today):
                raise JournalMovedError
            return _Past.of(self.purchase.purchase_id, [self.bought])
        if self.journal.seq != settled.account.seq - len(settled.entries):
            raise JournalMovedError
        return _Past.of(self.purchase.purchase_id, [self.bought, *self.journal.entries, *settled.entries])

    def _take(self, settled: Decision, past: _Past, more: int, now: datetime) -> _Step:
        step, account = _Step(), settled.account
        for bucket in sorted(past.put):
            if bucket.expired(now.date()):
                there = past.expired[bucket] - past.excused[bucket]
                part = step.expired[bucket] = max(min(past.put[bucket], there, more), 0)
            else:
                part = min(past.put[bucket], account.lots.get(bucket, 0), more)
                step.slices[bucket] = -part
            more -= part
        may_owe = account.owed_for(self.purchase.purchase_id) or len(account.owed) < MOST_DEBTS
        return replace(step, owed=more) if may_owe else replace(step, excused=more)

    def _give(self, settled: Decision, past: _Past, less: int, now: datetime, policy: Policy) -> _Step:
        forgiven = min(less, settled.account.owed_for(self.purchase.purchase_id))
        back = _pop(past.taken, less - forgiven)
        lost = _pop(past.lost, less - forgiven - back.total())
        step = _Step(owed=-forgiven, excused=-lost.pop(None, 0))
        for bucket, amount in back.items():
            grace = Bucket(now.date() + timedelta(policy.refund_grace_days), bucket.paid)
            step.slices[grace if bucket.expired(now.date()) else bucket] += amount
        for expired_in, amount in lost.items():
            if expired_in:
                step.expired[expired_in] = -amount
        return step


@dataclass(frozen=True, slots=True)
class _Step:
    """What one entry takes, with the signs of its reference: less owed, and less excused, is below 0."""

    slices: Counter[Bucket] = field(default_factory=Counter)
    owed: int = 0
    expired: Counter[Bucket] = field(default_factory=Counter)
    """What is excused because it had expired, by bucket."""
    excused: int = 0
    """What is excused because the account owes for too many purchases."""

    @property
    def text(self) -> str:
        amount = self.slices.total()
        parts = [
            (-amount, "taken back"),
            (amount, "given back"),
            (self.owed, "owed"),
            (-self.owed, "no longer owed"),
            (self.expired.total(), "had expired"),
            (self.excused, "not charged"),
            (-self.expired.total() - self.excused, "not given back, as they were not taken"),
        ]
        first, *more = [(number, what) for number, what in parts if number > 0]
        return ", ".join([f"{first[0]} Connects {first[1]}", *(f"{number} {what}" for number, what in more)])

    @property
    def facts(self) -> dict[str, str]:
        lost = self.expired.total() + self.excused
        said = {"owed": self.owed, "lost": lost, "lost_lots": _to_text(self.expired)}
        return {name: str(value) for name, value in said.items() if value}


@dataclass(slots=True)
class _Past:
    """What became of a purchase's Connects, by the journal."""

    put: Counter[Bucket] = field(default_factory=Counter)
    """By bucket: what the purchase put into it and was not taken from it."""
    taken: list[tuple[Bucket, int]] = field(default_factory=list)
    """What was taken, or paid a debt, and did not come back; oldest first."""
    lost: list[tuple[Bucket | None, int]] = field(default_factory=list)
    """What of this purchase is excused, oldest first: by the bucket that it expired in, None for what was not owed."""
    expired: Counter[Bucket] = field(default_factory=Counter)
    """What expired in each bucket, whoever had put it there."""
    excused: Counter[Bucket] = field(default_factory=Counter)
    """What of that is excused, for any purchase."""

    @classmethod
    def of(cls, purchase_id: str, entries: Iterable[Entry]) -> _Past:
        past = cls()
        for entry in entries:
            if entry.type is EntryType.EXPIRY:
                past.expired.subtract(entry.slices)
            elif entry.type is EntryType.PURCHASE and entry.reference.get("purchase_id") == purchase_id:
                past.put.update(entry.slices)
            elif entry.type is EntryType.CHARGEBACK:
                expired = _from_text(entry.reference.get("lost_lots", ""))
                past.excused.update(expired)
                if entry.reference["purchase_id"] == purchase_id:
                    past.add(entry, expired)
        return past

    def add(self, entry: Entry, expired: Counter[Bucket]) -> None:
        """Add an entry that took from this purchase, gave back, or paid its debt."""
        for bucket in sorted(entry.slices):
            amount = entry.slices[bucket]
            self.put[bucket] = max(self.put[bucket] + amount, 0)
            if amount < 0:
                self.taken.append((bucket, -amount))
        _pop(self.taken, max(entry.amount, 0))
        self.put.subtract(expired)
        lost = int(entry.reference.get("lost", "0"))
        self.lost += [(bucket, amount) for bucket, amount in sorted(expired.items()) if amount > 0]
        if (excused := lost - expired.total()) > 0:
            self.lost.append((None, excused))
        _pop(self.lost, max(-lost, 0))


def _pop(stack: list[tuple[B, int]], amount: int) -> Counter[B]:
    """Remove at most ``amount`` from the end, and return it by bucket."""
    found: Counter[B] = Counter()
    while amount and stack:
        bucket, there = stack.pop()
        part = min(there, amount)
        found[bucket] += part
        amount -= part
        if part < there:
            stack.append((bucket, there - part))
    return found


def _to_text(lots: Mapping[Bucket, int]) -> str:
    """``2027-01-16/paid:30``, as the history has it as CSV."""
    return " ".join(
        f"{bucket.expires_on}/{'paid' if bucket.paid else 'free'}:{amount}"
        for bucket, amount in sorted(lots.items())
        if amount
    )


def _from_text(text: str) -> Counter[Bucket]:
    lots: Counter[Bucket] = Counter()
    for each in text.split():
        day, _, rest = each.partition("/")
        kind, _, amount = rest.partition(":")
        lots[Bucket(date.fromisoformat(day), kind == "paid")] = int(amount)
    return lots
