"""The outbox: what the ledger wrote is what others hear of, in an account's order, at least once and never lost.

Nothing is published by whoever changes an account. A change is written, the table's stream tells of it, and one
function publishes what the stream tells: so there is no change without its event and no event without its change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from shared.services.each import OutOfTimeError, in_time
from shared.services.events import Event, events_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from shared.store.stream import Change

EVENTS_PER_CALL = 10
BYTES_PER_CALL = 240_000
"""What PutEvents takes at once is 256 KB, with source and types."""


class UnpublishedError(Exception):
    """The bus did not take something; all from there on has to come again."""


class Bus(Protocol):
    def put(self, events: Sequence[Event]) -> None:
        """Publish all of them.

        Raises:
            UnpublishedError: not all were taken; those that were may come twice.
        """
        ...


def publish(
    changes: Iterable[Change],
    bus: Bus,
    put_aside: Callable[[Change, Exception], object],
    deadline: Callable[[], float],
) -> str | None:
    """Publish what changes tell. Tells from which position of the stream to go on, if not all was taken in time.

    A change that cannot be understood is put aside: it would fail for ever, and must not keep those behind it.
    """
    waiting: list[tuple[Change, Event]] = []
    for change in changes:
        try:
            waiting += [(change, event) for event in events_of(change)]
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are not to suffer from it
            put_aside(change, error)
    # The rows of one transaction reach the stream in any order; `seq` is the order that they happened in.
    waiting.sort(key=lambda each: each[1].seq)
    done = 0
    try:
        for call in in_time(_calls([event for _, event in waiting]), deadline):
            bus.put(call)
            done += len(call)
    except (UnpublishedError, OutOfTimeError):
        return min((change.position for change, _ in waiting[done:]), key=int)
    return None


def _calls(events: Iterable[Event]) -> Iterator[list[Event]]:
    """As many events as one call takes, and of each account what one row tells: a call may be taken in part."""
    call: list[Event] = []
    size = 0
    for event in events:
        full = len(call) == EVENTS_PER_CALL or (call and size + len(event.json) > BYTES_PER_CALL)
        overtakes = any(other.account_id == event.account_id and other.seq != event.seq for other in call)
        if full or overtakes:
            yield call
            call, size = [], 0
        call.append(event)
        size += len(event.json)
    if call:
        yield call
