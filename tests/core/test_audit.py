"""The audit finds what contradicts an invariant: each test breaks one thing in a sound account."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from shared.ledger.audit import (
    AWARDS,
    BALANCES,
    BUCKETS,
    DEBTS,
    HOLDS,
    INVARIANTS,
    LOTS,
    MOST_PROBLEMS,
    ONCE,
    PAID,
    PURCHASES,
    SEQUENCE,
    SLICES,
    Audit,
    audit,
)
from shared.ledger.audit import BADGE_WEEKS as BADGE
from shared.ledger.model import Account, Badge, Debt, Entry, EntryType, Plan
from shared.ledger.purchases import PaymentSource, Purchase, PurchaseState
from tests.core.builders import Book, free, paid, start_of

Broken = tuple[Account, list[Entry]]


def sound_book() -> Book:
    """Seq 1 and 2: sign-up and cycle. 3: a purchase. 4 and 5: spends. 6: refund of the first. 7: a cycle."""
    book = Book.opened("2024-01-10", plan=Plan.PLUS)
    book.at("2024-01-12").credit(20, paid=True)
    spend = book.spend(8)
    book.spend(5)
    book.at("2024-01-14").refund(spend)
    book.at("2024-02-10").settle()
    book.entries[2] = replace(book.entries[2], reference={"type": "purchase", "purchase_id": "first"})
    return book


def violated(account: Account, entries: list[Entry], purchases: Iterable[Purchase] | None = None) -> set[str]:
    return {finding.invariant for finding in audit(account, entries, purchases) if finding.problems}


def edit(book: Book, number: int, **changes: Any) -> Broken:
    return book.account, [replace(entry, **changes) if entry.seq == number else entry for entry in book.entries]


def set_lot(book: Book, bucket, left: int) -> Broken:
    return replace(book.account, lots={**book.account.lots, bucket: left}), book.entries


def lot_gone(book: Book) -> Broken:
    lots = dict(book.account.lots)
    del lots[paid("2025-01-13")]
    return replace(book.account, lots=lots), book.entries


def moved_to_another_class(book: Book) -> Broken:
    lots = dict(book.account.lots)
    lots[free("2025-01-13")] = lots.pop(paid("2025-01-13"))
    return replace(book.account, lots=lots), book.entries


def moved_to_a_later_day(book: Book) -> Broken:
    lots = dict(book.account.lots)
    lots[paid("2026-01-13")] = lots.pop(paid("2025-01-13"))
    return replace(book.account, lots=lots), book.entries


def without(book: Book, seq: int) -> Broken:
    return book.account, [entry for entry in book.entries if entry.seq != seq]


def swapped(book: Book) -> Broken:
    entries = list(book.entries)
    entries[2], entries[3] = entries[3], entries[2]
    return book.account, entries


def written_twice(book: Book) -> Broken:
    """The same key once more, with a seq, balance and lots of its own."""
    return posted(book, book.entries[2])


def posted(book: Book, entry: Entry, **changes: Any) -> Broken:
    """An entry at the end that changes the lots as it says."""
    entry = replace(entry, **changes)
    lots = dict(book.account.lots)
    for bucket, amount in entry.slices.items():
        lots[bucket] = lots.get(bucket, 0) + amount
    last = replace(entry, seq=book.account.seq + 1, at=book.now, balance_after=book.account.balance + entry.amount)
    return replace(book.account, lots=lots, seq=last.seq), [*book.entries, last]


def refunded_again(book: Book) -> Broken:
    return posted(book, book.entries[5], entry_id="another")


def refund_of(book: Book, spend_id: str, amount: int = 8) -> Broken:
    reference, slices = {"type": "spend", "spend_id": spend_id}, {free("2025-01-11"): amount}
    return posted(book, book.entries[5], entry_id="another", amount=amount, slices=slices, reference=reference)


def refund_of_interview(book: Book, amount: int) -> Broken:
    """An interview gives back in part what the second spend took, 5."""
    return in_parts(book, amount)


def in_parts(book: Book, by_interview: int, *rest: int) -> Broken:
    """An interview gives back in part what the second spend took, 5, and then others what it left."""
    account, entries = book.account, book.entries
    for number, amount in enumerate([by_interview, *rest]):
        reference = {"type": "spend" if number else "interview", "spend_id": book.entries[4].entry_id}
        slices = {free("2025-01-11"): amount}
        account, entries = posted(
            replace(book, account=account, entries=entries),
            book.entries[5],
            entry_id=f"back {number}",
            amount=amount,
            slices=slices,
            reference=reference,
        )
    return account, entries


def awarded_again(book: Book, entry_type: EntryType = EntryType.REWARD, **reference: str) -> Broken:
    reward = replace(book.entries[2], type=entry_type, entry_id="one", reference=reference)
    once = posted(book, reward)
    return posted(replace(book, account=once[0], entries=once[1]), reward, entry_id="other")


def badge_paid(book: Book, *days: int, until: int | None) -> Broken:
    """Weeks of the badge that begin so many days after its first; for until when the account takes it to be paid."""
    week = replace(book.entries[4], amount=-1, slices={free("2025-01-11"): -1})
    account, entries, first = book.account, book.entries, start_of("2024-02-10")
    for number, day in enumerate(days):
        reference = {"type": "badge", "starts_at": (first + timedelta(days=day)).isoformat()}
        after = replace(book, account=account, entries=entries)
        account, entries = posted(after, week, entry_id=f"week {number}", reference=reference)
    badge = None if until is None else Badge(enabled=True, max_per_week=4, paid_until=first + timedelta(days=until))
    return replace(account, badge=badge), entries


def held(book: Book, *ends: tuple[EntryType, int], left: int = 0, **reference: str) -> Broken:
    """5 held, and then what ends it, or holds more; the account says how much is held in the end."""
    account, entries = book.account, book.entries
    for number, (entry_type, amount) in enumerate([(EntryType.HOLD, -5), *ends]):
        after = replace(book, account=account, entries=entries)
        changes = {"type": entry_type, "amount": amount, "slices": {free("2025-01-11"): amount} if amount else {}}
        account, entries = posted(
            after, book.entries[4], entry_id=f"held {number}", reference={**OF_HOLD, **reference}, **changes
        )
    return replace(account, held=left), entries


OF_HOLD = {"type": "boost", "hold_id": "h"}
CAPTURED, RELEASED = (EntryType.CAPTURE, 0), (EntryType.RELEASE, 5)


def back(amount: int) -> tuple[EntryType, int]:
    """A refund of what was captured and, by a late event, should not have been."""
    return EntryType.REFUND, amount


Row = tuple[EntryType, int, dict[str, str]]


def owes(book: Book, *rows: Row, debts: dict[str, int]) -> Broken:
    """These entries, of free Connects, and what the account owes in the end."""
    account, entries = book.account, book.entries
    for number, (entry_type, amount, reference) in enumerate(rows):
        after = replace(book, account=account, entries=entries)
        slices = {free("2025-01-11"): amount} if amount else {}
        account, entries = posted(
            after,
            book.entries[2],
            entry_id=f"row {number}",
            type=entry_type,
            amount=amount,
            slices=slices,
            reference=reference,
        )
    return replace(account, owed=tuple(Debt(name, left) for name, left in debts.items())), entries


def taken(amount: int, owed: int, after: int, purchase_id: str = "first", lost: int = 0) -> Row:
    reference = {"type": "chargeback", "purchase_id": purchase_id, "owed": str(owed), "owed_after": str(after)}
    return EntryType.CHARGEBACK, -amount, reference | ({"lost": str(lost)} if lost else {})


def came(amount: int) -> Row:
    return EntryType.ADJUSTMENT, amount, {"type": "adjustment"}


def pays(amount: int, after: int, of: int = 1, purchase_id: str = "first") -> Row:
    reference = {"type": "debt", "purchase_id": purchase_id, "of": f"row {of}", "owed": str(-amount)}
    return EntryType.CHARGEBACK, -amount, reference | {"owed_after": str(after)}


def level(cents: int, reclaims: int = 1) -> Purchase:
    """The first purchase, of 20 Connects for 300 cents."""
    return replace(FIRST, returned_cents=cents, reclaimed=20 * cents // 300, reclaims=reclaims)


def bought(book: Book, purchase_id: str | None = "p", quantity: int = 20) -> Broken:
    """The entry of a purchase, which may name none."""
    reference = {"type": "purchase"} | ({"purchase_id": purchase_id} if purchase_id else {})
    entry = replace(book.entries[2], type=EntryType.PURCHASE, reference=reference, amount=quantity)
    return posted(book, entry, entry_id=f"bought {len(book.entries)}", slices={paid("2025-01-13"): quantity})


def bought_twice(book: Book) -> Broken:
    account, entries = bought(book)
    return bought(replace(book, account=account, entries=entries))


def purchase(
    state: PurchaseState = PurchaseState.COMPLETED, quantity: int = 20, attempt: int = 1, purchase_id: str = "p"
) -> Purchase:
    return Purchase(
        account_id="ann",
        purchase_id=purchase_id,
        state=state,
        quantity=quantity,
        amount_cents=quantity * 15,
        currency="USD",
        source=PaymentSource.BILLING_METHOD,
        created_at=start_of("2024-02-10"),
        actor="ann",
        fingerprint="f",
        attempt=attempt,
    )


FIRST = purchase(purchase_id="first")
"""That of the sound book's third entry."""

