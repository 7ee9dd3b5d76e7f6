"""Scheduled, and from its queue: sends notices of Connects that are about to expire, 30, 7 and 1 days ahead by default.

There is one notice for each day of expiry and number of days, and only while any of these Connects are left. A late run
sends the most urgent notice only. After a change of the settings that due dates are computed by, every account is
visited once.
"""

from collections.abc import Callable
from typing import Any

from shared.aws.due import look_for, serve_work
from shared.ledger.expiry_notices import NotifyExpiring
from shared.services.due import NOTICES, Dispatched, settle_accounts
from shared.services.due_dates import dispatch_notices
from shared.services.ledger import Ledger

TELL = NotifyExpiring()


def look(ledger: Ledger, deadline: Callable[[], float]) -> Dispatched:
    return dispatch_notices(ledger, lambda work: look_for(ledger, work, deadline))


def do(ledger: Ledger, message: Any, deadline: Callable[[], float]) -> None:  # noqa: ANN401 - JSON
    settle_accounts(ledger, message["accounts"], deadline, TELL)


handler = serve_work(NOTICES.what, look, do)
