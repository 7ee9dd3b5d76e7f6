"""Makes the document from the functions' routes: their signatures, and what each `Operation` states."""

from __future__ import annotations

import importlib
import json
import tomllib
from collections import Counter, defaultdict
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec

from shared.http.api import Router
from shared.http.callers import SCOPES
from shared.http.operations import Operation
from shared.http.problems import PROBLEM_JSON, STATUS
from shared.http.requests import JSON, Body, Query
from shared.openapi import answers
from shared.openapi.answers import SCHEMAS
from shared.sandbox.payments import Behaviour

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
FILE = ROOT / "functions" / "openapi.json"
TOKENS = "Tokens"
ANSWERS = ""
"""The key of the answers' schemas, where others have their function's folder: answers are not renamed."""

DESCRIPTION = """\
An exactly-once ledger of prepaid credits ("Connects") that expire.

Who calls is told by a JWT. An end user acts for the account that its token names and for its agencies; a call that
asks for no scope is for these, and for services and staff, who may act for any account. A call with scopes asks for
one of them. The payment provider alone has no token: it signs what it sends, by the Standard Webhooks scheme.

Every POST that can change a balance needs an `Idempotency-Key`. A repeat is answered with the first status and body and
`Idempotent-Replayed: true`, for ever. A refusal changes nothing and does not use the key up, but for a `busy` whose
`detail` says that it may have happened: sent again, it happens once. Refusals are RFC 9457 problem details with a
stable `code`. What the API gateway itself refuses (no valid token, a missing scope, too many requests) has only a
`message`.

Times are ISO 8601 in UTC, dates `YYYY-MM-DD`, Connects whole numbers, money whole cents.\
"""

# A path with a character that no id has matches no route, so calls with ids in their path answer `not_found`.
EVERY_CALL_REFUSES = ("invalid_request", "internal_error", "busy")
CALLS_WITH_A_TOKEN_REFUSE = ("forbidden",)
SIGNED_CALLS_REFUSE = ("signature_invalid",)
KEYED_CALLS_REFUSE = ("idempotency_key_missing", "idempotency_key_reused")
GATEWAY_REFUSES = {429: "Too many requests"}
GATEWAY_REFUSES_TOKENS = {401: "No valid token", 403: "A scope is missing"}

NUMBERS = {
    "insufficient_connects": ("balance", "required"),
    "price_changed": ("price",),
    "bid_too_low": ("required",),
    "reward_cap_reached": ("cap", "awarded"),
}
"""The numbers that these problems have beside the fields of every problem."""

