"""What the HTTP functions have in common: routing, reading a request, answering it.

A function's ``app.py`` makes an ``app = router()``, declares its routes on it, and ends with ``handler = serve(app)``.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit

from shared.aws.observability import count_refusal, flush_metrics, logger, metrics
from shared.aws.wiring import answering, warm_up, wiring
from shared.http.callers import Caller, caller_of
from shared.http.problems import problem, refusal
from shared.http.requests import JSON, read_request
from shared.ledger.errors import BusyError, InvalidRequestError, LedgerError
from shared.ledger.event_times import happened_at
from shared.ledger.model import Request
from shared.store.errors import ContentionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from shared.http.requests import Body


class IdempotencyKeyMissingError(LedgerError):
    code = "idempotency_key_missing"

    def __init__(self) -> None:
        super().__init__("The header Idempotency-Key is required.")


def router(*before: Callable[[APIGatewayHttpResolver, NextMiddleware], Response[str]]) -> APIGatewayHttpResolver:
    """A resolver that checks what comes in and answers every failure with problem+json.

    The middlewares ``before`` see a request before anything of it is read.
    """
    app = APIGatewayHttpResolver()
    app.use([*before, read_request])

    @app.exception_handler(LedgerError)
    def refused(error: LedgerError) -> Response[str]:
        logger.info("refused", code=error.code, detail=error.detail)
        count_refusal(error.code)
        return refusal(error)

    @app.exception_handler(ContentionError)
    def busy(error: ContentionError) -> Response[str]:
        """A read that was throttled or not answered; what writes tries again by itself."""
        logger.info("refused", code=BusyError.code, detail=str(error))
        count_refusal(BusyError.code)
        return refusal(BusyError())

    @app.exception_handler(Exception)
    def failed(_: Exception) -> Response[str]:
        logger.exception("the request failed")
        count_refusal("internal_error")
        return problem("internal_error", "Something went wrong here. It was logged.")

    @app.not_found
    def no_route(_: NotFoundError) -> Response[str]:
        return problem("not_found", "There is no such call.")

    return app


def serve(app: APIGatewayHttpResolver) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """The Lambda handler of a router."""
    warm_up()

    @logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        with answering(context):
            response = app.resolve(event, context)
        response["headers"]["X-Request-Id"] = event["requestContext"]["requestId"]
        flush_metrics()
        return response

    return handler


def caller(app: APIGatewayHttpResolver) -> Caller:
    return caller_of(app.current_event.raw_event, wiring().settings)


def header(app: APIGatewayHttpResolver, name: str) -> str | None:
    found: str | None = app.current_event.headers.get(name)
    return found


def request_of(app: APIGatewayHttpResolver, operation: str, body: Body, actor: str, **path: str) -> Request:
    """The idempotency key of a request, and a fingerprint of all that it asks for.

    Raises:
        IdempotencyKeyMissingError, InvalidRequestError
    """
    key = header(app, "Idempotency-Key")
    if not key:
        raise IdempotencyKeyMissingError
    if len(key) > 128 or not all("!" <= character <= "~" for character in key):  # noqa: PLR2004
        raise InvalidRequestError("header.Idempotency-Key", "must be 1 to 128 visible ASCII characters")
    asked = json.dumps(msgspec.to_builtins([body.asked(), path]), sort_keys=True)
    return Request(operation, key, hashlib.sha256(asked.encode()).hexdigest()[:32], actor)


def event_time(named: datetime | None, loc: str = "body.at") -> datetime:
    """When what a request tells of happened: as it names it, else now.

    Raises:
        InvalidRequestError: more than five minutes ahead.
    """
    return happened_at(named, wiring().ledger.clock.now(), loc)


def answer(body: dict[str, Any], status: int = 200, *, replayed: bool = False) -> Response[str]:
    headers: dict[str, str | list[str]] = {}
    if replayed:
        metrics.add_metric("Replays", MetricUnit.Count, 1)
        headers["Idempotent-Replayed"] = "true"
    return Response(status, JSON, json.dumps(body), headers)
