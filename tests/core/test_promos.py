"""Promo codes: how a code is written, when it is valid, and how its cap is shared out among its counters."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.errors import PromoNotActiveError
from shared.ledger.promos import (
    Campaign,
    Counter,
    counters_for,
    first_counter,
    next_counter,
    normalised_code,
    shares,
)

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
TICK = timedelta(milliseconds=1)
GIVEN = st.lists(st.integers(0, 50), min_size=1, max_size=12)


@pytest.mark.parametrize("text", ["SPRING-26", "spring-26", "  Spring-26\t", "sPRING-26\n"])
def test_case_and_outer_spaces_of_a_code_do_not_matter(text):
    assert normalised_code(text) == "SPRING-26"


@pytest.mark.parametrize("text", ["", "  ", "spring 26", "straße", "\u017fpring", "spring#1", "a" * 65, "١٢"])
def test_a_code_is_1_to_64_letters_digits_lines_and_dashes(text):
    with pytest.raises(ValueError, match="must be 1 to 64"):
        normalised_code(text)


@pytest.mark.parametrize(
    ("now", "active"),
    [(JANUARY - TICK, False), (JANUARY, True), (FEBRUARY - TICK, True), (FEBRUARY, False)],
    ids=["just before", "the first instant", "the last instant", "the end"],
)
def test_a_code_is_valid_from_its_start_and_no_longer_at_its_end(now, active):
    campaign = Campaign("SPRING", 5, 100, JANUARY, FEBRUARY)
    if active:
        campaign.check_active(now)
    else:
        with pytest.raises(PromoNotActiveError):
            campaign.check_active(now)


@given(GIVEN, st.integers(0, 1000))
def test_shares_add_up_to_the_cap_and_none_is_less_than_what_was_given(taken, cap):
    shared = shares(taken, cap)
    if cap > sum(taken):
        assert sum(shared) == cap
        left = [share - given for share, given in zip(shared, taken, strict=True)]
        assert 0 <= min(left) <= max(left) <= min(left) + 1
    else:
        assert not any(shared)


@given(st.integers(0, 10**9), st.integers(0, 90), st.integers(1, 90))
def test_a_campaign_has_a_counter_for_each_redemption_up_to_a_number_and_never_loses_one(cap, known, at_most):
    counters = counters_for(cap, known, at_most)
    assert counters >= max(known, 1)
    assert counters <= max(known, at_most)
    assert counters <= max(known, cap, 1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12), st.data())
def test_the_next_counter_is_one_that_has_some_left_if_any_has(numbers, data):
    counters = [Counter(taken, share, 1) for taken, share in numbers]
    found = next_counter(counters, data.draw(st.integers(0, len(counters) - 1)))
    assert (found is None) == all(counter.exhausted for counter in counters)
    assert found is None or not counters[found].exhausted


def test_accounts_spread_evenly_over_the_counters():
    found = [first_counter(f"account-{number}", 10) for number in range(10_000)]
    assert {found.count(number) // 100 for number in range(10)} <= {9, 10}
