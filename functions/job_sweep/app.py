"""Scheduled, every minute, and from its queue: refunds proposals on canceled and removed jobs, and closes auctions.

A run sends the jobs that are due to the queue, several in a message. Such a message sends one for each thing to do to
the same queue, and these do it: three steps, and no chain of messages that could break or never end.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from shared.aws.due import count_due, count_waiting, look_for, serve_work
from shared.aws.queue import due_queue
from shared.services.due import Dispatched
from shared.services.job_sweep import JOBS, SweepResult, handle_message
from shared.services.ledger import Ledger


def look(ledger: Ledger, deadline: Callable[[], float]) -> Dispatched:
    return look_for(ledger, JOBS, deadline)


def do(ledger: Ledger, message: Any, deadline: Callable[[], float]) -> None:  # noqa: ANN401 - JSON
    handle_message(ledger, message, due_queue(), deadline, partial(count_result, ledger))


def count_result(ledger: Ledger, result: SweepResult) -> None:
    if result.proposals or result.auctions:
        count_due(ledger, result.oldest)
    if result.holds_since:
        count_waiting("OldestHoldPastEndMinutes", ledger, result.holds_since)


handler = serve_work("found", look, do)
