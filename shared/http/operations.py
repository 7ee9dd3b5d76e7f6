"""What a route states about itself: checked at each call by `shared.http.api`, documented by `shared.openapi`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec

from shared.http.callers import Right
from shared.ledger.model import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.event_handler import Response

    Route = Callable[..., Response[str]]


class Operation(msgspec.Struct, frozen=True, dict=True):
    """A route, and what its decorator states; `shared.http.api.Router.route` describes each field.

    A struct, because every HTTP function loads it as it starts, and a dataclass takes 50 times as long to make.

    Raises:
        ValueError: it has no right that can be checked, or is keyed and takes no `Request`, or the reverse.
    """

    call: str
    operation_id: str
    summary: str
    who: Right
    answers: Mapping[int, str]
    refuses: tuple[str, ...]
    keyed_as: str | None
    headers: tuple[str, ...]
    route: Route

    def __post_init__(self) -> None:
        if self.who not in get_args(Right):
            raise ValueError(f"{self.call}: who may call it is one of {', '.join(get_args(Right))}, not {self.who}")
        if self.who == "self" and "{account_id}" not in self.call:
            raise ValueError(f"{self.call}: for who is 'self', the path names the account_id")
        if (Request in self.takes.values()) != (self.keyed_as is not None):
            raise ValueError(f"{self.call}: a route with keyed_as takes a Request, and no other does")

    @property
    def method(self) -> str:
        return self.call.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.call.partition(" ")[2]

    @cached_property
    def takes(self) -> dict[str, Any]:
        """The types of the route's parameters, by name."""
        hints = get_type_hints(self.route, include_extras=True)
        return {name: wanted for name, wanted in hints.items() if name != "return"}
