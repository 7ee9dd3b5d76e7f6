"""The journal as its owner reads it: newest first, in pages, or as one CSV file."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared.ledger.errors import InvalidRequestError
from shared.store.rows import instant

if TYPE_CHECKING:
    from datetime import datetime

    from shared.ledger.model import Entry, EntryType
    from shared.services.ledger import Ledger

CSV_COLUMNS = ("at", "type", "amount", "balance_after", "lots", "reason", "reference", "id")
CSV_PAGE = 500
CSV_ROWS = 20_000
"""A Lambda answer may have 6 MB; a row has some 200 bytes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Entries with ``since <= at < until``, of one type or all; ``cursor`` is where an earlier page ended."""

    account_id: str
    since: datetime
    until: datetime
    limit: int
    entry_type: EntryType | None = None
    cursor: str | None = None


def read_history(ledger: Ledger, asked: Asked) -> tuple[list[Entry], str | None]:
    """One page and the next one's cursor, None at the end. One call.

    Raises:
        AccountNotFoundError: nothing was found because there is no such account.
        InvalidRequestError: a cursor that this call did not give out.
    """
    page = ledger.table.history(
        asked.account_id,
        since=asked.since,
        until=asked.until,
        limit=asked.limit,
        entry_type=asked.entry_type,
        start_key=_start_key(asked),
    )
    if not page.entries and not asked.cursor:
        ledger.table.account(asked.account_id)
    return page.entries, _cursor(page.next_key)


def history_csv(ledger: Ledger, asked: Asked) -> tuple[str, str | None]:
    """The range as CSV (RFC 4180), up to `CSV_ROWS` rows, and the cursor of what is left, if anything is."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(CSV_COLUMNS)
    asked = replace(asked, limit=CSV_PAGE)
    for _ in range(CSV_ROWS // CSV_PAGE):
        entries, cursor = read_history(ledger, asked)
        rows.writerows(_csv_row(entry) for entry in entries)
        asked = replace(asked, cursor=cursor)
        if cursor is None:
            break
    return text.getvalue(), asked.cursor


def _csv_row(entry: Entry) -> list[str]:
    reference = " ".join(f"{key}={value}" for key, value in entry.reference.items())
    lots = " ".join(
        f"{bucket.expires_on}{'/paid' if bucket.paid else '/free'}:{amount:+d}"
        for bucket, amount in sorted(entry.slices.items())
    )
    return [
        instant(entry.at),
        str(entry.type),
        str(entry.amount),
        str(entry.balance_after),
        lots,
        entry.reason,
        reference,
        entry.entry_id,
    ]


def _cursor(key: dict[str, dict[str, Any]] | None) -> str | None:
    """Where a page ended, without the account: that is in the path, and a cursor opens no other."""
    if key is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([key["sk"]["S"], key["time_key"]["S"]]).encode()).decode()


def _start_key(asked: Asked) -> dict[str, dict[str, Any]] | None:
    if asked.cursor is None:
        return None
    try:
        sk, time_key = json.loads(base64.urlsafe_b64decode(asked.cursor.encode("ascii")))
    except (ValueError, TypeError, binascii.Error):
        raise InvalidRequestError("query.cursor", "is not one that this call gave out") from None
    ours = isinstance(sk, str) and isinstance(time_key, str) and sk.startswith("ENTRY#")
    if not ours or not instant(asked.since) <= time_key <= instant(asked.until):
        raise InvalidRequestError("query.cursor", "is not one that this call gave out for this range")
    return {"pk": {"S": asked.account_id}, "sk": {"S": sk}, "time_key": {"S": time_key}}
