"""A clock that runs ahead of the real one by as much as it was moved. It never goes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.clock import SystemClock
from shared.ledger.errors import InvalidRequestError

if TYPE_CHECKING:
    from shared.sandbox.table import SandboxTable

CLOCK = "CLOCK"
MAX_AHEAD = timedelta(days=366 * 100)


class SandboxClock:
    def __init__(self, table: SandboxTable) -> None:
        self._row = table.clock
        self._real = SystemClock()

    def now(self) -> datetime:
        """One strongly consistent read: everybody sees the clock move at once."""
        try:
            row = self._row.get(CLOCK, consistent_read=True)
        except self._row.DoesNotExist:
            return self._real.now()
        return self._real.now() + timedelta(milliseconds=int(row.ahead_ms))

    def move_to(self, instant: datetime) -> datetime:
        """Raises InvalidRequestError for an instant in the clock's past, or over a century ahead."""
        ahead = instant - self._real.now()
        if instant < self.now():
            raise InvalidRequestError("body", f"the clock stands at {self.now().isoformat()} and cannot go back")
        if ahead > MAX_AHEAD:
            raise InvalidRequestError("body", "the clock can be moved a hundred years at the most")
        self._row(pk=CLOCK, ahead_ms=int(ahead / timedelta(milliseconds=1))).save()
        return self.now()
