"""Stripe's own types, as its client ships them, to check what is sent to the twin and what it answers.

A request has to fit the `TypedDict` of its parameters, an answer the class of its object: no field that there is not,
none missing that is always there, and of each the type.
"""

import builtins
import sys
import typing
from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

import stripe
from stripe._request_options import RequestOptions
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import is_typeddict

OBJECTS: dict[str, Any] = {
    "payment_intent": stripe.PaymentIntent,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "dispute": stripe.Dispute,
    "balance_transaction": stripe.BalanceTransaction,
    "event": stripe.Event,
    "customer": stripe.Customer,
    "payment_method": stripe.PaymentMethod,
}
NOT_PARAMETERS = frozenset(RequestOptions.__annotations__)
"""What the client takes with the parameters and sends as headers."""


class _Names(dict[str, Any]):
    """What annotations name; what was imported for mypy alone is taken from the client, else it may be anything."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self._defined = vars(sys.modules[module])

    def __missing__(self, name: str) -> object:
        if name in self._defined or hasattr(builtins, name):
            raise KeyError(name)
        return getattr(typing, name, None) or getattr(stripe, name, Any)


@cache
def fields_of(of: type) -> dict[str, Any]:
    """The fields of a `TypedDict` or of an object's class, and their types."""
    hints = typing.get_type_hints(of, None, _Names(of.__module__))
    others = NOT_PARAMETERS if is_typeddict(of) else ()
    return {
        name: hint
        for name, hint in hints.items()
        if not name.startswith("_") and name not in others and get_origin(hint) is not ClassVar
    }


def may_be_null(hint: object) -> bool:
    return hint is Any or type(None) in get_args(hint)


def whole(values: dict[str, Any]) -> dict[str, Any]:
    """An object with all fields that its class has: as Stripe answers, null where nothing is said of it."""
    fields = fields_of(OBJECTS[values["object"]])
    return {name: None for name, hint in fields.items() if may_be_null(hint)} | values


def problems_of_answer(values: dict[str, Any]) -> list[str]:
    """What is wrong with an object, after the client has made its own of it."""
    of = OBJECTS[values["object"]]
    of.construct_from(values, "sk_test")
    return list(_object(values, of, values["object"]))


def problems_of_request(params: dict[str, Any], of: type) -> list[str]:
    """What is wrong with the parameters of a request, whose values are all texts."""
    return list(_typed_dict(params, of, ""))


def _typed_dict(values: object, of: type, at: str) -> Iterator[str]:
    if not isinstance(values, dict):
        yield f"{at} is no object"
        return
    fields, required = fields_of(of), of.__required_keys__  # type: ignore[attr-defined] # of every TypedDict
    for name, value in values.items():
        yield from _value(value, fields[name], _at(at, name), form=True) if name in fields else [_unknown(at, name)]
    yield from (f"{_at(at, name)} is missing" for name in required if name in fields and name not in values)


def _object(values: object, of: type, at: str) -> Iterator[str]:
    if not isinstance(values, dict):
        yield f"{at} is no object"
        return
    fields = fields_of(of)
    for name, value in values.items():
        yield from _value(value, fields[name], _at(at, name), form=False) if name in fields else [_unknown(at, name)]
    always = (name for name, hint in fields.items() if not may_be_null(hint))
    yield from (f"{_at(at, name)} is missing" for name in always if name not in values)


def _value(value: object, hint: object, at: str, *, form: bool) -> Iterator[str]:
    """What is wrong with a value; of a union's the best fit counts."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        yield from min((list(_value(value, each, at, form=form)) for each in args), key=len)
    elif origin is Literal:
        yield from [] if value in args else [f"{at} is {value!r}"]
    elif origin is list:
        yield from _list(value, args[0], at, form=form)
    elif origin in (dict, UntypedStripeObject, stripe.ListObject):
        yield from [] if isinstance(value, dict) else [f"{at} is no object"]
    elif isinstance(hint, type):
        yield from _plain(value, hint, at, form=form)


def _list(value: object, of: object, at: str, *, form: bool) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{at} is no list"
        return
    for number, each in enumerate(value):
        yield from _value(each, of, f"{at}[{number}]", form=form)


def _plain(value: object, hint: type, at: str, *, form: bool) -> Iterator[str]:
    if is_typeddict(hint):
        yield from _typed_dict(value, hint, at)
    elif issubclass(hint, stripe.StripeObject):
        yield from _object(value, hint, at)
    elif not (_text_fits(value, hint) if form else type(value) is hint):
        yield f"{at} is {value!r}, no {hint.__name__}"


def _text_fits(text: object, hint: type) -> bool:
    if not isinstance(text, str):
        return False
    if hint is bool:
        return text in {"true", "false"}
    return hint is not int or text.removeprefix("-").isdecimal()


def _at(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _unknown(at: str, name: str) -> str:
    return f"{_at(at, name)} is unknown"
