"""How requests are sent to DynamoDB: how long one may take, which is sent once more, and when none is sent any more.

The SDK's time-outs hold for one request. What bounds a whole call, whatever loops it runs in and however deep, is that
no request is sent when it is too late for its answer: the limit is a variable of the invocation, asked before each
request, and where nothing is late that is all it costs.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.store.errors import ContentionError, OutcomeUnknownError, is_no_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONNECT_TIMEOUT_S = 0.5
"""TCP itself sends a lost SYN again after a second; to try anew is sooner."""
READ_TIMEOUT_S = 1.5
"""DynamoDB answers in some 10 ms, 1 MB of history in some hundred."""
LONGEST_REQUEST_S = CONNECT_TIMEOUT_S + READ_TIMEOUT_S
CONNECTIONS = 50
SERVER_ERROR = 500


@dataclass(slots=True)
class _Limit:
    """Monotonic seconds by which the last request is sent: at all, and where one has not been answered."""

    last: float = math.inf
    last_after_silence: float = math.inf
    outer: _Limit | None = None

    def silence(self) -> None:
        self.last = min(self.last, self.last_after_silence)
        if self.outer:
            self.outer.silence()


_limit: ContextVar[_Limit | None] = ContextVar("limit", default=None)


@contextmanager
def sending_until(last: float = math.inf, *, after_silence: float = math.inf) -> Iterator[None]:
    """Send no request later than ``last`` (monotonic), nor than ``after_silence`` once one has not been answered.

    The last one may take `LONGEST_REQUEST_S`. One that is not sent is a ContentionError. Inside of another limit,
    both hold.
    """
    outer = _limit.get()
    inner = _Limit(last, after_silence, outer)
    if outer:
        inner.last, inner.last_after_silence = min(last, outer.last), min(after_silence, outer.last_after_silence)
    before = _limit.set(inner)
    try:
        yield
    finally:
        _limit.reset(before)


def is_too_late() -> bool:
    """Whether no request would be sent any more."""
    limit = _limit.get()
    return limit is not None and time.monotonic() > limit.last


def meta(name: str, region: str | None, endpoint_url: str | None) -> type:
    """What pynamodb is told of a table and its client. The SDK tries nothing again by itself: see `watch`."""
    return type(
        "Meta",
        (),
        {
            "table_name": name,
            "region": region,
            "host": endpoint_url,
            "connect_timeout_seconds": CONNECT_TIMEOUT_S,
            "read_timeout_seconds": READ_TIMEOUT_S,
            "max_retry_attempts": 0,
            "max_pool_connections": CONNECTIONS,
        },
    )


def watch(client: Any) -> None:  # noqa: ANN401 - botocore makes its clients as it runs
    """Have a client keep to the limit, and send a request once more that was not answered."""
    events = client.meta.events
    events.register_first("before-send.dynamodb", _refuse_when_late)
    events.register_first("before-parse.dynamodb", _accept_json_alone)
    events.register_first("needs-retry.dynamodb", _once_more)


def _refuse_when_late(**_: object) -> None:
    if is_too_late():
        raise ContentionError("it is too late to ask")


def _accept_json_alone(response_dict: dict[str, Any], **_: object) -> None:
    """DynamoDB answers with a JSON object. Of what a proxy or a balancer puts in its place, the status alone counts.

    botocore would take a page of HTML under status 200 for an empty answer: no such item, or written.
    """
    if not response_dict["body"].startswith(b"{"):
        if response_dict["status_code"] < 300:  # noqa: PLR2004
            raise OutcomeUnknownError("an answer that is no JSON object")
        response_dict["body"] = b"{}"


def _once_more(
    attempts: int, caught_exception: Exception | None, response: tuple[Any, Mapping[str, Any]] | None, **_: object
) -> int | None:
    """Seconds after which to send a request again, None where it is not to be.

    At once, and once: a function that was frozen finds its connection dead on its first request, and a storage node
    that fails is replaced in that time. Refusals (conflicts, throttling) are for the services, who read anew and wait:
    so a request that was sent twice has been unanswered once, and that is how `shared.store.errors` knows.
    """
    unanswered = is_no_answer(caught_exception) or (response and response[0].status_code >= SERVER_ERROR)
    if not unanswered:
        return None
    if limit := _limit.get():
        limit.silence()
    return 0 if attempts == 1 and not is_too_late() else None
