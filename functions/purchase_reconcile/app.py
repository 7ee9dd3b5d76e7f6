"""Scheduled, every minute: finds out what became of charges whose answer was late or lost, and acts on it."""

from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.edge.observability import count_run, flush_metrics, logger, metrics
from shared.edge.wiring import deadline, payment_gateway, warm_up, wiring
from shared.services.purchasing import reconcile

warm_up()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """A purchase that fails does not keep the others; it stays due, and the run fails so that somebody looks."""
    ledger = wiring().ledger
    now = ledger.clock.now()
    due = list(ledger.table.due_purchases(now))
    began: list[datetime] = []
    try:
        if not due:  # nor is a provider needed then, which a stage may not have yet
            return {"purchases": 0}
        asked = reconcile(
            ledger,
            payment_gateway(),
            due,
            lambda: deadline(context),
            lambda purchase: began.append(purchase.created_at),
        )
        return {"purchases": asked}
    finally:
        # Counted from when they began: when they are asked about next is moved on each time.
        waited = now - min(began, default=now)
        count_run(event, found=len(due), waited_hours=waited / timedelta(hours=1))
        metrics.add_metric("OldestPendingPurchaseMinutes", MetricUnit.NoUnit, waited / timedelta(minutes=1))
        flush_metrics()
