"""Adjustments by staff: a reason, exactly once a key, and never more than there is."""

import pytest

from shared.ledger.errors import AccountNotFoundError, IdempotencyKeyReusedError, InsufficientConnectsError
from shared.ledger.model import EntryType, Kind, Plan
from tests.core.builders import free, paid
from tests.wire import TRANSACT


@pytest.fixture
def desk(desk):
    """Ann's, with 10 free Connects and 10 purchased ones of the same day."""
    desk.open()
    desk.credit(10)
    desk.credit(10, "second", paid=True)
    return desk


def test_an_adjustment_gives_or_takes_and_says_why_in_the_journal(desk):
    given = desk.adjust(5, reason="Sorry for the outage").entry
    taken = desk.adjust(-12, "taken", reason="Credited to the wrong account").entry
    assert [(entry.type, entry.amount, entry.reason) for entry in desk.journal()[-2:]] == [
        (EntryType.ADJUSTMENT, 5, "Sorry for the outage"),
        (EntryType.ADJUSTMENT, -12, "Credited to the wrong account"),
    ]
    assert given.slices == {free("2027-01-16"): 5}
    assert taken.slices == {free("2027-01-16"): -12}
    assert desk.balance() == 13


def test_an_adjustment_takes_in_burn_order(desk):
    assert desk.adjust(-12).entry.slices == {free("2027-01-16"): -10, paid("2027-01-16"): -2}


def test_an_adjustment_that_takes_more_than_there_is_writes_nothing_and_uses_no_key_up(desk):
    before, journal = desk.stored(), desk.journal()
    with pytest.raises(InsufficientConnectsError) as refusal:
        desk.adjust(-21)
    assert refusal.value.details == {"balance": 20, "required": 21}
    assert (desk.stored(), desk.journal()) == (before, journal)
    assert not desk.adjust(-20).replayed


@pytest.mark.parametrize("amount", [5, -20])
def test_the_same_adjustment_sent_again_is_answered_as_the_first_time(desk, amount):
    first = desk.adjust(amount)
    again = desk.at("2026-06-01").adjust(amount)
    assert (again.entry, again.replayed) == (first.entry, True)
    assert desk.balance() == 20 + amount


def test_the_key_of_an_adjustment_serves_no_other(desk):
    desk.adjust(5)
    for other in ({"amount": 6}, {"amount": -5}, {"amount": 5, "reason": "Another"}):
        with pytest.raises(IdempotencyKeyReusedError):
            desk.adjust(**other)
    assert desk.balance() == 25


def test_a_frozen_agency_can_be_adjusted(desk):
    desk.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    desk.credit(10, account="acme")
    desk.change_plan(Plan.BASIC, account="acme", at_once=True)
    desk.adjust(-4, account="acme")
    desk.adjust(1, "given", account="acme")
    assert desk.balance("acme") == 7


def test_an_account_that_never_was_cannot_be_adjusted(desk):
    with pytest.raises(AccountNotFoundError):
        desk.adjust(5, account="bob")


def test_an_adjustment_that_a_spend_overtakes_is_decided_again(desk, wire):
    wire.on(TRANSACT, wire.before(lambda: desk.spend(15, "faster")))
    with pytest.raises(InsufficientConnectsError) as refusal:
        desk.adjust(-6)
    assert refusal.value.details["balance"] == desk.balance() == 5
