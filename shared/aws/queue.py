"""Sending work to an SQS queue."""

from __future__ import annotations

from functools import cache, cached_property
from itertools import islice
from typing import TYPE_CHECKING, Literal

from shared.aws.wiring import wiring
from shared.config import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botocore.config import _RetryDict
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

COUNTS: tuple[Literal["ApproximateNumberOfMessages"], Literal["ApproximateNumberOfMessagesNotVisible"]] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
)
BATCH = 10
"""As many messages as one SendMessageBatch takes."""
RETRIES: _RetryDict = {"mode": "standard", "total_max_attempts": 2}
"""A connection may have died while the function was frozen; the second attempt opens another."""


class SendError(Exception):
    """SQS did not take every message. The next run finds what is left."""


class SqsQueue:
    def __init__(self, url: str) -> None:
        self._url = url

    @cached_property
    def _client(self) -> SQSClient:
        """Made at the first send, because it loads boto3, and most invocations send nothing."""
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        return boto3.client("sqs", config=Config(connect_timeout=1, read_timeout=2, retries=RETRIES))

    def send(self, bodies: Iterable[str]) -> None:
        waiting = iter(bodies)
        while batch := list(islice(waiting, BATCH)):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)
            ]
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            if failed := answer.get("Failed"):
                raise SendError(f"{len(failed)} of {len(batch)} messages: {failed[0]}")

    def waiting(self) -> int:
        """About how many messages it holds, those in flight included. Exact once nothing was sent for a minute."""
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[*COUNTS])
        return sum(int(answer["Attributes"][name]) for name in COUNTS)


def due_queue() -> SqsQueue:
    """The queue of this function's work.

    Raises:
        ConfigurationError: it has none.
    """
    url = wiring().settings.due_queue_url
    if not url:
        raise ConfigurationError("DUE_QUEUE_URL is not set")
    return _queue(url)


@cache
def _queue(url: str) -> SqsQueue:
    """One for all invocations, so that its connection stays open between them."""
    return SqsQueue(url)