BREAKS: dict[str, tuple[Callable[[Book], Broken], set[str]]] = {
    "a lot of nothing": (lambda book: set_lot(book, paid("2026-01-01"), 0), {LOTS}),
    "a lot below zero": (lambda book: set_lot(book, paid("2025-01-13"), -1), {LOTS, BUCKETS, BALANCES}),
    "a lot that expires before the next expiry": (
        lambda book: (replace(book.account, expiry_due=date(2025, 1, 12)), book.entries),
        {LOTS},
    ),
    "lots and no next expiry": (lambda book: (replace(book.account, expiry_due=None), book.entries), {LOTS}),
    "a lot too large": (lambda book: set_lot(book, paid("2025-01-13"), 21), {BUCKETS, BALANCES}),
    "a lot that no entry explains": (lambda book: set_lot(book, paid("2026-01-01"), 1), {BUCKETS, BALANCES}),
    "a lot lost": (lot_gone, {BUCKETS, BALANCES}),
    "a lot of another class": (moved_to_another_class, {BUCKETS}),
    "a lot that lasts longer": (moved_to_a_later_day, {BUCKETS}),
    "an amount that is not its slices'": (lambda book: edit(book, 3, amount=21), {SLICES, BALANCES}),
    "slices that are not their amount's": (
        lambda book: edit(book, 3, slices={paid("2025-01-13"): 21}),
        {SLICES, BUCKETS},
    ),
    "slices of another lot": (lambda book: edit(book, 3, slices={paid("2025-01-14"): 20}), {BUCKETS}),
    "the first entry lost": (lambda book: without(book, 1), {SEQUENCE, BUCKETS, BALANCES}),
    "an entry lost": (lambda book: without(book, 3), {SEQUENCE, BUCKETS, BALANCES}),
    "the last entry lost": (lambda book: without(book, 7), {SEQUENCE, BUCKETS, BALANCES}),
    "all entries lost": (lambda book: (book.account, []), {SEQUENCE, BUCKETS, BALANCES}),
    "a seq twice": (lambda book: edit(book, 4, seq=3), {SEQUENCE}),
    "an entry that the account does not count": (
        lambda book: (replace(book.account, seq=6), book.entries),
        {SEQUENCE, BUCKETS, BALANCES},
    ),
    "entries in another order": (swapped, {SEQUENCE, BALANCES}),
    "an entry dated before the one before": (
        lambda book: edit(book, 4, at=book.entries[2].at - timedelta(seconds=1)),
        {SEQUENCE},
    ),
    "a balance that does not follow": (lambda book: edit(book, 4, balance_after=1), {BALANCES}),
    "the last balance wrong": (lambda book: edit(book, 7, balance_after=1), {BALANCES}),
    "a key with two effects": (written_twice, {ONCE, PURCHASES}),
    "a spend refunded twice": (refunded_again, {ONCE}),
    "a refund of more than was spent": (lambda book: refund_of(book, book.entries[4].entry_id), {ONCE}),
    "what an interview left, and then once more": (lambda book: in_parts(book, 3, 2, 2), {ONCE}),
    "what an interview left, and then less": (lambda book: in_parts(book, 3, 1), {ONCE}),
    "an interview twice for one spend": (
        lambda book: awarded_again(book, EntryType.REWARD, type="interview", spend_id=book.entries[4].entry_id),
        {AWARDS},
    ),
    "a refund of less than was spent": (lambda book: refund_of(book, book.entries[4].entry_id, 4), {ONCE}),
    "a refund of a spend that never was": (lambda book: refund_of(book, "nothing"), {ONCE}),
    "a refund of a purchase": (lambda book: refund_of(book, book.entries[2].entry_id, 20), {ONCE}),
    "a refund of a refund": (lambda book: refund_of(book, book.entries[5].entry_id, 8), {ONCE}),
    "an interview that gives back more than was spent": (lambda book: refund_of_interview(book, 6), {ONCE}),
    "an interview that gives back nothing": (lambda book: refund_of_interview(book, 0), {ONCE}),
    "Rising Talent twice": (lambda book: awarded_again(book, type="rising_talent"), {AWARDS}),
    "a certificate twice": (lambda book: awarded_again(book, type="certification", certificate="go"), {AWARDS}),
    "a promo code twice": (lambda book: awarded_again(book, type="promo", code="SPRING"), {AWARDS}),
    "an interview twice": (lambda book: awarded_again(book, type="interview", spend_id="one"), {AWARDS}),
    "a week of a badge twice": (lambda book: badge_paid(book, 0, 0, until=7), {BADGE}),
    "weeks of a badge that overlap": (lambda book: badge_paid(book, 0, 6, until=13), {BADGE}),
    "a badge that was not paid for": (lambda book: badge_paid(book, until=7), {BADGE}),
    "a badge paid for longer than its entries say": (lambda book: badge_paid(book, 0, until=8), {BADGE}),
    "a badge that was paid for and is not there": (lambda book: badge_paid(book, 0, until=None), {BADGE}),
    "a week of a badge that is not named": (
        lambda book: posted(book, book.entries[4], entry_id="week", reference={"type": "badge"}),
        {BADGE},
    ),
    "a hold that the account does not count": (held, {HOLDS}),
    "a hold that has ended and still counts": (lambda book: held(book, CAPTURED, left=5), {HOLDS}),
    "something held that no entry explains": (
        lambda book: (replace(book.account, held=1), book.entries),
        {HOLDS},
    ),
    "a hold both captured and released": (lambda book: held(book, CAPTURED, RELEASED), {HOLDS}),
    "a hold captured twice": (lambda book: held(book, CAPTURED, CAPTURED), {HOLDS}),
    "a hold released in part and forgotten": (lambda book: held(book, (EntryType.RELEASE, 4)), {HOLDS}),
    "a hold refunded for more than was captured": (
        lambda book: held(book, (EntryType.RELEASE, 4), CAPTURED, (EntryType.REFUND, 2)),
        {ONCE},
    ),
    "a hold released for more than it took": (lambda book: held(book, (EntryType.RELEASE, 6)), {HOLDS}),
    "a capture that takes once more": (lambda book: held(book, (EntryType.CAPTURE, -5)), {HOLDS}),
    "a hold that grows after its end": (lambda book: held(book, CAPTURED, (EntryType.HOLD, -1), left=1), {HOLDS}),
    "a hold released in part and then not captured": (lambda book: held(book, (EntryType.RELEASE, 4)), {HOLDS}),
    "a capture that says it took what was released": (lambda book: held(book, CAPTURED, bid="6"), {HOLDS}),
    "more of a boost come back than it captured": (lambda book: held(book, CAPTURED, back(3), back(3)), {ONCE}),
    "of a boost come back what was released": (
        lambda book: held(book, (EntryType.RELEASE, 2), CAPTURED, back(4)),
        {ONCE},
    ),
    "of a boost come back what is held still": (lambda book: held(book, back(5), left=5), {ONCE}),
    "of a boost come back what was all released": (lambda book: held(book, RELEASED, back(5)), {ONCE}),
    "nothing come back of a boost": (lambda book: held(book, CAPTURED, back(0)), {ONCE}),
    "a debt that the account does not have": (lambda book: owes(book, taken(5, 6, 6), debts={}), {DEBTS}),
    "a debt that no entry explains": (lambda book: owes(book, debts={"first": 1}), {DEBTS}),
    "a debt of another amount": (lambda book: owes(book, taken(5, 6, 6), debts={"first": 5}), {DEBTS}),
    "a debt for another purchase": (lambda book: owes(book, taken(5, 6, 6), debts={"other": 6}), {DEBTS}),
    "debts in another order": (
        lambda book: owes(book, taken(5, 6, 6), taken(0, 1, 7, "other"), debts={"other": 1, "first": 6}),
        {DEBTS},
    ),
    "an entry that says that less is owed": (lambda book: owes(book, taken(5, 6, 5), debts={"first": 6}), {DEBTS}),
    "more forgiven than was owed": (lambda book: owes(book, taken(5, 6, 6), taken(-1, -7, 0), debts={}), {DEBTS}),
    "what came and paid nothing": (lambda book: owes(book, taken(5, 6, 6), came(3), debts={"first": 6}), {PAID}),
    "what came and paid too little": (
        lambda book: owes(book, taken(5, 6, 6), came(3), pays(2, 4), debts={"first": 4}),
        {PAID},
    ),
    "what came and paid too little, and more came": (
        lambda book: owes(book, taken(5, 6, 6), came(3), pays(2, 4), came(1), pays(1, 3, of=3), debts={"first": 3}),
        {PAID},
    ),
    "what paid more than came": (
        lambda book: owes(book, taken(5, 6, 6), came(3), pays(4, 2), debts={"first": 2}),
        {PAID},
    ),
    "what was paid out of what did not just come": (
        lambda book: owes(book, taken(5, 6, 6), came(3), pays(3, 3, of=7), debts={"first": 3}),
        {PAID},
    ),
    "an entry of a purchase that names it twice": (bought_twice, {PURCHASES}),
    "a refund of nothing that it names": (lambda book: edit(book, 6, reference={"type": "spend"}), {ONCE}),
}


