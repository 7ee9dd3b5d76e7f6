"""Scheduled, every minute, and from its queue: gives proposals on canceled and removed jobs back, and closes auctions.

A run looks at the jobs that are due and sends what is to be done to the queue, whose messages do it. They are sent once
and not passed on, so that no chain of messages can break or run in circles.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from shared.edge.due import serve_work
from shared.edge.observability import metrics
from shared.edge.queue import due_queue
from shared.services.job_sweep import handle_message, sweep
from shared.services.ledger import Ledger
from shared.store.jobs import Jobs


def look(ledger: Ledger) -> tuple[int, datetime]:
    now = ledger.clock.now()
    looked = sweep(ledger, Jobs(ledger.table).due(now), due_queue())
    past_end = (now - (looked.holds_since or now)) / timedelta(minutes=1)
    metrics.add_metric("OldestHoldPastEndMinutes", MetricUnit.NoUnit, past_end)
    return looked.proposals + looked.auctions, looked.oldest


def work(ledger: Ledger, message: Any, deadline: Callable[[], float]) -> None:  # noqa: ANN401 - JSON
    handle_message(ledger, message, due_queue(), deadline)


handler = serve_work("found", look, work)
