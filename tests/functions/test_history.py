"""History: what may be asked, pages and their cursors, and CSV."""

import base64
import csv
import io
import json
from datetime import timedelta
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
    assert amounts(ask(api)) == [-6, -5, -4, -3, -2]
    assert amounts(ask(api, days=7)) == []
    assert len(amounts(ask(api, days=90))) == 8


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


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


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
        encoded(["ACCOUNT", "2026-11-25T10:00:00.000Z#1"]),
        encoded(["ENTRY#a", "1999-01-01T00:00:00.000Z#1"]),
        encoded(["ENTRY#a", "2099-01-01T00:00:00.000Z#1"]),
        encoded(["ENTRY#" + "a" * 10, {"S": "2026"}]),
        encoded("ENTRY#"),
        encoded(None),
        "",
    ],
)
def test_a_cursor_that_was_not_given_out_is_refused(api, cursor):
    assert ask(api, cursor=cursor).refused == (400, "invalid_request")


def test_the_cursor_of_another_account_shows_nothing_of_it(api):
    cursor = ask(api, limit=1).body["next_cursor"]
    api.open("bob")
    answer = ask(api, "bob", cursor=cursor)
    theirs = {entry["id"] for entry in ask(api).body["entries"]}
    assert answer.status in {200, 400}
    assert not theirs & {entry["id"] for entry in answer.body.get("entries", [])}


def test_history_as_csv_is_the_same_rows(api):
    answer = ask(api, days=30, headers={"accept": "text/csv"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["amount"]) for row in rows] == amounts(ask(api, days=30))
    assert set(rows[0]) == {"at", "type", "amount", "balance_after", "lots", "reason", "reference", "id"}
    assert "job_id=j-6" in rows[0]["reference"]
    assert "X-Next-Cursor" not in answer.headers


def test_csv_of_nothing_is_its_head(api, clock):
    clock.go(days=60)
    answer = ask(api, days=7, headers={"accept": "text/csv"})
    assert answer.text.strip() == "at,type,amount,balance_after,lots,reason,reference,id"


def test_the_history_of_an_account_that_was_never_opened_is_not_found(api):
    for accept in ("application/json", "text/csv"):
        assert ask(api, "nobody", headers={"accept": accept}).refused == (404, "account_not_found")


def test_a_cursor_needs_no_escaping_in_a_query(api):
    cursor = ask(api, limit=1).body["next_cursor"]
    assert unquote(cursor) == cursor
    assert not set("+/&? ") & set(cursor)
