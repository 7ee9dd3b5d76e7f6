"""Notices in the table: in one transaction with the day up to which all was told."""

from datetime import date, timedelta

import pytest

from tests.faults import GET, TRANSACT, answer_lost

OPENED = date(2026, 1, 15)
DAY = date(2026, 12, 17)
"""30 days before the first day on which the lot of `OPENED` cannot be used."""


@pytest.fixture
def driver(driver):
    driver.at(OPENED).open()
    driver.credit(10)
    return driver


def told(driver):
    return [(notice.kind, notice.about, notice.facts["amount"]) for notice in driver.notices()]


def due(driver, until):
    return {found.account_id: found.since for found in driver.table.due_notices(until)}


def test_a_notice_lies_in_the_table_as_it_was_told(driver):
    driver.at(DAY).notify_expiring()
    (notice,) = driver.notices()
    assert notice.account_id == "ann"
    assert notice.at == driver.clock.at
    assert notice.facts == {
        "expires_on": "2027-01-16",
        "days_ahead": 30,
        "days_left": 30,
        "amount": 10,
        "balance": 10,
    }


def test_the_index_names_who_is_to_be_told_and_since_when(driver):
    driver.open("bob")
    assert due(driver, DAY - timedelta(1)) == {}
    assert due(driver, DAY) == {"ann": DAY}
    driver.at(DAY).notify_expiring()
    assert due(driver, DAY) == {}
    assert due(driver, date(2027, 1, 9)) == {"ann": date(2027, 1, 9)}


def test_telling_before_the_day_reads_and_writes_nothing(driver, faults):
    driver.at(DAY - timedelta(1)).settle()
    with faults.measured() as cost:
        driver.notify_expiring()
    assert cost.calls == [GET]


def test_two_who_tell_at_once_tell_once(driver, faults):
    driver.at(DAY)
    faults.on(TRANSACT, faults.before(driver.notify_expiring))
    driver.notify_expiring()
    assert told(driver) == [("expiring", "2027-01-16.30", 10)]


def test_a_lost_answer_tells_once(driver, faults):
    driver.at(DAY)
    faults.on(TRANSACT, answer_lost)
    driver.notify_expiring()
    assert told(driver) == [("expiring", "2027-01-16.30", 10)]


def test_a_spend_that_comes_between_is_not_told_of(driver, faults):
    driver.at(DAY)
    faults.on(TRANSACT, faults.before(lambda: driver.spend(10)))
    driver.notify_expiring()
    assert told(driver) == []
