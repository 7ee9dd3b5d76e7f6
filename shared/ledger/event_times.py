"""When an event happened that is reported to the ledger: late, twice or out of order (product.md, "Time of happening").

What an event does is decided as of that time. One that names no time happened when it was received or, on the event
bus, at the time of its envelope.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.ledger.errors import InvalidRequestError

AHEAD = timedelta(minutes=5)
"""The clocks of two machines differ by less."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def happened_at(named: datetime | None, now: datetime, loc: str) -> datetime:
    """The instant as of which an event is decided: in UTC, in whole milliseconds, and never after ``now``.

    Args:
        named: The time that the event names; ``now`` where it names none.
        now: The product's now. A time that is up to `AHEAD` later counts as now.
        loc: The field of the request that names the time, for the refusal.

    Raises:
        InvalidRequestError: it lies more than five minutes ahead, or before 1970.
    """
    if named is None:
        return now
    if not EARLIEST <= named <= now + AHEAD:
        raise InvalidRequestError(loc, f"must lie between {EARLIEST:%Y} and five minutes from now, and is {named}")
    at = named.astimezone(UTC)
    return min(at.replace(microsecond=at.microsecond // 1000 * 1000), now)
