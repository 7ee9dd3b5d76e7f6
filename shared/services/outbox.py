"""The outbox: what the ledger wrote is what others hear of, in an account's order, at least once and never lost.

Nothing is published by whoever changes an account. A change is written, the table's stream tells of it, and one
function publishes what the stream tells: so there is no change without its event and no event without its change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from shared.services.batches import OutOfTimeError, while_there_is_time
from shared.services.events import Event, events_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from shared.store.stream import Change

EVENTS_PER_CALL = 10
BYTES_PER_CALL = 240_000
"""What PutEvents takes at once is 256 KB, with source and types."""
Aside = tuple["Change", Exception]


class TooLargeError(Exception):
    """An event that no call would take."""


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

    A change that cannot be understood, or published by any call, is put aside: it would fail for ever, and must not
    keep those behind it. It is put aside once all before it is done; else it would come again with them, and go aside
    again.
    """
    events, poison = _understood(changes)
    failed_at = _published(events, bus, deadline)
    for change, error in sorted(poison, key=lambda each: int(each[0].position)):
        if failed_at is not None and int(change.position) >= int(failed_at):
            break
        try:
            put_aside(change, error)
        except Exception:  # noqa: BLE001 - whatever it is, this one comes again, and those before it do not
            return change.position
    return failed_at


def _understood(changes: Iterable[Change]) -> tuple[list[tuple[Change, Event]], list[Aside]]:
    """What changes tell, and those of which that cannot be said, each with the reason."""
    events: list[tuple[Change, Event]] = []
    poison: list[Aside] = []
    for change in changes:
        try:
            told = events_of(change)
            if any(len(event.json) > BYTES_PER_CALL for event in told):
                raise TooLargeError  # noqa: TRY301 - as whatever else it is
            events += [(change, event) for event in told]
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are not to suffer from it
            poison.append((change, error))
    return events, poison


def _published(events: list[tuple[Change, Event]], bus: Bus, deadline: Callable[[], float]) -> str | None:
    """The earliest position of what was not taken, if anything was not."""
    # The rows of one transaction reach the stream in any order; `seq` is the order that they happened in.
    waiting = sorted(events, key=lambda each: each[1].seq)
    done = 0
    try:
        for call in while_there_is_time(_calls([event for _, event in waiting]), deadline):
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
