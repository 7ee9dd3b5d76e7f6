"""Trying again within a deadline: exponential, capped, with full jitter.

Full jitter spreads those who met each other best: see "Exponential Backoff And Jitter" in the AWS Architecture Blog.
"""

from __future__ import annotations

import random
import time
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_DELAY_S = 0.01
LONGEST_DELAY_S = 0.5


def attempts(deadline: float) -> Iterator[None]:
    """Yield at once, and again after each random pause, until a pause would end past ``deadline`` (monotonic)."""
    for retries in count():
        yield
        # Not for secrets: any spread will do.
        pause = random.uniform(0, min(LONGEST_DELAY_S, FIRST_DELAY_S * 2**retries))  # noqa: S311
        if time.monotonic() + pause > deadline:
            return
        time.sleep(pause)
