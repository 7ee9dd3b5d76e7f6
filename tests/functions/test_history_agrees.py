"""History and balance agree at every instant: what fell due is shown before any schedule writes it."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from shared.aws.wiring import wiring
from shared.ledger.commands import Settle
from tests.faults import GET, QUERY
from tests.functions.conftest import START
from tests.functions.events import event
from tests.functions.test_history import amounts, ask, table_of

ALL = {"from": "2026-01-01"}
INSTANT = timedelta(milliseconds=1)
YEAR_LATER = datetime(2027, 11, 23, tzinfo=UTC)
"""When what came on 22 November 2026 expires, and the day after a cycle began."""


@pytest.fixture
def ann(api):
    """40 and 10 on 22 November 2026. Nobody settles her."""
    api.open()
    return api


def everything_shown(api, account="ann", **query):
    """All rows of a query, page by page."""
    page = ask(api, account, **query)
    rows = page.body["entries"]
    while cursor := page.body["next_cursor"]:
        page = ask(api, account, cursor=cursor, **query)
        rows += page.body["entries"]
    return rows


def settle():
    """What a schedule does with an account that it finds due."""
    wiring().ledger.execute("ann", Settle(), deadline=time.monotonic() + 5)


@pytest.mark.parametrize("instants", [-1, 0, 1])
@pytest.mark.parametrize("days", [30, 366, 800])
def test_the_newest_row_says_what_the_account_holds_whatever_ran(ann, clock, days, instants):
    clock.at = (START + timedelta(days)).replace(hour=0) + instants * INSTANT
    shown = everything_shown(ann, **ALL)
    assert shown[0]["balance_after"] == ann.balance()
    assert [row["seq"] for row in shown] == list(range(len(shown), 0, -1))
    assert int(table_of(ask(ann, headers={"accept": "text/csv"}, **ALL))[0]["balance_after"]) == ann.balance()
    settle()
    assert everything_shown(ann, **ALL) == shown
    assert ann.written() == shown


def test_what_is_shown_before_it_is_written_is_what_is_written(ann, clock):
    clock.at = YEAR_LATER
    shown = everything_shown(ann, **ALL)
    assert (shown[0]["type"], shown[0]["amount"], shown[0]["at"]) == ("expiry", -50, "2027-11-23T00:00:00.000Z")
    assert (shown[1]["type"], shown[1]["at"]) == ("grant", "2027-11-22T00:00:00.000Z")
    assert ann.written() == shown[-2:]
    spent = ann.spend(1).body
    assert everything_shown(ann, **ALL) == [spent, *shown]


def test_to_read_writes_nothing(ann, clock):
    clock.at = YEAR_LATER
    before = ann.written()
    everything_shown(ann, **ALL)
    ask(ann, headers={"accept": "text/csv"}, **ALL)
    assert ann.written() == before


@pytest.mark.parametrize("limit", [1, 3, 13, 14])
@pytest.mark.parametrize("writes", ["never", "after the first page", "after each page"])
def test_pages_go_on_over_rows_that_are_written_meanwhile(ann, clock, limit, writes):
    """13 are pending at first, and 3 are written: the cursor may stand on any of them."""
    ann.spend(1)
    clock.at = YEAR_LATER
    expected = ask(ann, limit=100, **ALL).body["entries"]
    page = ask(ann, limit=limit, **ALL)
    rows, number = page.body["entries"], 0
    while cursor := page.body["next_cursor"]:
        if writes == "after each page" or (writes, number) == ("after the first page", 0):
            clock.go(minutes=20)
            ann.spend(1, f"between-{number}")
        number += 1
        page = ask(ann, limit=limit, cursor=cursor, **ALL)
        rows += page.body["entries"]
    assert rows == expected
    assert len(rows) == 3 + 13


def test_pages_go_on_over_rows_that_fall_due_meanwhile(ann, clock):
    clock.at = START + timedelta(days=70)
    expected = everything_shown(ann, **ALL)
    first = ask(ann, limit=1, **ALL)
    clock.go(days=400)
    rest = ask(ann, limit=100, cursor=first.body["next_cursor"], **ALL)
    assert first.body["entries"] + rest.body["entries"] == expected


@pytest.mark.parametrize(("kind", "count"), [("grant", 14), ("expiry", 1), ("spend", 0)])
def test_pending_rows_of_one_type_come_alone(ann, clock, kind, count):
    clock.at = YEAR_LATER
    rows = everything_shown(ann, type=kind, limit="2", **ALL)
    assert [row["type"] for row in rows] == [kind] * count


def test_a_range_takes_the_pending_rows_that_lie_in_it(ann, clock):
    clock.at = YEAR_LATER
    cut = {"from": "2026-12-22", "to": "2027-02-22"}
    assert [row["at"][:10] for row in everything_shown(ann, **cut)] == ["2027-01-22", "2026-12-22"]
    assert [row["type"] for row in everything_shown(ann, days=7)] == ["expiry", "grant"]
    assert everything_shown(ann, to="2026-12-22") == everything_shown(ann, to="2026-11-23")
    midnight = {"from": "2026-12-22T00:00:00.001Z", "to": "2027-01-22T00:00:00.001Z"}
    assert [row["at"][:10] for row in everything_shown(ann, **midnight)] == ["2027-01-22"]


def test_an_account_of_nothing_but_pending_rows_shows_them(api, clock):
    api.open("acme", kind="agency", plan="plus")
    assert everything_shown(api, "acme") == []
    assert api.balance("acme") == 0
    api.buy(10, account="acme")
    clock.at = YEAR_LATER
    assert [row["balance_after"] for row in everything_shown(api, "acme", **ALL)] == [0, 10]


# What happens between the reads of one page


def test_a_page_is_right_if_the_schedule_writes_between_its_reads(ann, clock, faults):
    clock.at = YEAR_LATER
    expected = everything_shown(ann, **ALL)
    faults.on(QUERY, faults.before(settle))
    assert amounts(ask(ann, limit=100, **ALL)) == [row["amount"] for row in expected]
    assert ann.written() == expected


def test_a_page_is_right_if_a_spend_comes_between_its_reads(ann, clock, faults):
    clock.at = YEAR_LATER
    faults.on(QUERY, faults.before(lambda: ann.spend(1)))
    rows = ask(ann, limit=100, **ALL).body["entries"]
    assert rows == ann.written()


def test_a_page_is_right_if_a_clock_that_is_behind_writes_between_its_reads(ann, clock, faults):
    """To the other machine the day has not begun whose expiry is pending here: it writes another row in its place."""
    clock.at = YEAR_LATER - timedelta(hours=1)
    settle()

    def spend_an_instant_before():
        clock.at = YEAR_LATER - INSTANT
        ann.spend(1)

    clock.at = YEAR_LATER
    for query in ({}, {"type": "expiry"}):
        faults.on(QUERY, faults.before(spend_an_instant_before))
        with_race = ask(ann, limit=100, **ALL, **query).body["entries"]
        clock.at = YEAR_LATER
        assert with_race == ask(ann, limit=100, **ALL, **query).body["entries"]
        assert (with_race[0]["type"], with_race[0]["amount"], with_race[0]["seq"]) == ("expiry", -49, 16)


def test_what_is_pending_is_read_in_3_calls_and_what_is_written_in_2_and_later_pages_in_1(ann, clock, faults):
    with faults.measured() as cost:
        cursor = ask(ann, limit=1, **ALL).body["next_cursor"]
    assert cost.calls == [GET, QUERY]
    with faults.measured() as cost:
        ask(ann, limit=1, cursor=cursor, **ALL)
    assert cost.calls == [QUERY]
    clock.at = YEAR_LATER
    with faults.measured() as cost:
        cursor = ask(ann, limit=14, **ALL).body["next_cursor"]
    assert cost.calls == [GET, QUERY, GET]
    with faults.measured() as cost:
        ask(ann, limit=14, cursor=cursor, **ALL)
    assert cost.calls == [QUERY]
    with faults.measured() as cost:
        ask(ann, limit=3, **ALL)
    assert cost.calls == [GET]


def test_a_page_gives_up_if_the_account_is_written_between_any_two_reads(ann, clock, faults):
    clock.at = YEAR_LATER
    ann.left_ms = 1600
    turns = iter(range(1000))

    def spend_yesterday():
        clock.at = YEAR_LATER - INSTANT
        ann.left_ms = 10_000
        ann.spend(1, f"{next(turns)}")
        ann.left_ms = 1600

    faults.on(QUERY, *[faults.before(spend_yesterday)] * 40)
    assert ask(ann, limit=100, **ALL).refused == (503, "busy")


# Clocks that differ


def test_the_entry_of_a_clock_that_is_ahead_is_in_the_history_as_it_is_in_the_balance(ann, clock):
    clock.at = START + timedelta(seconds=1, milliseconds=500)
    ann.spend(6)
    clock.at = START
    for query in ({}, {"days": 7}, {"days": 90}, ALL):
        rows = everything_shown(ann, **query)
        assert (rows[0]["amount"], rows[0]["balance_after"]) == (-6, ann.balance())


def test_the_last_days_of_a_clock_that_is_behind_begin_by_that_clock(ann, clock):
    clock.at = START + timedelta(days=7, seconds=5)
    ann.spend(6)
    clock.at = START + timedelta(days=7)
    assert amounts(ask(ann, days=7)) == [-6, 10, 40]


def test_a_range_that_begins_at_the_newest_entry_of_a_clock_that_is_ahead_holds_it(ann, clock):
    clock.at = START + timedelta(seconds=2)
    newest = ann.spend(6).body["at"]
    clock.at = START
    assert amounts(ask(ann, from_=newest)) == [-6]
    clock.at = START + timedelta(seconds=3)
    assert amounts(ask(ann, from_=newest)) == [-6]


def test_the_event_file_of_the_history_is_answered_with_what_is_pending(ann, clock):
    clock.at = YEAR_LATER
    assert ann.send("history", event("history")).status == 200
