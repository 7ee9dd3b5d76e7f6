"""Scheduled, and from its queue: charges each availability badge whose week has ended for the next, or switches it off.

The first run of a calendar week sets what a week costs, before it looks for badges.
"""

from collections.abc import Callable
from typing import Any

from shared.aws.due import look_for, serve_work
from shared.services.badges import renew_badges, set_price
from shared.services.due import BADGES, Dispatched
from shared.services.ledger import Ledger


def look(ledger: Ledger, deadline: Callable[[], float]) -> Dispatched:
    if not set_price(ledger, deadline):
        return Dispatched(0, ledger.clock.now(), complete=False)  # the next run counts on, before any badge is renewed
    return look_for(ledger, BADGES, deadline)


def do(ledger: Ledger, message: Any, deadline: Callable[[], float]) -> None:  # noqa: ANN401 - JSON
    renew_badges(ledger, message["accounts"], deadline)


handler = serve_work("accounts", look, do)