@pytest.mark.parametrize(("break_it", "expected"), BREAKS.values(), ids=BREAKS.keys())
def test_audit_finds(break_it, expected):
    book = sound_book()
    assert violated(book.account, book.entries) == set()
    assert violated(*break_it(book)) == expected


def test_audit_accepts_debts_that_whatever_comes_pays():
    rows = [taken(5, 6, 6), came(3), pays(3, 3), came(5), pays(3, 0, of=3)]
    assert violated(*owes(sound_book(), *rows, debts={}), [level(165)]) == set()


@pytest.mark.parametrize(
    ("purchase", "right"),
    [
        (level(165), True),
        (level(180), False),
        (level(150), False),
        (level(0), False),
        (level(165, reclaims=2), False),
        (replace(level(165), returned_cents=179), True),
        (replace(level(165), returned_cents=180), False),
    ],
)
def test_audit_compares_what_was_taken_back_with_what_went_back_of_the_payment(purchase, right):
    account, entries = owes(sound_book(), taken(5, 4, 4, lost=2), debts={"first": 4})
    assert (violated(account, entries, [purchase]) == set()) == right
    assert violated(account, entries, [purchase]) <= {DEBTS}


def test_audit_finds_what_was_taken_back_for_no_purchase():
    broken = owes(sound_book(), taken(5, 6, 6, "other"), debts={"other": 6})
    assert violated(*broken, [FIRST]) == {DEBTS}


