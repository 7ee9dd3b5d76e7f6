"""What is wrong with a request, in the words of HTTP and JSON: the place, and what is allowed there.

msgspec checks the request, and its messages name Python types; here they are translated.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Literal, get_args, get_origin

import msgspec
import msgspec.structs

from shared.ledger.errors import InvalidRequestError

JSON_TYPES = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
    "date": "a date like 2026-11-22",
    "datetime": "a time like 2026-11-22T10:00:00Z",
}
_COMPLAINT = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<inside>[^`]*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?P<how>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_TYPE = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")
_BOUND = re.compile(r"Expected `(?P<wanted>\w+)` (?P<length>of length )?(?P<which>>=|<=) (?P<bound>\d+)")
_PATTERN = re.compile(r"Expected `str` matching regex (?P<pattern>.*)", re.DOTALL)
_CHOICE = re.compile(r"Invalid enum value (?P<value>.*)", re.DOTALL)
_DAY_OR_TIME = re.compile(r"Invalid RFC3339 encoded (?P<wanted>\w+)|Expected `(?P<local>datetime)` with a timezone.*")


def check(value: Any, wanted: Any, where: str, *, strict: bool = True) -> Any:  # noqa: ANN401
    """The value as what is wanted. Where it is not ``strict``, a number may come as text.

    Raises:
        InvalidRequestError: names the first place that is wrong, like ``body.reference.job_id``.
    """
    try:
        return msgspec.convert(value, wanted, strict=strict)
    except msgspec.ValidationError as error:
        raise _refusal(where, str(error), wanted) from error


def _refusal(where: str, complaint: str, wanted: Any) -> InvalidRequestError:  # noqa: ANN401
    """Msgspec names the place at the end of its message, and a field that should or should not be there within it."""
    found = _COMPLAINT.fullmatch(complaint)
    what, inside = (found["what"], found["inside"] or "") if found else (complaint, "")
    if field := _FIELD.fullmatch(what):
        says = "is required" if field["how"] == "missing required" else "is not known"
        return InvalidRequestError(f"{where}{inside}.{field['name']}", says)
    return InvalidRequestError(where + inside, _in_words(what, wanted, inside))


def _in_words(what: str, wanted: Any, inside: str) -> str:  # noqa: ANN401
    if found := _TYPE.fullmatch(what):
        return f"must be {_json_types(found['wanted'])}, not {_json_types(found['got'])}"
    if found := _BOUND.fullmatch(what):
        side = "at least" if found["which"] == ">=" else "at most"
        bound = f"{found['bound']} characters" if found["length"] else found["bound"]
        return f"must be {_json_types(found['wanted'])} of {side} {bound}"
    if found := _PATTERN.fullmatch(what):
        return f"must match {found['pattern']}"
    if found := _CHOICE.fullmatch(what):
        return f"must be one of {', '.join(_choices(wanted, inside))}, not {found['value']}"
    if found := _DAY_OR_TIME.fullmatch(what):
        return f"must be {_json_types(found['wanted'] or found['local'])}"
    return what


def _json_types(named: str) -> str:
    return " or ".join(JSON_TYPES.get(name, name) for name in named.split(" | "))


def _choices(wanted: Any, inside: str) -> list[str]:  # noqa: ANN401
    """The values that a place allows, found by the names on the way to it."""
    for name in re.findall(r"\w+", inside):
        struct = next(each for each in _parts(wanted) if isinstance(each, type) and issubclass(each, msgspec.Struct))
        wanted = next(field.type for field in msgspec.structs.fields(struct) if field.encode_name == name)
    return [
        str(value)
        for part in _parts(wanted)
        for value in (get_args(part) if get_origin(part) is Literal else part if _is_enum(part) else ())
    ]


def _parts(wanted: Any) -> list[Any]:  # noqa: ANN401
    """The types that an annotation consists of, without ``Annotated``: each of a union."""
    if get_origin(wanted) is Literal or isinstance(wanted, type):
        return [wanted]
    return [part for each in get_args(wanted) for part in _parts(each)]


def _is_enum(part: Any) -> bool:  # noqa: ANN401
    return isinstance(part, type) and issubclass(part, Enum)
