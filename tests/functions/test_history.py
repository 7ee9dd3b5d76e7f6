"""History: what may be asked, pages and their cursors, and CSV."""

import base64
import csv
import io
import json
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from tests.functions.api import Api
from tests.functions.conftest import START, fresh_tables, stopped_clock
from tests.functions.events import http, user

ENTRY_FIELDS = {"id", "seq", "at", "type", "amount", "balance_after", "lots", "reason", "reference"}


@pytest.fixture(scope="module", autouse=True)
def tables(aws):  # noqa: ARG001
    """One pair of tables for all tests here: to read changes nothing."""
    with fresh_tables():
        with stopped_clock() as clock:
            with_history(Api(), clock, "ann")
        yield


@pytest.fixture(autouse=True)
def today(clock):
    clock.at = START + timedelta(days=6)


def with_history(api, clock, account):
    """Two grants, and a spend on each of the six days after, of which the last is today."""
    clock.at = START
    api.open(account)
    for day in range(1, 7):
        clock.go(days=1)
        api.spend(day, f"spend-{day}", account, job=f"j-{day}")


def ask(api, account="ann", headers=None, **query):
    query = {name.rstrip("_"): str(value) for name, value in query.items()}
    sent = http("history", claims=user(account), path={"account_id": account}, query=query, headers=headers)
    return api.send("history", sent)


def table_of(answer):
    """The rows of a CSV answer."""
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv"), answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def amounts(answer):
    assert answer.status == 200, answer.text
    return [entry["amount"] for entry in answer.body["entries"]]


def test_history_is_newest_first_and_complete(api):
    answer = ask(api, days=7)
    assert amounts(answer) == [-6, -5, -4, -3, -2, -1, 10, 40]
    assert [entry["seq"] for entry in answer.body["entries"]] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert answer.body["next_cursor"] is None
    assert all(set(entry) == ENTRY_FIELDS for entry in answer.body["entries"])


def test_an_entry_tells_when_what_and_what_for(api):
    entry = ask(api, days=7, limit=1).body["entries"][0]
    assert entry["at"] == "2026-11-28T10:00:00.000Z"
    assert entry["reference"] == {"type": "proposal", "proposal_id": "p-1", "job_id": "j-6"}
    assert entry["balance_after"] == 50 - 21
    assert [(lot["expires_on"], lot["amount"]) for lot in entry["lots"]] == [("2027-11-23", -6)]


def test_history_is_of_30_days_where_nothing_is_asked(api, clock):
    clock.go(days=25)
    assert amounts(ask(api, type="spend")) == [-6, -5, -4, -3, -2, -1]
    assert amounts(ask(api, days=7, type="spend")) == []
    assert amounts(ask(api, days=90, type="spend")) == [-6, -5, -4, -3, -2, -1]
    clock.go(seconds=1)
    assert amounts(ask(api, type="spend")) == [-6, -5, -4, -3, -2]


@pytest.mark.parametrize(("days", "oldest"), [(7, -2), (30, -1)])
def test_the_last_days_are_whole_days_to_the_millisecond(api, clock, days, oldest):
    """-2 was spent on 24 November at 10:00, and -1 a day before."""
    clock.at = START + timedelta(days=-oldest + days)
    assert amounts(ask(api, days=days, type="spend"))[-1] == oldest
    clock.go(milliseconds=1)
    assert amounts(ask(api, days=days, type="spend"))[-1:] in ([], [oldest - 1])


def test_a_range_includes_its_start_and_not_its_end(api):
    asked = {"from": "2026-11-23T10:00:00Z", "to": "2026-11-25T10:00:00Z"}
    assert amounts(ask(api, **asked)) == [-2, -1]


@pytest.mark.parametrize("start", ["2026-11-28", "2026-11-28T00:00:00Z", "2026-11-27T16:00:00-08:00"])
def test_a_range_takes_dates_and_times_with_offsets(api, start):
    assert amounts(ask(api, from_=start)) == [-6]


def test_history_of_one_type_only(api):
    assert amounts(ask(api, type="grant")) == [10, 40]
    assert amounts(ask(api, type="refund")) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 8, 100])
def test_pages_follow_each_other_without_gap_or_repeat(api, limit):
    seen, cursor = [], {}
    for _ in range(10):
        page = ask(api, days=30, limit=limit, **cursor)
        assert len(amounts(page)) <= limit
        seen += amounts(page)
        if page.body["next_cursor"] is None:
            break
        cursor = {"cursor": page.body["next_cursor"]}
    assert seen == [-6, -5, -4, -3, -2, -1, 10, 40]


