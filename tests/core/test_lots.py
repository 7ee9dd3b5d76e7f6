"""Lots: one number for each day of expiry and class, gone at its instant whether or not a job ran."""

from copy import deepcopy
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.commands import Settle, decide
from shared.ledger.credits import Credit
from shared.ledger.errors import InsufficientConnectsError, InvalidRequestError
from shared.ledger.model import EntryType, Plan, Request
from shared.ledger.policy import MAX_AMOUNT
from tests.core.builders import INSTANT, QUIET, Book, free, paid, start_of


def test_credits_of_one_day_and_class_merge_into_one_lot():
    book = Book.opened("2026-11-27", policy=QUIET)
    for amount in (10, 20):
        book.credit(amount, paid=True)
        book.credit(amount, paid=False)
    assert book.account.lots == {free("2027-11-28"): 30, paid("2027-11-28"): 30}


def test_credits_of_two_days_are_two_lots():
    book = Book.opened("2026-11-27", policy=QUIET)
    book.credit(10)
    book.at("2026-11-28").credit(10)
    assert book.account.lots == {free("2027-11-28"): 10, free("2027-11-29"): 10}


@pytest.mark.parametrize(
    ("issued_on", "last_day"),
    [("2026-11-27", "2027-11-27"), ("2024-02-29", "2025-02-28"), ("2023-02-28", "2024-02-28")],
)
def test_a_lot_is_usable_in_the_last_instant_of_its_anniversary_and_not_at_midnight(issued_on, last_day):
    book = Book.opened(issued_on, policy=QUIET)
    book.credit(10)
    midnight_after = start_of(last_day) + timedelta(days=1)

    book.at(midnight_after - INSTANT)
    assert book.shown.balance == 10
    assert book.spend(4).amount == -4

    book.at(midnight_after)
    assert book.shown.balance == 0
    with pytest.raises(InsufficientConnectsError):
        book.spend(1)


def test_a_lot_counts_from_its_utc_day_whatever_the_hour():
    last_instant = datetime(2026, 11, 27, 23, 59, 59, 999_999, UTC)
    book = Book.opened(last_instant, policy=QUIET)
    book.credit(1)
    book.at(last_instant + INSTANT).credit(2)
    assert book.account.lots == {free("2027-11-28"): 1, free("2027-11-29"): 2}


def test_a_balance_never_shows_an_expired_lot_however_late_the_sweep():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    book.at("2024-06-10").credit(5)

    book.at("2025-01-11")
    assert book.shown.lots == {free("2025-06-11"): 5}
    book.at("2029-01-01")
    assert book.shown.balance == 0


def test_showing_an_account_writes_nothing():
    book = Book.opened("2024-01-10")
    before = deepcopy(book.account)
    assert book.at("2031-01-01").shown != book.account
    assert book.account == before


def test_a_decision_does_not_change_the_state_it_was_made_on():
    book = Book.opened("2024-01-10", plan=Plan.PLUS)
    account, before = book.account, deepcopy(book.account)
    book.at("2025-03-01").spend(30)
    book.change_plan(Plan.BASIC, at_once=True)
    assert account == before


def test_the_same_decision_twice_is_the_same_decision():
    book = Book.opened("2024-01-10", plan=Plan.PLUS)
    command, now = (
        Credit(EntryType.PROMO, 7, False, "Promo", {}, Request("promo", "1", "f", "staff")),
        start_of("2026-01-01"),
    )
    assert decide(book.account, command, now, book.policy) == decide(book.account, command, now, book.policy)


def test_nothing_due_is_a_decision_without_entries_and_changes_nothing():
    book = Book.opened("2024-01-10")
    decision = decide(book.account, Settle(), book.now, book.policy)
    assert (decision.account, decision.entries, decision.complete) == (book.account, (), True)


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT + 1])
def test_a_credit_outside_the_limits_is_refused(amount):
    with pytest.raises(InvalidRequestError):
        Book.opened("2024-01-10").credit(amount)


def test_holdings_have_no_limit():
    book = Book.opened("2024-01-10", policy=QUIET)
    for _ in range(3):
        book.credit(MAX_AMOUNT)
    assert book.account.balance == 3 * MAX_AMOUNT


def test_a_journal_dates_nothing_before_what_it_already_holds():
    """The clocks of two machines differ a little; the journal stays in the order of time."""
    book = Book.opened("2024-01-10", policy=QUIET)
    first = book.credit(10)
    second = book.at(book.now - timedelta(seconds=2)).credit(10)
    assert first.at == second.at


def test_a_clock_that_is_behind_does_not_return_to_an_ended_day():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(6)
    spend = book.spend(2)
    book.at(start_of("2025-01-11")).settle()
    refund = book.at(start_of("2025-01-11") - INSTANT).refund(spend)
    assert refund.slices == {free("2025-02-10"): 2}


@given(amounts=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 20), st.booleans()), max_size=15))
def test_the_next_expiry_is_never_later_than_the_earliest_lot(amounts):
    book = Book.opened("2023-01-10", policy=QUIET)
    for days, amount, is_paid in sorted(amounts):
        book.at(date(2023, 1, 10) + timedelta(days)).credit(amount, paid=is_paid)
    soonest = min((bucket.expires_on for bucket in book.account.lots), default=None)
    assert soonest is None or book.account.expiry_due <= soonest
