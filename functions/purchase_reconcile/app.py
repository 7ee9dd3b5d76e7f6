"""Scheduled, every minute, and from its queue: finds out what became of charges whose answer was late or lost.

A run sends the purchases that are due to the queue, several in a message, which asks the payment provider about each.
"""

from collections.abc import Callable
from typing import Any

from shared.aws.due import look_for, serve_work
from shared.aws.purchases import count_pending, count_review
from shared.aws.wiring import payment_provider
from shared.ledger.purchases import Purchase
from shared.services.due import Dispatched
from shared.services.ledger import Ledger
from shared.services.purchases import PURCHASES, reconcile
from shared.store.purchases import DuePurchase


def look(ledger: Ledger, deadline: Callable[[], float]) -> Dispatched:
    return look_for(ledger, PURCHASES, deadline)


def do(ledger: Ledger, message: Any, deadline: Callable[[], float]) -> None:  # noqa: ANN401 - JSON
    """A purchase that fails does not stop the others; its message is delivered again."""

    def seen(purchase: Purchase) -> None:
        count_review(purchase)
        count_pending(ledger, purchase)

    due = [DuePurchase(account_id, purchase_id, ledger.clock.now()) for account_id, purchase_id in message["purchases"]]
    reconcile(ledger, payment_provider(), due, deadline, seen)


handler = serve_work(PURCHASES.what, look, do)
