"""What an audit reads of an account, page by page; and the item that says how far a long audit has got."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import PutError

from shared.ledger.audit import Line
from shared.ledger.model import Bucket
from shared.store.errors import AuditMovedError, contention_from_aws
from shared.store.rows import InstantAttribute, Row, WholeAttribute, entry_sk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.store.due import Key
    from shared.store.table import Table

AUDIT_SK = "AUDIT"
ATTRIBUTES = ["sk", "seq", "at", "type", "amount", "balance_after", "slices", "reference"]
"""The attributes of an entry that an audit reads: two fifths of its bytes."""


@dataclass(frozen=True, slots=True)
class Job:
    """An audit that takes long: how far it has got, or what it found."""

    account_id: str
    run: int
    """Numbers the long audits of an account. What an older one than the stored one writes is refused."""
    entries: int
    """How many there were when it began."""
    beat_at: datetime
    """When its worker last wrote."""
    checked: int = 0
    answer: str | None = None
    """What callers are answered, once it is finished."""


class AuditRow(Row):
    record = Job

    run = WholeAttribute()
    entries = WholeAttribute()
    beat_at = InstantAttribute()
    checked = WholeAttribute()
    answer = UnicodeAttribute(null=True)

    def job(self) -> Job:
        return Job(self.pk, **self.fields())


class Audits:
    def __init__(self, table: Table) -> None:
        self._table = table
        self._row = table.rows(AuditRow)

    def lines(self, account_id: str, start_key: Key | None = None) -> tuple[list[Line], Key | None]:
        """One call: up to 1 MB of an account's entries, oldest first, and where the next call goes on.

        Raises:
            ContentionError: throttling, or no answer.
        """
        found = self._table.list_entries(account_id, attributes_to_get=ATTRIBUTES, exclusive_start_key=start_key)
        return [_line(item) for item in found["Items"]], found.get("LastEvaluatedKey")

    def job(self, account_id: str) -> Job | None:
        row = self._table.get(AuditRow, account_id, AUDIT_SK)
        return row.job() if row else None

    def begin(self, before: Job | None, job: Job) -> None:
        """Put a job in the place of ``before``, as that was read.

        Raises:
            AuditMovedError: another job has taken that place.
        """
        self._put(job, self._row.run == before.run if before else self._row.pk.does_not_exist())

    def save(self, job: Job) -> None:
        """Store how far a job has got.

        Raises:
            AuditMovedError: another job was begun since.
        """
        self._put(job, self._row.run == job.run)

    def _put(self, job: Job, unmoved: Any) -> None:  # noqa: ANN401 - a condition of pynamodb's
        row = self._row(pk=job.account_id, sk=AUDIT_SK, **AuditRow.values(job))
        try:
            with contention_from_aws():
                row.save(unmoved)
        except PutError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise AuditMovedError(job.account_id).after(error.cause) from error
            raise


def _line(item: Mapping[str, Any]) -> Line:
    return Line(
        entry_id=item["sk"]["S"].removeprefix(entry_sk("")),
        seq=int(item["seq"]["N"]),
        at=datetime.fromisoformat(item["at"]["S"]),
        type=item["type"]["S"],
        amount=int(item["amount"]["N"]),
        balance_after=int(item["balance_after"]["N"]),
        slices={_bucket(key): int(number["N"]) for key, number in item["slices"]["M"].items()},
        reference={key: text["S"] for key, text in item["reference"]["M"].items()},
    )


@cache
def _bucket(key: str) -> Bucket:
    """Cached, as a journal names the same few buckets over and over, and all that there can be take little memory."""
    return Bucket(date(int(key[:4]), int(key[4:6]), int(key[6:8])), paid=key[8] == "p")
