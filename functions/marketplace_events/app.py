"""Queue behind the event bus: the marketplace's own events. An event and the same HTTP call together act once."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.aws.observability import logger
from shared.aws.timing import check_time
from shared.aws.wiring import deadline, warm_up, wiring, working
from shared.services.marketplace_events import handle_event

warm_up()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """The answer names the events that failed; only they are delivered again, and end in the dead-letter queue."""
    with working(context):
        return process_partial_response(event, _act, processor, context)


def _act(record: SQSRecord, lambda_context: LambdaContext) -> None:
    try:
        check_time(lambda_context)
        happened = record.json_body
        refused = handle_event(wiring().ledger, happened, deadline=deadline(lambda_context))
    except Exception:
        logger.exception("an event was not acted on", message_id=record.message_id)
        raise
    logger.info("acted on an event", type=happened["detail-type"], event_id=happened.get("id"), refused=refused)
