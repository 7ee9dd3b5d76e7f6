"""What a route takes of a request, as its signature says. It is read and checked before the route runs.

A route's parameter is a segment of the path, where the path has its name; a `Query`; or a `Body`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import NODEFAULT, Meta

from shared.http.validation import check
from shared.ledger.errors import InvalidRequestError, LedgerError
from shared.ledger.model import Request
from shared.ledger.policy import MAX_AMOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

MAX_BODY_BYTES = 10 * 1024
MAX_SIGNED_BODY_BYTES = 256 * 1024
"""Of a payment provider's event, which may have a whole object in it: refused, it would be sent again for days."""
A_MILLISECOND = timedelta(milliseconds=1)
JSON = "application/json"

# `\Z` and not `$`, which Python also finds before a newline at the end.
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
ProviderId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,255}\Z")]
"""An id of the payment provider's; Stripe's have up to 255 characters."""
PromoCode = Annotated[str, Meta(pattern=r"^\s*[A-Za-z0-9_-]{1,64}\s*\Z")]
"""As people type it; ``normalised_code`` makes the stored code of it."""
Amount = Annotated[int, Meta(ge=1, le=MAX_AMOUNT)]
Instant = Annotated[datetime, Meta(tz=True)]


class Query(msgspec.Struct):
    """The parameters of a query string. Those that are not known are ignored."""


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON body: fields that are not known are refused."""

    beyond_fields: ClassVar[dict[str, Any]] = {}
    """JSON Schema for the document, of the whole body beyond its fields."""

    def asked(self) -> dict[str, Any]:
        """The fields, without those that have their default.

        So a field that a later release adds does not change the fingerprint of a request that does not use it.
        """
        fields, defaults = self.__struct_fields__, self.__struct_defaults__
        usual = dict(zip(reversed(fields), reversed(defaults), strict=False))
        said = {name: getattr(self, name) for name in fields}
        asked = {name: value.asked() if isinstance(value, Body) else value for name, value in said.items()}
        return {name: value for name, value in asked.items() if value not in (usual.get(name, NODEFAULT), {})}


class IdempotencyKeyMissingError(LedgerError):
    code = "idempotency_key_missing"

    def __init__(self) -> None:
        super().__init__("The header Idempotency-Key is required.")


def read(
    event: APIGatewayProxyEventV2, takes: Mapping[str, Any], segments: Mapping[str, str], most: int = MAX_BODY_BYTES
) -> dict[str, Any]:
    """What a route takes of the path, the query and the body, checked.

    Args:
        event: The request.
        takes: The types of the route's parameters, by name.
        segments: Those of the path, by name.
        most: The bytes that a body may have.

    Raises:
        InvalidRequestError: names the first place that is wrong, like ``body.reference.job_id``.
    """
    taken: dict[str, Any] = {}
    for name, wanted in takes.items():
        if name in segments:
            taken[name] = check(segments[name], wanted, f"path.{name}")
        elif issubclass(wanted, Query):
            taken[name] = check(event.query_string_parameters, wanted, "query", strict=False)  # numbers come as text
        elif issubclass(wanted, Body):
            taken[name] = check(json_of(event, most), wanted, "body")
    return taken


def request_of(
    event: APIGatewayProxyEventV2, operation: str, segments: Mapping[str, str], body: Body, actor: str
) -> Request:
    """The idempotency key of a request, and a fingerprint of all that it asks for.

    Keys are stored by account, so the fingerprint does without the account.

    Raises:
        IdempotencyKeyMissingError, InvalidRequestError
    """
    key = event.headers.get("Idempotency-Key")
    if not key:
        raise IdempotencyKeyMissingError
    if len(key) > 128 or not all("!" <= character <= "~" for character in key):  # noqa: PLR2004
        raise InvalidRequestError("header.Idempotency-Key", "must be 1 to 128 visible ASCII characters")
    path = {name: text for name, text in segments.items() if name != "account_id"}
    asked = json.dumps(msgspec.to_builtins([body.asked(), path]), sort_keys=True)
    return Request(operation, key, hashlib.sha256(asked.encode()).hexdigest()[:32], actor)


def raw_body(event: APIGatewayProxyEventV2) -> bytes:
    """The body as it was sent.

    Raises:
        ValueError: it is not valid base64, or not valid Unicode; the gateway sends neither.
    """
    body = event.body or ""
    return base64.b64decode(body, validate=True) if event.is_base64_encoded else body.encode()


def json_of(event: APIGatewayProxyEventV2, most: int) -> Any:  # noqa: ANN401
    """The body as it was sent. All of it is parsed before any field is checked: broken JSON is reported as such.

    Raises:
        InvalidRequestError
    """
    if not event.body:
        raise InvalidRequestError("body", "is required")
    try:
        text = raw_body(event)
        if len(text) > most:
            raise InvalidRequestError("body", f"is over {most} bytes")
        if event.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise InvalidRequestError("header.Content-Type", f"must be {JSON}")
        return _decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("body", f"is not JSON: {error}") from error


def _number(text: str) -> int | float:
    """A number with a point or an exponent, as an int if it is whole, as 1.0 and 1e2 are to JSON Schema's ``integer``.

    Decided by its digits: as a float, 0.99999999999999999 is 1.
    """
    number = float(text)
    with suppress(InvalidOperation):  # an exponent of a size that no float has
        if number.is_integer() and Decimal(text) == int(number):
            return int(number)
    return number


_decoder = msgspec.json.Decoder(float_hook=_number)


def next_millisecond(at: datetime) -> datetime:
    """``at``, rounded up to a whole millisecond: where a range of whole milliseconds begins or ends."""
    rest = timedelta(microseconds=at.microsecond % 1000)
    return at - rest + A_MILLISECOND if rest else at
