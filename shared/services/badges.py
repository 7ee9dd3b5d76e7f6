"""The availability badge: switched by its account, renewed by the clock, at a price that is set once a week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.badge import BADGE, RenewBadge, SwitchBadge, WeekPrice, calendar_week, price_for
from shared.ledger.model import Badge, Request
from shared.services.each import for_each
from shared.services.retry import in_time
from shared.store.badges import count_badges, read_price, save_price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shared.services.ledger import Ledger

RENEWAL = Request(BADGE, "", "", "system")


@dataclass(frozen=True, slots=True)
class Switched:
    """The badge as it is now, None where there never was one, and what a week costs."""

    badge: Badge | None
    price: int


@in_time
def switch_badge(
    ledger: Ledger, account_id: str, actor: str, *, enabled: bool, max_per_week: int | None, deadline: float
) -> Switched:
    """Have it on or off. Saying it twice charges once.

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
    """Renew each badge whose week has ended, or switch it off; at one look at the price. Tells how many accounts.

    Raises:
        ExceptionGroup: at the end, what went wrong with some; the others are done.
    """
    command = RenewBadge(week_price(ledger), RENEWAL)
    return for_each(accounts, lambda account_id: ledger.execute(account_id, command, deadline=deadline()))


def week_price(ledger: Ledger) -> int:
    """The price that was set last; before any was, what it is where nobody has a badge."""
    known = read_price(ledger.table)
    return known.price if known else price_for(0, ledger.policy)


def set_price(ledger: Ledger) -> None:
    """Set this week's price, if nobody has: by how many badges are on."""
    week, known = calendar_week(ledger.clock.now()), read_price(ledger.table)
    if known is None or known.week < week:
        active = count_badges(ledger.table)
        save_price(ledger.table, WeekPrice(week, price_for(active, ledger.policy), active))
