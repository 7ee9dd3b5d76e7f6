"""The API gateway as a WSGI application: finds the call in the document, checks the token, invokes the function."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from tests.document import document, operation
from tests.functions.api import Api
from tests.functions.events import SERVICE, STAFF, event, user

CLAIMS = {"Bearer ann": user("ann", "[acme foo]"), "Bearer service": SERVICE, "Bearer staff": STAFF}

StartResponse = Callable[[str, list[tuple[str, str]]], object]


def gateway(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    status, headers, text = _answer(environ)
    start_response(f"{status} -", [(name, value) for name, value in headers.items()])
    return [text.encode()]


def _answer(environ: dict[str, Any]) -> tuple[int, dict[str, str], str]:
    method = environ["REQUEST_METHOD"]
    path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
    described = operation(f"{method} {path}")
    if described is None:
        return _own(404, "Not Found")
    claims = CLAIMS.get(environ.get("HTTP_AUTHORIZATION", ""))
    if claims is None:
        return _own(401, "Unauthorized")
    scopes = {scope for one_of in described["security"] for scope in one_of["Tokens"]}
    if scopes and not scopes & set(claims["scope"].split()):
        return _own(403, "Forbidden")
    answer = Api().invoke(described["tags"][0], _event(environ, method, path, claims))
    return answer["statusCode"], answer["headers"], answer["body"]


def _own(status: int, message: str) -> tuple[int, dict[str, str], str]:
    return status, {"Content-Type": "application/json"}, json.dumps({"message": message})


def _event(environ: dict[str, Any], method: str, path: str, claims: dict[str, Any]) -> dict[str, Any]:
    made = event("read_account")
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name == "CONTENT_TYPE" and value)
    }
    # A name that is there more than once comes as one, with commas; this is also what HTTP APIs do.
    query: dict[str, str] = {}
    for name, value in parse_qsl(environ["QUERY_STRING"], keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    pattern = next(each for each in document()["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), path))
    made |= {
        "routeKey": f"{method} {pattern}",
        "rawPath": path,
        "rawQueryString": environ["QUERY_STRING"],
        "headers": headers,
        "body": base64.b64encode(sent).decode() or None,
        "isBase64Encoded": bool(sent),
    }
    made.pop("queryStringParameters", None)
    if query:
        made["queryStringParameters"] = query
    made["requestContext"] |= {"authorizer": {"jwt": {"claims": claims, "scopes": None}}}
    made["requestContext"]["http"] |= {"method": method, "path": path}
    return made
