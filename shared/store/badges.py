"""The price of the availability badge: one item, set once a calendar week, from how many badges the due index holds.

================  =========  =========================================================================================
pk                sk         what
================  =========  =========================================================================================
``BADGE#PRICE``   ``PRICE``  the price, since which Monday, and of how many badges; how far the next count has come
================  =========  =========================================================================================

Nobody counts badges as they go on and off: such a counter would be one item that every account waits for. Once a week
the index is counted, which reads its keys alone. Of millions that takes several runs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from pynamodb.attributes import JSONAttribute

from shared.ledger.badges import WeekPrice
from shared.store.due import BADGE_DUE
from shared.store.errors import ContentionError, StoreError
from shared.store.rows import DateAttribute, Row, WholeAttribute
from shared.store.transaction_items import Update

if TYPE_CHECKING:
    from shared.store.due import Key
    from shared.store.table import Table

PK, SK = "BADGE#PRICE", "PRICE"


class PriceSetError(StoreError):
    """Another run was faster."""


class PriceRow(Row):
    week = DateAttribute(null=True)
    price = WholeAttribute(null=True)
    active = WholeAttribute(null=True)
    counting = JSONAttribute(null=True)


@dataclass(frozen=True, slots=True)
class BadgeCount:
    """How many badges are on, as far as they were counted for a week's price."""

    week: date
    active: int = 0
    shard: int = 0
    """Is counted next; the number of shards once it is done."""
    after: Key | None = None
    """From where on, in that shard."""


def read_price(table: Table) -> WeekPrice | None:
    """The newest, strongly consistent: one call."""
    return read_price_and_count(table)[0]


def read_price_and_count(table: Table) -> tuple[WeekPrice | None, BadgeCount | None]:
    """The newest price, and the count for the next one where it was begun and there was no time to end it."""
    row = table.get(PriceRow, PK, SK)
    if row is None:
        return None, None
    price = WeekPrice(row.week, row.price or 0, row.active or 0) if row.week else None
    if not row.counting:
        return price, None
    week, active, shard, after = row.counting
    return price, BadgeCount(date.fromisoformat(week), active, shard, after)


def save_price(table: Table, price: WeekPrice) -> None:
    """Where nobody has set that week's price: it stands for the whole week.

    If it cannot be written now, the next run will.
    """
    row = table.rows(PriceRow)
    setting = Update(
        row(pk=PK, sk=SK),
        [row.week.set(price.week), row.price.set(price.price), row.active.set(price.active), row.counting.remove()],
        row.week.does_not_exist() | (row.week < price.week),
        lambda _: PriceSetError(),
    )
    with suppress(PriceSetError, ContentionError):
        table.write([setting])


def save_count(table: Table, count: BadgeCount) -> None:
    """Remember how far it has come. Of two that count at once either will do: each is what one of them counted."""
    row = table.rows(PriceRow)
    counting = [count.week.isoformat(), count.active, count.shard, count.after]
    saving = Update(
        row(pk=PK, sk=SK),
        [row.counting.set(counting)],
        row.week.does_not_exist() | (row.week < count.week),
        lambda _: PriceSetError(),
    )
    with suppress(PriceSetError, ContentionError):
        table.write([saving])


def count_more(table: Table, count: BadgeCount) -> BadgeCount:
    """The count and up to a megabyte of keys more, as good as now: one call."""
    found, after = table.count_due(BADGE_DUE, str(count.shard), count.after)
    return replace(count, active=count.active + found, shard=count.shard + (after is None), after=after)
