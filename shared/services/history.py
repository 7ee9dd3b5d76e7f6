"""The journal as its owner reads it: newest first, in pages, or as one CSV file.

What fell due and is not written yet (lots that expired, monthly Connects that came) is shown too, each row as it will
be written. So the newest row and the balance agree at every instant, however late the schedules are.

All that is pending is newer than all that is written. So the pages that may show some of it read the account, and those
below read the journal alone.
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
from shared.services.views import entry_view
from shared.store.errors import ContentionError
from shared.store.rows import instant, time_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.ledger.model import Account, Entry, EntryType
    from shared.services.ledger import Ledger

CSV_COLUMNS = ("at", "type", "amount", "balance_after", "lots", "reason", "reference", "id")
CSV_PAGE = 500
ANSWER_BYTES = 5_900_000
"""Of the text in an answer, as Lambda counts it. Lambda takes 6 MB, headers included."""
A_MOMENT = timedelta(milliseconds=1)
"""What clocks and entries tell apart."""
PLACE = re.compile(r"[0-9TZ:.-]{24}#(?!0{10})[0-9]{10}")
RUN_BY_SPREADSHEETS = tuple("=+-@\t\r\n\0＝＋－＠")  # noqa: RUF001 - the full-width ones are meant
"""A cell that begins with one of these may be taken for a formula: see OWASP, "CSV Injection"."""


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """The last ``days`` up to now or, where it names an end of its own, ``since <= at < until``; of one type or all.

    Both in whole milliseconds. ``cursor`` is where an earlier page of the same query ended; ``limit`` is no part of it.
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
        """The same for whoever asks for the same; it is in every cursor of it."""
        ends = [at and instant(at) for at in (self.since, self.until)]
        parts = [self.account_id, self.entry_type, self.days if self.since is None else None, *ends]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins, in the range that the query's first page had."""

    since: datetime
    until: datetime
    below: str | None = None
    """The place of the row that the page before ended with, which may have been written since."""
    pending: bool = True
    """Whether rows below it may not be written yet."""

    def holds(self, entry: Entry) -> bool:
        return self.since <= entry.at < self.until and (self.below is None or time_key(entry) < self.below)


@dataclass(frozen=True, slots=True)
class _Page:
    """Entries, newest first, and where the next page begins: None at the end."""

    entries: list[Entry]
    begins: _Place
    pending: int = 0
    """How many rows of its range, on this page and below, are not written yet."""
    below: str | None = None
    """Where the rows go on that it has not read."""

    def after(self, shown: int) -> _Place | None:
        """Where the next page begins if so many of its entries are shown."""
        if shown == len(self.entries):
            below = self.below
        elif shown:
            below = time_key(self.entries[shown - 1])
        else:
            return self.begins
        return replace(self.begins, below=below, pending=shown < self.pending) if below else None


def history_json(ledger: Ledger, query: EntryQuery, *, deadline: float) -> str:
    """One page as JSON, with the next one's cursor, null at the end.

    The first page is two calls, and one more where something is pending; each page below that is one. A page of one
    type takes more, up to ``deadline`` (monotonic seconds), and may hold less than the limit or nothing, as may one
    that would not fit into an answer.

    Raises:
        AccountNotFoundError
        InvalidRequestError: a cursor that this query did not give, or a range that ends before it begins.
        ContentionError: the account was written all the while.
    """
    page = _page(ledger, query, _place(query), deadline)
    rows = [json.dumps(entry_view(entry)) for entry in page.entries]
    shown, _ = _fitting(rows, ANSWER_BYTES)
    cursor = json.dumps(_cursor(query, page.after(shown)))
    return f'{{"entries": [{", ".join(rows[:shown])}], "next_cursor": {cursor}}}'


def history_csv(ledger: Ledger, query: EntryQuery, *, deadline: float) -> tuple[str, str | None]:
    """The range as CSV (RFC 4180) and the cursor of what is left, if anything is.

    As much as one answer takes, and as can be read by ``deadline``, in monotonic seconds; raises what `history_json`
    does.
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
        # What is pending follows from this version of the account alone: another one was perhaps read with its rows.
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
    """Up to now is up to the newest entry, which another machine's clock may have dated ahead of this one's."""
    days = timedelta(query.days)
    if query.until:
        return _Place(query.since or query.until - days, query.until)
    since, until = query.since or now - days, max(now, settled.last_at or now) + A_MOMENT
    if since >= until:
        raise InvalidRequestError("query.from", "must lie before to")
    return _Place(since, until)


def _fitting(texts: list[str], room: int) -> tuple[int, int]:
    """How many of these texts an answer still takes that has ``room`` bytes left, and how many are left then.

    Lambda counts a text as JSON, where a quote takes two bytes and what is not ASCII up to twelve.
    """
    for number, text in enumerate(texts):
        size = len(json.dumps(text))
        if size > room:
            return number, room
        room -= size
    return len(texts), room


def _csv_row(entry: Entry) -> list[str | int]:
    reference = " ".join(f"{key}={value}" for key, value in entry.reference.items())
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
    """Text that a spreadsheet would run begins with a quote instead; numbers stay numbers."""
    text = io.StringIO()
    csv.writer(text).writerow(
        "'" + cell if isinstance(cell, str) and cell.startswith(RUN_BY_SPREADSHEETS) else cell for cell in cells
    )
    return text.getvalue()


def _cursor(query: EntryQuery, place: _Place | None) -> str | None:
    """Names the query and the range that its first page had, so that it is good whenever it is used."""
    if place is None:
        return None
    parts = [query.digest, instant(place.since), instant(place.until), place.below, place.pending]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _place(query: EntryQuery) -> _Place | None:
    """Where the page begins that is asked for; None for the first.

    Raises:
        InvalidRequestError: the query did not give this cursor.
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
