"""Runs of a schedule that really meet send each account once."""

import json
from collections import Counter
from threading import Lock

import pytest

from shared.services.due import GRANTS, settle_accounts
from tests.driver import RecordingQueue, deadline
from tests.engines.test_races import at_once
from tests.store.test_due import DUE_ON, NAMES, PAGE


@pytest.fixture
def driver(driver, monkeypatch):
    """With sixteen accounts that are due their grant, of which a page holds two."""
    monkeypatch.setattr("shared.store.table.DUE_PAGE", PAGE)
    driver.open_many(*NAMES)
    return driver.at(DUE_ON)


class SharedQueue(RecordingQueue):
    """For several threads."""

    def __init__(self):
        super().__init__()
        self._lock = Lock()

    def send(self, bodies):
        for body in bodies:
            with self._lock:
                self.bodies.append(body)


@pytest.mark.parametrize("runs", [2, 8])
def test_runs_at_once_send_each_account_once(driver, runs):
    queue = SharedQueue()
    found = at_once(*[lambda: driver.dispatch(GRANTS, queue)] * runs)
    assert sum(found) == len(NAMES)
    assert sorted(name for body in queue.bodies for name in json.loads(body)["accounts"]) == NAMES


def test_runs_and_settlements_at_once_send_and_settle_each_account_once(driver):
    queue = SharedQueue()

    def run_and_settle():
        driver.dispatch(GRANTS, own := RecordingQueue())
        queue.send(own.bodies)
        for body in own.bodies:
            settle_accounts(driver.ledger, json.loads(body)["accounts"], deadline)

    at_once(*[run_and_settle] * 8)
    sent = Counter(name for body in queue.bodies for name in json.loads(body)["accounts"])
    assert set(sent) == set(NAMES)
    assert set(sent.values()) == {1}
    assert list(driver.table.due_grants(driver.clock.at.date())) == []
