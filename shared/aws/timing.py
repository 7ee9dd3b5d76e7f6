"""How a function that does many things ends by itself, before Lambda stops it in the middle of one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared.services.batches import OutOfTimeError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

A_TRY_S = 5.0
"""How long one of many is tried."""
LEAST_LEFT_S = 8.0
"""The time left with which another is begun: a try, and its last call, which DynamoDB may be slow to answer."""


def next_deadline(context: LambdaContext) -> float:
    """When to give up the next of many, in monotonic seconds: now, if there is too little time to begin it."""
    is_enough = context.get_remaining_time_in_millis() / 1000 >= LEAST_LEFT_S
    return time.monotonic() + (A_TRY_S if is_enough else 0)


def check_time(context: LambdaContext, least_left_s: float = LEAST_LEFT_S) -> None:
    """To be called before each message of a batch. Handling it may take ``least_left_s``.

    Raises:
        OutOfTimeError: too little time is left, so the message has to be delivered again.
    """
    if context.get_remaining_time_in_millis() / 1000 < least_left_s:
        raise OutOfTimeError
