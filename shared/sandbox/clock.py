"""A clock that is ahead of the real one by as much as it was moved. It never goes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pynamodb.exceptions import UpdateError

from shared.clock import SystemClock
from shared.ledger.errors import InvalidRequestError
from shared.store.errors import contention_from_aws, was_sent_twice
from shared.store.rows import instant

if TYPE_CHECKING:
    from shared.sandbox.table import SandboxTable

CLOCK = "CLOCK"
MILLISECOND = timedelta(milliseconds=1)
MAX_AHEAD = timedelta(days=366 * 100)


class SandboxClock:
    def __init__(self, table: SandboxTable) -> None:
        self._table = table
        self._real = SystemClock()

    def now(self) -> datetime:
        """One strongly consistent read: all functions see a move at once."""
        return self._real.now() + self._ahead()

    def at_real(self, moment: datetime) -> datetime:
        """Now, if the clock was ever moved: how far it was ahead at that moment is not stored."""
        ahead = self._ahead()
        return self._real.now() + ahead if ahead else moment

    def move_to(self, moment: datetime) -> datetime:
        """Raises InvalidRequestError for an instant in the clock's past, or too far ahead."""
        return self.advance(moment - self.now())

    def advance(self, by: timedelta) -> datetime:
        """Raises InvalidRequestError for a step back, or over a century ahead in all."""
        if by < timedelta():
            raise InvalidRequestError("body", f"the clock stands at {instant(self.now())} and cannot go back")
        if by > MAX_AHEAD - self._ahead():
            raise InvalidRequestError("body", "the clock can be moved a hundred years at the most")
        while not self._put_ahead(ahead := self._ahead(), ahead + by):
            pass
        return self.now()

    def _put_ahead(self, before: timedelta, after: timedelta) -> bool:
        """Whether the clock was moved; not if another caller has moved it meanwhile.

        The value is set and not added to: an update without an answer is sent again, and may have been carried out.
        """
        row = self._table.clock
        unmoved = row.ahead_ms.does_not_exist() | (row.ahead_ms == before // MILLISECOND)
        try:
            with contention_from_aws():
                row(pk=CLOCK).update([row.ahead_ms.set(after // MILLISECOND)], unmoved)
        except UpdateError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            return was_sent_twice(error.cause) and self._ahead() == after
        return True

    def _ahead(self) -> timedelta:
        with contention_from_aws(reading=True):
            try:
                row = self._table.clock.get(CLOCK, consistent_read=True)
            except self._table.clock.DoesNotExist:
                return timedelta()
        return int(row.ahead_ms) * MILLISECOND
