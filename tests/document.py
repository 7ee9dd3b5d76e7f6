"""Holds answers against the API's document."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import functions

FILE = Path(functions.__path__[0]) / "openapi.json"


@cache
def document() -> dict[str, Any]:
    return json.loads(FILE.read_text())


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What a reference in the document stands for."""
    if "$ref" not in node:
        return node
    found = document()
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


@cache
def operation(call: str) -> dict[str, Any] | None:
    """That of a call like ``GET /accounts/ann``."""
    method, _, path = call.partition(" ")
    for pattern, operations in document()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path) and method.lower() in operations:
            return operations[method.lower()]
    return None


def problems_with(call: str, status: int, headers: Mapping[str, str], text: str) -> list[str]:
    """What the document does not say of this answer."""
    described = operation(call)
    if described is None:
        return [] if status in {401, 404} else [f"{call} is answered, and is not in the document"]
    if str(status) not in described["responses"]:
        return [f"{call} may not answer {status}"]
    response = resolved(described["responses"][str(status)])
    names = {name.lower() for name in headers}
    needed = {name for name, header in response.get("headers", {}).items() if resolved(header).get("required")}
    problems = [f"{call} {status} has no {name}" for name in sorted(needed) if name.lower() not in names]
    content_type = next(value for name, value in headers.items() if name.lower() == "content-type").partition(";")[0]
    if content_type not in response["content"]:
        return [*problems, f"{call} {status} may not be {content_type}"]
    if content_type.endswith("json"):
        found = _validator(call, str(status), content_type).iter_errors(json.loads(text))
        problems += [f"{call} {status}: {error.json_path}: {error.message}" for error in found]
    return problems


@cache
def _validator(call: str, status: str, content_type: str) -> Draft202012Validator:
    schema = resolved(operation(call)["responses"][status])["content"][content_type]["schema"]
    return Draft202012Validator(
        {**schema, "components": document()["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def check_answer(call: str, status: int, headers: Mapping[str, str], text: str) -> None:
    problems = problems_with(call, status, headers, text)
    assert not problems, "\n".join(["functions/openapi.json says otherwise:", *problems])
