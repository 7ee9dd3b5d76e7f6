"""CSV: cells that no spreadsheet runs, and answers that Lambda takes, however much there is to tell."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from shared.ledger.model import Account, Bucket, Entry, EntryType, Kind, Plan
from shared.ledger.policy import Policy
from shared.services.history import ANSWER_BYTES, CSV_PAGE, EntryQuery, history_csv, history_json
from shared.services.ledger import Ledger
from shared.store.rows import time_key
from shared.store.table import Page
from tests.driver import SetClock
from tests.functions.conftest import START
from tests.functions.test_history import ask, table_of

LAMBDA_TAKES = 6_000_000
"""Bytes of a whole answer; AWS says 6 MB."""
CSV = {"accept": "text/csv"}


# Formulas


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"])  # noqa: RUF001
def test_a_text_that_a_spreadsheet_would_run_begins_with_a_quote(api, first):
    api.open()
    reason = f'{first}HYPERLINK("https://example.com",1)'
    api.adjust(-5, reason=reason)
    row = table_of(ask(api, headers=CSV))[0]
    assert row["reason"] == "'" + reason
    assert ask(api).body["entries"][0]["reason"] == reason


@pytest.mark.parametrize("reason", ["a=b", "'quoted'", "5 - 3", "é", " =1", "Sorry, -5", '"=1"'])
def test_any_other_text_is_told_as_it_is(api, reason):
    api.open()
    api.adjust(5, reason=reason)
    assert table_of(ask(api, headers=CSV))[0]["reason"] == reason


def test_numbers_stay_numbers(api):
    api.open()
    api.adjust(-5)
    line = ask(api, headers=CSV).text.split("\r\n")[1]
    assert line.split(",")[2:4] == ["-5", "45"]


def test_no_cell_of_any_row_begins_with_what_a_spreadsheet_runs_but_for_negative_amounts(api):
    api.open()
    api.refund(api.spend(6).body["id"])
    api.badge()
    api.put_promo()
    api.redeem()
    for row in table_of(ask(api, headers=CSV)):
        assert all(cell[0] not in "=+-@\t\r" for name, cell in row.items() if cell and name != "amount")


# Answers of any size


@dataclass
class Shelf:
    """In the place of a table: an account with so many entries, made as they are read."""

    count: int
    reason: str = "Proposal"
    lots: int = 1
    calls: int = 0

    def account(self, account_id: str) -> Account:
        return Account(account_id, Kind.AGENCY, Plan.PLUS, START.date(), version=1, seq=self.count, last_at=START)

    def history(self, account_id, *, limit, below=None, **_):
        self.calls += 1
        newest = int(below.partition("#")[2]) - 1 if below else self.count
        entries = [self.entry(account_id, seq) for seq in range(newest, max(newest - limit, 0), -1)]
        return Page(entries, time_key(entries[-1]) if entries and entries[-1].seq > 1 else None)

    def entry(self, account_id: str, seq: int) -> Entry:
        slices = {Bucket(date(2027, 1, 1) + timedelta(day // 2), bool(day % 2)): -1 for day in range(self.lots)}
        reference = {"type": "proposal", "proposal_id": "p" * 64, "job_id": "j" * 64}
        at = START - timedelta(milliseconds=self.count - seq)
        return Entry(
            *(f"{seq:026d}", account_id, seq, at, at, EntryType.SPEND, -self.lots, 0, slices),
            *(self.reason, reference, "service", ""),
        )


def ledger_of(shelf: Shelf) -> Ledger:
    return Ledger(shelf, Policy(), SetClock(START))  # type: ignore[arg-type] # as much of a table as it reads


def asked(**more):
    return EntryQuery("ann", **{"limit": 100, "days": 30, "since": datetime(2000, 1, 1, tzinfo=UTC), **more})


def in_a_minute():
    return time.monotonic() + 60


def as_lambda_sends(body, cursor, *, ascii_only):
    """A whole answer: what of it is not ASCII is escaped by Lambda's Python 3.11, and not by 3.12 and later."""
    headers = {"Content-Type": "text/csv", "X-Next-Cursor": cursor or "", "X-Request-Id": "x" * 64, "Vary": "Accept"}
    answer = {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": False, "cookies": []}
    return len(json.dumps(answer, ensure_ascii=ascii_only).encode())


@pytest.mark.parametrize(
    ("count", "reason", "lots"),
    [
        (25_000, "Proposal", 1),
        (2_500, "é" * 500, 1),
        (1_000, "\N{PARTY POPPER}" * 500, 1),
        (6_000, '"\\\r\n\t' * 100, 1),
        (600, "Proposal", 730),
    ],
    ids=["usual", "accents", "emoji", "escapes", "a year of lots"],
)
def test_csv_fits_into_an_answer_and_its_cursor_goes_on_where_it_ends(count, reason, lots):
    ledger = ledger_of(Shelf(count, reason, lots))
    query, seen, answers = asked(), [], 0
    while True:
        text, cursor = history_csv(ledger, query, deadline=in_a_minute())
        size = as_lambda_sends(text, cursor, ascii_only=True)
        assert as_lambda_sends(text, cursor, ascii_only=False) <= size <= LAMBDA_TAKES
        assert cursor is None or size > LAMBDA_TAKES * 0.95, "an answer is as full as it can be"
        head, *rows, rest = text.split("\r\n") if "\r\n" not in reason else by_rows(text)
        assert (head.split(",")[0], rest) == ("at", "")
        seen += [int(row.rpartition(",")[2]) for row in rows]
        answers += 1
        if cursor is None:
            break
        query = asked(cursor=cursor)
    assert seen == list(range(count, 0, -1))
    assert answers > 1


def by_rows(text):
    """The lines of a CSV whose cells have line ends of their own."""
    head, *rows = text.split("\r\n2026-")
    return [head, *(row.removesuffix("\r\n") for row in rows), ""]


def test_a_page_of_json_fits_into_an_answer_too():
    """It then holds less than the limit, and goes on."""
    ledger = ledger_of(Shelf(100, "é" * 500, 1_500))
    query, seen, pages = asked(), [], 0
    while True:
        body = history_json(ledger, query, deadline=in_a_minute())
        cursor = json.loads(body)["next_cursor"]
        assert as_lambda_sends(body, cursor, ascii_only=True) <= LAMBDA_TAKES
        seen += [entry["seq"] for entry in json.loads(body)["entries"]]
        pages += 1
        if cursor is None:
            break
        query = asked(cursor=cursor)
    assert seen == list(range(100, 0, -1))
    assert pages > 1


def test_a_page_of_json_usually_holds_what_was_asked_for():
    page = json.loads(history_json(ledger_of(Shelf(200, lots=365)), asked(), deadline=in_a_minute()))
    assert (len(page["entries"]), bool(page["next_cursor"])) == (100, True)


def test_csv_looks_at_its_time_after_each_read():
    shelf = Shelf(10_000)
    _, cursor = history_csv(ledger_of(shelf), asked(), deadline=time.monotonic())
    assert shelf.calls == 1
    text, _ = history_csv(ledger_of(shelf), asked(cursor=cursor), deadline=time.monotonic())
    assert int(text.split("\r\n")[1].rpartition(",")[2]) == 10_000 - 500


@pytest.fixture
def split(monkeypatch):
    """Have less fit into an answer, a page of CSV and a function's time."""

    def so(answer_bytes=ANSWER_BYTES, csv_page=CSV_PAGE, in_time=True):
        monkeypatch.setattr("shared.services.history.ANSWER_BYTES", answer_bytes)
        monkeypatch.setattr("shared.services.history.CSV_PAGE", csv_page)
        if not in_time:
            monkeypatch.setattr("shared.http.api.deadline", lambda _: 0.0)

    return so


@pytest.mark.parametrize(
    ("fits", "pieces"),
    [
        ({"answer_bytes": 240}, 4),
        ({"answer_bytes": 240, "csv_page": 1, "in_time": False}, 4 + 1),
        ({"answer_bytes": 400}, 2),
        ({"answer_bytes": 400, "csv_page": 3}, 2),
        ({"in_time": False}, 1),
        ({"csv_page": 2, "in_time": False}, 2 + 1),
        ({"csv_page": 3, "in_time": False}, 2),
        ({"csv_page": 1}, 1),
    ],
)
def test_csv_comes_in_pieces_that_make_the_whole(api, clock, split, fits, pieces):
    """Two of its four rows are pending. A function whose time is up begins nothing new.

    A page that ends with the oldest row may have an empty one after it: DynamoDB does not look whether there is more.
    """
    api.open()
    clock.go(days=89)
    split(**fits)
    answer = ask(api, days=90, headers=CSV)
    rows, number = table_of(answer), 1
    while cursor := answer.headers.get("X-Next-Cursor"):
        answer = ask(api, days=90, cursor=cursor, headers=CSV)
        rows, number = rows + table_of(answer), number + 1
    assert [row["balance_after"] for row in rows] == ["70", "60", "50", "40"]
    assert number == pieces


def test_json_comes_in_pages_that_make_the_whole(api, clock, split):
    api.open()
    clock.go(days=89)
    split(answer_bytes=700)
    page = ask(api, days=90)
    balances, pages = [row["balance_after"] for row in page.body["entries"]], 1
    while cursor := page.body["next_cursor"]:
        page = ask(api, days=90, cursor=cursor)
        balances, pages = balances + [row["balance_after"] for row in page.body["entries"]], pages + 1
    assert (balances, pages) == ([70, 60, 50, 40], 3)
