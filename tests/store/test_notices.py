"""Notices in the table: in one transaction with the day up to which all was told."""

from datetime import date, timedelta

import pytest

from tests.wire import GET, TRANSACT, answer_lost

OPENED = date(2026, 1, 15)
DAY = date(2026, 12, 17)
"""30 days before the first day on which the lot of `OPENED` cannot be used."""


@pytest.fixture
def desk(desk):
    desk.at(OPENED).open()
    desk.credit(10)
    return desk


def told(desk):
    return [(notice.kind, notice.about, notice.facts["amount"]) for notice in desk.notices()]


def due(desk, until):
    return {found.account_id: found.since for found in desk.table.due_notices(until)}


def test_a_notice_lies_in_the_table_as_it_was_told(desk):
    desk.at(DAY).tell_expiring()
    (notice,) = desk.notices()
    assert notice.account_id == "ann"
    assert notice.at == desk.clock.at
    assert notice.facts == {
        "expires_on": "2027-01-16",
        "days_ahead": 30,
        "days_left": 30,
        "amount": 10,
        "balance": 10,
    }


def test_the_index_names_who_is_to_be_told_and_since_when(desk):
    desk.open("bob")
    assert due(desk, DAY - timedelta(1)) == {}
    assert due(desk, DAY) == {"ann": DAY}
    desk.at(DAY).tell_expiring()
    assert due(desk, DAY) == {}
    assert due(desk, date(2027, 1, 9)) == {"ann": date(2027, 1, 9)}


def test_telling_before_the_day_reads_and_writes_nothing(desk, wire):
    desk.at(DAY - timedelta(1)).settle()
    with wire.measured() as cost:
        desk.tell_expiring()
    assert cost.calls == [GET]


def test_two_who_tell_at_once_tell_once(desk, wire):
    desk.at(DAY)
    wire.on(TRANSACT, wire.before(desk.tell_expiring))
    desk.tell_expiring()
    assert told(desk) == [("expiring", "2027-01-16.30", 10)]


def test_a_lost_answer_tells_once(desk, wire):
    desk.at(DAY)
    wire.on(TRANSACT, answer_lost)
    desk.tell_expiring()
    assert told(desk) == [("expiring", "2027-01-16.30", 10)]


def test_a_spend_that_comes_between_is_not_told_of(desk, wire):
    desk.at(DAY)
    wire.on(TRANSACT, wire.before(lambda: desk.spend(10)))
    desk.tell_expiring()
    assert told(desk) == []
