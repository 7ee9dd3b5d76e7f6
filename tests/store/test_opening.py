"""Opening: once for ever, whoever asks and however often."""

import pytest

from shared.ledger.errors import AccountNotFoundError, AlreadyExistsError, IdempotencyKeyReusedError
from shared.ledger.model import EntryType, Kind, Plan
from shared.ledger.policy import Policy
from tests.wire import TRANSACT


def test_a_new_freelancer_gets_sign_up_connects_and_those_of_the_cycle(desk):
    desk.policy = Policy()
    opened = desk.open()
    assert opened.account["balance"] == desk.balance() == 50
    assert [(entry.type, entry.amount) for entry in desk.journal()] == [(EntryType.GRANT, 40), (EntryType.GRANT, 10)]


def test_an_agency_starts_with_nothing(desk):
    desk.policy = Policy()
    assert desk.open(kind=Kind.AGENCY, plan=Plan.PLUS).account["balance"] == 0
    assert desk.journal() == []


def test_opening_again_with_the_same_key_is_answered_as_the_first_time(desk):
    desk.policy = Policy()
    first = desk.open()
    desk.spend(30)
    desk.at("2026-03-01")
    again = desk.open()
    assert again.account == first.account
    assert (first.replayed, again.replayed) == (False, True)
    assert desk.stored().balance == 20


def test_opening_again_with_another_key_is_refused(desk):
    desk.open()
    with pytest.raises(AlreadyExistsError):
        desk.open(key="another")


def test_the_key_of_an_opening_serves_no_other_request(desk):
    desk.open()
    with pytest.raises(IdempotencyKeyReusedError):
        desk.open(plan=Plan.PLUS)


def test_one_key_opens_an_account_for_each_name(desk):
    desk.policy = Policy()
    desk.open("ann")
    assert not desk.open("bob").replayed
    assert desk.balance("bob") == 50


def test_an_opening_that_comes_second_by_a_moment_changes_nothing(desk, wire):
    desk.policy = Policy()
    wire.on(TRANSACT, wire.before(lambda: desk.open(key="faster")))
    with pytest.raises(AlreadyExistsError):
        desk.open()
    assert desk.stored().version == 1


def test_an_account_that_nobody_opened_is_not_found(desk):
    for ask in (desk.stored, desk.settle, lambda: desk.spend(1), lambda: desk.change_plan(Plan.PLUS)):
        with pytest.raises(AccountNotFoundError):
            ask()
