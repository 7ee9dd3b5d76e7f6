"""Scheduled, every minute: finds out what became of charges whose answer was late or lost, and acts on it."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.edge.observability import flush_metrics, logger, metrics
from shared.edge.wiring import deadline, payment_gateway, warm_up, wiring
from shared.services.purchasing import reconcile

warm_up()


@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """One purchase that fails does not keep the others; it stays due and is logged."""
    ledger, gateway = wiring().ledger, payment_gateway()
    done = failed = 0
    for account_id, purchase_id in ledger.table.due_purchases(ledger.clock.now()):
        try:
            reconcile(ledger, gateway, account_id, purchase_id, deadline=deadline(context))
            done += 1
        except Exception:  # noqa: BLE001 - one bad purchase must not hold up the others
            logger.exception("the purchase could not be reconciled", account_id=account_id, purchase_id=purchase_id)
            failed += 1
    metrics.add_metric("ReconciledPurchases", MetricUnit.Count, done)
    metrics.add_metric("UnreconciledPurchases", MetricUnit.Count, failed)
    flush_metrics()
    return {"reconciled": done, "failed": failed}
