"""Doing the same for many, where one that fails must not keep the others, and the last must not be cut off."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


class OutOfTimeError(Exception):
    """No time is left to begin another; what is left has to be done later."""


def has_time(deadline: Callable[[], float]) -> bool:
    """Whether another may be begun: ``deadline`` (monotonic), by which it has to be given up, lies ahead."""
    return deadline() > time.monotonic()  # in this order, as it may well be now


def while_there_is_time(items: Iterable[T], deadline: Callable[[], float]) -> Iterator[T]:
    """Each item, for as long as another may be begun.

    Raises:
        OutOfTimeError: where that ends before the items do.
    """
    for item in items:
        if not has_time(deadline):
            raise OutOfTimeError
        yield item


def for_each(items: Iterable[T], act: Callable[[T], object], deadline: Callable[[], float]) -> int:
    """Act on every item, for as long as another may be begun; tells how many there were.

    Raises:
        ExceptionGroup: at the end, what went wrong, each with a note that names its item; an `OutOfTimeError` among
            it where some are left.
    """
    count, failures = 0, []
    try:
        for count, item in enumerate(while_there_is_time(items, deadline), start=1):  # noqa: B007 - the last count is the answer
            try:
                act(item)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are not to suffer from it
                error.add_note(f"while at {item}")
                failures.append(error)
    except OutOfTimeError as error:
        error.add_note(f"after {count}")
        failures.append(error)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {count} failed, or were not begun", failures)
    return count
