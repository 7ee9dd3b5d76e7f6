"""Scheduled, every minute, and from its queue: finds out what became of charges whose answer was late or lost.

A run sends the purchases that are due to the queue, some a message; who takes one asks the payment provider.
"""

from collections.abc import Callable
from typing import Any

from shared.aws.due import count_due, count_waiting, look_for, serve_work
from shared.aws.wiring import payment_gateway
from shared.ledger.purchases import Purchase
from shared.services.due import Dispatched
from shared.services.ledger import Ledger
from shared.services.purchases import PURCHASES, reconcile
from shared.store.purchases import DuePurchase


def look(ledger: Ledger, deadline: Callable[[], float]) -> Dispatched:
    return look_for(ledger, PURCHASES, deadline)


def do(ledger: Ledger, message: Any, deadline: Callable[[], float]) -> None:  # noqa: ANN401 - JSON
    """A purchase that fails does not keep the others; its message comes again."""

    def still_pending(purchase: Purchase) -> None:
        count_due(ledger, purchase.created_at)
        count_waiting("OldestPendingPurchaseMinutes", ledger, purchase.created_at)

    due = [DuePurchase(account_id, purchase_id, ledger.clock.now()) for account_id, purchase_id in message["purchases"]]
    reconcile(ledger, payment_gateway(), due, deadline, still_pending)


handler = serve_work(PURCHASES.what, look, do)
