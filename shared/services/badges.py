"""The availability badge: switched by its account, renewed by a schedule, at a price that is set once a week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.badges import BADGE, RenewBadge, SwitchBadge, WeekPrice, calendar_week, price_for
from shared.ledger.model import Badge, Request
from shared.services.batches import for_each, has_time
from shared.services.retry import in_time
from shared.store.badges import BadgeCount, count_more, read_price, read_price_and_count, save_count, save_price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shared.services.ledger import Ledger

RENEWAL = Request(BADGE, "", "", "system")


@dataclass(frozen=True, slots=True)
class Switched:
    """The badge as it is now, None if there never was one, and what a week costs."""

    badge: Badge | None
    price: int


@in_time
def switch_badge(
    ledger: Ledger, account_id: str, actor: str, *, enabled: bool, max_per_week: int | None, deadline: float
) -> Switched:
    """Switch it on or off. The same request twice charges once.

    Raises:
        AccountClosedError, AccountSuspendedError, AccountFrozenError, PriceChangedError, InsufficientConnectsError: it
            stays as it was.
    """
    price = week_price(ledger)
    command = SwitchBadge(enabled, max_per_week, price, Request(BADGE, "", "", actor))
    outcome = ledger.execute(account_id, command, deadline=deadline)
    account = outcome.account or ledger.table.account(account_id)
    return Switched(account.badge, price)


def renew_badges(ledger: Ledger, accounts: Iterable[str], deadline: Callable[[], float]) -> int:
    """Renew each badge whose week has ended, or switch it off. The price is read once. Returns how many accounts.

    Raises:
        ExceptionGroup: at the end, what went wrong with some, or that time ran out; the others are done.
    """
    command = RenewBadge(week_price(ledger), RENEWAL)
    return for_each(accounts, lambda account_id: ledger.execute(account_id, command, deadline=deadline()), deadline)


def week_price(ledger: Ledger) -> int:
    """The price that was set last; before any was set, the price for no badges."""
    known = read_price(ledger.table)
    return known.price if known else price_for(0, ledger.policy)


def set_price(ledger: Ledger, deadline: Callable[[], float]) -> bool:
    """Set this week's price by how many badges are on, if it is not set yet.

    Returns whether it is set. If not, there was no time to count them all: the next run continues the count.
    """
    week = calendar_week(ledger.clock.now())
    known, begun = read_price_and_count(ledger.table)
    if known and known.week >= week:
        return True
    count = begun if begun and begun.week == week else BadgeCount(week)
    while count.shard < ledger.table.shards:
        if not has_time(deadline):
            save_count(ledger.table, count)
            return False
        count = count_more(ledger.table, count)
    save_price(ledger.table, WeekPrice(week, price_for(count.active, ledger.policy), count.active))
    return True
