"""Spending: the soonest expiring lot first, free before purchased on one day, never an expired one."""

from copy import deepcopy
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.errors import AccountFrozenError, InsufficientConnectsError, InvalidRequestError
from shared.ledger.model import EntryType, Kind, Plan
from shared.ledger.policy import MAX_AMOUNT
from tests.core.builders import QUIET, Book, free, paid

JANUARY, FEBRUARY, MARCH = "2024-01-10", "2024-02-10", "2024-03-10"


def quiet_book(*credits_: tuple[str, int, bool]) -> Book:
    book = Book.opened(JANUARY, policy=QUIET)
    for day, amount, is_paid in credits_:
        book.at(day).credit(amount, paid=is_paid)
    return book


def test_spend_takes_the_earliest_expiring_lot_first():
    book = quiet_book((JANUARY, 10, False), (FEBRUARY, 10, False), (MARCH, 10, False))
    spend = book.spend(15)
    assert spend.slices == {free("2025-01-11"): -10, free("2025-02-11"): -5}
    assert book.account.lots == {free("2025-02-11"): 5, free("2025-03-11"): 10}


def test_spend_takes_free_connects_before_purchased_ones_of_the_same_expiry_day():
    book = quiet_book((JANUARY, 10, True), (JANUARY, 10, False))
    assert book.spend(12).slices == {free("2025-01-11"): -10, paid("2025-01-11"): -2}


def test_spend_takes_purchased_connects_before_free_ones_that_expire_later():
    book = quiet_book((JANUARY, 10, True), (FEBRUARY, 10, False))
    assert book.spend(4).slices == {paid("2025-01-11"): -4}


def test_spend_of_the_whole_balance_leaves_no_lot():
    book = quiet_book((JANUARY, 10, True), (FEBRUARY, 10, False))
    spend = book.spend(20)
    assert (spend.amount, spend.balance_after, book.account.lots) == (-20, 0, {})


def test_a_refused_spend_names_amount_and_balance_and_changes_nothing():
    book = quiet_book((JANUARY, 10, True))
    before = deepcopy(book.account)
    with pytest.raises(InsufficientConnectsError) as refusal:
        book.spend(11)
    assert refusal.value.details == {"balance": 10, "required": 11}
    assert book.account == before


def test_spend_never_takes_an_expired_lot_that_no_sweep_has_written_off():
    book = quiet_book((JANUARY, 10, False), (FEBRUARY, 10, False))
    spend = book.at("2025-01-11").spend(10)
    assert spend.slices == {free("2025-02-11"): -10}
    assert [entry.type for entry in book.entries[-2:]] == [EntryType.EXPIRY, EntryType.SPEND]


def test_spend_is_refused_where_only_expired_connects_would_do():
    book = quiet_book((JANUARY, 10, False), (FEBRUARY, 10, False))
    with pytest.raises(InsufficientConnectsError) as refusal:
        book.at("2025-01-11").spend(11)
    assert refusal.value.details == {"balance": 10, "required": 11}


def test_spend_can_use_monthly_connects_that_no_schedule_has_written_yet():
    book = Book.opened(JANUARY)
    spend = book.at("2024-02-10").spend(60)
    assert spend.balance_after == 0


def test_spend_of_nothing_is_a_row_that_touches_no_lot():
    """A free proposal is explained in the history too."""
    book = quiet_book((JANUARY, 10, False))
    spend = book.spend(0)
    assert (spend.amount, spend.slices, spend.balance_after) == (0, {}, 10)


@pytest.mark.parametrize("amount", [-1, MAX_AMOUNT + 1])
def test_spend_outside_the_limits_is_refused(amount):
    with pytest.raises(InvalidRequestError):
        quiet_book((JANUARY, 10, False)).spend(amount)


def test_spend_does_not_change_the_due_date_when_it_empties_the_oldest_lot():
    """A spend that changed the key of an index would cost two more write units; the sweep sets it anew."""
    book = quiet_book((JANUARY, 10, False), (MARCH, 10, False))
    book.spend(10)
    assert book.account.expiry_due == date(2025, 1, 11)

    assert book.at("2025-01-11").settle() == []
    assert book.account.expiry_due == date(2025, 3, 11)


def test_spend_does_not_change_the_day_of_the_next_monthly_connects():
    book = Book.opened(JANUARY)
    due = book.account.grant_due
    book.spend(50)
    assert book.account.grant_due == due


def test_a_frozen_agency_is_refused_as_frozen_before_its_balance_is_checked():
    book = Book.opened(JANUARY, kind=Kind.AGENCY, plan=Plan.PLUS)
    book.change_plan(Plan.BASIC, at_once=True)
    with pytest.raises(AccountFrozenError):
        book.spend(1)


@given(
    credits_=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 9), st.booleans()), min_size=1, max_size=12),
    data=st.data(),
)
def test_spend_takes_what_taking_one_connect_at_a_time_in_burn_order_takes(credits_, data):
    book = Book.opened("2023-01-10", policy=QUIET)
    single = []
    for days, amount, is_paid in sorted(credits_):
        book.at(date(2023, 1, 10) + timedelta(days)).credit(amount, paid=is_paid)
        single += [(bucket.expires_on, bucket.paid) for bucket in book.entries[-1].slices for _ in range(amount)]
    amount = data.draw(st.integers(1, len(single)))
    spend = book.spend(amount)

    burnt = [(bucket.expires_on, bucket.paid) for bucket, taken in spend.slices.items() for _ in range(-taken)]
    assert burnt == sorted(single)[:amount]
