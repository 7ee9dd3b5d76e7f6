"""Turns of those who change one account at once: they spread attempts, and decide nothing."""

import pytest

from shared.services.retry import TURN_S
from shared.store.rows import ACCOUNT_SK
from shared.store.turns import FORGOTTEN_AFTER_S, MOST_WAITING, TURNS_SK, TurnsRow, take_turn
from tests.faults import CONFLICT, GET, THROTTLED, TRANSACT, UPDATE, passes


@pytest.fixture
def driver(driver):
    """Ann's, with 20 Connects."""
    driver.open()
    driver.credit(20)
    return driver


@pytest.fixture
def slept(monkeypatch):
    """Each pause in seconds; none is made, and its random part is nothing."""
    pauses = []
    monkeypatch.setattr("shared.services.retry.time.sleep", pauses.append)
    monkeypatch.setattr("shared.services.retry.RANDOM.uniform", lambda *_: 0)
    return pauses


@pytest.fixture
def wall(monkeypatch):
    """The seconds of this machine's clock."""
    now = [1_000_000.0]
    monkeypatch.setattr("shared.store.turns.time.time", lambda: now[0])
    return now


def test_whoever_waits_first_is_next_and_the_others_follow(table):
    assert [take_turn(table, "ann", 7) for _ in range(3)] == [7, 8, 9]


def test_who_has_seen_later_changes_waits_behind_the_same(table):
    assert [take_turn(table, "ann", version) for version in (7, 7, 8)] == [7, 8, 9]


def test_turns_that_the_account_has_passed_are_over(table):
    assert [take_turn(table, "ann", version) for version in (7, 7, 20)] == [7, 8, 20]


def test_turns_of_another_account_are_its_own(table):
    assert [take_turn(table, account, 7) for account in ("ann", "bob")] == [7, 7]


def test_turns_that_nobody_used_in_time_are_forgotten(table, wall):
    for _ in range(10):
        take_turn(table, "ann", 7)
    wall[0] += FORGOTTEN_AFTER_S
    assert take_turn(table, "ann", 8) == 17
    wall[0] += FORGOTTEN_AFTER_S + 1
    assert take_turn(table, "ann", 8) == 8


def test_no_turn_is_given_that_could_not_come_in_time(table):
    table.rows(TurnsRow)(pk="ann", sk=TURNS_SK, last=7 + MOST_WAITING + 1, taken_at=4_000_000_000).save()
    assert take_turn(table, "ann", 7) == 7


def test_a_turn_costs_one_call_where_nobody_waits_and_two_where_somebody_does(table, faults):
    for calls in (1, 2, 2):
        with faults.measured() as cost:
            take_turn(table, "ann", 7)
        assert cost.calls == [UPDATE] * calls


def test_where_turns_end_while_one_is_taken_the_turn_is_the_first_again(table, faults):
    take_turn(table, "ann", 7)
    over = table.rows(TurnsRow)(pk="ann", sk=TURNS_SK, last=1, taken_at=0)
    faults.on(UPDATE, passes, faults.before(over.save))
    assert take_turn(table, "ann", 7) == 7


def test_where_the_database_is_too_busy_for_turns_it_is_the_next(table, faults):
    faults.on(UPDATE, THROTTLED, THROTTLED)
    assert take_turn(table, "ann", 7) == 8


def test_whoever_meets_one_other_decides_at_once_on_what_the_refusal_brought(driver, faults, slept):
    faults.on(TRANSACT, faults.before(lambda: driver.spend(1, "faster")))
    with faults.measured() as cost:
        driver.spend(5)
    assert cost.calls == [GET, TRANSACT, UPDATE, TRANSACT]
    assert slept == []
    assert driver.balance() == 14


def test_whoever_meets_many_waits_for_those_before_it(driver, faults, slept):
    version = driver.stored().version
    for _ in range(3):
        take_turn(driver.table, "ann", version + 1)
    faults.on(TRANSACT, faults.before(lambda: driver.spend(1, "faster")))
    with faults.measured() as cost:
        driver.spend(5)
    assert cost.calls == [GET, TRANSACT, UPDATE, UPDATE, GET, TRANSACT]
    assert slept == [pytest.approx(3 * TURN_S)]
    assert driver.balance() == 14


def test_whoever_is_refused_before_its_turn_waits_for_the_rest_and_takes_no_other(driver, faults, slept):
    version = driver.stored().version
    for _ in range(3):
        take_turn(driver.table, "ann", version + 1)
    faults.on(TRANSACT, *[faults.before(lambda key=key: driver.spend(1, key)) for key in ("first", "second")])
    with faults.measured() as cost:
        driver.spend(5)
    assert cost.calls.count(UPDATE) == 2
    assert slept == [pytest.approx(3 * TURN_S), pytest.approx(2 * TURN_S)]


def test_whoever_loses_its_turn_waits_at_random_and_takes_no_other(driver, faults, slept):
    keys = ("first", "second", "third", "fourth")
    faults.on(TRANSACT, *[faults.before(lambda key=key: driver.spend(1, key)) for key in keys])
    with faults.measured() as cost:
        driver.spend(5)
    assert cost.calls.count(UPDATE) == 1
    assert slept == [0, 0, 0]
    assert driver.balance() == 11


def test_a_conflict_in_the_same_moment_takes_a_turn_too(driver, faults, slept):
    faults.on(TRANSACT, CONFLICT)
    with faults.measured() as cost:
        driver.spend(5)
    assert cost.calls == [GET, TRANSACT, UPDATE, GET, TRANSACT]
    assert slept == []


def test_whoever_waits_for_its_turn_tries_at_its_deadline_at_the_latest(driver, faults, slept, monkeypatch):
    monkeypatch.setattr("shared.services.ledger.take_turn", lambda *_: 10**6)
    monkeypatch.setattr("shared.services.retry.time.monotonic", lambda: 1.0)
    faults.on(TRANSACT, CONFLICT)
    driver.spend(5, by=5.0)
    assert slept == [4.0]
    assert driver.balance() == 15


def test_turns_change_no_account(table, driver):
    before = driver.stored()
    take_turn(table, "ann", before.version)
    assert driver.stored() == before
    assert ACCOUNT_SK != TURNS_SK
