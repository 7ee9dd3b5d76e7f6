"""Days: a lot lives through its anniversary; a cycle starts on the anchor, in every month, for ever."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.ledger.calendar import (
    ONE_DAY,
    AnchorPolicy,
    add_months,
    cycle_of_month,
    cycle_on,
    expiry_of_lot,
    midnight,
)

days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
anchors = st.integers(1, 31)
policies = st.sampled_from(AnchorPolicy)


def starts(first_month: str, months: int, anchor: int, policy: AnchorPolicy) -> list[str]:
    first = date.fromisoformat(first_month + "-01")
    cycles = [cycle_of_month(add_months(first, number), anchor, policy) for number in range(months)]
    return [cycle.starts_on.isoformat() for cycle in cycles]


@pytest.mark.parametrize(
    ("issued_on", "usable_through"),
    [
        ("2026-11-27", "2027-11-27"),
        ("2024-02-29", "2025-02-28"),  # no such anniversary
        ("2024-02-28", "2025-02-28"),
        ("2023-02-28", "2024-02-28"),  # not the 29th, although it is the last of February
        ("2023-03-01", "2024-03-01"),
        ("2023-12-31", "2024-12-31"),
        ("2023-01-31", "2024-01-31"),
    ],
)
def test_a_lot_is_usable_through_the_anniversary_of_its_issue(issued_on, usable_through):
    expires_on = expiry_of_lot(date.fromisoformat(issued_on), 12)
    assert expires_on - ONE_DAY == date.fromisoformat(usable_through)


@pytest.mark.parametrize(
    ("months", "expires_on"), [(1, "2024-03-30"), (6, "2024-08-30"), (48, "2028-03-01"), (1200, "2124-03-01")]
)
def test_a_lot_lasts_as_many_months_as_are_configured(months, expires_on):
    issued_on = date(2024, 2, 29)
    assert expiry_of_lot(issued_on, months) == date.fromisoformat(expires_on)


@given(issued_on=days)
@example(issued_on=date(2024, 2, 29))
def test_a_lot_lasts_a_year_and_the_day_of_its_issue(issued_on):
    assert (expiry_of_lot(issued_on, 12) - issued_on).days in {366, 367}


@given(issued_on=days, later=st.integers(1, 400), months=st.integers(1, 24))
def test_a_lot_never_expires_before_one_that_was_issued_earlier(issued_on, later, months):
    assert expiry_of_lot(issued_on, months) <= expiry_of_lot(issued_on + timedelta(later), months)


def test_a_day_starts_at_midnight_utc():
    assert midnight(date(2024, 2, 29)) == datetime(2024, 2, 29, tzinfo=UTC)


@given(day=days, months=st.integers(-500, 500))
def test_adding_months_keeps_the_day_or_takes_the_last_of_the_month(day, months):
    moved = add_months(day, months)
    assert (moved.year - day.year) * 12 + moved.month - day.month == months
    assert moved.day == day.day or (moved.day < day.day and (moved + ONE_DAY).day == 1)


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        (31, "2024-01-31 2024-02-29 2024-03-31 2024-04-30 2024-05-31 2024-06-30 2024-07-31"),
        (30, "2024-01-30 2024-02-29 2024-03-30 2024-04-30 2024-05-30 2024-06-30 2024-07-30"),
        (29, "2024-01-29 2024-02-29 2024-03-29 2024-04-29 2024-05-29 2024-06-29 2024-07-29"),
    ],
)
def test_clamp_starts_a_cycle_on_the_last_day_of_a_month_that_is_too_short(anchor, expected):
    assert starts("2024-01", 7, anchor, AnchorPolicy.CLAMP) == expected.split()


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        (31, "2023-01-31 2023-03-01 2023-03-31 2023-05-01 2023-05-31 2023-07-01 2023-07-31"),
        (30, "2023-01-30 2023-03-01 2023-03-30 2023-04-30 2023-05-30 2023-06-30 2023-07-30"),
        (29, "2023-01-29 2023-03-01 2023-03-29 2023-04-29 2023-05-29 2023-06-29 2023-07-29"),
    ],
)
def test_first_of_next_starts_a_cycle_on_the_first_after_a_month_that_is_too_short(anchor, expected):
    assert starts("2023-01", 7, anchor, AnchorPolicy.FIRST_OF_NEXT) == expected.split()


@pytest.mark.parametrize("policy", AnchorPolicy)
def test_anchor_29_needs_no_stand_in_in_a_leap_year(policy):
    assert starts("2024-02", 2, 29, policy) == ["2024-02-29", "2024-03-29"]


@pytest.mark.parametrize("policy", AnchorPolicy)
@pytest.mark.parametrize("anchor", [29, 30, 31])
def test_an_anchor_never_drifts_in_fifty_years_of_cycles(anchor, policy):
    cycle = cycle_on(date(2000, 1, anchor), anchor, policy)
    for _ in range(600):
        month_is_long_enough = (cycle.month + timedelta(anchor - 1)).month == cycle.month.month
        if month_is_long_enough:
            assert cycle.starts_on == cycle.month.replace(day=anchor)
        elif policy is AnchorPolicy.CLAMP:
            assert cycle.starts_on + ONE_DAY == add_months(cycle.month, 1)
        else:
            assert cycle.starts_on == add_months(cycle.month, 1)
        cycle = cycle_on(cycle.next_starts_on, anchor, policy)
    assert cycle.month == date(2050, 1, 1)


@pytest.mark.parametrize("policy", AnchorPolicy)
@pytest.mark.parametrize("anchor", [1, 15, 28, 29, 30, 31])
def test_cycles_leave_no_day_out_and_share_none(anchor, policy):
    cycles = [cycle_of_month(add_months(date(2023, 1, 1), number), anchor, policy) for number in range(60)]
    for cycle, following in pairwise(cycles):
        assert cycle.starts_on < cycle.next_starts_on == following.starts_on


@given(day=days, anchor=anchors, policy=policies)
@example(day=date(2023, 3, 1), anchor=31, policy=AnchorPolicy.FIRST_OF_NEXT)
@example(day=date(2023, 2, 28), anchor=31, policy=AnchorPolicy.FIRST_OF_NEXT)
@example(day=date(2024, 1, 1), anchor=31, policy=AnchorPolicy.CLAMP)
def test_every_day_falls_into_the_one_cycle_around_it(day, anchor, policy):
    cycle = cycle_on(day, anchor, policy)
    assert cycle.starts_on <= day < cycle.next_starts_on
    assert cycle == cycle_of_month(cycle.month, anchor, policy)


@given(day=days, policy=policies)
def test_a_cycle_starts_on_the_very_day_that_an_account_joins(day, policy):
    assert cycle_on(day, day.day, policy).starts_on == day


def test_days_left_count_today():
    cycle = cycle_of_month(date(2024, 2, 1), 10, AnchorPolicy.CLAMP)
    assert cycle.days == 29
    assert cycle.days_left(date(2024, 2, 10)) == 29
    assert cycle.days_left(date(2024, 3, 9)) == 1
