"""What the API's document says of a route beyond the route's signature.

It stands in the route's own decorator, and costs nothing where the function runs: `shared.openapi` alone reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

EXTENSION = "x-operation"


def operation(
    operation_id: str,
    summary: str,
    *,
    who: Literal["self", "service", "staff", "provider"],
    answers: Mapping[int, str],
    refuses: tuple[str, ...] = (),
    keyed: bool = False,
    headers: tuple[str, ...] = (),
) -> dict[str, Any]:
    """What a route's decorator takes beside the path: ``@app.post("/accounts", **operation(...))``.

    Args:
        operation_id: Unique in the whole API; clients that are generated name their methods after it.
        summary: One line.
        who: The least that a caller has to be: services may do what an account itself may, and staff everything.
            The payment provider has no token: it signs.
        answers: By status, the model of the body in `shared.openapi.answers`; ``"History | text/csv"`` where the
            caller has a choice.
        refuses: The codes of refusals that not every call has. Those of every call and those that come with ``keyed``
            are known.
        keyed: Needs an ``Idempotency-Key``, and tells a repeat.
        headers: Further headers that it understands.
    """
    described = {"who": who, "answers": dict(answers), "refuses": refuses, "keyed": keyed, "headers": headers}
    return {"operation_id": operation_id, "summary": summary, "openapi_extensions": {EXTENSION: described}}
