"""What the HTTP functions have in common: routing, reading a request, answering it.

A function's ``app.py`` makes an ``app = router()``, declares its routes on it, and ends with ``handler = serve(app)``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from shared.edge.callers import Caller, caller_of
from shared.edge.observability import flush_metrics, logger, metrics
from shared.edge.problems import invalid, problem, refusal
from shared.edge.wiring import warm_up, wiring
from shared.ledger.campaign import normalised_code
from shared.ledger.errors import BusyError, InvalidRequestError, LedgerError
from shared.ledger.model import Request
from shared.ledger.policy import MAX_AMOUNT
from shared.store.errors import ContentionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

MAX_BODY_BYTES = 10 * 1024
JSON = "application/json"
ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"


def text_only(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text in ISO 8601")  # noqa: TRY004 - pydantic turns ValueError into a refusal
    return value


Id = Annotated[str, Field(pattern=ID_PATTERN)]
PathId = Annotated[str, Path(pattern=ID_PATTERN)]
PROMO_CODE_SCHEMA = {"pattern": r"^\s*[A-Za-z0-9_-]{1,64}\s*$"}
PromoCode = Annotated[str, AfterValidator(normalised_code), Field(json_schema_extra=PROMO_CODE_SCHEMA)]
Amount = Annotated[int, Field(strict=True, ge=1, le=MAX_AMOUNT)]
Instant = Annotated[AwareDatetime, BeforeValidator(text_only)]


class Body(BaseModel):
    """A request's JSON body: fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class IdempotencyKeyMissingError(LedgerError):
    code = "idempotency_key_missing"

    def __init__(self) -> None:
        super().__init__("The header Idempotency-Key is required.")


def router() -> APIGatewayHttpResolver:
    """A resolver that validates what comes in and answers every failure with problem+json."""
    app = APIGatewayHttpResolver(enable_validation=True)

    @app.exception_handler(LedgerError)
    def refused(error: LedgerError) -> Response[str]:
        logger.info("refused", code=error.code, detail=error.detail)
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        return refusal(error)

    @app.exception_handler(ContentionError)
    def busy(_: ContentionError) -> Response[str]:
        """A read that was throttled or not answered; what writes tries again by itself."""
        logger.info("refused", code=BusyError.code)
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        return refusal(BusyError())

    @app.exception_handler(RequestValidationError)
    def invalid_request(error: RequestValidationError) -> Response[str]:
        errors = [{"loc": ".".join(map(str, found["loc"])), "msg": found["msg"]} for found in error.errors()]
        logger.info("refused", code="invalid_request", errors=errors)
        return invalid(errors)

    @app.exception_handler(Exception)
    def failed(_: Exception) -> Response[str]:
        logger.exception("the request failed")
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
        try:
            _check_body(event)
            response = app.resolve(event, context)
        except InvalidRequestError as error:
            refused = refusal(error)
            response = {
                "statusCode": refused.status_code,
                "headers": {"Content-Type": refused.content_type},
                "body": refused.body,
            }
        response["headers"]["X-Request-Id"] = event["requestContext"]["requestId"]
        flush_metrics()
        return response

    return handler


def caller(app: APIGatewayHttpResolver) -> Caller:
    return caller_of(app.current_event.raw_event, wiring().settings)


def header(app: APIGatewayHttpResolver, name: str) -> str | None:
    headers: dict[str, str] = app.current_event.headers
    return headers.get(name.lower()) or headers.get(name)


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
    # Without what was left out: a field that a later release adds does not make another request of this one.
    asked = json.dumps([body.model_dump(mode="json", exclude_defaults=True), path], sort_keys=True)
    return Request(operation, key, hashlib.sha256(asked.encode()).hexdigest()[:32], actor)


def answer(body: dict[str, Any], status: int = 200, *, replayed: bool = False) -> Response[str]:
    headers: dict[str, str | list[str]] = {}
    if replayed:
        metrics.add_metric("Replays", MetricUnit.Count, 1)
        headers["Idempotent-Replayed"] = "true"
    return Response(status, JSON, json.dumps(body), headers)


def _check_body(event: dict[str, Any]) -> None:
    """Before anything else looks at it: a body is JSON and small.

    It is parsed here once more than it has to be, because what the parser makes of digits without end and nesting
    without end is not what the resolver takes for broken JSON. The resolver also knows only one way to write the
    content type, and lower-case names of headers, as HTTP APIs send them and `sam local` does not.
    """
    headers = {name.lower(): value for name, value in event["headers"].items()}
    if body := event.get("body"):
        try:
            text = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
            if len(text) > MAX_BODY_BYTES:
                raise InvalidRequestError("body", f"is over {MAX_BODY_BYTES} bytes")
            if headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
                raise InvalidRequestError("header.Content-Type", f"must be {JSON}")
            json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidRequestError("body", f"is not JSON: {error}") from error
    event["headers"] = headers | {"content-type": JSON}
