"""Acting on many items, so that a failure does not stop the others, and none is begun that would be cut off."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


class OutOfTimeError(Exception):
    """No time is left to begin another item; the rest has to be done later."""


def has_time(deadline: Callable[[], float]) -> bool:
    """Whether another item may be begun: its ``deadline`` (monotonic) lies in the future."""
    return deadline() > time.monotonic()  # in this order, as the deadline may be computed from now


def while_there_is_time(items: Iterable[T], deadline: Callable[[], float]) -> Iterator[T]:
    """Each item, as long as there is time to begin another.

    Raises:
        OutOfTimeError: there is none, and items are left.
    """
    for item in items:
        if not has_time(deadline):
            raise OutOfTimeError
        yield item


def for_each(items: Iterable[T], act: Callable[[T], object], deadline: Callable[[], float]) -> int:
    """Act on every item, as long as there is time to begin another. Returns how many.

    Raises:
        ExceptionGroup: at the end, the errors, each with a note that names its item; with an `OutOfTimeError` if items
            are left.
    """
    count, failures = 0, []
    try:
        for count, item in enumerate(while_there_is_time(items, deadline), start=1):  # noqa: B007 - the last count is the answer
            try:
                act(item)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are done
                error.add_note(f"while at {item}")
                failures.append(error)
    except OutOfTimeError as error:
        error.add_note(f"after {count}")
        failures.append(error)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {count} failed, or were not begun", failures)
    return count
