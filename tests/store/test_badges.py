"""The availability badge over the store: charged once a week whoever asks and however often, at one price a week."""

from datetime import date, timedelta

import pytest

from shared.ledger.badges import ONE_WEEK, WeekPrice
from shared.ledger.errors import AccountNotFoundError, InsufficientConnectsError, PriceChangedError
from shared.ledger.model import Badge
from shared.services.badges import renew_badges, set_price, week_price
from shared.store.badges import BadgeCount, read_price, read_price_and_count, save_count, save_price
from shared.store.errors import ContentionError
from tests.core.builders import noon
from tests.driver import deadline
from tests.faults import CONFLICT, GET, QUERY, THROTTLED, TRANSACT, answer_lost, request_lost

MONDAY = date(2026, 1, 12)


@pytest.fixture
def driver(driver):
    """Ann's, with 20 Connects, at noon of Thursday, 15 January."""
    driver.open()
    driver.credit(20)
    return driver


def due(driver):
    return [(found.account_id, found.since) for found in driver.table.due_badges(driver.clock.at)]


def test_a_badge_is_stored_with_its_maximum_and_until_when_it_is_paid_for(driver):
    switched = driver.badge()
    assert (switched.badge, switched.price) == (Badge(True, 5, noon("2026-01-22")), 4)
    assert driver.stored().badge == switched.badge
    driver.badge(on=False, most=None)
    assert driver.stored().badge == Badge(False, 5, noon("2026-01-22"))


def test_an_account_that_never_had_a_badge_has_none(driver):
    assert driver.badge(on=False).badge is None
    assert driver.stored().badge is None


def test_saying_it_twice_charges_once_and_writes_nothing(driver, faults):
    driver.badge()
    before = driver.stored()
    with faults.measured() as cost:
        driver.badge()
    assert cost.calls == [GET, GET]
    assert (driver.stored(), driver.badge_weeks()) == (before, [("2026-01-15", 4)])


def test_off_and_on_in_the_same_week_charges_once(driver):
    for on in (True, False, True, False, True):
        driver.badge(on=on)
    assert (driver.balance(), driver.badge_weeks()) == (16, [("2026-01-15", 4)])


@pytest.mark.parametrize(
    "fault", [answer_lost, request_lost, CONFLICT], ids=["answer lost", "request lost", "conflict"]
)
def test_a_week_is_charged_once_whatever_becomes_of_the_answer(driver, faults, fault):
    faults.on(TRANSACT, fault, fault)
    driver.badge()
    set_price(driver.at("2026-01-22").ledger, deadline)
    faults.on(TRANSACT, fault, fault)
    driver.renew_badges()
    assert driver.badge_weeks() == [("2026-01-15", 4), ("2026-01-22", 4)]


def test_a_badge_that_is_switched_while_it_is_renewed_is_charged_once(driver, faults):
    driver.badge()
    driver.at("2026-01-22")
    faults.on(TRANSACT, faults.before(driver.renew_badges))
    driver.badge(most=9)
    assert driver.badge_weeks() == [("2026-01-15", 4), ("2026-01-22", 4)]
    assert driver.stored().badge.max_per_week == 9


def test_a_spend_that_is_faster_than_a_renewal_switches_the_badge_off(driver, faults):
    driver.badge()
    driver.at("2026-01-22")
    set_price(driver.ledger, deadline)
    faults.on(TRANSACT, faults.before(lambda: driver.spend(15)))
    renew_badges(driver.ledger, ["ann"], deadline)
    assert (driver.stored().badge.enabled, driver.balance()) == (False, 1)


def test_the_index_names_the_badges_that_are_on_at_the_instant_and_nobody_else(driver):
    for name in ("bob", "carol"):
        driver.open(name)
        driver.credit(20, account=name)
        driver.badge(account=name)
    driver.badge(account="carol", on=False)
    driver.at(driver.clock.at + timedelta(hours=1)).badge()
    assert due(driver.at(noon("2026-01-22") - timedelta(milliseconds=1))) == []
    assert due(driver.at("2026-01-22")) == [("bob", noon("2026-01-22"))]
    driver.renew_badges()
    assert due(driver) == []
    assert [account for account, _ in due(driver.at("2026-01-23"))] == ["ann"]


def test_a_badge_that_goes_off_leaves_the_index(driver):
    driver.badge()
    driver.spend(16)
    assert driver.at("2026-01-22").renew_badges() == 1
    assert driver.stored().badge == Badge(False, 5, noon("2026-01-22"))
    assert due(driver.at("2027-01-01")) == []


def test_a_spend_leaves_the_index_alone(driver):
    driver.badge()
    driver.spend(16)
    assert due(driver.at("2026-01-22")) == [("ann", noon("2026-01-22"))]


def test_renewals_that_come_twice_and_weeks_late_charge_each_week_once_and_missed_ones_never(driver):
    driver.badge()
    for day in ("2026-01-22", "2026-01-22", "2026-02-11", "2026-02-12", "2026-02-12"):
        driver.at(day).renew_badges()
        renew_badges(driver.ledger, ["ann", "ann"], deadline)
    assert driver.badge_weeks() == [("2026-01-15", 4), ("2026-01-22", 4), ("2026-02-05", 4), ("2026-02-12", 4)]


def test_an_account_that_cannot_be_renewed_does_not_keep_the_others(driver):
    driver.badge()
    driver.at("2026-01-22")
    with pytest.raises(ExceptionGroup) as failed:
        renew_badges(driver.ledger, ["nobody", "ann"], deadline)
    assert [type(error) for error in failed.value.exceptions] == [AccountNotFoundError]
    assert len(driver.badge_weeks()) == 2


