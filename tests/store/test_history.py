"""History: every change is a row, newest first, readable the moment it is written."""

from datetime import timedelta

import pytest

from shared.ledger.model import EntryType
from tests.core.builders import noon, start_of

DAYS = ("2026-01-15", "2026-01-16", "2026-01-17", "2026-01-18", "2026-01-19")


@pytest.fixture
def driver(driver):
    """Ann's, with a credit of 1 to 5 Connects on each of five days, at noon."""
    driver.open()
    for amount, day in enumerate(DAYS, 1):
        driver.at(day).credit(amount, day)
    return driver


def amounts(page):
    return [entry.amount for entry in page.entries]


def pages(driver, **wanted):
    page = driver.history(**wanted)
    yield page
    while page.next_key:
        page = driver.history(below=page.next_key, **wanted)
        yield page


def test_history_comes_newest_first(driver):
    assert amounts(driver.history()) == [5, 4, 3, 2, 1]


def test_history_shows_what_was_written_just_now(driver):
    for number in range(10):
        spent = driver.spend(1, str(number))
        assert driver.history(limit=1).entries == [spent.entry]


def test_rows_of_one_instant_come_in_the_order_they_were_written(driver):
    spends = [driver.spend(1, str(number)).entry for number in range(3)]
    assert driver.history(limit=3).entries == spends[::-1]


def test_a_range_takes_its_first_instant_in_and_leaves_its_last_out(driver):
    assert amounts(driver.history(since=noon(DAYS[1]), until=noon(DAYS[3]))) == [3, 2]
    a_moment = timedelta(milliseconds=1)
    assert amounts(driver.history(since=noon(DAYS[1]) + a_moment, until=noon(DAYS[3]) + a_moment)) == [4, 3]


def test_a_range_in_which_nothing_happened_is_an_empty_page(driver):
    page = driver.history(since=start_of("2026-02-01"), until=start_of("2026-03-01"))
    assert (page.entries, page.next_key) == ([], None)


def test_a_range_that_ends_where_it_starts_is_an_empty_page(driver):
    assert driver.history(since=noon(DAYS[1]), until=noon(DAYS[1])).entries == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_pages_follow_each_other_without_gap_or_repeat(driver, limit):
    found = list(pages(driver, limit=limit))
    assert [amount for page in found for amount in amounts(page)] == [5, 4, 3, 2, 1]
    assert all(len(page.entries) <= limit for page in found)
    assert found[-1].next_key is None


def test_pages_are_not_disturbed_by_what_happens_between_them(driver):
    first = driver.history(limit=2)
    driver.spend(1)
    assert amounts(driver.history(limit=2, below=first.next_key)) == [3, 2]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_rows_of_one_type_come_alone_and_in_pages(driver, limit):
    for number in range(3):
        driver.spend(number + 1, f"spend {number}")
        driver.credit(1, f"credit {number}")
    found = list(pages(driver, limit=limit, entry_type=EntryType.SPEND))
    assert [amount for page in found for amount in amounts(page)] == [-3, -2, -1]
    assert all(len(page.entries) <= limit for page in found)


def test_a_page_looks_through_so_much_for_a_type_and_then_says_where_to_go_on(driver, monkeypatch):
    monkeypatch.setattr("shared.store.table.CALLS_A_PAGE", 2)
    monkeypatch.setattr("shared.store.table.ROWS_LOOKED_THROUGH", 2)
    driver.spend(7, "the oldest spend")
    for number in range(9):
        driver.credit(1, f"credit {number}")
    found = list(pages(driver, limit=5, entry_type=EntryType.SPEND))
    assert [amounts(page) for page in found] == [[], [], [-7], []]


def test_an_expiry_found_late_is_dated_at_the_instant_of_expiry(driver):
    driver.at("2027-01-17").settle()
    expiries = driver.history(entry_type=EntryType.EXPIRY).entries
    assert [(entry.at, entry.amount) for entry in expiries] == [
        (start_of("2027-01-17"), -2),
        (start_of("2027-01-16"), -1),
    ]


def test_accounts_do_not_see_each_other(driver):
    driver.open("bob")
    driver.credit(99, account="bob")
    assert 99 not in amounts(driver.history())
