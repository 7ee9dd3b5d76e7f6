"""Changes of plan and status count from when they happened, however late, often and in whatever order they arrive."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.calendar import AnchorPolicy, cycle_on, midnight
from shared.ledger.errors import AccountFrozenError
from shared.ledger.model import EntryType, Kind, Plan, PlanChange, Status
from shared.ledger.plans import ChangeAccount
from shared.ledger.policy import Policy
from shared.ledger.timeline import MOST_CHANGES, REMEMBERED_CYCLES, next_plan
from tests.core.builders import INSTANT, Book, free, noon, paid, problems, start_of

UP, DOWN, DOWN_NOW = PlanChange.PLUS, PlanChange.BASIC, PlanChange.BASIC_NOW


def opened(**more) -> Book:
    """Joined on 1 January: 40 for signing up and 10 for the cycle."""
    return Book.opened("2024-01-01", **more)


def report(book: Book, reported_on: str, happened_on: str, plan: Plan, *, at_once: bool = False):
    return book.at(reported_on).change_plan(plan, at=noon(happened_on), at_once=at_once)


def amounts(entries):
    return [entry.amount for entry in entries]


# --- A late upgrade


def test_an_upgrade_of_the_cycle_before_brings_the_rest_of_it_and_all_of_the_current_one():
    book = opened()
    report(book, "2024-02-02", "2024-01-30", Plan.PLUS)
    assert book.account.balance == 40 + 10 + 90 * 2 // 31 + 100 == 155


def test_an_upgrade_that_is_reported_two_days_late_grants_what_it_would_have_granted():
    book = opened()
    assert amounts(report(book, "2024-01-12", "2024-01-10", Plan.PLUS)) == [90 * 22 // 31] == [63]


@pytest.mark.parametrize("runs", [[], ["2024-02-01"], ["2024-02-01", "2024-03-01", "2024-04-01"]])
def test_an_upgrade_that_is_reported_months_late_grants_what_each_cycle_lacks_whichever_schedules_ran(runs):
    book = opened()
    for day in runs:
        book.at(day).settle()
    rows = [entry for entry in report(book, "2024-04-05", "2024-01-10", Plan.PLUS) if entry.at == noon("2024-04-05")]
    assert [(row.amount, row.reason, row.reference) for row in rows] == [
        (63, "Upgrade to plus, 22 of 31 days left", rows[0].reference),
        *(
            (
                90,
                f"Monthly Connects, plus plan, for the cycle from 2024-{month}-01 on",
                {"type": "cycle", "cycle": f"2024-{month}", "starts_on": f"2024-{month}-01"},
            )
            for month in ("02", "03", "04")
        ),
    ]
    assert rows[0].reference == {"type": "upgrade", "cycle": "2024-01", "upgraded_on": "2024-01-10"}
    assert book.account.balance == 40 + 73 + 3 * 100


def test_what_is_granted_late_expires_as_if_it_had_been_granted_on_its_day():
    book = opened(policy=Policy(sign_up=0))
    report(book, "2024-03-05", "2024-01-10", Plan.PLUS)
    assert book.account.lots == {
        free("2025-01-02"): 10,
        paid("2025-01-11"): 63,
        free("2025-02-02"): 10,
        paid("2025-02-02"): 90,
        free("2025-03-02"): 10,
        paid("2025-03-02"): 90,
    }


def test_what_would_have_expired_by_now_is_granted_and_expires_as_two_rows():
    book = opened(policy=Policy(sign_up=0, lot_lifetime_months=1))
    written = report(book, "2024-03-05", "2024-01-10", Plan.PLUS)
    late = [(entry.type, entry.amount) for entry in written if entry.at == noon("2024-03-05")]
    assert late[:3] == [(EntryType.GRANT, 63), (EntryType.GRANT, 90), (EntryType.GRANT, 90)]
    assert late[3:] == [(EntryType.EXPIRY, -63), (EntryType.EXPIRY, -90)]
    assert book.account.balance == 100


def test_an_upgrade_and_a_downgrade_reported_in_reverse_grant_what_they_would_have_in_order():
    book = opened()
    assert report(book, "2024-01-21", "2024-01-20", Plan.BASIC) == []
    assert amounts(report(book, "2024-01-22", "2024-01-10", Plan.PLUS)) == [63]
    assert (book.account.balance, book.account.plan) == (113, Plan.PLUS)
    assert next_plan(book.account, book.policy) is Plan.BASIC
    book.at("2024-02-01").settle()
    assert (book.account.balance, book.account.plan) == (123, Plan.BASIC)


def test_an_earlier_upgrade_that_is_reported_after_a_later_one_adds_the_days_between():
    book = opened()
    assert amounts(report(book, "2024-01-20", "2024-01-20", Plan.PLUS)) == [90 * 12 // 31]
    [row] = report(book, "2024-01-21", "2024-01-10", Plan.PLUS)
    assert row.amount == 63 - 34
    assert row.reason == "Upgrade to plus, 22 of 31 days left, 12 of them had come"


def test_the_same_change_reported_again_grants_nothing():
    book = opened()
    report(book, "2024-02-02", "2024-01-30", Plan.PLUS)
    for day in ("2024-02-02", "2024-02-20", "2024-03-20"):
        assert [row for row in report(book, day, "2024-01-30", Plan.PLUS) if row.at == noon(day)] == []


def test_a_downgrade_that_is_reported_after_the_next_grant_takes_nothing_back():
    book = opened(plan=Plan.PLUS).at("2024-02-01")
    book.settle()
    assert report(book, "2024-02-05", "2024-01-20", Plan.BASIC) == []
    assert (book.account.balance, book.account.plan) == (240, Plan.BASIC)
    # Nor does the next upgrade bring what has come already.
    assert report(book, "2024-02-06", "2024-02-06", Plan.PLUS) == []


def test_a_change_from_before_the_account_was_opened_is_ignored():
    book = Book.opened("2024-01-10", joined_on="2024-01-01")
    assert report(book, "2024-01-11", "2024-01-09", Plan.PLUS) == []
    assert book.account.plan is Plan.BASIC
    assert amounts(book.change_plan(Plan.PLUS, at=noon("2024-01-10"))) == [63]


def test_an_agency_that_was_opened_on_plus_is_not_frozen_by_an_older_change():
    book = Book.opened(noon("2024-01-10"), kind=Kind.AGENCY, plan=Plan.PLUS)
    book.at(book.now + timedelta(hours=1)).change_plan(Plan.BASIC, at=noon("2024-01-10") - INSTANT, at_once=True)
    assert (book.account.plan, book.account.frozen) == (Plan.PLUS, False)


@pytest.mark.parametrize("before", Plan)
def test_an_agency_that_was_set_to_plus_is_not_frozen_by_an_older_change(before):
    book = Book.opened("2024-01-10", kind=Kind.AGENCY, plan=before)
    book.at("2024-01-12").change_plan(Plan.PLUS)
    book.at("2024-01-13").change_plan(Plan.BASIC, at=noon("2024-01-11"), at_once=True)
    assert (book.account.plan, book.account.frozen) == (Plan.PLUS, False)
    assert next_plan(book.account, book.policy) is None


def test_two_changes_at_one_instant_have_the_same_result_in_either_order():
    for first, second in permutations([Plan.PLUS, Plan.BASIC]):
        book = opened()
        report(book, "2024-01-12", "2024-01-10", first)
        report(book, "2024-01-12", "2024-01-10", second)
        assert (book.account.plan, book.account.balance) == (Plan.PLUS, 113)


def test_a_change_without_a_time_is_newer_than_all_known_changes():
    book = Book.opened("2024-01-10", kind=Kind.AGENCY, plan=Plan.PLUS)
    for at_once, plan in ((True, Plan.BASIC), (False, Plan.PLUS), (True, Plan.BASIC)):
        book.change_plan(plan, at_once=at_once)  # all in one instant
        assert book.account.plan is plan
    book.at(book.now - timedelta(seconds=1)).change_plan(Plan.PLUS)  # by a clock that is behind
    assert book.account.plan is Plan.PLUS


def test_a_change_of_the_future_counts_as_of_now():
    book = opened()
    assert amounts(book.at("2024-01-10").change_plan(Plan.PLUS, at=noon("2024-03-01"))) == [63]
    book.at("2024-01-11").change_plan(Plan.BASIC)
    assert next_plan(book.account, book.policy) is Plan.BASIC


# --- Downgrades count from the next cycle on


def test_until_the_next_cycle_a_downgraded_account_is_on_plus():
    book = opened(plan=Plan.PLUS).at("2024-01-20")
    book.change_plan(Plan.BASIC)
    assert (book.account.plan, next_plan(book.account, book.policy)) == (Plan.PLUS, Plan.BASIC)
    shown = book.at(start_of("2024-02-01") - INSTANT).shown
    assert (shown.plan, next_plan(shown, book.policy)) == (Plan.PLUS, Plan.BASIC)
    shown = book.at(start_of("2024-02-01")).shown
    assert (shown.plan, next_plan(shown, book.policy)) == (Plan.BASIC, None)


def test_choosing_plus_again_cancels_a_downgrade():
    book = opened(plan=Plan.PLUS).at("2024-01-20")
    book.change_plan(Plan.BASIC)
    assert book.at("2024-01-25").change_plan(Plan.PLUS) == []
    assert next_plan(book.account, book.policy) is None
    assert amounts(book.at("2024-02-01").settle()) == [100]


def test_a_failed_payment_downgrades_at_once_and_takes_nothing_back():
    book = opened(plan=Plan.PLUS).at("2024-01-20")
    assert book.change_plan(Plan.BASIC, at_once=True) == []
    assert (book.account.plan, book.account.balance) == (Plan.BASIC, 140)
    assert book.at("2024-01-25").change_plan(Plan.PLUS) == []


def test_a_downgrade_on_the_first_day_of_a_cycle_counts_from_the_next_one_on():
    book = opened(plan=Plan.PLUS).at(start_of("2024-02-01"))
    book.change_plan(Plan.BASIC)
    assert amounts(book.of_type(EntryType.GRANT)) == [40, 100, 100]
    assert amounts(book.at("2024-03-01").settle()) == [10]


@pytest.mark.parametrize("policy", AnchorPolicy)
def test_an_agency_is_usable_until_its_downgrade_counts_and_then_frozen_without_any_run(policy):
    book = Book.opened("2024-01-31", kind=Kind.AGENCY, plan=Plan.PLUS, policy=Policy(anchor_policy=policy))
    book.credit(50, paid=True)
    book.at("2024-02-10").change_plan(Plan.BASIC)
    freezes = start_of("2024-02-29" if policy is AnchorPolicy.CLAMP else "2024-03-01")
    assert book.at(freezes - INSTANT).spend(1).balance_after == 49
    assert book.at(freezes).shown.frozen
    with pytest.raises(AccountFrozenError):
        book.spend(1)


def test_a_downgrade_that_is_reported_late_counts_from_the_cycle_after_it_happened():
    book = Book.opened("2024-01-01", kind=Kind.AGENCY, plan=Plan.PLUS)
    report(book, "2024-03-05", "2024-01-20", Plan.BASIC)
    assert book.account.frozen


# --- The numbers


def test_an_upgrade_grants_the_free_ones_of_plus_in_proportion_too():
    book = opened(policy=Policy(sign_up=0, monthly_plus_free=40))
    [row] = report(book, "2024-01-10", "2024-01-10", Plan.PLUS)
    assert row.slices == {free("2025-01-11"): 30 * 22 // 31, paid("2025-01-11"): 63 - 30 * 22 // 31}


@pytest.mark.parametrize(("basic", "brings"), [(10, 90), (20, 80), (100, 0)])
def test_an_upgrade_after_basic_was_lowered_grants_no_more_than_is_missing_to_the_whole_of_plus(basic, brings):
    book = opened(policy=Policy(sign_up=0, monthly_basic=basic))
    book.policy = Policy(sign_up=0, monthly_basic=10)
    assert sum(amounts(book.change_plan(Plan.PLUS))) == brings
    assert book.account.balance == 100


def test_an_upgrade_in_the_middle_of_a_cycle_is_granted_by_the_numbers_of_its_day():
    book = opened(policy=Policy(sign_up=0, monthly_basic=20))
    book.policy = Policy(sign_up=0, monthly_basic=10)
    assert amounts(report(book, "2024-01-10", "2024-01-10", Plan.PLUS)) == [63]


@pytest.mark.parametrize("plan", Plan)
def test_higher_numbers_add_nothing_to_a_cycle_that_was_granted_before(plan):
    book = opened(plan=plan, policy=Policy(sign_up=0)).at("2024-03-10")
    book.settle()
    book.policy = Policy(sign_up=0, monthly_basic=50, monthly_plus=500)
    book.change_status(Status.ACTIVE)
    assert book.change_plan(plan) == []


# --- What lateness can no longer change


def test_the_cycles_of_a_year_and_the_current_one_are_made_up_for_and_none_before():
    book = opened(policy=Policy(lot_lifetime_months=60)).at("2026-06-10")
    book.settle()
    rows = report(book, "2026-06-10", "2024-01-10", Plan.PLUS)
    assert REMEMBERED_CYCLES == 13
    assert [row.reference["cycle"] for row in rows] == [
        *(f"2025-{m:02}" for m in range(6, 13)),
        *(f"2026-{m:02}" for m in range(1, 7)),
    ]
    assert amounts(rows) == [90] * 13


def test_an_account_that_never_changes_stores_one_value_for_all_its_cycles():
    book = opened(policy=Policy(lot_lifetime_months=60)).at("2034-01-10")
    book.settle()
    assert (len(book.account.granted), book.account.plans, book.account.statuses) == (1, {}, {})


def test_of_equal_changes_in_a_row_the_first_and_the_newest_are_stored():
    book = opened()
    report(book, "2024-01-10", "2024-01-10", Plan.PLUS)
    for hours in range(1, 100):
        book.at(noon("2024-01-10") + timedelta(hours=hours)).change_plan(Plan.PLUS)
    assert len(book.account.plans) == MOST_CHANGES
    assert {noon("2024-01-01"), noon("2024-01-10"), book.now} <= book.account.plans.keys()
    assert amounts(report(book, "2024-01-15", "2024-01-05", Plan.PLUS)) == [90 * 27 // 31 - 63]


def test_of_many_changes_the_oldest_are_dropped_and_their_effect_stays():
    book = opened(policy=Policy(sign_up=0))
    for day in range(2, 28):
        book.at(f"2024-01-{day:02}").change_plan(Plan.PLUS if day % 2 else Plan.BASIC)
    assert len(book.account.plans) == MOST_CHANGES
    assert book.account.balance == 10 + 90 * 29 // 31
    assert report(book, "2024-01-28", "2024-01-02", Plan.PLUS) == []


def test_of_many_suspensions_the_oldest_are_dropped_and_no_cycle_is_made_up_for():
    book = opened(policy=Policy(sign_up=0))
    for day in range(30):
        book.at(noon("2024-01-29") + timedelta(days=day)).change_status(Status.ACTIVE if day % 2 else Status.SUSPENDED)
    assert len(book.account.statuses) == MOST_CHANGES
    assert book.account.balance == 10


# --- Any reports, late, twice and in any order, against a model to which all happens in order


@dataclass(frozen=True)
class Report:
    at: datetime
    what: PlanChange | Status
    reported_at: datetime


JOINED = [date(2023, 1, 1), date(2023, 1, 31), date(2024, 2, 29), date(2023, 6, 15), date(2023, 12, 30)]
POLICIES = [
    Policy(sign_up=0, lot_lifetime_months=60),
    Policy(sign_up=0, lot_lifetime_months=60, anchor_policy=AnchorPolicy.FIRST_OF_NEXT, monthly_plus_free=40),
    Policy(sign_up=0, lot_lifetime_months=60, monthly_basic=0, monthly_plus=70, monthly_plus_free=0),
]
LIFE = timedelta(days=300)
minutes = st.integers(1, LIFE // timedelta(minutes=1) // 2).map(lambda number: timedelta(minutes=2 * number))
delays = st.sampled_from(
    [timedelta(0), timedelta(0), timedelta(hours=3), *(timedelta(days) for days in (2, 20, 40, 90))]
)


def cycles_until(joined_on: date, until: datetime, policy: Policy):
    day = joined_on
    while midnight(day) <= until:
        cycle = cycle_on(day, joined_on.day, policy.anchor_policy)
        yield cycle
        day = cycle.next_starts_on


def lived(joined_on: date, plan: Plan, reports: list[Report], until: datetime, policy: Policy) -> dict[date, int]:
    """What each cycle grants by ``until`` if each change is reported when it happens."""
    brought: dict[date, int] = {}
    status, downgraded = Status.ACTIVE, False
    waiting = sorted((report.at, report.what) for report in reports)
    for cycle in cycles_until(joined_on, until, policy):
        if downgraded:
            plan, downgraded = Plan.BASIC, False
        amount = {Plan.BASIC: policy.monthly_basic, Plan.PLUS: policy.monthly_plus}[plan]
        monthly = brought[cycle.month] = amount if status is Status.ACTIVE else 0
        upgraded = plan is Plan.PLUS
        while waiting and waiting[0][0] < midnight(cycle.next_starts_on):
            at, what = waiting.pop(0)
            if isinstance(what, Status):
                status = what
            elif what is DOWN:
                downgraded = plan is Plan.PLUS
            elif what is DOWN_NOW:
                plan, downgraded = Plan.BASIC, False
            else:
                if plan is Plan.BASIC and not upgraded and status is Status.ACTIVE:
                    left = (cycle.next_starts_on - at.date()).days
                    days = (cycle.next_starts_on - cycle.starts_on).days
                    brought[cycle.month] = monthly + (policy.monthly_plus - policy.monthly_basic) * left // days
                    upgraded = True
                plan, downgraded = Plan.PLUS, False
    return brought


def live(joined_on: date, plan: Plan, reports: list[Report], until: datetime, policy: Policy) -> Book:
    """A book that gets each report when it arrives."""
    book = Book.opened(midnight(joined_on), policy=policy, plan=plan)
    for report in sorted(reports, key=lambda report: report.reported_at):
        changed: dict[str, Any] = {"status" if isinstance(report.what, Status) else "plan": report.what}
        book.at(report.reported_at).run(ChangeAccount(book.request("change"), at=report.at, **changed))
    book.at(until).settle()
    assert problems(book.account, book.entries) == []
    return book


def grants_of(book: Book) -> dict[date, int]:
    found: dict[date, int] = {}
    for entry in book.of_type(EntryType.GRANT):
        month = date.fromisoformat(entry.reference["cycle"] + "-01")
        found[month] = found.get(month, 0) + entry.amount
    return found


def positive(brought: dict[date, int]) -> dict[date, int]:
    return {month: amount for month, amount in brought.items() if amount}


def some_changes(whats):
    """At odd minutes, so that no two happen at one instant, nor at the start of a cycle."""
    happenings = st.lists(st.tuples(minutes, st.sampled_from(whats), delays, st.booleans()), max_size=9)
    return happenings.map(lambda found: list({happened[0]: happened for happened in found}.values()))


def reports_of(joined_on: date, happened) -> list[Report]:
    began = midnight(joined_on) + timedelta(minutes=1)
    once = [Report(began + after, what, began + after + delay) for after, what, delay, _ in happened]
    again = [
        replace(report, reported_at=report.reported_at + timedelta(days=7, minutes=number))
        for number, (report, (*_, twice)) in enumerate(zip(once, happened, strict=True))
        if twice
    ]
    return once + again


accounts = {"joined_on": st.sampled_from(JOINED), "plan": st.sampled_from(Plan), "policy": st.sampled_from(POLICIES)}


@given(**accounts, happened=some_changes([*PlanChange, UP, Status.ACTIVE, Status.SUSPENDED]))
def test_changes_that_are_reported_as_they_happen_grant_what_the_model_does(joined_on, plan, policy, happened):
    reports = [replace(report, reported_at=report.at) for report in reports_of(joined_on, happened)]
    until = midnight(joined_on) + LIFE
    assert grants_of(live(joined_on, plan, reports, until, policy)) == positive(
        lived(joined_on, plan, reports, until, policy)
    )


@given(**accounts, happened=some_changes([*PlanChange, UP, Status.ACTIVE, Status.SUSPENDED]))
def test_each_cycle_grants_the_most_that_it_was_ever_known_to_be_due(joined_on, plan, policy, happened):
    """Late, twice and in any order. What was granted by the changes known then is not taken back."""
    reports = reports_of(joined_on, happened)
    until = midnight(joined_on) + LIFE + timedelta(days=120)
    starts = [midnight(cycle.starts_on) for cycle in cycles_until(joined_on, until, policy)]
    most: dict[date, int] = {}
    for moment in sorted({*starts, *(report.reported_at for report in reports)}):
        known = [report for report in reports if report.reported_at <= moment]
        for month, amount in lived(joined_on, plan, known, moment, policy).items():
            most[month] = max(most.get(month, 0), amount)
    assert grants_of(live(joined_on, plan, reports, until, policy)) == positive(most)


@given(**accounts, happened=some_changes([*PlanChange, UP]))
def test_late_upgrades_grant_in_the_end_what_they_would_have_granted_in_time(joined_on, plan, policy, happened):
    """In any order, and twice; a downgrade is reported before the cycle from which it counts."""
    until = midnight(joined_on) + LIFE + timedelta(days=120)

    def in_its_cycle(report: Report) -> Report:
        if report.what is UP:
            return report
        cycle = cycle_on(report.at.date(), joined_on.day, policy.anchor_policy)
        return replace(report, reported_at=min(report.reported_at, midnight(cycle.next_starts_on) - INSTANT))

    reports = [in_its_cycle(report) for report in reports_of(joined_on, happened)]
    book = live(joined_on, plan, reports, until, policy)
    in_time = live(joined_on, plan, [replace(report, reported_at=report.at) for report in reports], until, policy)
    assert grants_of(book) == grants_of(in_time) == positive(lived(joined_on, plan, reports, until, policy))
    assert (book.account.plan, book.account.balance) == (in_time.account.plan, in_time.account.balance)
