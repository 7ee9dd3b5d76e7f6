"""The price of the availability badge: one item, set once a calendar week, from how many badges the due index holds.

================  =========  ===================================================
pk                sk         what
================  =========  ===================================================
``BADGE#PRICE``   ``PRICE``  the price, since which Monday, and of how many badges
================  =========  ===================================================

Nobody counts badges as they go on and off: such a counter would be one item that every account waits for. Once a week
the index is counted, which reads its keys alone.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from shared.ledger.badge import WeekPrice
from shared.store.also import Update
from shared.store.errors import ContentionError, StoreError, contention_from_aws
from shared.store.rows import AccountRow, DateAttribute, Row, WholeAttribute

if TYPE_CHECKING:
    from shared.store.table import Table

PK, SK = "BADGE#PRICE", "PRICE"


class PriceSetError(StoreError):
    """Another run was faster."""


class PriceRow(Row):
    week = DateAttribute()
    price = WholeAttribute()
    active = WholeAttribute()


def read_price(table: Table) -> WeekPrice | None:
    """The newest, strongly consistent: one call."""
    row = table.get(PriceRow, PK, SK)
    return WeekPrice(row.week, row.price, row.active) if row else None


def save_price(table: Table, price: WeekPrice) -> None:
    """Where nobody has set that week's price: it stands for the whole week.

    If it cannot be written now, the next run will.
    """
    row = table.rows(PriceRow)
    setting = Update(
        row(pk=PK, sk=SK),
        [row.week.set(price.week), row.price.set(price.price), row.active.set(price.active)],
        row.week.does_not_exist() | (row.week < price.week),
        lambda _: PriceSetError(),
    )
    with suppress(PriceSetError, ContentionError):
        table.write([setting])


def count_badges(table: Table) -> int:
    """How many are on, as good as now: one call a shard and megabyte of keys."""
    index = table.rows(AccountRow).by_badge_due
    with contention_from_aws(reading=True):
        return sum(index.count(str(shard)) for shard in range(table.shards))
