"""Work that falls due by the calendar: found by an index, spread by a queue, done by settling each account.

A schedule's run only looks: it asks each shard of a due index and sends what it finds to a queue, some accounts a
message, so that a backlog of any size is done as wide as the queue's consumers scale. Settling finds by itself what
there is to do, so a run that comes twice, late, or alongside another does no harm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from shared.ledger.calendar import midnight
from shared.ledger.commands import Settle
from shared.services.each import for_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from shared.ledger.commands import TellExpiring
    from shared.services.ledger import Ledger
    from shared.store.table import Due

ACCOUNTS_PER_MESSAGE = 25
"""Some 0.3 s of work: few enough that a message tried again repeats little, enough that a queue costs next to
nothing beside the writes."""

SETTLE = Settle()


class Queue(Protocol):
    def send(self, bodies: Iterable[str]) -> None:
        """Send every message or raise."""
        ...


@dataclass(frozen=True, slots=True)
class Dispatched:
    """How many accounts were found due, and since when the oldest has waited."""

    accounts: int
    oldest: datetime


def dispatch(due: Iterable[Due], queue: Queue, now: datetime) -> Dispatched:
    """Send all accounts that are due to the queue."""
    found, oldest = 0, now
    waiting = iter(due)

    def pages() -> Iterator[str]:
        nonlocal found, oldest
        while page := list(islice(waiting, ACCOUNTS_PER_MESSAGE)):
            found += len(page)
            oldest = min(oldest, *(midnight(account.since) for account in page))
            yield json.dumps({"accounts": [account.account_id for account in page]})

    queue.send(pages())
    return Dispatched(found, oldest)


def settle_accounts(
    ledger: Ledger, accounts: Iterable[str], deadline: Callable[[], float], command: Settle | TellExpiring = SETTLE
) -> int:
    """Settle each account, which every command does first; ``deadline`` is asked anew for each. Tells how many.

    Raises:
        ExceptionGroup: at the end, what went wrong with some; the others are settled.
    """
    return for_each(accounts, lambda account_id: ledger.execute(account_id, command, deadline=deadline()))