def test_audit_leaves_out_a_level_that_is_newer_than_the_account():
    book = sound_book()
    account, entries = owes(book, taken(5, 6, 6), debts={"first": 6})
    checked = Audit(book.account)
    for entry in entries:
        checked.add(entry)
    assert checked.lacks_level(level(165))
    checked.add_purchase(level(165), newer_level=True)
    checked.end_of_purchases()
    assert [each for each in checked.findings(account.seq) if each.problems] == []


@pytest.mark.parametrize("parts", [(3, 2), (1, 4), (5,)])
def test_audit_accepts_a_refund_of_what_an_interview_left_of_a_spend(parts):
    assert violated(*in_parts(sound_book(), *parts)) == set()


@pytest.mark.parametrize("amount", [1, 4, 5])
def test_audit_accepts_an_interview_that_refunds_part_of_a_spend_or_all(amount):
    assert violated(*refund_of_interview(sound_book(), amount)) == set()


def test_audit_accepts_different_awards():
    book = sound_book()
    for number, reference in enumerate(
        [
            {"type": "rising_talent"},
            {"type": "certification", "certificate": "go"},
            {"type": "certification", "certificate": "rust"},
            {"type": "interview", "spend_id": "one"},
            {"type": "interview", "spend_id": "two"},
        ]
    ):
        reward = replace(book.entries[2], type=EntryType.REWARD, entry_id=str(number), reference=reference)
        account, entries = posted(book, reward)
        book = replace(book, account=account, entries=entries)
    assert violated(book.account, book.entries) == set()


