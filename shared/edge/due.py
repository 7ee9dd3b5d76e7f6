"""The handler of a function that settles what falls due: its schedule's runs look, its queue's messages do."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from shared.config import ConfigurationError
from shared.edge.observability import count_run, flush_metrics, logger
from shared.edge.wiring import deadline, warm_up, wiring
from shared.services.due import SETTLE, dispatch, settle_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date

    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

    from shared.ledger.commands import Settle, TellExpiring
    from shared.store.table import Due, Table

    Handler = Callable[[dict[str, Any], LambdaContext], PartialItemFailureResponse | dict[str, Any]]

ONE_HOUR = timedelta(hours=1)
BATCH = 10
"""As many messages as one SendMessageBatch takes."""


class SendError(Exception):
    """SQS did not take every message. The next run finds the accounts again."""


class SqsQueue:
    def __init__(self, url: str) -> None:
        self._url = url
        self._client = boto3.client("sqs")

    def send(self, bodies: Iterable[str]) -> None:
        waiting = iter(bodies)
        while batch := list(islice(waiting, BATCH)):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)
            ]
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            if failed := answer.get("Failed"):
                raise SendError(f"{len(failed)} of {len(batch)} messages: {failed[0]}")


def serve_due(find: Callable[[Table, date], Iterable[Due]], command: Settle | TellExpiring = SETTLE) -> Handler:
    """The Lambda handler that dispatches what ``find`` finds due, and settles what it had dispatched by ``command``.

    A schedule's event is ``{"scheduled_time": ISO 8601}``, a queue's has ``Records``; the answer to those names the
    messages that failed, and only they come again.
    """
    warm_up()
    # Where every message fails they come again like any; the dead letters' alarm is the one to hear.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def settle(record: SQSRecord, lambda_context: LambdaContext) -> None:
        try:
            accounts = record.json_body["accounts"]
            settle_accounts(wiring().ledger, accounts, lambda: deadline(lambda_context), command)
        except Exception:
            # Logged here because Powertools only counts it, and a message that is no page at all should be found too.
            logger.exception("a message was not settled whole", message_id=record.message_id)
            raise

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse | dict[str, Any]:
        try:
            if "Records" in event:
                return process_partial_response(event, settle, processor, context)
            return _look(event, find)
        finally:
            flush_metrics()

    return handler


def _look(event: dict[str, Any], find: Callable[[Table, date], Iterable[Due]]) -> dict[str, Any]:
    settings, ledger = wiring().settings, wiring().ledger
    if not settings.due_queue_url:
        raise ConfigurationError("DUE_QUEUE_URL is not set")
    now = ledger.clock.now()
    found = dispatch(find(ledger.table, now.date()), SqsQueue(settings.due_queue_url), now)
    count_run(event, found=found.accounts, waited_hours=(now - found.oldest) / ONE_HOUR)
    return {"accounts": found.accounts}
