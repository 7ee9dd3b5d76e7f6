"""The outbox: publishes events for what the ledger wrote, in each account's order, at least once.

A change of an account publishes nothing itself. It is written, the table's stream contains it, and one function
publishes what the stream contains: so there is no change without its event, and no event without its change.
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
"""One call of PutEvents takes 256 KB, including sources and types."""
Aside = tuple["Change", Exception]


class TooLargeError(Exception):
    """An event that is too large for any call."""


class UnpublishedError(Exception):
    """The bus did not take an event; it and all after it have to be published again."""


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
    """Publish the events of changes. Returns the position of the stream to continue from, if not all was taken in time.

    A change that cannot be read, or whose event no call takes, is put aside: it would fail for ever, and block those
    after it. That is done once all before it is published; else it would be delivered again with them, and be put aside
    twice.
    """
    events, poison = _events_in(changes)
    failed_at = _published(events, bus, deadline)
    for change, error in sorted(poison, key=lambda each: int(each[0].position)):
        if failed_at is not None and int(change.position) >= int(failed_at):
            break
        try:
            put_aside(change, error)
        except Exception:  # noqa: BLE001 - whatever it is, this one is delivered again, and those before it are not
            return change.position
    return failed_at


def _events_in(changes: Iterable[Change]) -> tuple[list[tuple[Change, Event]], list[Aside]]:
    """The events of changes, and the changes for which there can be none, each with the error."""
    events: list[tuple[Change, Event]] = []
    poison: list[Aside] = []
    for change in changes:
        try:
            found = events_of(change)
            if any(len(event.json) > BYTES_PER_CALL for event in found):
                raise TooLargeError  # noqa: TRY301 - handled like every other error
            events += [(change, event) for event in found]
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are published
            poison.append((change, error))
    return events, poison


def _published(events: list[tuple[Change, Event]], bus: Bus, deadline: Callable[[], float]) -> str | None:
    """The earliest position of what was not taken; None if all was."""
    # The rows of one transaction reach the stream in any order; `seq` is the order in which they happened.
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
    """As many events as one call takes, with those of one row only of each account: a call may be taken in part."""
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
