"""The invariants of an account, checked against its whole journal.

The same function runs after every test and behind the audit call in production.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from shared.ledger.badge import ONE_WEEK, is_badge, named
from shared.ledger.model import Account, Bucket, Entry, EntryType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


HOLD_ENDS = {EntryType.RELEASE, EntryType.CAPTURE}
ONCE_FOR_EVER = {"rising_talent", "certification", "interview", "promo"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant and what contradicts it; holds where ``problems`` is empty."""

    invariant: str
    problems: tuple[str, ...]


def audit(account: Account, entries: Sequence[Entry]) -> list[Finding]:
    """Check the account against all of its entries, oldest first."""
    checks = {
        "every lot is positive, so the balance is never negative": _lots(account),
        "the entries of each bucket add up to what is left in it": _buckets(account, entries),
        "an entry's slices add up to its amount": _slices(entries),
        "seq counts from 1 without a gap, and time never runs backwards": _sequence(account, entries),
        "each balance follows from the one before": _balances(account, entries),
        "a key has one effect, and a spend comes back at most in full, for each reason once": _once(entries),
        "a hold ends once, by the release or the capture of all of it, and what is held is in open holds": _holds(
            account, entries
        ),
        "what is awarded once for ever was awarded once": _awards(entries),
        "no week of a badge was paid for twice, and the last one ends when the account says": _badge(account, entries),
    }
    return [Finding(invariant, tuple(problems)) for invariant, problems in checks.items()]


def _lots(account: Account) -> Iterator[str]:
    for bucket, left in account.lots.items():
        if left <= 0:
            yield f"{bucket} holds {left}"
        if account.expiry_due is None or bucket.expires_on < account.expiry_due:
            yield f"{bucket} expires before the account's next expiry, {account.expiry_due}"


def _buckets(account: Account, entries: Sequence[Entry]) -> Iterator[str]:
    totals: Counter[Bucket] = Counter()
    for entry in entries:
        totals.update(entry.slices)
    for bucket in totals.keys() | account.lots.keys():
        if totals[bucket] != account.lots.get(bucket, 0):
            yield f"{bucket} holds {account.lots.get(bucket, 0)}, its entries add up to {totals[bucket]}"


def _slices(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if sum(entry.slices.values()) != entry.amount:
            yield f"entry {entry.seq}: amount {entry.amount}, slices {sum(entry.slices.values())}"


def _sequence(account: Account, entries: Sequence[Entry]) -> Iterator[str]:
    found = [entry.seq for entry in entries]
    if found != list(range(1, account.seq + 1)):
        yield f"expected 1 to {account.seq}, found {len(found)} entries: {found[:5]} ... {found[-5:]}"
    for before, after in pairwise(entries):
        if after.at < before.at:
            yield f"entry {after.seq} is dated before entry {before.seq}"


def _balances(account: Account, entries: Sequence[Entry]) -> Iterator[str]:
    balance = 0
    for entry in entries:
        balance += entry.amount
        if entry.balance_after != balance or balance < 0:
            yield f"entry {entry.seq}: balance after is {entry.balance_after}, expected {balance}"
    if balance != account.balance:
        yield f"the account holds {account.balance}, its entries add up to {balance}"


def _once(entries: Sequence[Entry]) -> Iterator[str]:
    for name, times in Counter(entry.entry_id for entry in entries).items():
        if times > 1:
            yield f"entry {name} stands {times} times"
    spends = {entry.entry_id: entry.amount for entry in entries if entry.type is EntryType.SPEND}
    refunds = [(entry, entry.reference.get("spend_id", "")) for entry in entries if entry.type is EntryType.REFUND]
    reasons = Counter((spend_id, entry.reference.get("why") or "interview") for entry, spend_id in refunds)
    for (spend_id, reason), times in reasons.items():
        if times > 1:
            yield f"spend {spend_id} was refunded {times} times for {reason}"
    came_back: Counter[str] = Counter()
    for entry, spend_id in refunds:
        spent, before = -spends.get(spend_id, 0), came_back[spend_id]
        came_back[spend_id] += entry.amount
        in_part = entry.reference.get("type") == "interview"
        fits = 0 < entry.amount <= spent - before if in_part else entry.amount == spent - before
        if spend_id not in spends or not fits:
            yield f"refund {entry.seq} gives {entry.amount} for spend {spend_id}, of which {spent - before} is out"


def _holds(account: Account, entries: Sequence[Entry]) -> Iterator[str]:
    held: Counter[str] = Counter()
    ended: set[str] = set()
    for entry in entries:
        hold_id = entry.reference.get("hold_id", "")
        if entry.type is EntryType.HOLD:
            held[hold_id] -= entry.amount
            if hold_id in ended:
                yield f"entry {entry.seq} holds for {hold_id}, which has ended"
        elif entry.type in HOLD_ENDS:
            taken, captured = held.pop(hold_id, 0), entry.type is EntryType.CAPTURE
            ended.add(hold_id)
            if not taken or entry.amount != (0 if captured else taken):
                yield f"{entry.type} {entry.seq} of {entry.amount} ends hold {hold_id} of {taken}"
    if held.total() != account.held:
        yield f"the account has {account.held} held, its open holds add up to {held.total()}"


def _awards(entries: Sequence[Entry]) -> Iterator[str]:
    """Rising Talent, each certificate, each proposal's interview and each promo code."""
    given = [entry.reference for entry in entries if entry.type in {EntryType.REWARD, EntryType.PROMO}]
    awards = [
        (reference["type"], reference.get("certificate") or reference.get("spend_id") or reference.get("code", ""))
        for reference in given
        if reference.get("type") in ONCE_FOR_EVER
    ]
    for (award, subject), times in Counter(awards).items():
        if times > 1:
            yield f"{award} {subject}".rstrip() + f" was awarded {times} times"


def _badge(account: Account, entries: Sequence[Entry]) -> Iterator[str]:
    weeks = [datetime.fromisoformat(entry.reference["starts_at"]) for entry in entries if is_badge(entry)]
    for before, after in pairwise(weeks):
        if after < before + ONE_WEEK:
            yield f"the badge was paid for from {named(before)} and again from {named(after)}"
    paid_until = max(weeks, default=None)
    expected, known = paid_until and paid_until + ONE_WEEK, account.badge and account.badge.paid_until
    if known != expected:
        yield f"the badge is paid for until {known}, its entries say {expected}"
