"""Logging and metrics, wired once. The log level is set where the function is deployed, and only there."""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics

logger = Logger(use_rfc3339=True)
metrics = Metrics()


def flush_metrics() -> None:
    """Print what was counted in this invocation; most reads count nothing."""
    if metrics.metric_set:
        metrics.flush_metrics()
