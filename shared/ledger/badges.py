"""The availability badge: a price that follows demand from week to week, and weeks that each account pays for.

The price is one for all and is set for a calendar week, from Monday 00:00 UTC. A badge's own weeks begin when it was
switched on, and follow each other every 7 days to the instant. ``paid_until`` remembers how far it was paid for: off
and on again within that costs nothing, and off brings nothing back.
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
    """What a week of the badge costs where it is charged in the calendar week that begins on ``week``, a Monday."""

    week: date
    price: int
    active: int
    """How many badges were on when it was set."""


@dataclass(frozen=True, slots=True)
class SwitchBadge:
    """Have the badge on, for at most ``max_per_week``, or off. Setting what is set changes nothing.

    ``price`` is what a week costs now. Off may leave ``max_per_week`` out: the one from before stays.
    """

    enabled: bool
    max_per_week: int | None
    price: int
    request: Request

    def __post_init__(self) -> None:
        if self.enabled and not self.max_per_week:
            raise InvalidRequestError("body.max_per_week", "is needed to switch the badge on")

    def apply(self, settled: Decision, now: datetime, _policy: Policy, /) -> Decision:
        """Within a week that was paid for nothing is charged. A renewal that is due is, unless it goes off.

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
        return _show(settled, replace(badge, enabled=self.enabled, max_per_week=most))


@dataclass(frozen=True, slots=True)
class RenewBadge:
    """Pay for the week that has begun, or have the badge go off. Nothing where its week has not ended."""

    price: int
    request: Request

    def apply(self, settled: Decision, now: datetime, _policy: Policy, /) -> Decision:
        """A week that cannot be paid for switches the badge off, and nothing is charged. Its owner is told why."""
        badge = settled.account.badge
        if badge is None or not badge.enabled or now < badge.paid_until:
            return settled
        start = _week_of(now, badge.paid_until)
        try:
            return _pay(settled, self, badge.max_per_week, start, now)
        except LedgerError as refusal:
            return _off(settled, badge, refusal, start, now, price=self.price)


def price_for(active: int, policy: Policy) -> int:
    """The rule: the lowest price, one Connect more for every so many badges that are on, and the highest at most."""
    return min(policy.badge_min_price + active // policy.badge_price_step, policy.badge_max_price)


def calendar_week(now: datetime) -> date:
    """The Monday of the week that ``now`` falls into."""
    today = now.date()
    return today - timedelta(days=today.weekday())


def is_badge(entry: Entry) -> bool:
    return entry.reference.get("type") == BADGE


def timestamp(at: datetime) -> str:
    """An instant in keys and references, ``2026-11-22T10:00:00.000Z``."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def switch_off(settled: Decision, why: LedgerError, now: datetime) -> Decision:
    """A badge that is on goes off, as its account may no longer act. Its week was paid for and does not come back."""
    badge = settled.account.badge
    return _off(settled, badge, why, now, now) if badge and badge.enabled else settled


def _off(settled: Decision, badge: Badge, why: LedgerError, since: datetime, now: datetime, **price: int) -> Decision:
    facts: dict[str, str | int] = {
        "why": why.code,
        "reason": why.detail,
        "max_per_week": badge.max_per_week,
        "balance": settled.account.balance,
    }
    off = _show(settled, replace(badge, enabled=False))
    return off.notify(BADGE_OFF, timestamp(since), at=now, facts=facts | price)


def _week_of(now: datetime, paid_until: datetime) -> datetime:
    """The start of the week that ``now`` falls into, of those that follow ``paid_until``.

    So a badge's weeks never drift, however late a renewal is; those that passed altogether are not made up for.
    """
    return paid_until + (now - paid_until) // ONE_WEEK * ONE_WEEK


def _pay(
    settled: Decision, command: SwitchBadge | RenewBadge, max_per_week: int, start: datetime, now: datetime
) -> Decision:
    """Charge the week from ``start`` on, under a key of its own."""
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
    return _show(paid, Badge(enabled=True, max_per_week=max_per_week, paid_until=end))


def _check_payable(account: Account, max_per_week: int, price: int) -> None:
    account.check_may_use()
    if price > max_per_week:
        raise PriceChangedError(price=price)
    if account.balance < price:
        raise InsufficientConnectsError(balance=account.balance, required=price)


def _show(decision: Decision, badge: Badge) -> Decision:
    return replace(decision, account=replace(decision.account, badge=badge))
