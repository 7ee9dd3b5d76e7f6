"""What is counted of purchases, for the alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from shared.aws.due import count_due, count_waiting
from shared.aws.observability import logger, metrics
from shared.ledger.purchases import PurchaseState

if TYPE_CHECKING:
    from shared.ledger.purchases import Purchase
    from shared.payments import Heard
    from shared.services.ledger import Ledger


def count_review(purchase: Purchase) -> None:
    """Count a purchase for which something else was charged than was asked for: a person has to look at it."""
    if purchase.state is PurchaseState.UNDER_REVIEW:
        metrics.add_metric("PurchasesUnderReview", MetricUnit.Count, 1)
        logger.error("another amount, currency or purchase was charged", purchase_id=purchase.purchase_id)


def count_pending(ledger: Ledger, purchase: Purchase) -> None:
    """Count how long a purchase has been pending. One whose buyer may still answer the bank is not late."""
    if purchase.state is PurchaseState.PENDING and not purchase.waits_for_buyer(ledger.clock.now()):
        count_due(ledger, purchase.created_at)
        count_waiting("OldestPendingPurchaseMinutes", ledger, purchase.created_at)


def count_stray(heard: Heard) -> None:
    """Count an event of a payment that names a purchase of ours, which does not exist."""
    metrics.add_metric("ChargeWithoutPurchase", MetricUnit.Count, 1)
    logger.error("a payment names a purchase that there is not", purchase_id=heard.purchase_id, ref=heard.ref)
