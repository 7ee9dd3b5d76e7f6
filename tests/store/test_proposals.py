"""Spending: exactly once a key, and a refusal leaves no trace."""

from dataclasses import replace

import pytest

from shared.ledger.errors import AccountFrozenError, IdempotencyKeyReusedError, InsufficientConnectsError
from shared.ledger.model import EntryType, Kind, Plan
from shared.services.retry import attempts
from tests.core.builders import free, paid
from tests.wire import GET, TRANSACT


@pytest.fixture
def desk(desk):
    """Ann's, with 20 Connects."""
    desk.open()
    desk.credit(20)
    return desk


def test_a_spend_takes_connects_and_says_so_in_the_journal(desk):
    spent = desk.spend(8)
    assert not spent.replayed
    assert (spent.entry.type, spent.entry.amount, spent.entry.balance_after) == (EntryType.SPEND, -8, 12)
    assert desk.balance() == 12
    assert desk.journal()[-1] == spent.entry


def test_what_is_stored_comes_back_as_it_was_written(desk):
    desk.at("2026-02-20").credit(5, "second", paid=True)
    spent = desk.spend(22)
    assert spent.entry.slices == {free("2027-01-16"): -20, paid("2027-02-21"): -2}
    assert desk.stored() == spent.account
    assert desk.table.entry("ann", spent.entry.entry_id) == spent.entry


def test_the_same_spend_sent_again_is_answered_as_the_first_time(desk):
    first = desk.spend(8)
    again = desk.at("2026-01-20").spend(8)
    assert again == replace(first, account=None, replayed=True, written=())
    assert desk.balance() == 12


def test_a_key_serves_no_other_spend(desk):
    desk.spend(8)
    with pytest.raises(IdempotencyKeyReusedError):
        desk.spend(9)
    assert desk.balance() == 12


def test_a_repeat_of_a_spend_that_succeeded_is_never_insufficient(desk):
    first = desk.spend(20)
    again = desk.spend(20)
    assert again.entry == first.entry
    assert again.replayed


def test_another_request_under_a_used_key_is_told_so_even_if_it_could_not_be_paid(desk):
    desk.spend(20)
    with pytest.raises(IdempotencyKeyReusedError):
        desk.spend(21)


def test_a_repeat_of_a_spend_is_answered_even_if_the_agency_is_frozen_by_now(desk):
    desk.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    desk.credit(10, account="acme")
    first = desk.spend(4, account="acme")
    desk.change_plan(Plan.BASIC, account="acme", at_once=True)
    assert desk.spend(4, account="acme").entry == first.entry
    with pytest.raises(AccountFrozenError):
        desk.spend(4, "new", account="acme")


def test_a_refused_spend_writes_nothing(desk):
    before, journal = desk.stored(), desk.journal()
    with pytest.raises(InsufficientConnectsError) as refusal:
        desk.spend(21)
    assert refusal.value.details == {"balance": 20, "required": 21}
    assert (desk.stored(), desk.journal()) == (before, journal)


def test_a_refused_spend_does_not_use_its_key_up(desk):
    with pytest.raises(InsufficientConnectsError):
        desk.spend(21)
    desk.credit(1, "one more")
    spent = desk.spend(21)
    assert not spent.replayed
    assert desk.balance() == 0


def test_a_refused_spend_may_come_again_as_another(desk):
    with pytest.raises(InsufficientConnectsError):
        desk.spend(21)
    assert not desk.spend(20).replayed


def test_one_key_means_one_thing_an_account_and_operation(desk):
    desk.open("bob")
    desk.credit(20, account="bob")
    spends = [desk.spend(1, "k"), desk.credit(1, "k"), desk.spend(1, "k", account="bob")]
    assert [spend.replayed for spend in spends] == [False, False, False]


def test_whoever_comes_second_decides_again_on_what_the_refusal_brought(desk, wire):
    wire.on(TRANSACT, wire.before(lambda: desk.spend(5, "faster")))
    with wire.measured() as cost:
        spent = desk.spend(15)
    assert cost.calls == [GET, TRANSACT, TRANSACT]
    assert spent.entry.balance_after == desk.balance() == 0


def test_whoever_loses_again_waits_and_decides_on_what_is_there_then(desk, wire, monkeypatch):
    """A third spend that comes during the wait is in what is read after it: no transaction is lost to that one."""
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        desk.spend(1, "during the wait")

    monkeypatch.setattr("shared.services.retry.time.sleep", pause)
    wire.on(TRANSACT, *[wire.before(lambda key=key: desk.spend(1, key)) for key in ("first", "second")])
    with wire.measured() as cost:
        spent = desk.spend(15)
    own, meanwhile = 3, 1
    assert cost.calls.count(TRANSACT) == own + meanwhile
    assert (len(pauses), spent.entry.balance_after, desk.balance()) == (1, 2, 2)


def test_the_pauses_grow_eightfold_up_to_a_second_and_end_at_the_deadline(monkeypatch):
    now, longest = [0.0], []
    monkeypatch.setattr("shared.services.retry.random.uniform", lambda _, most: longest.append(most) or most)
    monkeypatch.setattr("shared.services.retry.time.monotonic", lambda: now[0])
    monkeypatch.setattr("shared.services.retry.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    assert len(list(attempts(2.5))) == 6
    assert longest == pytest.approx([0.02, 0.16, 1, 1, 0.32])


def test_whoever_comes_second_may_find_too_little_left(desk, wire):
    wire.on(TRANSACT, wire.before(lambda: desk.spend(15, "faster")))
    with pytest.raises(InsufficientConnectsError) as refusal:
        desk.spend(6)
    assert refusal.value.details["balance"] == desk.balance() == 5


def test_a_repeat_that_overtakes_is_the_one_that_counts(desk, wire):
    faster = []
    wire.on(TRANSACT, wire.before(lambda: faster.append(desk.spend(20))))
    with wire.measured() as cost:
        spent = desk.spend(20)
    assert cost.calls == [GET, TRANSACT]
    assert spent.entry == faster[0].entry
    assert desk.balance() == 0


def test_another_request_that_overtakes_under_the_same_key_is_the_one_that_counts(desk, wire):
    wire.on(TRANSACT, wire.before(lambda: desk.spend(1)))
    with pytest.raises(IdempotencyKeyReusedError):
        desk.spend(2)
    assert desk.balance() == 19
