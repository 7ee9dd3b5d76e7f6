"""``GET /accounts/{account_id}/audit`` (staff), and from its queue: the audits that take longer than a caller waits."""

import time
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.aws.observability import logger
from shared.aws.queue import due_queue
from shared.aws.wiring import RESERVE_S, payment_provider, wiring
from shared.config import ConfigurationError
from shared.http.api import Router, answer
from shared.http.requests import Id
from shared.payments import PaymentProvider
from shared.services.audits import Finished, request_audit, run_audit

app = Router()


@app.route(
    "GET /accounts/{account_id}/audit",
    "audit",
    "The invariants, checked against the whole journal and all purchases; 202 while that takes long: ask again",
    who="staff",
    answers={200: "Audit", 202: "AuditRunning"},
    refuses=("account_not_found",),
)
def audit(account_id: Id) -> Response[str]:
    asked = request_audit(wiring().ledger, account_id, _provider(), due_queue, deadline=app.deadline())
    if isinstance(asked, Finished):
        return answer(dict(asked.view))
    return answer({"status": "running", "checked": asked.checked, "of": asked.entries}, 202)


def _provider() -> PaymentProvider | None:
    """None where none is connected."""
    try:
        return payment_provider()
    except ConfigurationError:
        return None


def _take(record: SQSRecord, lambda_context: LambdaContext) -> None:
    until = time.monotonic() + lambda_context.get_remaining_time_in_millis() / 1000 - RESERVE_S
    try:
        run_audit(wiring().ledger, record.json_body, _provider(), deadline=until)
    except Exception:
        logger.exception("an audit was not finished", message_id=record.message_id)
        raise


_call = app.serve()
_processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | PartialItemFailureResponse:
    if "Records" not in event:
        return _call(event, context)
    with logger.append_context_keys(function_request_id=context.aws_request_id):
        return process_partial_response(event, _take, _processor, context)
