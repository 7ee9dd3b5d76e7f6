"""The journal as its owner reads it: newest first, in pages, or as one CSV file.

What fell due and is not written yet (expired lots, monthly Connects) is pending. It is shown too, each row as it will
be written. So the newest row and the balance agree at every instant, however late the schedules are.

All that is pending is newer than all that is written. So only the newest pages read the account, and those below read
the journal alone.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.ledger.errors import InvalidRequestError
from shared.ledger.settling import settling
from shared.services.retry import attempts
from shared.services.views import entry_view, reference_view
from shared.store.errors import ContentionError
from shared.store.rows import instant, time_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.ledger.model import Account, Entry, EntryType
    from shared.services.ledger import Ledger

CSV_COLUMNS = ("at", "type", "amount", "balance_after", "lots", "reason", "reference", "id")
CSV_PAGE = 500
ANSWER_BYTES = 5_900_000
"""The most text in an answer, as Lambda counts it. Lambda takes 6 MB, including headers."""
A_MOMENT = timedelta(milliseconds=1)
"""The resolution of clocks and entries."""
PLACE = re.compile(r"[0-9TZ:.-]{24}#(?!0{10})[0-9]{10}")
RUN_BY_SPREADSHEETS = tuple("=+-@\t\r\n\0＝＋－＠")  # noqa: RUF001 - the full-width ones are meant
"""A spreadsheet may run a cell that begins with one of these as a formula: see OWASP, "CSV Injection"."""


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """The last ``days`` up to now or, if ``since`` or ``until`` is given, that range; of one type or all.

    The range is ``since <= at < until``, in whole milliseconds. ``cursor`` is where an earlier page of the same query
    ended. The next page may have another ``limit``.
    """

    account_id: str
    limit: int
    days: int
    since: datetime | None = None
    until: datetime | None = None
    entry_type: EntryType | None = None
    cursor: str | None = None

    @property
    def digest(self) -> str:
        """A hash of the query without its limit; every cursor contains it."""
        ends = [at and instant(at) for at in (self.since, self.until)]
        parts = [self.account_id, self.entry_type, self.days if self.since is None else None, *ends]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins, and the range of the query's first page."""

    since: datetime
    until: datetime
    below: str | None = None
    """The place of the last row of the page before, which may have been written since."""
    pending: bool = True
    """Whether rows below it may still be pending."""

    def holds(self, entry: Entry) -> bool:
        return self.since <= entry.at < self.until and (self.below is None or time_key(entry) < self.below)


@dataclass(frozen=True, slots=True)
class _Page:
    """Entries, newest first, and where the next page begins: None at the end."""

    entries: list[Entry]
    begins: _Place
    pending: int = 0
    """How many rows of its range, on this page and below, are pending."""
    below: str | None = None
    """The place of the last row that was read, if more follow."""

    def after(self, shown: int) -> _Place | None:
        """Where the next page begins if ``shown`` of the entries fit into the answer."""
        if shown == len(self.entries):
            below = self.below
        elif shown:
            below = time_key(self.entries[shown - 1])
        else:
            return self.begins
        return replace(self.begins, below=below, pending=shown < self.pending) if below else None


def history_json(ledger: Ledger, query: EntryQuery, *, deadline: float) -> str:
    """One page as JSON, with the next page's cursor, null at the end.

    The first page takes two calls to DynamoDB, and one more if something is pending; each page below takes one. A page
    of one type takes more, up to ``deadline`` (monotonic seconds). It may hold less than the limit, or nothing, and so
    may a page that does not fit into an answer.

    Raises:
        AccountNotFoundError
        InvalidRequestError: the cursor is of another query, or the range ends before it begins.
        ContentionError: the account was written between every two reads.
    """
    page = _page(ledger, query, _place(query), deadline)
    rows = [json.dumps(entry_view(entry)) for entry in page.entries]
    shown, _ = _fitting(rows, ANSWER_BYTES)
    cursor = json.dumps(_cursor(query, page.after(shown)))
    return f'{{"entries": [{", ".join(rows[:shown])}], "next_cursor": {cursor}}}'


def history_csv(ledger: Ledger, query: EntryQuery, *, deadline: float) -> tuple[str, str | None]:
    """The range as CSV (RFC 4180), and the cursor of what is left, if anything is.

    It holds as much as fits into one answer and can be read by ``deadline``, in monotonic seconds. Raises what
    `history_json` raises.
    """
    lines = [_csv_line(CSV_COLUMNS)]
    _, room = _fitting(lines, ANSWER_BYTES)
    query = replace(query, limit=CSV_PAGE)
    place = _place(query)
    while True:
        page = _page(ledger, query, place, deadline)
        rows = [_csv_line(_csv_row(entry)) for entry in page.entries]
        shown, room = _fitting(rows, room)
        lines += rows[:shown]
        place = page.after(shown)
        if place is None or shown < len(rows) or time.monotonic() >= deadline:
            return "".join(lines), _cursor(query, place)


