"""Logging and metrics, wired once. The log level is set where the function is deployed, and only there."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

# Lambda's JSON log shows every logger's lines; the libraries' good news is not for it.
for library in ("botocore", "pynamodb"):
    logging.getLogger(library).setLevel(logging.WARNING)

logger = Logger(use_rfc3339=True)
metrics = Metrics()


def flush_metrics() -> None:
    """Print what was counted in this invocation; most reads count nothing."""
    if metrics.metric_set:
        metrics.flush_metrics()


def count_run(event: dict[str, Any], *, found: int, waited_hours: float) -> None:
    """What the alarms on a schedule look at: how late this run is, and how long the oldest work has waited for it.

    ``event`` is the schedule's, ``{"scheduled_time": ISO 8601}``. The lag is told in real time, whatever the
    product's clock says.
    """
    lag = datetime.now(UTC) - datetime.fromisoformat(event["scheduled_time"])
    metrics.add_metric("ScheduleLagSeconds", MetricUnit.Seconds, max(lag.total_seconds(), 0))
    metrics.add_metric("OldestDueHours", MetricUnit.NoUnit, waited_hours)
    metrics.add_metric("Due", MetricUnit.Count, found)
    logger.info("looked for what is due", found=found, waited_hours=round(waited_hours, 1))
