"""Adjustments by staff: a reason, exactly once a key, and never more than there is."""

import pytest

from shared.ledger.errors import AccountNotFoundError, IdempotencyKeyReusedError, InsufficientConnectsError
from shared.ledger.model import EntryType, Kind, Plan
from tests.core.builders import free, paid
from tests.faults import TRANSACT


@pytest.fixture
def driver(driver):
    """Ann's, with 10 free Connects and 10 purchased ones of the same day."""
    driver.open()
    driver.credit(10)
    driver.credit(10, "second", paid=True)
    return driver


def test_an_adjustment_gives_or_takes_and_says_why_in_the_journal(driver):
    given = driver.adjust(5, reason="Sorry for the outage").entry
    taken = driver.adjust(-12, "taken", reason="Credited to the wrong account").entry
    assert [(entry.type, entry.amount, entry.reason) for entry in driver.journal()[-2:]] == [
        (EntryType.ADJUSTMENT, 5, "Sorry for the outage"),
        (EntryType.ADJUSTMENT, -12, "Credited to the wrong account"),
    ]
    assert given.slices == {free("2027-01-16"): 5}
    assert taken.slices == {free("2027-01-16"): -12}
    assert driver.balance() == 13


def test_an_adjustment_takes_in_burn_order(driver):
    assert driver.adjust(-12).entry.slices == {free("2027-01-16"): -10, paid("2027-01-16"): -2}


def test_an_adjustment_that_takes_more_than_there_is_writes_nothing_and_uses_no_key_up(driver):
    before, journal = driver.stored(), driver.journal()
    with pytest.raises(InsufficientConnectsError) as refusal:
        driver.adjust(-21)
    assert refusal.value.details == {"balance": 20, "required": 21}
    assert (driver.stored(), driver.journal()) == (before, journal)
    assert not driver.adjust(-20).replayed


@pytest.mark.parametrize("amount", [5, -20])
def test_the_same_adjustment_sent_again_is_answered_as_the_first_time(driver, amount):
    first = driver.adjust(amount)
    again = driver.at("2026-06-01").adjust(amount)
    assert (again.entry, again.replayed) == (first.entry, True)
    assert driver.balance() == 20 + amount


def test_the_key_of_an_adjustment_serves_no_other(driver):
    driver.adjust(5)
    for other in ({"amount": 6}, {"amount": -5}, {"amount": 5, "reason": "Another"}):
        with pytest.raises(IdempotencyKeyReusedError):
            driver.adjust(**other)
    assert driver.balance() == 25


def test_a_frozen_agency_can_be_adjusted(driver):
    driver.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    driver.credit(10, account="acme")
    driver.change_plan(Plan.BASIC, account="acme", at_once=True)
    driver.adjust(-4, account="acme")
    driver.adjust(1, "given", account="acme")
    assert driver.balance("acme") == 7


def test_an_account_that_never_was_cannot_be_adjusted(driver):
    with pytest.raises(AccountNotFoundError):
        driver.adjust(5, account="bob")


def test_an_adjustment_that_a_spend_overtakes_is_decided_again(driver, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.spend(15, "faster")))
    with pytest.raises(InsufficientConnectsError) as refusal:
        driver.adjust(-6)
    assert refusal.value.details["balance"] == driver.balance() == 5
