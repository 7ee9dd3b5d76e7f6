"""Scheduled, and from its queue: charges each availability badge whose week has ended for the next, or switches it off.

The first run of a calendar week sets what a week costs, before it looks for badges.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from shared.edge.due import serve_work
from shared.edge.queue import due_queue
from shared.services.badges import renew_badges, set_price
from shared.services.due import dispatch
from shared.services.ledger import Ledger


def look(ledger: Ledger) -> tuple[int, datetime]:
    set_price(ledger)
    now = ledger.clock.now()
    found = dispatch(ledger.table.due_badges(now), due_queue(), now)
    return found.accounts, found.oldest


def work(ledger: Ledger, message: Any, deadline: Callable[[], float]) -> None:  # noqa: ANN401 - JSON
    renew_badges(ledger, message["accounts"], deadline)


handler = serve_work("accounts", look, work)