def test_a_page_is_not_shifted_by_what_is_written_meanwhile(api, clock):
    with_history(api, clock, "cat")
    first = ask(api, "cat", days=30, limit=3)
    api.spend(1, "meanwhile", "cat")
    assert amounts(ask(api, "cat", days=30, limit=3, cursor=first.body["next_cursor"])) == [-3, -2, -1]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({"days": 8}, "query.days"),
        ({"days": "7.0"}, "query.days"),
        ({"days": "7,30"}, "query.days"),
        ({"days": ""}, "query.days"),
        ({"days": "null"}, "query.days"),
        ({"type": "null"}, "query.type"),
        ({"days": 7, "from": "2026-11-22"}, "query.days"),
        ({"days": 7, "to": "2026-11-22"}, "query.days"),
        ({"from": "yesterday"}, "query.from"),
        ({"from": "2026-02-30"}, "query.from"),
        ({"to": "1764000000"}, "query.to"),
        ({"from": "2026-11-23", "to": "2026-11-22"}, "query.from"),
        ({"from": "2026-11-23", "to": "2026-11-23"}, "query.from"),
        ({"from": "2027-01-01"}, "query.from"),
        ({"to": "0001-01-01"}, "query.to"),
        ({"from": "0999-06-01"}, "query.from"),
        ({"from": "1969-12-31"}, "query.from"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "query.from"),
        ({"to": "9999-12-31T23:59:59-14:00"}, "query.to"),
        ({"to": "9999-12-31T23:59:59.999999"}, "query.to"),
        ({"type": "gift"}, "query.type"),
        ({"limit": 0}, "query.limit"),
        ({"limit": 101}, "query.limit"),
        ({"limit": -1}, "query.limit"),
        ({"limit": "ten"}, "query.limit"),
        ({"limit": "9" * 5000}, "query.limit"),
        ({"cursor": "x" * 501}, "query.cursor"),
    ],
)
def test_what_cannot_be_asked_is_refused_where_it_stands(api, query, where):
    answer = ask(api, **query)
    assert answer.refused == (400, "invalid_request")
    assert answer.body["errors"][0]["loc"] == where


def test_a_range_may_be_as_wide_as_time(api):
    assert len(amounts(ask(api, **{"from": "1970-01-01", "to": "9999-12-31"}))) == 8


# Cursors


def all_pages(api, clock=None, pause=timedelta(0), **query):
    """The answers of a query and of its own cursors, with pauses between them."""
    page = ask(api, **query)
    yield page
    while cursor := page.body["next_cursor"]:
        if clock:
            clock.at += pause
        page = ask(api, cursor=cursor, **query)
        yield page


@pytest.mark.parametrize("pause", [timedelta(seconds=1), timedelta(minutes=20), timedelta(days=8), timedelta(days=400)])
def test_a_cursor_is_good_for_its_query_whenever_it_is_used(api, clock, pause):
    found = [amounts(page) for page in all_pages(api, clock, pause, days=7, limit=2)]
    assert [amount for page in found for amount in page] == [-6, -5, -4, -3, -2, -1, 10, 40]


def test_the_last_days_stay_those_of_the_first_page(api, clock):
    clock.at = START + timedelta(days=8)  # to the second at which the spend of 1 was 7 days ago
    first = ask(api, days=7, limit=3)
    clock.go(days=3)
    rest = ask(api, days=7, limit=100, cursor=first.body["next_cursor"])
    assert amounts(first) + amounts(rest) == [-6, -5, -4, -3, -2, -1]
    assert amounts(ask(api, days=7)) == [-6, -5, -4]


def test_a_page_may_have_another_limit_and_another_form_than_the_one_before(api):
    cursor = ask(api, days=7, limit=2).body["next_cursor"]
    assert amounts(ask(api, days=7, limit=3, cursor=cursor)) == [-4, -3, -2]
    answer = ask(api, days=7, cursor=cursor, headers={"accept": "text/csv"})
    assert [row["amount"] for row in table_of(answer)] == ["-4", "-3", "-2", "-1", "10", "40"]


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ({}, {"days": 30}),
        ({"from": "2026-11-22"}, {"from": "2026-11-22T00:00:00Z"}),
        ({"from": "2026-11-22T00:00:00+01:00"}, {"from": "2026-11-21T23:00:00.000"}),
    ],
)
def test_a_query_is_the_same_however_it_is_written(api, query, same):
    cursor = ask(api, limit=3, **query).body["next_cursor"]
    assert amounts(ask(api, limit=2, cursor=cursor, **same)) == [-3, -2]


QUERIES: list[dict[str, Any]] = [
    {},
    {"days": 7},
    {"days": 90},
    {"type": "spend"},
    {"days": 7, "type": "spend"},
    {"from": "2026-11-22"},
    {"to": "2026-11-28"},
    {"from": "2026-11-22", "to": "2026-11-28"},
    {"from": "2026-11-22", "to": "2026-11-28", "type": "spend"},
]


@pytest.mark.parametrize("given", QUERIES)
def test_the_cursor_of_another_query_is_refused(api, given):
    cursor = ask(api, limit=1, **given).body["next_cursor"]
    assert cursor
    for other in QUERIES:
        answer = ask(api, limit=1, cursor=cursor, **other)
        assert (answer.status == 200) == (other == given)
        if other != given:
            assert answer.refused == (400, "invalid_request")
            assert answer.body["errors"][0]["loc"] == "query.cursor"


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def given_cursor(api):
    cursor = ask(api, limit=1).body["next_cursor"]
    return cursor, json.loads(base64.urlsafe_b64decode(cursor))