def test_a_badge_that_cannot_be_had_is_refused_and_nothing_is_written(driver):
    before = driver.stored()
    with pytest.raises(PriceChangedError):
        driver.badge(most=3)
    driver.spend(17)
    with pytest.raises(InsufficientConnectsError) as refused:
        driver.badge()
    assert refused.value.details == {"balance": 3, "required": 4}
    assert driver.stored().badge is before.badge is None


# --- The price


def test_before_a_price_was_set_it_is_the_lowest(driver):
    assert read_price(driver.table) is None
    assert week_price(driver.ledger) == driver.badge().price == 4


def test_the_price_is_set_by_how_many_badges_are_on(driver):
    driver.under(badge_price_step=2)
    for name in ("ann", "bob", "carol", "dave"):
        if name != "ann":
            driver.open(name)
            driver.credit(20, account=name)
        driver.badge(account=name)
    driver.badge(account="dave", on=False)
    set_price(driver.ledger, deadline)
    assert read_price(driver.table) == WeekPrice(MONDAY, 5, 3)
    assert driver.badge(account="bob").price == 5


def test_a_price_stands_for_the_week_and_the_next_follows_demand(driver, faults):
    driver.under(badge_price_step=1)
    set_price(driver.ledger, deadline)
    driver.badge()
    with faults.measured() as cost:
        set_price(driver.at("2026-01-18").ledger, deadline)
    assert cost.calls == [GET]
    assert week_price(driver.ledger) == 4
    set_price(driver.at("2026-01-19").ledger, deadline)
    assert read_price(driver.table) == WeekPrice(date(2026, 1, 19), 5, 1)


def test_the_first_who_sets_a_weeks_price_sets_it(driver, faults):
    driver.badge()
    faults.on(TRANSACT, faults.before(lambda: save_price(driver.table, WeekPrice(MONDAY, 7, 3000))))
    set_price(driver.ledger, deadline)
    assert week_price(driver.ledger) == 7


def test_a_run_of_last_week_that_comes_late_takes_no_price_back(driver):
    set_price(driver.at("2026-01-19").ledger, deadline)
    save_price(driver.table, WeekPrice(MONDAY, 7, 3000))
    assert read_price(driver.table).week == date(2026, 1, 19)


def test_a_renewal_is_charged_what_the_week_costs_and_goes_off_above_the_maximum(driver):
    driver.badge()
    driver.open("bob")
    driver.credit(20, account="bob")
    driver.badge(account="bob", most=6)
    driver.under(badge_price_step=1).at("2026-01-22").renew_badges()
    assert driver.badge_weeks("bob") == [("2026-01-15", 4), ("2026-01-22", 6)]
    assert (driver.badge_weeks(), driver.stored().badge.enabled) == ([("2026-01-15", 4)], False)


def test_a_count_for_which_there_is_no_time_is_gone_on_with_by_the_next_run(driver, faults):
    driver.under(badge_price_step=1)
    driver.badge()
    for name in ("bob", "carol", "dave"):
        driver.open(name)
        driver.credit(20, account=name)
        driver.badge(account=name)
    left = iter([1, 1])  # two shards of the four
    assert set_price(driver.ledger, lambda: deadline() * next(left, 0)) is False
    assert read_price(driver.table) is None
    with faults.measured() as cost:
        assert set_price(driver.ledger, deadline) is True
    assert cost.calls == [GET, QUERY, QUERY, TRANSACT]
    assert read_price_and_count(driver.table) == (WeekPrice(MONDAY, 4 + 4, 4), None)


def test_a_count_that_was_begun_last_week_is_begun_anew(driver):
    driver.badge()
    set_price(driver.ledger, lambda: 0)
    assert read_price_and_count(driver.table) == (None, BadgeCount(MONDAY))
    set_price(driver.at("2026-01-19").ledger, deadline)
    assert read_price(driver.table) == WeekPrice(date(2026, 1, 19), 4, 1)


def test_a_count_of_last_week_that_comes_late_disturbs_no_price(driver):
    set_price(driver.at("2026-01-19").ledger, deadline)
    save_count(driver.table, BadgeCount(MONDAY, 7, 1))
    assert read_price_and_count(driver.table) == (WeekPrice(date(2026, 1, 19), 4, 0), None)


def test_a_count_that_is_throttled_sets_no_price_and_the_next_run_does(driver, faults):
    faults.on(QUERY, THROTTLED)
    with pytest.raises(ContentionError):
        set_price(driver.ledger, deadline)
    assert read_price(driver.table) is None
    set_price(driver.ledger, deadline)
    assert read_price(driver.table) == WeekPrice(MONDAY, 4, 0)


def test_a_price_that_cannot_be_written_now_keeps_no_renewal(driver, faults):
    driver.badge()
    faults.on(TRANSACT, CONFLICT)
    driver.at("2026-01-22").renew_badges()
    assert len(driver.badge_weeks()) == 2
    set_price(driver.ledger, deadline)
    assert read_price(driver.table).week == date(2026, 1, 19)


def test_weeks_of_renewals_by_a_schedule_that_is_always_late_stay_on_the_instant(driver):
    driver.credit(40, "more")
    driver.badge()
    for week in range(1, 9):
        driver.at(noon("2026-01-15") + week * ONE_WEEK + timedelta(minutes=5)).renew_badges()
    assert driver.stored().badge.paid_until == noon("2026-01-15") + 9 * ONE_WEEK
