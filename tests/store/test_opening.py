"""Opening: once for ever, whoever asks and however often."""

import pytest

from shared.ledger.errors import AccountNotFoundError, AlreadyExistsError, IdempotencyKeyReusedError
from shared.ledger.model import EntryType, Kind, Plan
from shared.ledger.policy import Policy
from tests.faults import TRANSACT


def test_a_new_freelancer_gets_sign_up_connects_and_those_of_the_cycle(driver):
    driver.policy = Policy()
    opened = driver.open()
    assert opened.account["balance"] == driver.balance() == 50
    assert [(entry.type, entry.amount) for entry in driver.journal()] == [(EntryType.GRANT, 40), (EntryType.GRANT, 10)]


def test_an_agency_starts_with_nothing(driver):
    driver.policy = Policy()
    assert driver.open(kind=Kind.AGENCY, plan=Plan.PLUS).account["balance"] == 0
    assert driver.journal() == []


def test_opening_again_with_the_same_key_is_answered_as_the_first_time(driver):
    driver.policy = Policy()
    first = driver.open()
    driver.spend(30)
    driver.at("2026-03-01")
    again = driver.open()
    assert again.account == first.account
    assert (first.replayed, again.replayed) == (False, True)
    assert driver.stored().balance == 20


def test_opening_again_with_another_key_is_refused(driver):
    driver.open()
    with pytest.raises(AlreadyExistsError):
        driver.open(key="another")


def test_the_key_of_an_opening_serves_no_other_request(driver):
    driver.open()
    with pytest.raises(IdempotencyKeyReusedError):
        driver.open(plan=Plan.PLUS)


def test_one_key_opens_an_account_for_each_name(driver):
    driver.policy = Policy()
    driver.open("ann")
    assert not driver.open("bob").replayed
    assert driver.balance("bob") == 50


def test_an_opening_that_comes_second_by_a_moment_changes_nothing(driver, faults):
    driver.policy = Policy()
    faults.on(TRANSACT, faults.before(lambda: driver.open(key="faster")))
    with pytest.raises(AlreadyExistsError):
        driver.open()
    assert driver.stored().version == 1


def test_an_account_that_nobody_opened_is_not_found(driver):
    for ask in (driver.stored, driver.settle, lambda: driver.spend(1), lambda: driver.change_plan(Plan.PLUS)):
        with pytest.raises(AccountNotFoundError):
            ask()
