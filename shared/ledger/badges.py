"""The availability badge: a price that follows demand from week to week, and the weeks that an account pays for.

The price is the same for all and is set for a calendar week, from Monday 00:00 UTC. A badge's own weeks begin at the
instant at which it was switched on, and each lasts exactly 7 days. ``paid_until`` stores how far it was paid for: off
and on again within that time costs nothing, and switching it off refunds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from shared.ledger.errors import (
    InsufficientConnectsError,
    InvalidRequestError,
    LedgerError,
    PriceChangedError,
)
from shared.ledger.model import Badge, EntryType, Request

if TYPE_CHECKING:
    from shared.ledger.model import Account, Decision, Entry
    from shared.ledger.policy import Policy

BADGE = "badge"
"""The type of the reference of a week's entry, and the operation of its key."""
BADGE_OFF = "badge_off"
"""The kind of the notice."""
ONE_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class WeekPrice:
    """What a week of the badge costs if it is charged in the calendar week that begins on ``week``, a Monday."""

    week: date
    price: int
    active: int
    """How many badges were on when the price was set."""


@dataclass(frozen=True, slots=True)
class SwitchBadge:
    """Switch the badge on, for at most ``max_per_week``, or off. The same again changes nothing.

    ``price`` is what a week costs now. ``max_per_week`` may be left out to switch it off: the last one is kept.
    """

    enabled: bool
    max_per_week: int | None
    price: int
    request: Request

    def __post_init__(self) -> None:
        if self.enabled and not self.max_per_week:
            raise InvalidRequestError("body.max_per_week", "is needed to switch the badge on")

    def apply(self, settled: Decision, now: datetime, _policy: Policy, /) -> Decision:
        """Charge a week, unless one is paid for. A renewal that is due is charged, unless the badge is switched off.

        Raises:
            AccountClosedError, AccountSuspendedError, AccountFrozenError, PriceChangedError,
            InsufficientConnectsError: in this order of precedence.
        """
        badge = settled.account.badge
        if badge is None:
            return _pay(settled, self, self.max_per_week or 0, now, now) if self.enabled else settled
        most = self.max_per_week or badge.max_per_week
        if self.enabled and badge.paid_until <= now:
            start = _week_of(now, badge.paid_until) if badge.enabled else now
            return _pay(settled, self, most, start, now)
        if self.enabled:
            settled.account.check_may_use()
        return _with_badge(settled, replace(badge, enabled=self.enabled, max_per_week=most))


@dataclass(frozen=True, slots=True)
class RenewBadge:
    """Charge the week that has begun, or switch the badge off. Nothing happens before its week has ended."""

    price: int
    request: Request

    def apply(self, settled: Decision, now: datetime, _policy: Policy, /) -> Decision:
        """If the week cannot be paid, nothing is charged: the badge goes off, with a notice to the owner."""
        badge = settled.account.badge
        if badge is None or not badge.enabled or now < badge.paid_until:
            return settled
        start = _week_of(now, badge.paid_until)
        try:
            return _pay(settled, self, badge.max_per_week, start, now)
        except LedgerError as refusal:
            return _off(settled, badge, refusal, start, now, price=self.price)


def price_for(active: int, policy: Policy) -> int:
    """The lowest price, plus one Connect for every ``badge_price_step`` badges that are on, up to the highest price."""
    return min(policy.badge_min_price + active // policy.badge_price_step, policy.badge_max_price)


def calendar_week(now: datetime) -> date:
    """The Monday of the week that contains ``now``."""
    today = now.date()
    return today - timedelta(days=today.weekday())


def is_badge(entry: Entry) -> bool:
    return entry.reference.get("type") == BADGE


def timestamp(at: datetime) -> str:
    """An instant in keys and references, ``2026-11-22T10:00:00.000Z``."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def switch_off(settled: Decision, why: LedgerError, now: datetime) -> Decision:
    """Switch a badge off whose account may no longer act. The week that was paid for is not refunded."""
    badge = settled.account.badge
    return _off(settled, badge, why, now, now) if badge and badge.enabled else settled


def _off(settled: Decision, badge: Badge, why: LedgerError, since: datetime, now: datetime, **price: int) -> Decision:
    facts: dict[str, str | int] = {
        "why": why.code,
        "reason": why.detail,
        "max_per_week": badge.max_per_week,
        "balance": settled.account.balance,
    }
    off = _with_badge(settled, replace(badge, enabled=False))
    return off.notify(BADGE_OFF, timestamp(since), at=now, facts=facts | price)


def _week_of(now: datetime, paid_until: datetime) -> datetime:
    """The start of the badge's week that contains ``now``; its weeks follow each other from ``paid_until`` on.

    So a badge's weeks never drift, however late a renewal is. Weeks that have passed are not charged.
    """
    return paid_until + (now - paid_until) // ONE_WEEK * ONE_WEEK


def _pay(
    settled: Decision, command: SwitchBadge | RenewBadge, max_per_week: int, start: datetime, now: datetime
) -> Decision:
    """Charge the week from ``start`` on. Its key is its start, so that no week is charged twice."""
    _check_payable(settled.account, max_per_week, command.price)
    end = start + ONE_WEEK
    paid = settled.add_entry(
        EntryType.SPEND,
        settled.account.burn(command.price),
        Request(BADGE, timestamp(start), "", command.request.actor),
        at=start,
        now=now,
        reason="Availability badge for a week",
        reference={"type": BADGE, "starts_at": timestamp(start), "ends_at": timestamp(end)},
    )
    return _with_badge(paid, Badge(enabled=True, max_per_week=max_per_week, paid_until=end))


def _check_payable(account: Account, max_per_week: int, price: int) -> None:
    account.check_may_use()
    if price > max_per_week:
        raise PriceChangedError(price=price)
    if account.balance < price:
        raise InsufficientConnectsError(balance=account.balance, required=price)


def _with_badge(decision: Decision, badge: Badge) -> Decision:
    return replace(decision, account=replace(decision.account, badge=badge))
