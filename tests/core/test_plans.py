"""Changes of plan: an upgrade brings the rest of the cycle at once, a downgrade takes nothing, agencies freeze."""

from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.calendar import AnchorPolicy, cycle_on
from shared.ledger.errors import AccountFrozenError, InsufficientConnectsError, PlanRequiredError
from shared.ledger.model import EntryType, Kind, Plan
from shared.ledger.policy import Policy
from shared.ledger.purchases import check_may_buy
from tests.core.builders import INSTANT, Book, noon, paid, start_of

NO_SIGN_UP = Policy(sign_up=0)


@pytest.mark.parametrize(
    ("joined_on", "upgraded_on", "brings"),
    [
        ("2024-01-10", "2024-01-10", 90),  # the first of 31 days: all of them are left
        ("2024-01-10", "2024-01-11", 87),  # 90 * 30 / 31 = 87.09...
        ("2024-01-10", "2024-01-25", 46),  # 90 * 16 / 31 = 46.45...
        ("2024-01-10", "2024-02-09", 2),  # the last day: 90 * 1 / 31 = 2.90...
        ("2024-02-10", "2024-02-29", 31),  # 90 * 10 / 29 = 31.03...
        ("2023-01-31", "2023-02-27", 3),  # clamped: 31 January to 27 February, 90 * 1 / 28 = 3.21...
        ("2023-01-31", "2023-02-28", 90),  # the next cycle's first day, its 10 have just come
    ],
)
def test_upgrade_brings_the_floor_of_the_rest_of_the_cycle(joined_on, upgraded_on, brings):
    book = Book.opened(joined_on, policy=NO_SIGN_UP).at(upgraded_on)
    entry = book.change_plan(Plan.PLUS)[-1]
    assert (entry.type, entry.amount, entry.at) == (EntryType.GRANT, brings, noon(upgraded_on))


def test_upgrade_on_an_anchor_that_starts_on_the_first_counts_the_longer_cycle():
    policy = Policy(sign_up=0, anchor_policy=AnchorPolicy.FIRST_OF_NEXT)
    book = Book.opened("2023-01-31", policy=policy).at("2023-02-28")
    assert book.change_plan(Plan.PLUS)[-1].amount == 3  # 31 January to 28 February: 90 * 1 / 29


@given(
    joined_on=st.dates(date(2020, 1, 1), date(2024, 12, 31)),
    days=st.integers(0, 400),
    basic=st.integers(0, 50),
    more=st.integers(0, 200),
    anchor_policy=st.sampled_from(AnchorPolicy),
)
def test_upgrade_brings_the_floor_of_the_rest_on_any_day_of_any_cycle(joined_on, days, basic, more, anchor_policy):
    policy = Policy(
        sign_up=0, monthly_basic=basic, monthly_plus=basic + more, monthly_plus_free=0, anchor_policy=anchor_policy
    )
    today = joined_on + timedelta(days)
    book = Book.opened(joined_on, policy=policy).at(today)
    book.settle()

    cycle = cycle_on(today, joined_on.day, anchor_policy)
    left, length = (cycle.next_starts_on - today).days, (cycle.next_starts_on - cycle.starts_on).days
    assert sum(entry.amount for entry in book.change_plan(Plan.PLUS)) == more * left // length


def test_upgrade_brings_connects_that_the_subscription_paid_for_issued_today():
    book = Book.opened("2024-01-10", policy=NO_SIGN_UP).at("2024-01-25")
    assert book.change_plan(Plan.PLUS)[-1].slices == {paid("2025-01-26"): 46}


def test_upgrade_leaves_the_anchor_and_the_next_cycle_where_they_are():
    book = Book.opened("2024-01-10").at("2024-01-25")
    book.change_plan(Plan.PLUS)
    assert (book.account.joined_on, book.account.grant_due) == (date(2024, 1, 10), date(2024, 2, 10))
    [grant] = book.at("2024-02-10").settle()
    assert (grant.amount, grant.at) == (100, start_of("2024-02-10"))


def test_upgrade_after_missed_cycles_pays_those_for_basic_and_tops_up_the_current_one_only():
    book = Book.opened("2024-01-10", policy=NO_SIGN_UP).at("2024-03-25")
    assert [entry.amount for entry in book.change_plan(Plan.PLUS)] == [10, 10, 46]


def test_upgrade_to_a_plan_that_gives_no_more_brings_no_entry():
    book = Book.opened("2024-01-10", policy=Policy(monthly_basic=10, monthly_plus=10))
    assert book.change_plan(Plan.PLUS) == []
    assert book.account.plan is Plan.PLUS


def test_changing_to_the_same_plan_changes_nothing_but_what_is_known():
    book = Book.opened("2024-01-10", plan=Plan.PLUS)
    before = book.account
    assert book.change_plan(Plan.PLUS) == []
    assert replace(book.account, plans={}) == before


def test_downgrade_takes_nothing_back_and_counts_from_the_next_cycle():
    book = Book.opened("2024-01-10", plan=Plan.PLUS, policy=NO_SIGN_UP).at("2024-01-20")
    assert book.change_plan(Plan.BASIC) == []
    assert book.account.balance == 100
    assert [entry.amount for entry in book.at("2024-02-10").settle()] == [10]


