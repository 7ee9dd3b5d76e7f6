"""Notices that lots are about to expire: some days ahead, once for each day of expiry and number of days.

A notice has its day: a lot of which something is left 30 days before it expires is told of on that day, or as soon
after it as anybody looks. ``notice_due`` is the day from which on nothing has been told yet, so nothing else has to be
remembered: each day passes it once. As a lower bound it costs a spend nothing; a credit moves it only where it brings a
lot that has its day sooner than all others, which a new lot never does.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.ledger.calendar import expiry_of_lot

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from shared.ledger.model import Decision
    from shared.ledger.policy import Policy

EXPIRING = "expiring"


def tell_expiring(settled: Decision, now: datetime, policy: Policy) -> Decision:
    """Tell of all lots whose day has come since the last time, of each day of expiry only what is most urgent."""
    account, today = settled.account, now.date()
    since = account.notice_due
    if since is None or since > today:
        return settled
    expiring: defaultdict[date, int] = defaultdict(int)
    for bucket, left in account.lots.items():
        expiring[bucket.expires_on] += left
    for day in sorted(expiring):
        come = [ahead for ahead in policy.expiry_notice_days if since <= day - timedelta(ahead) <= today]
        if come:
            facts: dict[str, str | int] = {
                "expires_on": day.isoformat(),
                "days_ahead": min(come),
                "days_left": (day - today).days,
                "amount": expiring[day],
                "balance": account.balance,
            }
            settled = settled.tell(EXPIRING, f"{day}.{min(come)}", at=now, facts=facts)
    # Where no lot waits for its day, one that comes later has it no sooner than one of today.
    soonest = expiry_of_lot(today, policy.lot_lifetime_months) - timedelta(max(policy.expiry_notice_days))
    due = min(_days_after(today, expiring, policy), default=max(soonest, today + timedelta(1)))
    return replace(settled, account=replace(account, notice_due=due))


def wait_for_notices(decided: Decision, today: date, policy: Policy) -> Decision:
    """Have the days of lots that came in mind. One whose day is today or past is told of on its next."""
    account = decided.account
    gained: Iterable[date] = {
        bucket.expires_on for entry in decided.entries for bucket, amount in entry.slices.items() if amount > 0
    }
    if account.notice_due is None:
        gained = {bucket.expires_on for bucket in account.lots}
    known = [account.notice_due] if account.notice_due else []
    due = min([*known, *_days_after(today, gained, policy)], default=None)
    return replace(decided, account=replace(account, notice_due=due))


def _days_after(today: date, expiring: Iterable[date], policy: Policy) -> list[date]:
    days = [day - timedelta(ahead) for day in expiring for ahead in policy.expiry_notice_days]
    return [day for day in days if day > today]
