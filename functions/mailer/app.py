"""Queue behind the event bus: notices as e-mail. Exists only where the stack has a sender's address.

A mail that is refused is tried again, and ends in the dead-letter queue; the ledger never waits for one. Mails are sent
at the rate that SES takes, divided among the invocations that run at once.
"""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.aws.mail import LONGEST_MAIL_S, SesMailer
from shared.aws.observability import logger
from shared.aws.timing import check_time
from shared.config import text_of
from shared.services.notice_mail import mail_notice

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """The answer names the notices that failed; only they are delivered again."""
    return process_partial_response(event, _mail, processor, context)


def _mail(record: SQSRecord, lambda_context: LambdaContext) -> None:
    try:
        check_time(lambda_context, LONGEST_MAIL_S)
        notice = record.json_body
        sent = mail_notice(_mailer(), notice)
    except Exception:
        logger.exception("a notice was not mailed", message_id=record.message_id)
        raise
    logger.info("looked after a notice", notice_id=notice["detail"]["id"], kind=notice["detail-type"], sent=sent)


@cache
def _mailer() -> SesMailer:
    names = ("SENDER_ADDRESS", "USER_POOL_ID", "MAILS_TABLE_NAME")
    rate, sharers = (int(text_of(os.environ, name)) for name in ("MAILS_PER_SECOND", "MAIL_CONCURRENCY"))
    return SesMailer(*(text_of(os.environ, name) for name in names), mails_per_second=rate / sharers)