def test_downgrade_on_the_first_day_of_a_cycle_keeps_what_that_day_brought():
    book = Book.opened("2024-01-10", plan=Plan.PLUS).at("2024-02-10")
    assert [entry.amount for entry in book.change_plan(Plan.BASIC)] == [100]


def test_downgrade_and_upgrade_in_one_cycle_bring_nothing_again():
    book = Book.opened("2024-01-10", plan=Plan.PLUS, policy=NO_SIGN_UP)
    for plan in (Plan.BASIC, Plan.PLUS, Plan.BASIC, Plan.PLUS):
        assert book.change_plan(plan) == []
    assert book.account.balance == 100


def test_a_second_upgrade_in_one_cycle_brings_nothing():
    book = Book.opened("2024-01-10", policy=NO_SIGN_UP).at("2024-01-25")
    book.change_plan(Plan.PLUS)
    book.change_plan(Plan.BASIC)
    assert book.change_plan(Plan.PLUS) == []


def test_upgrade_by_a_clock_that_is_behind_brings_no_more_than_the_whole_cycle():
    book = Book.opened("2024-01-10", policy=NO_SIGN_UP).at(start_of("2024-02-10"))
    book.settle()
    assert [entry.amount for entry in book.at(start_of("2024-02-10") - INSTANT).change_plan(Plan.PLUS)] == [90]


@given(
    joined_on=st.dates(date(2023, 1, 1), date(2024, 12, 31)),
    start=st.sampled_from(Plan),
    changes=st.lists(st.tuples(st.integers(0, 20), st.sampled_from(Plan)), max_size=20),
    anchor_policy=st.sampled_from(AnchorPolicy),
)
def test_no_sequence_of_changes_gives_a_cycle_more_than_its_best_plan(joined_on, start, changes, anchor_policy):
    policy = Policy(sign_up=0, anchor_policy=anchor_policy)
    book = Book.opened(joined_on, policy=policy, plan=start)
    best: dict[date, int] = defaultdict(int)
    today, plan = joined_on, start
    monthly = {Plan.BASIC: policy.monthly_basic, Plan.PLUS: policy.monthly_plus}
    for days, changed_to in [*changes, (0, start)]:
        for passed in range(days + 1):
            starts_on = cycle_on(today + timedelta(passed), joined_on.day, anchor_policy).starts_on
            best[starts_on] = max(best[starts_on], monthly[plan])
        today, plan = today + timedelta(days), changed_to
        book.at(today).change_plan(plan)
        best[starts_on] = max(best[starts_on], monthly[plan])

    given_in: dict[date, int] = defaultdict(int)
    for entry in book.of_type(EntryType.GRANT):
        given_in[cycle_on(entry.at.date(), joined_on.day, anchor_policy).starts_on] += entry.amount
    assert given_in.keys() == best.keys()
    assert all(policy.monthly_basic <= given_in[starts_on] <= best[starts_on] for starts_on in best)


def plus_agency() -> Book:
    book = Book.opened("2024-01-10", kind=Kind.AGENCY, plan=Plan.PLUS)
    book.credit(50, paid=True)
    return book


def test_an_agency_gets_no_free_connects_by_any_change_of_plan():
    book = Book.opened("2024-01-10", kind=Kind.AGENCY)
    for day, plan in (("2024-01-11", Plan.PLUS), ("2024-02-20", Plan.BASIC), ("2024-03-20", Plan.PLUS)):
        assert book.at(day).change_plan(plan) == []
    assert book.at("2025-01-10").settle() == []


def test_an_agency_that_falls_back_to_basic_keeps_its_connects_and_cannot_spend_or_buy():
    book = plus_agency()
    book.change_plan(Plan.BASIC, at_once=True)
    assert (book.account.frozen, book.account.balance) == (True, 50)
    with pytest.raises(AccountFrozenError):
        book.spend(1)
    with pytest.raises(AccountFrozenError):
        check_may_buy(book.account)


def test_a_frozen_agency_is_usable_again_on_plus():
    book = plus_agency()
    book.change_plan(Plan.BASIC, at_once=True)
    book.change_plan(Plan.BASIC)
    assert book.account.frozen
    book.change_plan(Plan.PLUS)
    check_may_buy(book.account)
    assert book.spend(50).balance_after == 0


def test_a_frozen_agency_s_connects_expire_meanwhile():
    book = plus_agency()
    book.change_plan(Plan.BASIC, at_once=True)
    book.at("2025-01-11").change_plan(Plan.PLUS)
    assert book.account.balance == 0
    with pytest.raises(InsufficientConnectsError):
        book.spend(1)


def test_a_frozen_agency_still_gets_back_what_it_spent():
    book = plus_agency()
    spend = book.spend(8)
    book.change_plan(Plan.BASIC, at_once=True)
    assert book.refund(spend).balance_after == 50


def test_an_agency_that_was_never_on_plus_is_not_frozen_but_may_not_buy():
    book = Book.opened("2024-01-10", kind=Kind.AGENCY)
    book.change_plan(Plan.BASIC)
    assert not book.account.frozen
    with pytest.raises(PlanRequiredError):
        check_may_buy(book.account)


@pytest.mark.parametrize("plan", Plan)
def test_a_freelancer_may_buy_on_any_plan_and_never_freezes(plan):
    book = Book.opened("2024-01-10", plan=Plan.PLUS)
    book.change_plan(plan)
    assert not book.account.frozen
    check_may_buy(book.account)