@pytest.mark.parametrize(
    ("ends", "left"),
    [
        ((), 5),
        ((CAPTURED,), 0),
        ((RELEASED,), 0),
        (((EntryType.HOLD, -2), (EntryType.RELEASE, 7)), 0),
        (((EntryType.RELEASE, 2),), 3),
        (((EntryType.RELEASE, 2), CAPTURED), 0),
        (((EntryType.RELEASE, 2), (EntryType.RELEASE, 3)), 0),
        ((CAPTURED, back(5)), 0),
        ((CAPTURED, back(2), back(3)), 0),
        (((EntryType.RELEASE, 2), CAPTURED, back(3)), 0),
    ],
)
def test_audit_accepts_a_hold_that_is_open_or_ended_and_refunds_of_it(ends, left):
    assert violated(*held(sound_book(), *ends, left=left)) == set()


@pytest.mark.parametrize(
    ("entries", "purchases"),
    [
        ([], [purchase(PurchaseState.PENDING)]),
        ([], [purchase(PurchaseState.DECLINED)]),
        (["p"], [purchase()]),
        ([], []),
    ],
)
def test_audit_accepts_purchases_that_are_completed_with_their_entries_or_have_none(entries, purchases):
    book = sound_book()
    for name in entries:
        book.account, book.entries = bought(book, name)
    assert violated(book.account, book.entries, [FIRST, *purchases]) == set()


