"""What a route takes of a request, as its signature says; read and checked before the route runs.

A route's parameter is a segment of the path, where the path has its name; a `Query`; or a `Body`.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta

from shared.http.validation import check
from shared.ledger.errors import InvalidRequestError
from shared.ledger.policy import MAX_AMOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

MAX_BODY_BYTES = 10 * 1024
A_MILLISECOND = timedelta(milliseconds=1)
JSON = "application/json"

# `\Z` and not `$`, which Python also finds before a newline at the end.
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
PromoCode = Annotated[str, Meta(pattern=r"^\s*[A-Za-z0-9_-]{1,64}\s*\Z")]
"""As people write it: ``normalised_code`` makes the code of it."""
Amount = Annotated[int, Meta(ge=1, le=MAX_AMOUNT)]
Instant = Annotated[datetime, Meta(tz=True)]


class Query(msgspec.Struct):
    """The parameters of a query string. Those that are not known are ignored."""


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON body: fields that are not known are refused."""

    beyond_fields: ClassVar[dict[str, Any]] = {}
    """What the document says of the whole, as JSON Schema."""

    def asked(self) -> dict[str, Any]:
        """What it asks for, without what would be the same if it were left out.

        So a field that a later release adds does not make another request of this one.
        """
        fields, defaults = self.__struct_fields__, self.__struct_defaults__
        usual = dict(zip(reversed(fields), reversed(defaults), strict=False))
        said = {name: getattr(self, name) for name in fields}
        told = {name: value.asked() if isinstance(value, Body) else value for name, value in said.items()}
        return {name: value for name, value in told.items() if value not in (usual.get(name, NODEFAULT), {})}


@cache
def taken_by(route: Callable[..., Any]) -> dict[str, Any]:
    """The types of a route's parameters, by name."""
    return {name: wanted for name, wanted in get_type_hints(route, include_extras=True).items() if name != "return"}


def read_request(app: APIGatewayHttpResolver, call: NextMiddleware) -> Response[str]:
    """The middleware that hands a route what it takes.

    Raises:
        InvalidRequestError: names the first place that is wrong, like ``body.reference.job_id``.
    """
    segments = app.context["_route_args"]
    app.context["_route_args"] = {
        name: _read(app.current_event, wanted, name, segments)
        for name, wanted in taken_by(app.context["_route"].func).items()
    }
    return call(app)


def _read(event: APIGatewayProxyEventV2, wanted: Any, name: str, segments: dict[str, str]) -> Any:  # noqa: ANN401
    if name in segments:
        return check(segments[name], wanted, f"path.{name}")
    if issubclass(wanted, Query):
        return check(event.query_string_parameters, wanted, "query", strict=False)  # numbers come as text
    return check(_json(event), wanted, "body")


def raw_body(event: APIGatewayProxyEventV2) -> bytes:
    """The body as it was sent.

    Raises:
        ValueError: the event is none of the gateway's.
    """
    body = event.body or ""
    return base64.b64decode(body, validate=True) if event.is_base64_encoded else body.encode()


def _json(event: APIGatewayProxyEventV2) -> Any:  # noqa: ANN401
    """The whole body is read before any of its fields is looked at: broken JSON is told as that."""
    if not event.body:
        raise InvalidRequestError("body", "is required")
    try:
        text = raw_body(event)
        if len(text) > MAX_BODY_BYTES:
            raise InvalidRequestError("body", f"is over {MAX_BODY_BYTES} bytes")
        if event.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise InvalidRequestError("header.Content-Type", f"must be {JSON}")
        return _decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("body", f"is not JSON: {error}") from error


def _number(text: str) -> int | float:
    """A number with a point or an exponent, whole where it is: 1.0 and 1e2 are, as JSON Schema's ``integer`` says.

    By its digits, not as a float, which takes 0.99999999999999999 for 1.
    """
    number = float(text)
    with suppress(InvalidOperation):  # an exponent of a size that no float has
        if number.is_integer() and Decimal(text) == int(number):
            return int(number)
    return number


_decoder = msgspec.json.Decoder(float_hook=_number)


def next_millisecond(at: datetime) -> datetime:
    """The first whole millisecond that is not before ``at``: what begins or ends a range of whole milliseconds."""
    rest = timedelta(microseconds=at.microsecond % 1000)
    return at - rest + A_MILLISECOND if rest else at