SIGNATURE: dict[str, Json] = {
    "webhook-id": {
        "description": "Of the message, the same at each attempt to deliver it.",
        "required": True,
        "schema": {"type": "string"},
    },
    "webhook-timestamp": {
        "description": "When it was signed, in seconds since 1970; it is good for 5 minutes.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "webhook-signature": {
        "description": "`v1,` and the base64 of an HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`; several "
        "are separated by spaces, and one has to be right.",
        "required": True,
        "schema": {"type": "string"},
    },
}
HEADERS_SENT: dict[str, Json] = {
    "Idempotency-Key": {
        "description": "Makes a repeat of this request known as one. It counts for one account and operation.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    },
    **SIGNATURE,
    "X-Sandbox-Payment": {
        "description": "Where Stage is sandbox: what the payment provider there does with this charge.",
        "schema": {"type": "string", "enum": [behaviour.value for behaviour in Behaviour]},
    },
}

HEADERS_ANSWERED: dict[str, Json] = {
    "X-Request-Id": {"description": "Names this request in the logs.", "required": True, "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "This was answered before, under the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "X-Next-Cursor": {
        "description": "With text/csv: there is more than one answer takes, and this is the `cursor` for it.",
        "schema": {"type": "string"},
    },
    "Vary": {
        "description": "The form depends on `Accept`, weighed as RFC 9110 says; where it allows none, JSON comes.",
        "required": True,
        "schema": {"type": "string"},
    },
}


class UndocumentedError(Exception):
    """A route that cannot be documented; the message says why."""


def generate() -> Json:
    """The whole document.

    Raises:
        UndocumentedError
    """
    apps = _apps()
    found = {folder: _described(app) for folder, app in apps.items()}
    found[ANSWERS] = {"schemas": _answer_schemas() | _problem_schemas()}
    _tell_apart(found)
    paths: dict[str, Json] = defaultdict(dict)
    refused: Json = {}
    for folder, app in apps.items():
        for operation in app.operations:
            described = _operation(operation, found[folder]["takes"][operation.call], refused)
            paths[operation.path][operation.method.lower()] = {"tags": [folder], **described}
    schemas: Json = {name: schema for one in found.values() for name, schema in one["schemas"].items()}
    _check_unique(paths)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Connects Ledger", "version": project["version"], "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {
            "securitySchemes": {TOKENS: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "parameters": {name: {"name": name, "in": "header", **about} for name, about in HEADERS_SENT.items()},
            "headers": HEADERS_ANSWERED,
            "responses": {name: refused[name] for name in sorted(refused)},
            "schemas": {name: schemas[name] for name in sorted(_reachable([paths, refused], schemas))},
        },
    }


def text_of(document: Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


# --- What the routes take -------------------------------------------------------------------------------------


def _apps() -> dict[str, Router]:
    """By the function's folder. One that has no router is not called over HTTP."""
    folders = sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))
    found = {folder: getattr(importlib.import_module(f"functions.{folder}.app"), "app", None) for folder in folders}
    return {folder: app for folder, app in found.items() if isinstance(app, Router)}


def _described(app: Router) -> Json:
    taken = [wanted for operation in app.operations for wanted in operation.takes.values()]
    schemas = _schemas([wanted for wanted in taken if isinstance(wanted, type) and issubclass(wanted, Body | Query)])
    return {"takes": {operation.call: _taken(operation, schemas) for operation in app.operations}, "schemas": schemas}


def _taken(operation: Operation, schemas: Json) -> Json:
    parameters: list[Json] = []
    body: Json = {}
    for name, wanted in operation.takes.items():
        if f"{{{name}}}" in operation.path:
            known = _tidy(msgspec.json.schema(wanted))
            parameters.append({"name": name, "in": "path", "required": True, "schema": known})
        elif issubclass(wanted, Query):
            parameters += [_query(*field) for field in schemas[wanted.__name__]["properties"].items()]
        elif issubclass(wanted, Body):
            content = {JSON: {"schema": {"$ref": SCHEMAS + wanted.__name__}}}
            body = {"requestBody": {"content": content, "required": True}}
    return {"parameters": parameters, **body}


def _query(name: str, known: Json) -> Json:
    """A parameter of the query string; none is required."""
    description = {"description": known["description"]} if "description" in known else {}
    schema = {key: value for key, value in known.items() if key != "description"}
    return {"name": name, "in": "query", "required": False, **description, "schema": schema}


def _tell_apart(found: dict[str, Json]) -> None:
    """Put the function's name before the names of schemas that differ between functions: ``SpendReference``."""
    meanings: dict[str, set[str]] = defaultdict(set)
    for one in found.values():
        for name, schema in one["schemas"].items():
            meanings[name].add(json.dumps(schema, sort_keys=True))
    ambiguous = {name for name, of in meanings.items() if len(of) > 1}
    for folder, one in found.items():
        own = _camel(folder)
        renamed = json.dumps(one)
        for name in ambiguous & one["schemas"].keys():
            renamed = renamed.replace(f'"{SCHEMAS}{name}"', f'"{SCHEMAS}{own}{name}"')
        found[folder] = json.loads(renamed)
        schemas = found[folder]["schemas"]
        for name in ambiguous & schemas.keys():
            schemas[f"{own}{name}"] = schemas.pop(name)


# --- What the routes state ------------------------------------------------------------------------------------


def _operation(operation: Operation, taken: Json, refused: Json) -> Json:
    headers = [
        *(["Idempotency-Key"] if operation.keyed_as else []),
        *(SIGNATURE if operation.who == "provider" else []),
        *operation.headers,
    ]
    references = [{"$ref": f"#/components/parameters/{name}"} for name in headers]
    return {
        "operationId": operation.operation_id,
        "summary": operation.summary,
        "security": _security(operation),
        **taken,
        "parameters": [*taken["parameters"], *references],
        "responses": _responses(operation, refused),
    }


def _security(operation: Operation) -> list[Json]:
    if operation.who == "provider":
        return []
    return [{TOKENS: [scope]} for scope in SCOPES[operation.who]] or [{TOKENS: []}]


def _responses(operation: Operation, refused: Json) -> Json:
    """By status. Refusals are described once for all calls, in ``refused``, by their names."""
    responses = {status: _success(status, of, operation) for status, of in operation.answers.items()}
    signs = operation.who == "provider"
    by_gateway = GATEWAY_REFUSES | ({} if signs else GATEWAY_REFUSES_TOKENS)
    codes = [
        *EVERY_CALL_REFUSES,
        *(SIGNED_CALLS_REFUSE if signs else CALLS_WITH_A_TOKEN_REFUSE),
        *(["not_found"] if "{" in operation.path else []),
        *operation.refuses,
        *(KEYED_CALLS_REFUSE if operation.keyed_as else ()),
    ]
    if unknown := set(codes) - STATUS.keys():
        raise UndocumentedError(f"{operation.call}: {unknown} have no status")
    for status in {STATUS[code] for code in codes} | by_gateway.keys():
        own = [code for code in codes if STATUS[code] == status]
        name = "Or".join(map(_camel, own)) or _camel(HTTPStatus(status).name)
        refused[name] = _refusal(own, by_gateway.get(status))
        responses[status] = {"$ref": f"#/components/responses/{name}"}
    return {str(status): responses[status] for status in sorted(responses)}


def _success(status: int, of: str, operation: Operation) -> Json:
    content: Json = {}
    for name in of.split(" | "):
        if "/" in name:
            content[name] = {"schema": {"type": "string"}}
        elif isinstance(getattr(answers, name, None), type):
            content[JSON] = {"schema": {"$ref": SCHEMAS + name}}
        else:
            raise UndocumentedError(f"{operation.call}: shared.openapi.answers has no {name}")
    headers = ["X-Request-Id", *(["Idempotent-Replayed"] if operation.keyed_as else [])]
    headers += ["X-Next-Cursor", "Vary"] if "text/csv" in content else []
    return {"description": HTTPStatus(status).phrase, "headers": _headers(*headers), "content": content}


def _refusal(codes: list[str], by_gateway: str | None) -> Json:
    parts, content = [f"`{code}`" for code in codes], {}
    if codes:
        refs = [{"$ref": SCHEMAS + _problem_name(code)} for code in codes]
        content[PROBLEM_JSON] = {"schema": refs[0] if len(refs) == 1 else {"oneOf": refs}}
    if by_gateway:
        parts.append(f"by the gateway: {by_gateway}")
        content[JSON] = {"schema": {"$ref": f"{SCHEMAS}Gateway"}}
    headers = ["X-Request-Id"] if not by_gateway else []  # answers of the gateway itself lack it
    headers += ["Retry-After"] if "busy" in codes else []
    return {"description": ", ".join(parts), **({"headers": _headers(*headers)} if headers else {}), "content": content}


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


# --- Schemas --------------------------------------------------------------------------------------------------


def _schemas(models: list[type[msgspec.Struct]]) -> Json:
    """Of these and of all that is in them, by name."""
    _, made = msgspec.json.schema_components(models, ref_template=SCHEMAS + "{name}")
    for model in models:
        made[model.__name__] |= getattr(model, "beyond_fields", {})
    tidied: Json = _tidy(made)
    return tidied


def _tidy(node: Any) -> Any:  # noqa: ANN401 - any JSON
    """Without empty keywords; with the type of enums, which msgspec leaves out, and `$` for the end of text."""
    match node:
        case {"enum": [str(), *_]} if "type" not in node:
            return _tidy({"type": "string", **node})
        case dict():
            return {key: _tidy(value) for key, value in node.items() if not _says_nothing(key, value)}
        case list():
            return [_tidy(value) for value in node]
        case str():
            return node.replace(r"\Z", "$")
    return node


def _says_nothing(key: str, value: Any) -> bool:  # noqa: ANN401 - any JSON
    return (key, value) in [("default", None), ("required", [])] or (key == "title" and isinstance(value, str))


def _answer_schemas() -> Json:
    found = [model for model in vars(answers).values() if isinstance(model, type) and issubclass(model, msgspec.Struct)]
    return _schemas([model for model in found if model.__module__ == answers.__name__])


def _problem_schemas() -> Json:
    return {_problem_name(code): _problem_schema(code, status) for code, status in STATUS.items()}


def _problem_name(code: str) -> str:
    return f"{_camel(code)}Problem"


def _camel(name: str) -> str:
    return name.replace("_", " ").title().replace(" ", "")


def _problem_schema(code: str, status: int) -> Json:
    properties: Json = {
        "type": {"const": f"urn:connects-ledger:problem:{code}"},
        "title": {"const": HTTPStatus(status).phrase},
        "status": {"const": status},
        "detail": {"type": "string"},
        "code": {"const": code},
        **{name: {"type": "integer"} for name in NUMBERS.get(code, ())},
    }
    if code == "payment_declined":
        properties["purchase_id"] = {"type": "string"}
    if code == "invalid_request":
        properties["errors"] = {"type": "array", "minItems": 1, "items": {"$ref": f"{SCHEMAS}InvalidField"}}
    required = list(properties)
    if code == "busy":  # with a purchase that may have been begun
        properties["purchase_id"] = {"type": "string"}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _reachable(used: list[Json], schemas: Json) -> set[str]:
    found: set[str] = set()
    waiting = _named_in(used)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= _named_in(schemas[name]) - found
    return found


def _named_in(node: Any) -> set[str]:  # noqa: ANN401 - any JSON
    match node:
        case {"$ref": str(ref)} if ref.startswith(SCHEMAS):
            return {ref.removeprefix(SCHEMAS)}
        case dict():
            return set().union(*map(_named_in, node.values()))
        case list():
            return set().union(*map(_named_in, node))
    return set()


def _check_unique(paths: dict[str, Json]) -> None:
    ids = Counter(operation["operationId"] for operations in paths.values() for operation in operations.values())
    if repeated := [operation_id for operation_id, count in ids.items() if count > 1]:
        raise UndocumentedError(f"operation ids stand for one call each: {repeated}")
