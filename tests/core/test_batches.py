"""Acting on many items: a failure stops no other, and none is begun that would be cut off."""

import time
from itertools import count

import pytest

from shared.services.batches import OutOfTimeError, for_each, while_there_is_time


def always():
    return time.monotonic() + 60


def for_so_many(number):
    left = iter([always()] * number)
    return lambda: next(left, 0)


def test_each_is_done_once_and_counted():
    done = []
    assert for_each("abc", done.append, always) == 3
    assert done == ["a", "b", "c"]


def test_an_item_that_fails_stops_no_other_and_is_named():
    done = []

    def act(item):
        if item == "b":
            raise ValueError
        done.append(item)

    with pytest.raises(ExceptionGroup) as failed:
        for_each("abc", act, always)
    assert done == ["a", "c"]
    [error] = failed.value.exceptions
    assert (type(error), error.__notes__) == (ValueError, ["while at b"])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_none_is_begun_without_time_and_the_error_says_that_some_are_left(number):
    done = []
    with pytest.raises(ExceptionGroup) as failed:
        for_each("abc", done.append, for_so_many(number))
    assert done == list("abc"[:number])
    assert failed.group_contains(OutOfTimeError)


def test_what_failed_before_time_ran_out_is_reported_too():
    with pytest.raises(ExceptionGroup) as failed:
        for_each("abc", lambda _: 1 / 0, for_so_many(2))
    assert [type(error) for error in failed.value.exceptions] == [ZeroDivisionError, ZeroDivisionError, OutOfTimeError]


def test_a_deadline_of_now_leaves_no_time():
    """The deadline is computed before the clock is read: however fast the machine, nothing is begun."""
    with pytest.raises(OutOfTimeError):
        next(while_there_is_time("abc", time.monotonic))


def test_an_endless_batch_ends_in_time():
    taken = []
    with pytest.raises(OutOfTimeError):
        taken.extend(while_there_is_time(count(), for_so_many(5)))
    assert taken == [0, 1, 2, 3, 4]
