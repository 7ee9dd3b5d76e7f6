"""The settings by which the due dates in the table were computed: one item, compared with the present ones.

================  =============  ======================================================
pk                sk             what
================  =============  ======================================================
``SETTINGS``      ``DUE_DATES``  the settings by which every account was last looked at
================  =============  ======================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pynamodb.attributes import UnicodeAttribute

from shared.store.errors import contention_from_aws
from shared.store.rows import Row, WholeAttribute

if TYPE_CHECKING:
    from shared.store.table import Table

PK, SK = "SETTINGS", "DUE_DATES"


@dataclass(frozen=True, slots=True)
class Basis:
    basis: str | None = None
    """None where none was ever stored."""
    changes: int = 0
    """How often they have changed since."""


class BasisRow(Row):
    basis = UnicodeAttribute()
    changes = WholeAttribute(null=True)


def read_basis(table: Table) -> Basis:
    """Strongly consistent: one call."""
    row = table.get(BasisRow, PK, SK)
    return Basis(row.basis, row.changes or 0) if row else Basis()


def save_basis(table: Table, basis: str) -> None:
    """Raises ContentionError: throttling, or no answer."""
    row = table.rows(BasisRow)
    with contention_from_aws():
        row(pk=PK, sk=SK).update([row.basis.set(basis), row.changes.add(1)])
