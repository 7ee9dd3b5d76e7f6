"""Triggered by the table's stream: publishes what was written. Nothing else publishes.

A record that the bus does not take is reported, and Lambda delivers the stream again from there. A record that cannot
be parsed goes to the dead-letter queue, and those behind it are published.
"""

import json
import os
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.aws.event_bus import EventBus
from shared.aws.observability import logger
from shared.aws.timing import next_deadline
from shared.config import ConfigurationError, Settings
from shared.services.outbox import publish
from shared.store.stream import Change

LONGEST_MESSAGE = 250_000
"""SQS takes 256 KB."""


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """The answer names the first record that was not published; Lambda delivers all from there on again."""
    failed_at = publish(map(Change, event["Records"]), _bus(), _put_aside, lambda: next_deadline(context))
    return {"batchItemFailures": [{"itemIdentifier": failed_at}] if failed_at else []}


def _put_aside(change: Change, error: Exception) -> None:
    logger.error("a record cannot be understood", exc_info=error, position=change.position)
    url = _settings().outbox_dead_letters_url
    if not url:
        raise ConfigurationError("OUTBOX_DEAD_LETTERS_URL is not set")
    try:
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody=_described(change, error))
    except Exception:
        logger.exception("nor could it be put aside", position=change.position)
        raise


def _described(change: Change, error: Exception) -> str:
    """The whole record or, where it is too long for a message, the keys of its row: the table has the rest."""
    body = json.dumps({"record": change.record, "error": repr(error)}, default=str)
    if len(body) <= LONGEST_MESSAGE:
        return body
    keys = {"Keys": change.record["dynamodb"]["Keys"], "SequenceNumber": change.position}
    return json.dumps({"record": {"dynamodb": keys}, "error": repr(error)})


@cache
def _settings() -> Settings:
    return Settings.read(os.environ)


@cache
def _bus() -> EventBus:
    name = _settings().event_bus
    if not name:
        raise ConfigurationError("EVENT_BUS_NAME is not set")
    return EventBus(name)
