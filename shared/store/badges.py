"""The price of the availability badge: one item, set once a calendar week by how many badges the due index lists.

================  =========  =========================================================================================
pk                sk         what
================  =========  =========================================================================================
``BADGE#PRICE``   ``PRICE``  the price, since which Monday, and of how many badges; how far the next count has got
================  =========  =========================================================================================

No counter follows badges as they go on and off: it would be one item that the changes of all accounts wait for. The
index is counted instead, once a week, which reads keys alone. Millions of them take several runs.
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
    """The price of that week, or of a later one, is set."""


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
    """The one to count next; the number of shards once all are counted."""
    after: Key | None = None
    """The last key of that shard that was counted."""


def read_price(table: Table) -> WeekPrice | None:
    """The newest price, strongly consistent: one call."""
    return read_price_and_count(table)[0]


def read_price_and_count(table: Table) -> tuple[WeekPrice | None, BadgeCount | None]:
    """The newest price, and the count for the next one if a run began it and had no time to finish."""
    row = table.get(PriceRow, PK, SK)
    if row is None:
        return None, None
    price = WeekPrice(row.week, row.price or 0, row.active or 0) if row.week else None
    if not row.counting:
        return price, None
    week, active, shard, after = row.counting
    return price, BadgeCount(date.fromisoformat(week), active, shard, after)


def save_price(table: Table, price: WeekPrice) -> None:
    """Set a week's price, unless that is set: the first one stands for the whole week.

    Where the table is too busy nothing is written, and the next run sets it.
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
    """Store how far a count has got. Of two runs that count at once either may be stored: each count is right."""
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
    """The count with up to 1 MB of further keys, eventually consistent: one call."""
    found, after = table.count_due(BADGE_DUE, str(count.shard), count.after)
    return replace(count, active=count.active + found, shard=count.shard + (after is None), after=after)