@pytest.mark.parametrize(
    "cursor",
    [
        "not base64!",
        "bm90IGpzb24=",
        "é",
        encoded({}),
        encoded([]),
        encoded(["ENTRY#a"]),
        encoded([1, 2]),
        encoded([1, 2, 3, 4, 5]),
        encoded([None] * 5),
        encoded("ENTRY"),
        encoded(None),
        "",
    ],
)
def test_a_cursor_that_was_not_given_out_is_refused(api, cursor):
    answer = ask(api, cursor=cursor)
    assert answer.refused == (400, "invalid_request")
    assert answer.body["errors"][0]["loc"] == "query.cursor"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (0, "0" * 16),
        (1, "2026-11-22"),
        (1, "2026-11-22T10:00:00.000"),
        (1, "0001-01-01T00:00:00.000+14:00"),
        (1, 7),
        (2, "9999-12-31T23:59:59.999-14:00"),
        (2, "2026-11-01T00:00:00.000Z"),
        (3, "1999-01-01T00:00:00.000Z#0000000001"),
        (3, "2099-01-01T00:00:00.000Z#0000000001"),
        (3, "2026-11-28T10:00:00.000Z#0000000000"),
        (3, "2026-11-28T10:00:00.000Z#1"),
        (3, "2026-11-28T10:00:00.000Z#000000000\u0665"),
        (3, "2026-11-28T10:00:00.000Z"),
        (3, ["2026-11-28T10:00:00.000Z#0000000001"]),
        (3, None),
    ],
)
def test_a_cursor_that_was_tampered_with_is_refused(api, part, value):
    _, told = given_cursor(api)
    told[part] = value
    assert ask(api, cursor=encoded(told)).refused == (400, "invalid_request")


def test_a_cursor_that_is_written_another_way_is_refused(api):
    cursor, told = given_cursor(api)
    assert ask(api, cursor=cursor).status == 200
    spaced = base64.urlsafe_b64encode(json.dumps(told, indent=1).encode()).decode()
    for other in (spaced, cursor + "\n", cursor[:20] + "!" + cursor[20:], cursor.swapcase()):
        assert ask(api, cursor=other).refused == (400, "invalid_request")


def test_the_cursor_of_another_account_is_refused(api):
    cursor = ask(api, limit=1).body["next_cursor"]
    api.open("bob")
    assert ask(api, "bob", cursor=cursor).refused == (400, "invalid_request")


# Below a millisecond


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("2026-11-27T10:00:00.000000", -5),
        ("2026-11-27T09:59:59.999001", -5),
        ("2026-11-27T10:00:00.000001", -6),
        ("2026-11-27T10:00:00.000999Z", -6),
        ("2026-11-27T10:00:00.0000001Z", -6),
        ("2026-11-27T10:00:00,0000000001+00:00", -6),
        ("2026-11-27T10:00:00.0000000000Z", -5),
        ("2026-11-27T10:00:00.0001", -6),
    ],
)
def test_a_range_is_exact_below_a_millisecond(api, start, first):
    """A spend of 5 was at 10:00:00.000."""
    assert amounts(ask(api, from_=start))[-1] == first
    assert amounts(ask(api, to=start))[0] == first + 1


def test_a_range_within_one_millisecond_holds_nothing(api):
    query = {"from": "2026-11-27T10:00:00.000100", "to": "2026-11-27T10:00:00.000900"}
    assert amounts(ask(api, **query)) == []
    query = {"from": "2026-11-27T10:00:00.000000", "to": "2026-11-27T10:00:00.000001"}
    assert amounts(ask(api, **query)) == [-5]


def test_history_as_csv_is_the_same_rows(api):
    answer = ask(api, days=30, headers={"accept": "text/csv"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv")
    rows = table_of(answer)
    assert [int(row["amount"]) for row in rows] == amounts(ask(api, days=30))
    assert set(rows[0]) == {"at", "type", "amount", "balance_after", "lots", "reason", "reference", "id"}
    assert "job_id=j-6" in rows[0]["reference"]
    assert "X-Next-Cursor" not in answer.headers


def test_csv_of_nothing_is_its_head(api):
    answer = ask(api, to="2026-11-01", headers={"accept": "text/csv"})
    assert answer.text.strip() == "at,type,amount,balance_after,lots,reason,reference,id"


def test_the_history_of_an_account_that_was_never_opened_is_not_found(api):
    for accept in ("application/json", "text/csv"):
        assert ask(api, "nobody", headers={"accept": accept}).refused == (404, "account_not_found")


def test_a_cursor_needs_no_escaping_in_a_query(api):
    cursor = ask(api, limit=1).body["next_cursor"]
    assert unquote(cursor) == cursor
    assert not set("+/&? ") & set(cursor)
