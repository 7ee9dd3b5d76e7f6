"""What the HTTP functions have in common: routes, the checks before each, and answers.

A function's ``app.py`` makes an ``app = Router()``, declares its routes on it, and ends with ``handler = app.serve()``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit

from shared.aws.observability import count_refusal, flush_metrics, logger, metrics
from shared.aws.wiring import answering, deadline, warm_up, wiring
from shared.http.callers import Caller, caller_of
from shared.http.operations import Operation
from shared.http.problems import problem, refusal
from shared.http.requests import JSON, MAX_SIGNED_BODY_BYTES, Body, json_of, read, request_of
from shared.ledger.errors import BusyError, LedgerError
from shared.ledger.event_times import happened_at
from shared.ledger.model import Request
from shared.store.errors import ContentionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from shared.http.callers import Right
    from shared.http.operations import Route


class Router:
    """The routes of one function. None can be declared without saying who may call it."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._resolver = APIGatewayHttpResolver()
        _answer_failures(self._resolver)

    @property
    def lambda_context(self) -> LambdaContext:
        return self._resolver.lambda_context

    def route(
        self,
        call: str,
        operation_id: str,
        summary: str,
        *,
        who: Right,
        answers: Mapping[int, str],
        refuses: tuple[str, ...] = (),
        keyed_as: str | None = None,
        headers: tuple[str, ...] = (),
    ) -> Callable[[Route], Route]:
        """Declare a route: ``@app.route("POST /accounts", "open_account", "Open an account", who="service", ...)``.

        Its parameters are segments of the path, by their names, and by their types a `Query`, a `Body`, the `Caller`
        and, where it is keyed, the `Request`. Before it runs are checked, in this order: the payment provider's
        signature; path, query and body; the caller's right; the idempotency key.

        Args:
            call: Method and path, as the document and the gateway write them.
            operation_id: Unique in the whole API; clients that are generated name their methods after it.
            summary: One line.
            who: The least that a caller has to be. Services may do what an account itself may, and staff everything.
            answers: By status, the model of the body in `shared.openapi.answers`; ``"History | text/csv"`` where the
                caller has a choice.
            refuses: The codes of its refusals, without those of every call and those of every keyed call.
            keyed_as: The name under which the call's idempotency keys are stored, where it needs an
                ``Idempotency-Key``. It must never change.
            headers: Further headers that it reads.
        """

        def declare(route: Route) -> Route:
            operation = Operation(call, operation_id, summary, who, answers, refuses, keyed_as, headers, route)
            self.operations.append(operation)
            path = operation.path.replace("{", "<").replace("}", ">")
            self._resolver.route(path, operation.method)(lambda **segments: self._run(operation, segments))
            return route

        return declare

    def _run(self, operation: Operation, segments: dict[str, str]) -> Response[str]:
        event = self._resolver.current_event
        if operation.who == "provider":
            from shared.http.signatures import require_signature  # noqa: PLC0415 - loaded by the one function that needs it

            require_signature(event)
            return operation.route(**read(event, operation.takes, segments, MAX_SIGNED_BODY_BYTES))
        taken = read(event, operation.takes, segments)
        caller = caller_of(event.raw_event, wiring().settings)
        caller.require(operation.who, segments.get("account_id"))
        made: dict[type, Any] = {Caller: caller}
        if operation.keyed_as:
            body = next(each for each in taken.values() if isinstance(each, Body))
            made[Request] = request_of(event, operation.keyed_as, segments, body, caller.actor)
        taken |= {name: made[wanted] for name, wanted in operation.takes.items() if wanted in made}
        return operation.route(**taken)

    def header(self, name: str) -> str | None:
        found: str | None = self._resolver.current_event.headers.get(name)
        return found

    def json_body(self) -> Any:  # noqa: ANN401
        """The body of a payment provider's event as it was sent, with what its `Body` does not name."""
        return json_of(self._resolver.current_event, MAX_SIGNED_BODY_BYTES)

    def deadline(self) -> float:
        """When to give up the change that the call asks for, in monotonic seconds."""
        return deadline(self.lambda_context)

    def serve(self) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
        """The function's Lambda handler."""
        warm_up()

        @logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True)
        def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            with answering(context):
                response = self._resolver.resolve(event, context)
            response["headers"]["X-Request-Id"] = event["requestContext"]["requestId"]
            flush_metrics()
            return response

        return handler


def _answer_failures(resolver: APIGatewayHttpResolver) -> None:
    """Have every failure answered with problem+json."""

    @resolver.exception_handler(LedgerError)
    def refused(error: LedgerError) -> Response[str]:
        logger.info("refused", code=error.code, detail=error.detail)
        count_refusal(error.code)
        return refusal(error)

    @resolver.exception_handler(ContentionError)
    def busy(error: ContentionError) -> Response[str]:
        """A read that was throttled or not answered. Writes are retried by the ledger itself."""
        logger.info("refused", code=BusyError.code, detail=str(error))
        count_refusal(BusyError.code)
        return refusal(BusyError())

    @resolver.exception_handler(Exception)
    def failed(_: Exception) -> Response[str]:
        logger.exception("the request failed")
        count_refusal("internal_error")
        return problem("internal_error", "Something went wrong here. It was logged.")

    @resolver.not_found
    def no_route(_: NotFoundError) -> Response[str]:
        return problem("not_found", "There is no such call.")


def event_time(named: datetime | None, loc: str = "body.at") -> datetime:
    """When what a request reports happened: at the time that it names, else now.

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
