"""Trying again within a deadline: once at once where what was in the way is known, then exponential with full jitter.

Full jitter spreads those who met each other best: see "Exponential Backoff And Jitter" in the AWS Architecture Blog.
The numbers are measured: 2, 8 and 64 threads at once on one account, one spend each, on DynamoDB Local; time next to
the same spends one after another, and calls to DynamoDB a spend (medians of 24, 9 and 3 runs on two busy cores):

=============================================  =========  =========  ==========
policy                                         2          8          64
=============================================  =========  =========  ==========
wait up to 10 ms x 2, keep the refusal's item  1.3 x 2.5  2.8 x 5.1  7.3 x 16.3
wait up to 10 ms x 2, read anew                1.7 x 3.0  1.7 x 5.5  4.4 x 18.9
wait up to 20 ms x 8, read anew                1.7 x 3.0  2.8 x 4.5  2.2 x 12.0
at once, then wait up to 20 ms x 8, read anew  1.3 x 2.5  1.7 x 4.8  2.8 x 9.8
at once, then wait up to 100 ms x 4            1.3 x 2.5  2.8 x 4.8  2.7 x 13.5
=============================================  =========  =========  ==========

An item that was kept while waiting is an old one, and loses again. Two that met are done with one call more, without a
wait; where there is a crowd, waiting grows so fast that few attempts are lost on the way to a wait of its length.
"""

from __future__ import annotations

import random
import time
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from shared.ledger.errors import BusyError
from shared.store.sending import LONGEST_REQUEST_S, is_too_late, sending_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.store.errors import StoreError

P = ParamSpec("P")
R = TypeVar("R")

FIRST_DELAY_S = 0.02
DELAY_GROWTH = 8
LONGEST_DELAY_S = 1.0


class Attempts:
    """Yields at once, and again after each random pause, until ``deadline`` (monotonic); then it is time for `busy`.

    None follows either where no request would be sent any more, because one was not answered.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._longest_s = FIRST_DELAY_S
        self._at_once: bool | None = None
        self.unanswered = False
        """Whether one of them may have been carried out, and nobody was told."""

    def __iter__(self) -> Iterator[None]:
        yield
        while (left := self._deadline - time.monotonic()) > 0 and not is_too_late():
            if self._at_once:
                self._at_once = False
            else:
                # Not for secrets: any spread will do.
                time.sleep(random.uniform(0, min(self._longest_s, left)))  # noqa: S311
                self._longest_s = min(self._longest_s * DELAY_GROWTH, LONGEST_DELAY_S)
            yield

    def met(self, error: StoreError) -> None:
        """Remember what an attempt came to."""
        self.unanswered = self.unanswered or error.unanswered

    def may_be_at_once(self) -> bool:
        """Whether the next attempt comes at once, on what the last one was refused with. The first time it does."""
        if self._at_once is None:
            self._at_once = True
        return self._at_once

    @property
    def busy(self) -> BusyError:
        return BusyError(unanswered=self.unanswered)


def attempts(deadline: float) -> Attempts:
    return Attempts(deadline)


def in_time(act: Callable[P, R]) -> Callable[P, R]:
    """Have ``act`` end by its keyword ``deadline`` also where the database does not answer, in whatever loops it asks.

    A database that answers late, as under contention, is asked until the deadline.
    """

    @wraps(act)
    def ending_in_time(*args: P.args, **kwargs: P.kwargs) -> R:
        with sending_until(after_silence=cast("float", kwargs["deadline"]) - LONGEST_REQUEST_S):
            return act(*args, **kwargs)

    return ending_in_time