def _page(ledger: Ledger, query: EntryQuery, place: _Place | None, deadline: float) -> _Page:
    if place and not place.pending:
        return _written(ledger, query, place, query.limit, deadline)
    now = ledger.clock.now()
    for _ in attempts(deadline):
        account = ledger.table.account(query.account_id)
        settled = settling(account, now, ledger.policy)
        begins = place or _range(query, now, settled.account)
        pending = [entry for entry in reversed(settled.entries) if _shown(entry, query, begins)]
        if not pending:
            return _written(ledger, query, begins, query.limit, deadline)
        if len(pending) >= query.limit:
            shown = pending[: query.limit]
            return _Page(shown, begins, len(pending), time_key(shown[-1]))
        page = _written(ledger, query, begins, query.limit - len(pending), deadline)
        # What is pending was computed of this version of the account: the rows may be those of a newer one.
        if ledger.table.account(query.account_id).version == account.version:
            return _Page(pending + page.entries, begins, len(pending), page.below)
    raise ContentionError("the account was written between every two reads")


def _written(ledger: Ledger, query: EntryQuery, begins: _Place, limit: int, deadline: float) -> _Page:
    page = ledger.table.history(
        query.account_id,
        since=begins.since,
        until=begins.until,
        limit=limit,
        deadline=deadline,
        entry_type=query.entry_type,
        below=begins.below,
    )
    return _Page(page.entries, begins, below=page.next_key)


def _shown(entry: Entry, query: EntryQuery, begins: _Place) -> bool:
    return begins.holds(entry) and query.entry_type in {None, entry.type}


def _range(query: EntryQuery, now: datetime, settled: Account) -> _Place:
    """A range up to now includes the newest entry, which may be dated by a clock that is ahead of this one."""
    days = timedelta(query.days)
    if query.until:
        return _Place(query.since or query.until - days, query.until)
    since, until = query.since or now - days, max(now, settled.last_at or now) + A_MOMENT
    if since >= until:
        raise InvalidRequestError("query.from", "must lie before to")
    return _Place(since, until)


def _fitting(texts: list[str], room: int) -> tuple[int, int]:
    """How many of these texts fit into ``room`` bytes of an answer, and how many bytes are left then.

    Lambda counts a text as JSON, where a quote takes two bytes and a character that is not ASCII up to twelve.
    """
    for number, text in enumerate(texts):
        size = len(json.dumps(text))
        if size > room:
            return number, room
        room -= size
    return len(texts), room


def _csv_row(entry: Entry) -> list[str | int]:
    reference = " ".join(f"{key}={value}" for key, value in reference_view(entry).items())
    lots = " ".join(
        f"{bucket.expires_on}{'/paid' if bucket.paid else '/free'}:{amount:+d}"
        for bucket, amount in sorted(entry.slices.items())
    )
    return [
        instant(entry.at),
        str(entry.type),
        entry.amount,
        entry.balance_after,
        lots,
        entry.reason,
        reference,
        entry.entry_id,
    ]


def _csv_line(cells: Sequence[str | int]) -> str:
    """A quote is put before text that a spreadsheet would run; numbers stay numbers."""
    text = io.StringIO()
    csv.writer(text).writerow(
        "'" + cell if isinstance(cell, str) and cell.startswith(RUN_BY_SPREADSHEETS) else cell for cell in cells
    )
    return text.getvalue()


def _cursor(query: EntryQuery, place: _Place | None) -> str | None:
    """A cursor contains the query and the range of its first page, so that it stays valid for ever."""
    if place is None:
        return None
    parts = [query.digest, instant(place.since), instant(place.until), place.below, place.pending]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _place(query: EntryQuery) -> _Place | None:
    """Where the requested page begins; None for the first.

    Raises:
        InvalidRequestError: the cursor is of another query.
    """
    if query.cursor is None:
        return None
    refused = InvalidRequestError("query.cursor", "is not one that this query gave")
    try:
        _, since, until, below, pending = json.loads(base64.urlsafe_b64decode(query.cursor))
        place = _Place(datetime.fromisoformat(since), datetime.fromisoformat(until), below, pending)
        given = PLACE.fullmatch(below) and _cursor(query, place) == query.cursor
    except (ValueError, TypeError, OverflowError):
        raise refused from None
    if not given or not since < below < until:
        raise refused
    return place
