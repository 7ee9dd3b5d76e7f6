"""Expiry: one row for each day on which something expired, dated at its instant, whenever the sweep ran."""

from datetime import date

from shared.ledger.commands import Settle, decide
from shared.ledger.model import EntryType
from shared.ledger.policy import Policy
from shared.ledger.settling import SETTLED_AT_ONCE
from tests.core.builders import INSTANT, QUIET, Book, content, free, noon, paid, start_of


def test_an_expiry_is_dated_at_its_instant_not_when_the_sweep_ran():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    [expiry] = book.at("2025-02-20").settle()
    assert (expiry.type, expiry.amount) == (EntryType.EXPIRY, -10)
    assert (expiry.at, expiry.recorded_at) == (start_of("2025-01-11"), noon("2025-02-20"))
    assert expiry.reference == {"type": "expiry", "expired_on": "2025-01-11"}


def test_nothing_expires_before_its_instant():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    assert book.at(start_of("2025-01-11") - INSTANT).settle() == []
    assert len(book.at(start_of("2025-01-11")).settle()) == 1


def test_two_lots_of_one_day_expire_in_one_row():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10, paid=False)
    book.credit(20, paid=True)
    [expiry] = book.at("2025-01-11").settle()
    assert expiry.slices == {free("2025-01-11"): -10, paid("2025-01-11"): -20}


def test_lots_of_two_days_expire_in_two_rows_in_the_order_of_time():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    book.at("2024-01-12").credit(20)
    rows = book.at("2026-01-01").settle()
    assert [(row.at, row.amount) for row in rows] == [(start_of("2025-01-11"), -10), (start_of("2025-01-13"), -20)]


def test_lots_issued_on_28_and_29_february_expire_in_one_row():
    book = Book.opened("2024-02-28", policy=QUIET)
    book.credit(10)
    book.at("2024-02-29").credit(20)
    [expiry] = book.at("2025-03-01").settle()
    assert (expiry.at, expiry.amount) == (start_of("2025-03-01"), -30)


def test_only_what_is_left_of_a_lot_expires():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    book.spend(7)
    assert [row.amount for row in book.at("2025-01-11").settle()] == [-3]


def test_a_sweep_twice_expires_once():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    book.at("2025-01-11").settle()
    assert book.settle() == []


def test_an_account_without_lots_is_due_again_when_a_lot_of_that_day_would_expire():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    book.at("2025-01-11").settle()
    assert book.account.expiry_due == date(2026, 1, 12)


def test_two_sweeps_that_read_the_same_state_write_a_row_of_the_same_name():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    first, second = (decide(book.account, Settle(), noon(day), QUIET) for day in ("2025-01-11", "2025-01-12"))
    assert first.entries[0].entry_id == second.entries[0].entry_id


def test_expiry_moves_on_to_the_next_lot():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    book.at("2024-05-10").credit(5)
    book.at("2025-01-11").settle()
    assert book.account.expiry_due == date(2025, 5, 11)


def test_at_one_midnight_old_lots_expire_before_new_ones_are_granted():
    book = Book.opened("2024-01-11", policy=Policy(sign_up=0))
    book.at("2024-05-10").credit(7)  # expires at the very midnight at which a cycle starts
    rows = book.at("2025-05-11").settle()
    assert [(row.type, row.amount) for row in rows if row.at == start_of("2025-05-11")] == [
        (EntryType.EXPIRY, -7),
        (EntryType.GRANT, 10),
    ]


def test_what_falls_due_on_different_days_is_written_in_the_order_of_time():
    book = Book.opened("2024-01-10", policy=Policy(sign_up=0, lot_lifetime_months=1)).at("2024-03-12")
    assert [(row.type, row.at, row.balance_after) for row in book.settle()] == [
        (EntryType.GRANT, start_of("2024-02-10"), 20),
        (EntryType.EXPIRY, start_of("2024-02-11"), 10),
        (EntryType.GRANT, start_of("2024-03-10"), 20),
        (EntryType.EXPIRY, start_of("2024-03-11"), 10),
    ]


def test_expiry_of_more_lots_than_fit_one_transaction_takes_several():
    book = Book.opened("2024-01-01", policy=QUIET)
    for number in range(SETTLED_AT_ONCE + 5):
        book.at(date.fromordinal(date(2024, 1, 1).toordinal() + number)).credit(1)
    decision = decide(book.account, Settle(), noon("2026-01-01"), QUIET)
    assert not decision.complete
    assert len(book.at("2026-01-01").settle()) == SETTLED_AT_ONCE + 5
    assert book.account.lots == {}


def test_what_fell_due_is_shown_before_it_is_written_however_much_it_is():
    book = Book.opened("2025-01-01", policy=QUIET)
    for number in range(2 * SETTLED_AT_ONCE + 5):
        book.at(date.fromordinal(date(2025, 1, 1).toordinal() + number)).credit(1)
    assert book.pending == []
    book.at("2027-01-01")
    assert [entry.balance_after for entry in book.pending] == list(range(2 * SETTLED_AT_ONCE + 4, -1, -1))
    assert book.pending[-1].balance_after == book.shown.balance
    assert [content(entry) for entry in book.pending] == [content(entry) for entry in book.settle()]


def test_what_fell_due_is_shown_at_its_instant_and_not_before():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    assert book.at(start_of("2025-01-11") - INSTANT).pending == []
    [expiry] = book.at(start_of("2025-01-11")).pending
    assert (expiry.type, expiry.at, expiry.seq, expiry.balance_after) == (
        EntryType.EXPIRY,
        start_of("2025-01-11"),
        2,
        0,
    )


def test_a_late_sweep_never_changes_what_later_rows_say():
    """A reader of the history sees the same rows whether the schedule ran each night or not for two years."""
    nightly, late = (Book.opened("2024-01-31") for _ in range(2))
    for number in range(1, 731):
        nightly.at(date.fromordinal(date(2024, 1, 31).toordinal() + number)).settle()
    late.at(nightly.now).settle()
    assert [(row.at, row.type, row.amount) for row in nightly.entries] == [
        (row.at, row.type, row.amount) for row in late.entries
    ]
