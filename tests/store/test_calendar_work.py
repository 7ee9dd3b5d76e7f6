"""What the calendar brings: monthly Connects and expiries, exactly once however late and however often."""

from datetime import date

import pytest

from shared.ledger.errors import InsufficientConnectsError
from shared.ledger.model import EntryType, Plan
from shared.ledger.policy import Policy
from tests.core.builders import free, noon, start_of
from tests.faults import GET, TRANSACT

JOINED = "2024-01-31"


@pytest.fixture
def driver(driver):
    """Ann's, opened on 31 January with 40 and 10."""
    driver.policy = Policy()
    driver.at(JOINED).open()
    return driver


def types_and_amounts(entries):
    return [(entry.type, entry.amount) for entry in entries]


def due(driver, until):
    day = date.fromisoformat(until)
    return [{row.account_id for row in found(day)} for found in (driver.table.due_grants, driver.table.due_expiries)]


def test_settling_before_anything_is_due_reads_and_writes_nothing(driver, faults):
    with faults.measured() as cost:
        driver.at("2024-02-28").settle()
    assert cost.calls == [GET]


def test_each_cycle_missed_is_made_up_for_once_and_on_its_own_day(driver):
    driver.at("2024-04-30").settle()
    driver.settle()
    assert [(entry.at, entry.amount) for entry in driver.journal()[2:]] == [
        (start_of("2024-02-29"), 10),
        (start_of("2024-03-31"), 10),
        (start_of("2024-04-30"), 10),
    ]


def test_settling_late_writes_expiries_and_grants_in_the_order_of_time(driver):
    driver.at("2025-02-28").settle()
    assert types_and_amounts(driver.journal()[-3:]) == [
        (EntryType.GRANT, 10),  # 31 January
        (EntryType.EXPIRY, -50),  # 1 February
        (EntryType.GRANT, 10),  # 28 February
    ]


def test_a_balance_owes_nothing_to_the_sweep(driver):
    """The lots of the opening expired on 1 February; twelve monthly ones are there, written down or not."""
    shown = driver.at("2025-02-01").balance()
    assert (shown, driver.stored().balance) == (120, 50)
    driver.settle()
    assert driver.stored().balance == shown


def test_an_expired_lot_is_not_spendable_however_late_the_sweep_is(driver):
    with pytest.raises(InsufficientConnectsError) as refusal:
        driver.at("2025-02-01").spend(121)
    assert refusal.value.details["balance"] == 120


def test_a_spend_brings_what_fell_due_along(driver, faults):
    with faults.measured() as cost:
        driver.at("2024-03-31").spend(60)
    assert cost.calls == [GET, TRANSACT]
    assert types_and_amounts(driver.journal()[2:]) == [
        (EntryType.GRANT, 10),
        (EntryType.GRANT, 10),
        (EntryType.SPEND, -60),
    ]


def test_years_are_made_up_for_in_several_transactions_and_exactly_once(driver, faults):
    """Six years: 72 grants, 60 of them expired again (and the opening's), at most 40 in one transaction."""
    with faults.measured() as cost:
        driver.at("2030-01-31").settle()
    assert cost.calls == [GET, *[TRANSACT] * 4]
    journal = driver.journal()
    grants = [entry.reference["cycle"] for entry in journal if entry.reference["type"] == "cycle"]
    assert grants == [f"{2024 + month // 12}-{month % 12 + 1:02d}" for month in range(73)]
    # The lots of the last twelve cycles, and of the one a year ago today, which is usable through today.
    assert driver.stored().balance == 130
    driver.settle()
    assert driver.journal() == journal


def test_a_spend_after_years_catches_up_first_and_takes_the_lot_that_expires_next(driver):
    spent = driver.at("2030-01-31").spend(7)
    assert spent.entry.slices == {free("2030-02-01"): -7}
    assert driver.balance() == 123


def test_a_refusal_after_years_keeps_what_it_caught_up_with(driver):
    """More is due than one transaction takes: the first ones stand, and the balance that is told is right."""
    with pytest.raises(InsufficientConnectsError) as refusal:
        driver.at("2030-01-31").spend(131)
    assert refusal.value.details["balance"] == driver.balance() == 130


def test_two_who_settle_at_once_write_it_once(driver, faults):
    driver.at("2024-03-31")
    faults.on(TRANSACT, faults.before(driver.settle))
    driver.settle()
    assert len(driver.journal()) == 4


def test_the_indexes_name_who_is_due_and_nobody_else(driver):
    driver.open("bob")
    driver.at("2024-02-10").open("carol")
    assert due(driver, "2024-02-28") == [set(), set()]
    assert due(driver, "2024-02-29") == [{"ann", "bob"}, set()]
    driver.at("2024-02-29").settle()
    assert due(driver, "2024-02-29") == [{"bob"}, set()]
    assert due(driver, "2025-02-01") == [{"ann", "bob", "carol"}, {"ann", "bob"}]


def test_the_indexes_say_since_when(driver):
    (grant,) = driver.table.due_grants(date(2026, 1, 1))
    (expiry,) = driver.table.due_expiries(date(2026, 1, 1))
    assert (grant.since, expiry.since) == (date(2024, 2, 29), date(2025, 2, 1))


def test_an_account_without_lots_is_not_due_until_a_lot_of_today_would_be(driver):
    driver.under(monthly_basic=0)
    driver.spend(50)
    assert due(driver, "2025-02-01")[1] == {"ann"}  # a lower bound: a spend leaves the index alone
    driver.at("2025-02-01").settle()
    assert due(driver, "2026-01-31")[1] == set()
    driver.credit(1)
    assert due(driver, "2026-02-02")[1] == {"ann"}


def test_an_upgrade_brings_the_rest_of_the_cycle_at_once_and_only_once(driver):
    driver.at("2024-02-15")
    for plan in (Plan.PLUS, Plan.PLUS, Plan.BASIC, Plan.PLUS):
        assert driver.change_plan(plan, at_once=True).plan is plan
    upgrades = [entry for entry in driver.journal() if entry.reference["type"] == "upgrade"]
    assert [entry.amount for entry in upgrades] == [90 * 14 // 29]


def test_setting_the_plan_that_is_set_moves_nothing_and_is_remembered_against_older_news(driver, faults):
    journal = driver.journal()
    with faults.measured() as cost:
        driver.at("2024-02-15").change_plan(Plan.BASIC, at_once=True)
    assert (cost.calls, driver.journal()) == ([GET, TRANSACT], journal)
    driver.at("2024-02-16").change_plan(Plan.PLUS, at=noon("2024-02-14"))
    assert driver.stored().plan is Plan.BASIC


def test_a_downgrade_takes_nothing_back_and_counts_from_the_next_cycle(driver):
    driver.at("2024-02-15").change_plan(Plan.PLUS)
    before = driver.balance()
    driver.change_plan(Plan.BASIC)
    assert driver.balance() == before
    driver.at("2024-02-29").settle()
    assert driver.journal()[-1].amount == 10


def test_a_change_of_plan_after_a_missed_cycle_counts_from_now(driver):
    """The cycle of 29 February came on the basic plan, as it was then; the upgrade adds the days that are left."""
    driver.at("2024-03-15").change_plan(Plan.PLUS)
    assert [entry.amount for entry in driver.journal()[2:]] == [10, 90 * 16 // 31]
