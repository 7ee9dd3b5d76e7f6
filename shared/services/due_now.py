"""All that has fallen due, done in one process and without a queue: what a sandbox does after its clock was moved.

In production the schedules find the same work and spread it by queues (`shared.services.due`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from shared.ledger.expiry_notices import NotifyExpiring
from shared.services.badges import renew_badges, set_price
from shared.services.due import settle_accounts
from shared.services.due_dates import day_to_look_until
from shared.services.job_sweep import SweepResult, handle_message, sweep
from shared.services.purchases import reconcile
from shared.store.jobs import Jobs
from shared.store.purchases import Purchases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date, datetime

    from shared.payments import PaymentProvider
    from shared.services.due import Queue
    from shared.services.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Done:
    """How much was done."""

    settled: int
    notified: int
    reconciled: int
    swept: SweepResult
    renewed: int


@dataclass(frozen=True, slots=True)
class NoQueue:
    """Handles each message as it is sent."""

    ledger: Ledger
    deadline: Callable[[], float]

    def send(self, bodies: Iterable[str]) -> None:
        for body in bodies:
            handle_message(self.ledger, json.loads(body), self, self.deadline)


def do_all_due(ledger: Ledger, provider: PaymentProvider, now: datetime, deadline: Callable[[], float]) -> Done:
    """Do all that is due by ``now``; ``deadline`` is asked anew for each account, purchase and job.

    Raises:
        ExceptionGroup: what went wrong with some, or that time ran out; what is left stays due.
    """
    return Done(
        _settle_due(ledger, now.date(), deadline),
        _notify_due(ledger, now.date(), deadline),
        reconcile(ledger, provider, list(Purchases(ledger.table).due(now)), deadline),
        sweep_due_jobs(ledger, NoQueue(ledger, deadline), now, deadline),
        renew_due_badges(ledger, now, deadline),
    )


def sweep_due_jobs(ledger: Ledger, queue: Queue, now: datetime, deadline: Callable[[], float]) -> SweepResult:
    return sweep(ledger, [found.job_id for found in Jobs(ledger.table).due(now)], queue, deadline)


def renew_due_badges(ledger: Ledger, now: datetime, deadline: Callable[[], float]) -> int:
    """Returns how many, after setting the week's price."""
    set_price(ledger, deadline)
    return renew_badges(ledger, [found.account_id for found in ledger.table.due_badges(now)], deadline)


def _settle_due(ledger: Ledger, today: date, deadline: Callable[[], float]) -> int:
    due = chain(ledger.table.due_expiries(today), ledger.table.due_grants(today))
    return settle_accounts(ledger, sorted({found.account_id for found in due}), deadline)


def _notify_due(ledger: Ledger, today: date, deadline: Callable[[], float]) -> int:
    with day_to_look_until(ledger, today) as day:
        due = [found.account_id for found in ledger.table.due_notices(day)]
        return settle_accounts(ledger, due, deadline, NotifyExpiring())
