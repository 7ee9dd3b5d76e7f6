"""Doing the same for many, where one that fails must not keep the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


def for_each(items: Iterable[T], act: Callable[[T], object]) -> int:
    """Act on every item; tells how many there were.

    Raises:
        ExceptionGroup: at the end, what went wrong, each with a note that names its item.
    """
    count, failures = 0, []
    for count, item in enumerate(items, start=1):  # noqa: B007 - the last count is the answer
        try:
            act(item)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are not to suffer from it
            error.add_note(f"while at {item}")
            failures.append(error)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {count} failed", failures)
    return count
