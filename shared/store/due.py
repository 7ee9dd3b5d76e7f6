"""What is due: which index lists it, and what its keys name.

An index of what is due is named like the attribute that it is sorted by, the day or the instant from which on there is
work. It holds keys alone; what these mean is for the store to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.store.rows import AccountRow, DateAttribute

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from pynamodb.attributes import Attribute

Key = dict[str, dict[str, Any]]
"""As DynamoDB has it: ``{"pk": {"S": "ann"}, ...}``."""


@dataclass(frozen=True, slots=True)
class DueIndex:
    """One of them."""

    attribute: Attribute[Any]
    """What it is sorted by."""
    id_of: Callable[[str, str], Any]
    """What an item's pk and sk name: an account's or a job's id, or an account's and a purchase's, as JSON has it."""

    @property
    def name(self) -> str:
        return self.attribute.attr_name

    @property
    def by_day(self) -> bool:
        """Whether things fall due on a day, and not at an instant."""
        return isinstance(self.attribute, DateAttribute)


@dataclass(frozen=True, slots=True)
class DueKey:
    """What an index says of one item: what it names, and since which day or instant that is due."""

    id: Any
    since: date


@dataclass(frozen=True, slots=True)
class DuePage:
    """A part of a shard, the longest due first."""

    keys: list[DueKey]
    last: Key | None
    """Where the next page begins; None where this one is empty."""
    more: bool
    """Whether there may be a next one now."""


def _account_id(pk: str, _sk: str) -> str:
    return pk


GRANT_DUE = DueIndex(AccountRow.grant_due, _account_id)
EXPIRY_DUE = DueIndex(AccountRow.expiry_due, _account_id)
NOTICE_DUE = DueIndex(AccountRow.notice_due, _account_id)
BADGE_DUE = DueIndex(AccountRow.badge_due, _account_id)
