"""Spending: exactly once a key, and a refusal leaves no trace."""

from dataclasses import replace

import pytest

from shared.ledger.errors import AccountFrozenError, IdempotencyKeyReusedError, InsufficientConnectsError
from shared.ledger.model import EntryType, Kind, Plan
from shared.services.retry import attempts
from tests.core.builders import free, paid
from tests.faults import GET, TRANSACT, UPDATE


@pytest.fixture
def driver(driver):
    """Ann's, with 20 Connects."""
    driver.open()
    driver.credit(20)
    return driver


def test_a_spend_takes_connects_and_says_so_in_the_journal(driver):
    spent = driver.spend(8)
    assert not spent.replayed
    assert (spent.entry.type, spent.entry.amount, spent.entry.balance_after) == (EntryType.SPEND, -8, 12)
    assert driver.balance() == 12
    assert driver.journal()[-1] == spent.entry


def test_what_is_stored_comes_back_as_it_was_written(driver):
    driver.at("2026-02-20").credit(5, "second", paid=True)
    spent = driver.spend(22)
    assert spent.entry.slices == {free("2027-01-16"): -20, paid("2027-02-21"): -2}
    assert driver.stored() == spent.account
    assert driver.table.entry("ann", spent.entry.entry_id) == spent.entry


def test_the_same_spend_sent_again_is_answered_as_the_first_time(driver):
    first = driver.spend(8)
    again = driver.at("2026-01-20").spend(8)
    assert again == replace(first, account=None, replayed=True, written=())
    assert driver.balance() == 12


def test_a_key_serves_no_other_spend(driver):
    driver.spend(8)
    with pytest.raises(IdempotencyKeyReusedError):
        driver.spend(9)
    assert driver.balance() == 12


def test_a_repeat_of_a_spend_that_succeeded_is_never_insufficient(driver):
    first = driver.spend(20)
    again = driver.spend(20)
    assert again.entry == first.entry
    assert again.replayed


def test_another_request_under_a_used_key_is_told_so_even_if_it_could_not_be_paid(driver):
    driver.spend(20)
    with pytest.raises(IdempotencyKeyReusedError):
        driver.spend(21)


def test_a_repeat_of_a_spend_is_answered_even_if_the_agency_is_frozen_by_now(driver):
    driver.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    driver.credit(10, account="acme")
    first = driver.spend(4, account="acme")
    driver.change_plan(Plan.BASIC, account="acme", at_once=True)
    assert driver.spend(4, account="acme").entry == first.entry
    with pytest.raises(AccountFrozenError):
        driver.spend(4, "new", account="acme")


def test_a_refused_spend_writes_nothing(driver):
    before, journal = driver.stored(), driver.journal()
    with pytest.raises(InsufficientConnectsError) as refusal:
        driver.spend(21)
    assert refusal.value.details == {"balance": 20, "required": 21}
    assert (driver.stored(), driver.journal()) == (before, journal)


def test_a_refused_spend_does_not_use_its_key_up(driver):
    with pytest.raises(InsufficientConnectsError):
        driver.spend(21)
    driver.credit(1, "one more")
    spent = driver.spend(21)
    assert not spent.replayed
    assert driver.balance() == 0


def test_a_refused_spend_may_come_again_as_another(driver):
    with pytest.raises(InsufficientConnectsError):
        driver.spend(21)
    assert not driver.spend(20).replayed


def test_one_key_means_one_thing_an_account_and_operation(driver):
    driver.open("bob")
    driver.credit(20, account="bob")
    spends = [driver.spend(1, "k"), driver.credit(1, "k"), driver.spend(1, "k", account="bob")]
    assert [spend.replayed for spend in spends] == [False, False, False]


def test_whoever_comes_second_decides_again_on_what_the_refusal_brought(driver, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.spend(5, "faster")))
    with faults.measured() as cost:
        spent = driver.spend(15)
    assert cost.calls == [GET, TRANSACT, UPDATE, TRANSACT]
    assert spent.entry.balance_after == driver.balance() == 0


def test_whoever_loses_again_waits_and_decides_on_what_is_there_then(driver, faults, monkeypatch):
    """A third spend that comes during the wait is in what is read after it: no transaction is lost to that one."""
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        driver.spend(1, "during the wait")

    monkeypatch.setattr("shared.services.retry.time.sleep", pause)
    faults.on(TRANSACT, *[faults.before(lambda key=key: driver.spend(1, key)) for key in ("first", "second")])
    with faults.measured() as cost:
        spent = driver.spend(15)
    own, meanwhile = 3, 1
    assert cost.calls.count(TRANSACT) == own + meanwhile
    assert (len(pauses), spent.entry.balance_after, driver.balance()) == (1, 2, 2)


def test_the_pauses_grow_eightfold_up_to_six_tenths_of_a_second_and_end_at_the_deadline(monkeypatch):
    now, longest = [0.0], []
    monkeypatch.setattr("shared.services.retry.RANDOM.uniform", lambda _, most: longest.append(most) or most)
    monkeypatch.setattr("shared.services.retry.time.monotonic", lambda: now[0])
    monkeypatch.setattr("shared.services.retry.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    assert len(list(attempts(1.5))) == 6
    assert longest == pytest.approx([0.02, 0.16, 0.6, 0.6, 0.6])


def test_whoever_comes_second_may_find_too_little_left(driver, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.spend(15, "faster")))
    with pytest.raises(InsufficientConnectsError) as refusal:
        driver.spend(6)
    assert refusal.value.details["balance"] == driver.balance() == 5


def test_a_repeat_that_overtakes_is_the_one_that_counts(driver, faults):
    faster = []
    faults.on(TRANSACT, faults.before(lambda: faster.append(driver.spend(20))))
    with faults.measured() as cost:
        spent = driver.spend(20)
    assert cost.calls == [GET, TRANSACT]
    assert spent.entry == faster[0].entry
    assert driver.balance() == 0


def test_another_request_that_overtakes_under_the_same_key_is_the_one_that_counts(driver, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.spend(1)))
    with pytest.raises(IdempotencyKeyReusedError):
        driver.spend(2)
    assert driver.balance() == 19
