"""Logging and metrics, wired once. The log level is set where the function is deployed, and only there.

Lambda takes a line without a level for INFO, and drops lines below the level that the function is configured with.
Metrics are lines without a level, so that level is never above INFO; lines below `POWERTOOLS_LOG_LEVEL` are dropped
here.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

LEVEL = logging.getLevelNamesMapping()[os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO")]

# Lambda's JSON log shows the lines of every logger; of the libraries only warnings and errors are wanted.
for library in ("botocore", "pynamodb"):
    logging.getLogger(library).setLevel(max(LEVEL, logging.WARNING))

logger = Logger(use_rfc3339=True)
logger.addFilter(lambda record: record.levelno >= LEVEL)  # the logger's own level is the one for Lambda
metrics = Metrics()


def flush_metrics() -> None:
    """Print what was counted in this invocation; most reads count nothing."""
    if metrics.metric_set:
        metrics.flush_metrics()


def count_refusal(code: str) -> None:
    """Count an answer that is a problem: by function, and by code over all functions of the stack.

    ``code`` is one of `shared.http.problems.STATUS`.
    """
    metrics.add_metric("Refusals", MetricUnit.Count, 1)
    metrics.provider.add_dimensions(code=code)


def count_run(event: dict[str, Any], *, found: int, waited_hours: float) -> None:
    """Count what the alarms on a schedule look at: how late this run is, and how long the oldest work has waited.

    ``event`` is the schedule's, ``{"scheduled_time": ISO 8601}``. The lag is measured in real time, not by
    the product's clock.
    """
    lag = datetime.now(UTC) - datetime.fromisoformat(event["scheduled_time"])
    metrics.add_metric("ScheduleLagSeconds", MetricUnit.Seconds, max(lag.total_seconds(), 0))
    metrics.add_metric("OldestDueHours", MetricUnit.NoUnit, waited_hours)
    metrics.add_metric("Due", MetricUnit.Count, found)
    logger.info("looked for what is due", found=found, waited_hours=round(waited_hours, 1))
