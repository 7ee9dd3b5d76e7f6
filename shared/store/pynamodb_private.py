"""The only place that uses private attributes of pynamodb (6.1.0), because nothing public does what is needed here.

``Model._get_connection``, ``Model._connection``
    A class of rows makes a connection of its own at its first call, with a client of its own, which takes 70 ms. Here
    all rows of a table share one.
``TransactWrite._condition_check_items``
    The public ``condition_check`` does not ask DynamoDB for the item that failed the check. A check has the form of a
    conditional delete, and that of a row can ask for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pynamodb.connection.table import TableConnection
    from pynamodb.expressions.condition import Condition
    from pynamodb.models import Model
    from pynamodb.transactions import TransactWrite

M = TypeVar("M", bound="Model")


def bind(row: type[M], meta: type, connection: TableConnection | None = None) -> type[M]:
    """A class of rows of the table that ``meta`` describes, with a connection of its own where none is given."""
    bound: type[M] = type(row.__name__, (row,), {"Meta": meta})
    bound._connection = connection  # noqa: SLF001
    return bound


def connection_of(row: type[Model]) -> TableConnection:
    """The connection of a bound class of rows, made now if there is none."""
    return row._get_connection()  # noqa: SLF001


def add_check(write: TransactWrite, row: Model, condition: Condition, return_values: str) -> None:
    """Check a condition on an item in a transaction that leaves the item alone."""
    check = row.get_delete_kwargs_from_instance(condition, return_values)
    write._condition_check_items.append(check)  # noqa: SLF001
