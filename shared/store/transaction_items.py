"""Further items of a decision's transaction: put, updated or checked together with the change of an account.

Each has a condition of its own that only an existing item can fail. DynamoDB returns the item that failed it, and the
refusal is made from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from shared.store.pynamodb_private import add_check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action
    from pynamodb.transactions import TransactWrite

    from shared.store.errors import StoreError
    from shared.store.rows import Row

    Item = dict[str, dict[str, Any]]
    Refused = Callable[[Item], StoreError]

ALL_OLD = "ALL_OLD"


class TransactionItem(Protocol):
    """One such item: ``row`` has its key, ``refused`` makes the refusal of the item that failed the condition."""

    @property
    def row(self) -> Row: ...
    @property
    def refused(self) -> Refused: ...

    def add_to(self, write: TransactWrite) -> None: ...


@dataclass(frozen=True, slots=True)
class Put:
    """Refused where there is such an item already."""

    row: Row
    refused: Refused

    def add_to(self, write: TransactWrite) -> None:
        write.save(self.row, type(self.row).pk.does_not_exist(), ALL_OLD)


@dataclass(frozen=True, slots=True)
class Update:
    row: Row
    actions: Sequence[Action]
    condition: Condition
    refused: Refused

    def add_to(self, write: TransactWrite) -> None:
        write.update(self.row, list(self.actions), self.condition, ALL_OLD)


@dataclass(frozen=True, slots=True)
class Check:
    """Nothing is written."""

    row: Row
    condition: Condition
    refused: Refused

    def add_to(self, write: TransactWrite) -> None:
        add_check(write, self.row, self.condition, ALL_OLD)
