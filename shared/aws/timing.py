"""How a function that does many things ends by itself, rather than being cut off in the middle of one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared.services.batches import OutOfTimeError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

A_TRY_S = 5.0
"""By when one of many is given up."""
LEAST_LEFT_S = 8.0
"""Of the function's time, for another to be begun: a try, and the last call of it that DynamoDB is slow to answer."""


def next_deadline(context: LambdaContext) -> float:
    """Monotonic seconds by which to give the next of many up: none is to be begun where that is now."""
    is_enough = context.get_remaining_time_in_millis() / 1000 >= LEAST_LEFT_S
    return time.monotonic() + (A_TRY_S if is_enough else 0)


def check_time(context: LambdaContext, least_left_s: float = LEAST_LEFT_S) -> None:
    """Of a batch, before each, which may take ``least_left_s``.

    Raises:
        OutOfTimeError: it might be cut off, and has to come again.
    """
    if context.get_remaining_time_in_millis() / 1000 < least_left_s:
        raise OutOfTimeError
