"""Notices that lots are about to expire: some days ahead, once for each day of expiry and number of days.

A notice has its day: if some of a lot is left 30 days before it expires, its notice is sent on that day, or at the next
run after it. All notices of days before ``notice_due`` were sent, so no other state is needed. As a lower bound it is
not changed by a spend; a credit changes it only for a lot whose notice comes before all others, which a new lot's never
does.

If there are more notices than one transaction takes, those of the earliest days are sent first, and ``notice_due`` is
set to the first day that was left out. The next decision, or the next run, continues from there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.ledger.calendar import expiry_of_lot

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from shared.ledger.model import Decision
    from shared.ledger.policy import Policy

EXPIRING = "expiring"

NOTICES_AT_ONCE = 40
"""How many notices one decision may hold beside what it settles; a transaction takes 100 items. All of one day have to
fit: `MOST_NOTICES` of the policy."""


@dataclass(frozen=True, slots=True)
class NotifyExpiring:
    """Send the owner notices of lots that are about to expire."""

    request: None = None

    def apply(self, settled: Decision, now: datetime, policy: Policy, /) -> Decision:
        """Send the notices whose day has come since the last time, for each day of expiry only the most urgent one.

        The days of all lots are computed anew by the current policy: ``notice_due`` may be by an older one. A notice
        whose day had passed when its number of days was configured is not sent.

        Returns:
            Not ``complete`` if there are more notices than one transaction takes.
        """
        account, today = settled.account, now.date()
        since = account.notice_due
        if since is None:
            return settled
        expiring: defaultdict[date, int] = defaultdict(int)
        for bucket, left in account.lots.items():
            expiring[bucket.expires_on] += left
        waiting = _waiting(since, today, expiring, policy)
        go_on = waiting[NOTICES_AT_ONCE][0] if len(waiting) > NOTICES_AT_ONCE else None
        for day, expires_on, ahead in waiting:
            if go_on is None or day < go_on:
                facts: dict[str, str | int] = {
                    "expires_on": expires_on.isoformat(),
                    "days_ahead": ahead,
                    "days_left": (expires_on - today).days,
                    "amount": expiring[expires_on],
                    "balance": account.balance,
                }
                settled = settled.notify(EXPIRING, f"{expires_on}.{ahead}", at=now, facts=facts)
        due = go_on or _next_day(since, today, expiring, policy)
        return replace(settled, account=replace(account, notice_due=due), complete=go_on is None)


def lower_notice_due(decided: Decision, today: date, policy: Policy) -> Decision:
    """Lower ``notice_due`` for the lots of this decision. A lot whose day is today or past is due on its next day."""
    account = decided.account
    gained: Iterable[date] = {
        bucket.expires_on for entry in decided.entries for bucket, amount in entry.slices.items() if amount > 0
    }
    if account.notice_due is None:
        gained = {bucket.expires_on for bucket in account.lots}
    known = [account.notice_due] if account.notice_due else []
    due = min([*known, *_days_after(today, gained, policy)], default=None)
    return replace(decided, account=replace(account, notice_due=due))


def _waiting(since: date, today: date, expiring: Iterable[date], policy: Policy) -> list[tuple[date, date, int]]:
    """For each day of expiry the most urgent notice whose day has come: that day, the day of expiry, the days ahead."""
    waiting = []
    for expires_on in expiring:
        come = [ahead for ahead in policy.expiry_notice_days if since <= expires_on - timedelta(ahead) <= today]
        if come:
            waiting.append((expires_on - timedelta(min(come)), expires_on, min(come)))
    return sorted(waiting)


def _next_day(since: date, today: date, expiring: Iterable[date], policy: Policy) -> date:
    """The first day after today on which a notice may be due."""
    known = [since] if since > today else []
    # Without any lot, the next one has its notice no sooner than one issued today.
    soonest = expiry_of_lot(today, policy.lot_lifetime_months) - timedelta(max(policy.expiry_notice_days))
    return min([*known, *_days_after(today, expiring, policy)], default=max(soonest, today + timedelta(1)))


def _days_after(today: date, expiring: Iterable[date], policy: Policy) -> list[date]:
    days = [day - timedelta(ahead) for day in expiring for ahead in policy.expiry_notice_days]
    return [day for day in days if day > today]
