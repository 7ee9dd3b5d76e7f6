"""Tries every call of the document with what schemathesis makes up, and holds the answers against it."""

import warnings
from collections import Counter
from typing import Any

from tests.document import document

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as it is imported; not ours
    import schemathesis
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import events, from_schema

UNASKED = {
    "unsupported_method": "an HTTP API answers 404 to a method that a path does not have, and never 405",
    "positive_data_acceptance": "a document cannot say all: that `from` lies before `to`, or what a cursor is",
}

Wrong = list[str]
Answered = Counter[tuple[str, int]]


def explore(
    token: str,
    known: dict[str, list[str]],
    *,
    examples: int,
    but: tuple[str, ...] = (),
    unasked: tuple[str, ...] = (),
    app: object = None,
    url: str | None = None,
) -> tuple[Wrong, Answered]:
    """What was wrong, and how often which call was answered with which status. Always tries the same.

    Args:
        token: The caller's.
        known: Values at which there is something, or which fit each other, by the places that they are for.
        examples: How many to make up for each call, beside the systematic ones that need no dice.
        but: Paths to leave out.
        unasked: Checks of schemathesis not to make.
        app: A WSGI application to try, or else
        url: where the API is; it is not tried with the systematic ones.
    """
    config = {
        "seed": 20261122,
        "headers": {"Authorization": f"Bearer {token}"},
        "continue-on-failure": True,
        "cache": {"enabled": False},
        "dictionaries": {place.replace(".", "-"): {"values": values} for place, values in known.items()},
        "parameters": {place: {"dictionary": place.replace(".", "-"), "probability": 0.8} for place in known},
        "generation": {"max-examples": examples, "deterministic": True, "no-shrink": True},
        "checks": {name: {"enabled": False} for name in (*UNASKED, *unasked)},
        "phases": {"coverage": {"enabled": app is not None}, "stateful": {"enabled": False}},
        **({"base-url": url} if url else {}),
    }
    schema = schemathesis.openapi.from_dict(document(), config=SchemathesisConfig.from_dict(config))
    schema.app = app
    return _run(schema.exclude(path=list(but)) if but else schema)


def _run(schema: Any) -> tuple[Wrong, Answered]:
    wrong: Wrong = []
    answered: Answered = Counter()
    for event in from_schema(schema).execute():
        match event:
            case events.NonFatalError(value=error) | events.FatalError(exception=error):
                wrong.append(repr(error))
            case events.ScenarioFinished(label=label, recorder=recorder):
                answered.update((label, each.response.status_code) for each in recorder.interactions.values())
                wrong += [
                    f"{label}: {check.name}: {check.failure_info.failure.message}\n{check.failure_info.code_sample}"
                    for checks in recorder.checks.values()
                    for check in checks
                    if check.failure_info
                ]
    return wrong, answered


SIGNED = "/payments/webhook"
"""Takes nothing that is not signed, and who makes up requests signs none."""


def never_succeeded(answered: Answered) -> set[str]:
    """The calls of which a run says little, because none of them was done."""
    calls = {f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods}
    return calls - {call for call, status in answered if status < 300}
