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
from tests.wire import TRANSACT


@pytest.fixture
def desk(desk):
    """Ann's, with 10 free Connects and 10 purchased ones of a later day."""
    desk.open()
    desk.credit(10)
    desk.at("2026-02-15").credit(10, "second", paid=True)
    return desk


@pytest.fixture
def spend_id(desk):
    return desk.spend(15).entry.entry_id


def test_a_refund_goes_into_the_very_lots_that_the_spend_took_from(desk, spend_id):
    back = desk.at("2026-03-01").refund(spend_id)
    assert back.entry.slices == {free("2027-01-16"): 10, paid("2027-02-16"): 5}
    assert desk.stored().lots == {free("2027-01-16"): 10, paid("2027-02-16"): 10}


def test_what_belonged_to_an_expired_lot_comes_back_for_the_days_of_grace(desk, spend_id):
    back = desk.at("2027-02-01").refund(spend_id)
    assert back.entry.slices == {free("2027-03-03"): 10, paid("2027-02-16"): 5}


def test_without_days_of_grace_it_comes_back_and_expires_at_once_as_two_rows(desk, spend_id):
    back = desk.under(refund_grace_days=0).at("2027-02-01").refund(spend_id)
    assert (back.entry.type, back.entry.amount) == (EntryType.REFUND, 15)
    assert [(entry.type, entry.amount) for entry in desk.journal()][-2:] == [
        (EntryType.REFUND, 15),
        (EntryType.EXPIRY, -10),
    ]
    assert desk.balance() == 10


def test_the_same_refund_sent_again_is_answered_as_the_first_time(desk, spend_id):
    first = desk.refund(spend_id)
    again = desk.at("2027-06-01").refund(spend_id)
    assert again.entry == first.entry
    assert again.replayed


def test_a_second_refund_with_another_key_is_refused(desk, spend_id):
    desk.refund(spend_id)
    with pytest.raises(AlreadyRefundedError):
        desk.refund(spend_id, "another")
    assert desk.balance() == 20


def test_a_second_refund_for_another_reason_is_refused(desk, spend_id):
    desk.refund(spend_id)
    with pytest.raises(AlreadyRefundedError):
        desk.refund(spend_id, "another", reason="fraud")
    with pytest.raises(IdempotencyKeyReusedError):
        desk.refund(spend_id, reason="fraud")
    assert desk.balance() == 20


def test_the_key_of_a_refund_serves_no_other_spend(desk, spend_id):
    other = desk.spend(5, "other").entry.entry_id
    desk.refund(spend_id)
    with pytest.raises(IdempotencyKeyReusedError):
        desk.refund(other)
    assert not desk.refund(other, "another").replayed


def test_a_refund_is_never_refunded(desk, spend_id):
    back = desk.refund(spend_id).entry
    with pytest.raises(SpendNotFoundError):
        desk.refund(back.entry_id, "another")


def test_a_spend_that_never_was_cannot_be_refunded(desk):
    with pytest.raises(SpendNotFoundError):
        desk.refund("a" * 26)


def test_a_spend_of_another_account_cannot_be_refunded(desk, spend_id):
    desk.open("bob")
    with pytest.raises(SpendNotFoundError):
        desk.refund(spend_id, account="bob")


def test_a_reason_for_which_nothing_comes_back_writes_nothing_and_uses_no_key_up(desk, spend_id):
    before = desk.stored()
    with pytest.raises(NotRefundableError):
        desk.refund(spend_id, reason="withdrawn")
    assert desk.stored() == before
    assert not desk.refund(spend_id).replayed


def test_a_refund_that_another_overtakes_is_refused(desk, spend_id, wire):
    wire.on(TRANSACT, wire.before(lambda: desk.refund(spend_id, "faster")))
    with pytest.raises(AlreadyRefundedError):
        desk.refund(spend_id)
    assert desk.balance() == 20


def test_a_refund_that_its_own_repeat_overtakes_is_answered_by_it(desk, spend_id, wire):
    faster = []
    wire.on(TRANSACT, wire.before(lambda: faster.append(desk.refund(spend_id))))
    assert desk.refund(spend_id).entry == faster[0].entry
    assert desk.balance() == 20


def test_a_refund_that_a_spend_overtakes_is_decided_again(desk, spend_id, wire):
    wire.on(TRANSACT, wire.before(lambda: desk.spend(5, "faster")))
    assert desk.refund(spend_id).entry.balance_after == desk.balance() == 15
