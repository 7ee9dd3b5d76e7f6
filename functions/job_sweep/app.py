"""Scheduled, every minute, and from its queue: gives the proposals on canceled and removed jobs back.

A run looks at the jobs that are due and sends what has still to come back to the queue, whose messages refund it. They
are sent once and not passed on, so that no chain of messages can break or run in circles.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from shared.edge.due import serve_work
from shared.edge.queue import due_queue
from shared.services.jobs import handle_message, sweep
from shared.services.ledger import Ledger
from shared.store.jobs import Jobs


def look(ledger: Ledger) -> tuple[int, datetime]:
    looked = sweep(ledger, Jobs(ledger.table).due(ledger.clock.now()), due_queue())
    return looked.proposals, looked.oldest


def work(ledger: Ledger, message: Any, deadline: Callable[[], float]) -> None:  # noqa: ANN401 - JSON
    handle_message(ledger, message, due_queue(), deadline)


handler = serve_work("proposals", look, work)
