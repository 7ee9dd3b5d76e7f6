"""Days, lifetimes of lots and billing cycles. All days are UTC; no function here reads the clock.

A **cycle** belongs to a calendar month and starts on the account's *anchor*, the day of the month on which it
joined. In a month that is too short for the anchor, ``AnchorPolicy`` names the day instead. Every start is computed
from the anchor and not from the start before, so an anchor of 31 that became 28 in February is 31 again in March.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

ONE_DAY = timedelta(days=1)


class AnchorPolicy(StrEnum):
    """When a cycle starts in a month that is too short for the anchor."""

    CLAMP = "clamp"  # on the last day of that month
    FIRST_OF_NEXT = "first_of_next"


def midnight(day: date) -> datetime:
    """The first instant of a day, UTC."""
    return datetime.combine(day, time.min, UTC)


def add_months(day: date, months: int) -> date:
    """The same day of the month ``months`` later; the month's last day where it is shorter."""
    years, month0 = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month0 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def expiry_of_lot(issued_on: date, lifetime_months: int) -> date:
    """The first day on which a lot can no longer be used.

    A lot is usable through the anniversary of its issue (29 February: 28 February) and not from 00:00 UTC of the
    day after.
    """
    return add_months(issued_on, lifetime_months) + ONE_DAY


@dataclass(frozen=True, slots=True)
class Cycle:
    """One billing cycle, ``[starts_on, next_starts_on)``; ``month`` is the first day of the month it belongs to."""

    month: date
    starts_on: date
    next_starts_on: date

    @property
    def days(self) -> int:
        return (self.next_starts_on - self.starts_on).days

    def days_left(self, today: date) -> int:
        """Days from ``today`` to the end, including today."""
        return (self.next_starts_on - today).days


def cycle_of_month(month: date, anchor_day: int, policy: AnchorPolicy) -> Cycle:
    """The cycle that belongs to the month whose first day is ``month``."""
    return Cycle(month, _start(month, anchor_day, policy), _start(add_months(month, 1), anchor_day, policy))


def cycle_on(day: date, anchor_day: int, policy: AnchorPolicy) -> Cycle:
    """The cycle that contains ``day``."""
    cycle = cycle_of_month(day.replace(day=1), anchor_day, policy)
    while cycle.starts_on > day:
        cycle = cycle_of_month(add_months(cycle.month, -1), anchor_day, policy)
    return cycle


def _start(month: date, anchor_day: int, policy: AnchorPolicy) -> date:
    last = monthrange(month.year, month.month)[1]
    if anchor_day <= last:
        return month.replace(day=anchor_day)
    return month.replace(day=last) if policy is AnchorPolicy.CLAMP else add_months(month, 1)