@pytest.mark.parametrize(
    ("entries", "purchases"),
    [
        ([], [purchase()]),
        (["p"], []),
        ([None], []),
        (["p"], [purchase(PurchaseState.PENDING)]),
        (["p"], [purchase(PurchaseState.DECLINED)]),
        (["p"], [purchase(quantity=21)]),
        (["other"], [purchase()]),
    ],
    ids=["no entry", "no purchase", "no name", "pending", "declined", "of another quantity", "of another"],
)
def test_audit_finds_purchases_and_entries_that_do_not_match(entries, purchases):
    book = sound_book()
    for name in entries:
        book.account, book.entries = bought(book, name)
    assert violated(book.account, book.entries, [FIRST, *purchases]) == {PURCHASES}


CHARGES = [
    (purchase(), {"p-1"}, True),
    (purchase(), set(), False),
    (purchase(attempt=2), {"p-2"}, True),
    (purchase(attempt=2), {"p-1"}, False),
    (purchase(attempt=2), {"p-1", "p-2"}, False),
    (purchase(PurchaseState.DECLINED), set(), True),
    (purchase(PurchaseState.DECLINED), {"p-1"}, False),
    (purchase(PurchaseState.PENDING), set(), True),
    (purchase(PurchaseState.PENDING), {"p-1"}, True),
    (purchase(PurchaseState.PENDING, attempt=2), {"p-1"}, False),
]


