"""The event files, and variations of them: what a test says is what differs from the file."""

import base64
import copy
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.clock import SystemClock
from tests.signatures import signed_headers

FOLDER = Path(__file__).parent.parent / "events"
PAYMENT_SECRET = "whsec_" + base64.b64encode(b"known to the tests alone").decode()
CLIENT = {"client_id": "3n4b5urk1ft4fl3mg5e62EXAMPLE", "token_use": "access"}

NO_TOKEN: dict[str, str] = {}
SERVICE = CLIENT | {"scope": "connects/service"}
STAFF = CLIENT | {"scope": "connects/staff"}


def user(name: str, agencies: object = None) -> dict[str, Any]:
    """The claims of an end user's access token; an HTTP API writes a list as `[a b]`."""
    claims = {"username": name, "scope": "aws.cognito.signin.user.admin", "token_use": "access"}
    return claims | ({"cognito:groups": agencies} if agencies is not None else {})


def event(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def http(
    name: str,
    *,
    claims: dict[str, Any] | None = None,
    path: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str | None] | None = None,
    key: str | None = None,
    body: Any = None,
    raw: str | bytes | None = None,
) -> dict[str, Any]:
    """The event of the file `name`, with these things changed in every place where they stand.

    Args:
        name: The file, without `.json`.
        claims: Of the caller's token; `NO_TOKEN` for a request that met no authorizer.
        path: Path parameters by name.
        query: In place of the file's query string.
        headers: Over the file's; None takes one away.
        key: The idempotency key.
        body: In place of the file's, as JSON.
        raw: In place of the file's, as it is; bytes are sent as the gateway sends them, in base64.
    """
    changed = copy.deepcopy(event(name))
    if claims is not None:
        changed["requestContext"].pop("authorizer", None)
        if claims:
            changed["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    if path:
        _fill_in_path(changed, path)
    if query is not None:
        changed["rawQueryString"] = "&".join(f"{field}={value}" for field, value in query.items())
        changed["queryStringParameters"] = query
    for header, value in {**({"idempotency-key": key} if key else {}), **(headers or {})}.items():
        changed["headers"].pop(header, None)
        if value is not None:
            changed["headers"][header] = value
    if body is not None:
        changed["body"] = json.dumps(body)
    if raw is not None:
        changed["isBase64Encoded"] = isinstance(raw, bytes)
        changed["body"] = base64.b64encode(raw).decode() if isinstance(raw, bytes) else raw
    return changed


def signed(
    sent: dict[str, Any], *, secret: str = PAYMENT_SECRET, at: datetime | None = None, message: str = "evt_1"
) -> dict[str, Any]:
    """As the payment provider signs what it sends, now where no instant is named."""
    body = sent.get("body") or ""
    content = base64.b64decode(body) if sent["isBase64Encoded"] else body.encode()
    signed_at = int((at or SystemClock().now()).timestamp())
    return sent | {"headers": sent["headers"] | signed_headers(secret, message, signed_at, content)}


def _fill_in_path(changed: dict[str, Any], path: dict[str, str]) -> None:
    parameters = changed["pathParameters"] = changed["pathParameters"] | path
    method, _, pattern = changed["routeKey"].partition(" ")
    changed["rawPath"] = pattern.format_map(parameters)
    changed["requestContext"]["http"] |= {"method": method, "path": changed["rawPath"]}


def sqs(name: str, *bodies: str) -> dict[str, Any]:
    """A batch of these messages, `message-0` and so on, as the file `name` has one."""
    (record,) = event(name)["Records"]
    return {
        "Records": [record | {"messageId": f"message-{number}", "body": text} for number, text in enumerate(bodies)]
    }
