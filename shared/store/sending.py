"""How requests are sent to DynamoDB: how long one may take, which is sent a second time, and until when any is sent.

The SDK's time-outs hold for one request. A whole call, with all the requests that it makes, is bounded by a limit: once
it is too late for an answer, no request is sent. The limit is a context variable, read before each request.
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
"""TCP sends a lost SYN again only after a second; a new connection is sooner."""
READ_TIMEOUT_S = 1.5
"""DynamoDB answers in some 10 ms, 1 MB of history in some hundred."""
LONGEST_REQUEST_S = CONNECT_TIMEOUT_S + READ_TIMEOUT_S
CONNECTIONS = 50
SERVER_ERROR = 500


@dataclass(slots=True)
class _Limit:
    """Until when (monotonic seconds) requests are sent: at most, and once a request was not answered."""

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

    The last one may take `LONGEST_REQUEST_S`. Instead of one that is too late ContentionError is raised. Inside another
    limit, both hold.
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
    """The settings of pynamodb for a table and its client. The SDK's own retries are off: see `watch`."""
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
    """Make a client keep to the limit, and send a request a second time if it was not answered."""
    events = client.meta.events
    events.register_first("before-send.dynamodb", _refuse_when_late)
    events.register_first("before-parse.dynamodb", _accept_json_alone)
    events.register_first("needs-retry.dynamodb", _once_more)


def _refuse_when_late(**_: object) -> None:
    if is_too_late():
        raise ContentionError("it is too late to ask")


def _accept_json_alone(response_dict: dict[str, Any], **_: object) -> None:
    """DynamoDB answers with a JSON object. Of anything else, which a proxy or a balancer sent, the status alone counts.

    botocore would take a page of HTML under status 200 for an empty answer: no such item, or written.
    """
    if not response_dict["body"].startswith(b"{"):
        if response_dict["status_code"] < 300:  # noqa: PLR2004
            raise OutcomeUnknownError("an answer that is no JSON object")
        response_dict["body"] = b"{}"


def _once_more(
    attempts: int, caught_exception: Exception | None, response: tuple[Any, Mapping[str, Any]] | None, **_: object
) -> int | None:
    """Seconds after which to send a request again; None for not again.

    At once, and only once: a function that was frozen finds its connection dead at its first request, and a storage
    node that fails is replaced in that time. Refusals (conflicts, throttling) are left to the services, which read anew
    and wait. So a request that was sent twice was not answered the first time: `shared.store.errors` relies on that.
    """
    unanswered = is_no_answer(caught_exception) or (response and response[0].status_code >= SERVER_ERROR)
    if not unanswered:
        return None
    if limit := _limit.get():
        limit.silence()
    return 0 if attempts == 1 and not is_too_late() else None
