"""What time it is, to the millisecond and in UTC. Only the functions' wiring asks; the core is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime: ...

    def at_real(self, moment: datetime) -> datetime:
        """What the product's clock is taken to have shown at a real moment, such as an event's envelope names."""
        ...


class SystemClock:
    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def at_real(self, moment: datetime) -> datetime:
        return moment
