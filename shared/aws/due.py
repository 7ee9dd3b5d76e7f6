"""The handler of a function for due work: its schedule's runs send what is due to its queue, and its messages do it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from shared.aws.observability import count_run, flush_metrics, logger, metrics
from shared.aws.queue import due_queue
from shared.aws.timing import check_time, next_deadline
from shared.aws.wiring import warm_up, wiring, working
from shared.services.due import Dispatched, Work, dispatch, settle_accounts
from shared.store.walks import Walks

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from shared.services.ledger import Ledger

    Handler = Callable[[dict[str, Any], LambdaContext], PartialItemFailureResponse | dict[str, Any]]
    Deadline = Callable[[], float]
    Look = Callable[[Ledger, Deadline], Dispatched]
    Do = Callable[[Ledger, Any, Deadline], object]

ONE_HOUR, ONE_MINUTE = timedelta(hours=1), timedelta(minutes=1)


def serve_due(work: Work) -> Handler:
    """The Lambda handler that sends the accounts that are due to its queue, and settles those that it receives."""

    def settle(ledger: Ledger, message: Any, until: Deadline) -> None:  # noqa: ANN401 - JSON
        settle_accounts(ledger, message["accounts"], until)

    return serve_work(work.what, lambda ledger, until: look_for(ledger, work, until), settle)


def look_for(ledger: Ledger, work: Work, until: Deadline) -> Dispatched:
    """Send what is due to this function's queue."""
    marks = Walks(ledger.table)
    return dispatch(ledger.table, marks, due_queue(), work, now=ledger.clock.now(), deadline=until)


def serve_work(what: str, look: Look, do: Do) -> Handler:
    """The Lambda handler of a schedule that looks for work and sends it to a queue, and of that queue.

    A schedule's event is ``{"scheduled_time": ISO 8601}``, a queue's has ``Records``; the answer to those names the
    messages that failed, and only they are delivered again.

    Args:
        what: The name of what is counted in a run's answer.
        look: Dispatches what is due.
        do: Does what one message asks for.
    """
    warm_up()
    # A batch in which every message fails is answered like any other: the dead-letter queue has an alarm.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def take(record: SQSRecord, lambda_context: LambdaContext) -> None:
        try:
            check_time(lambda_context)
            do(wiring().ledger, record.json_body, lambda: next_deadline(lambda_context))
        except Exception:
            # Powertools does not log why a message failed; that is logged here, also of one that is malformed.
            logger.exception("a message was not settled whole", message_id=record.message_id)
            raise

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse | dict[str, Any]:
        try:
            with working(context):
                if "Records" in event:
                    return process_partial_response(event, take, processor, context)
                ledger = wiring().ledger
                dispatched = look(ledger, lambda: next_deadline(context))
                count_run(
                    event, found=dispatched.found, waited_hours=(ledger.clock.now() - dispatched.oldest) / ONE_HOUR
                )
                return {what: dispatched.found}
        finally:
            flush_metrics()

    return handler


def count_due(ledger: Ledger, since: datetime) -> None:
    """Count how long something has been due, by its item: the index has only the time of its next dispatch."""
    metrics.add_metric("OldestDueHours", MetricUnit.NoUnit, (ledger.clock.now() - since) / ONE_HOUR)


def count_waiting(name: str, ledger: Ledger, since: datetime) -> None:
    """Count the same in minutes, under a name of its own."""
    metrics.add_metric(name, MetricUnit.NoUnit, (ledger.clock.now() - since) / ONE_MINUTE)