@pytest.mark.parametrize(("purchase", "charged", "right"), CHARGES)
def test_audit_compares_each_purchase_with_what_was_charged_for_it(purchase, charged, right):
    checked = Audit(sound_book().account)
    checked.add_charges(purchase, charged)
    [finding] = [each for each in checked.findings(7) if each.invariant == PURCHASES]
    assert (finding.problems == ()) == right


def test_audit_ignores_what_was_written_after_the_account_was_read():
    book = sound_book()
    as_read, counted = book.account, len(book.entries)
    book.at("2024-02-11").spend(3)
    book.credit(5)
    checked = Audit(as_read)
    assert [checked.add(entry) for entry in book.entries] == [True] * counted + [False] * 2
    assert [each for each in checked.findings(book.account.seq) if each.problems] == []


def test_audit_finds_a_newer_entry_that_the_account_does_not_count_when_it_is_read_again():
    book = sound_book()
    as_read = book.account
    book.at("2024-02-11").spend(3)
    checked = Audit(as_read)
    for entry in book.entries:
        checked.add(entry)
    assert {each.invariant for each in checked.findings(as_read.seq) if each.problems} == {SEQUENCE}


def test_audit_reports_a_limited_number_of_problems_of_an_invariant_and_how_many_more():
    book = sound_book()
    for _ in range(MOST_PROBLEMS + 5):
        book.spend(1)
    wrong = [replace(entry, balance_after=entry.balance_after + 1) for entry in book.entries]
    [finding] = [each for each in audit(book.account, wrong) if each.problems]
    assert len(finding.problems) == MOST_PROBLEMS + 1
    assert finding.problems[-1] == f"and {len(wrong) - MOST_PROBLEMS} more"


@pytest.mark.parametrize("days", [(0,), (0, 7), (0, 7, 30, 37)])
def test_audit_accepts_weeks_of_a_badge_that_follow_each_other_or_later(days):
    assert violated(*badge_paid(sound_book(), *days, until=days[-1] + 7)) == set()


def test_audit_breaks_every_invariant_that_it_names():
    book = sound_book()
    names = {finding.invariant for finding in audit(book.account, book.entries)}
    assert names == set(INVARIANTS) == set.union(*(expected for _, expected in BREAKS.values()))


def test_audit_finds_a_balance_that_was_negative_on_the_way_although_the_end_is_sound():
    book = sound_book()
    first, *rest = book.entries
    overdrawn = replace(
        first, type=EntryType.SPEND, amount=-1, slices={free("2025-01-11"): -1}, balance_after=-1, entry_id="another"
    )
    given_back = replace(first, seq=2, amount=41, slices={free("2025-01-11"): 41}, balance_after=40)
    entries = [overdrawn, given_back, *(replace(entry, seq=entry.seq + 1) for entry in rest)]
    assert violated(replace(book.account, seq=book.account.seq + 1), entries) == {BALANCES}


def test_audit_of_an_account_without_entries_finds_nothing():
    account = Account("ann", sound_book().account.kind, Plan.BASIC, date(2024, 1, 10))
    assert violated(account, []) == set()


def test_audit_describes_what_it_found():
    book = sound_book()
    account, entries = edit(book, 4, balance_after=1)
    [finding] = [finding for finding in audit(account, entries) if finding.problems]
    assert finding.problems == ("entry 4: balance after is 1, expected 152",)
