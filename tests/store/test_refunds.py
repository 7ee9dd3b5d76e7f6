"""Refunds: into the very lots, at most once a spend, whatever mix of keys and reasons arrives."""

import pytest

from shared.ledger.errors import (
    AlreadyRefundedError,
    IdempotencyKeyReusedError,
    NotRefundableError,
    SpendNotFoundError,
)
from shared.ledger.model import EntryType
from tests.core.builders import free, paid
from tests.faults import TRANSACT


@pytest.fixture
def driver(driver):
    """Ann's, with 10 free Connects and 10 purchased ones of a later day."""
    driver.open()
    driver.credit(10)
    driver.at("2026-02-15").credit(10, "second", paid=True)
    return driver


@pytest.fixture
def spend_id(driver):
    return driver.spend(15).entry.entry_id


def test_a_refund_goes_into_the_very_lots_that_the_spend_took_from(driver, spend_id):
    back = driver.at("2026-03-01").refund(spend_id)
    assert back.entry.slices == {free("2027-01-16"): 10, paid("2027-02-16"): 5}
    assert driver.stored().lots == {free("2027-01-16"): 10, paid("2027-02-16"): 10}


def test_what_belonged_to_an_expired_lot_comes_back_for_the_days_of_grace(driver, spend_id):
    back = driver.at("2027-02-01").refund(spend_id)
    assert back.entry.slices == {free("2027-03-03"): 10, paid("2027-02-16"): 5}


def test_without_days_of_grace_it_comes_back_and_expires_at_once_as_two_rows(driver, spend_id):
    back = driver.under(refund_grace_days=0).at("2027-02-01").refund(spend_id)
    assert (back.entry.type, back.entry.amount) == (EntryType.REFUND, 15)
    assert [(entry.type, entry.amount) for entry in driver.journal()][-2:] == [
        (EntryType.REFUND, 15),
        (EntryType.EXPIRY, -10),
    ]
    assert driver.balance() == 10


def test_the_same_refund_sent_again_is_answered_as_the_first_time(driver, spend_id):
    first = driver.refund(spend_id)
    again = driver.at("2027-06-01").refund(spend_id)
    assert again.entry == first.entry
    assert again.replayed


def test_a_second_refund_with_another_key_is_refused(driver, spend_id):
    driver.refund(spend_id)
    with pytest.raises(AlreadyRefundedError):
        driver.refund(spend_id, "another")
    assert driver.balance() == 20


def test_a_second_refund_for_another_reason_is_refused(driver, spend_id):
    driver.refund(spend_id)
    with pytest.raises(AlreadyRefundedError):
        driver.refund(spend_id, "another", reason="fraud")
    with pytest.raises(IdempotencyKeyReusedError):
        driver.refund(spend_id, reason="fraud")
    assert driver.balance() == 20


def test_the_key_of_a_refund_serves_no_other_spend(driver, spend_id):
    other = driver.spend(5, "other").entry.entry_id
    driver.refund(spend_id)
    with pytest.raises(IdempotencyKeyReusedError):
        driver.refund(other)
    assert not driver.refund(other, "another").replayed


def test_a_refund_is_never_refunded(driver, spend_id):
    back = driver.refund(spend_id).entry
    with pytest.raises(SpendNotFoundError):
        driver.refund(back.entry_id, "another")


def test_a_spend_that_never_was_cannot_be_refunded(driver):
    with pytest.raises(SpendNotFoundError):
        driver.refund("a" * 26)


def test_a_spend_of_another_account_cannot_be_refunded(driver, spend_id):
    driver.open("bob")
    with pytest.raises(SpendNotFoundError):
        driver.refund(spend_id, account="bob")


def test_a_reason_for_which_nothing_comes_back_writes_nothing_and_uses_no_key_up(driver, spend_id):
    before = driver.stored()
    with pytest.raises(NotRefundableError):
        driver.refund(spend_id, reason="withdrawn")
    assert driver.stored() == before
    assert not driver.refund(spend_id).replayed


def test_a_refund_that_another_overtakes_is_refused(driver, spend_id, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.refund(spend_id, "faster")))
    with pytest.raises(AlreadyRefundedError):
        driver.refund(spend_id)
    assert driver.balance() == 20


def test_a_refund_that_its_own_repeat_overtakes_is_answered_by_it(driver, spend_id, faults):
    faster = []
    faults.on(TRANSACT, faults.before(lambda: faster.append(driver.refund(spend_id))))
    assert driver.refund(spend_id).entry == faster[0].entry
    assert driver.balance() == 20


def test_a_refund_that_a_spend_overtakes_is_decided_again(driver, spend_id, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.spend(5, "faster")))
    assert driver.refund(spend_id).entry.balance_after == driver.balance() == 15
