"""What falls due by the calendar: lots that expire and monthly Connects that are granted, each at its instant.

Every command is applied to a **settled** account (`shared.ledger.commands`). The scheduled functions settle the
accounts that no command changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.ledger.calendar import cycle_of_month, expiry_of_lot, midnight
from shared.ledger.model import Account, Decision, EntryType, Request
from shared.ledger.plans import grant
from shared.ledger.timeline import as_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from shared.ledger.policy import Policy

SETTLED_AT_ONCE = 40
"""How many changes that fell due one decision may hold; a transaction takes 100 items. Three years without a schedule
take about two decisions."""
SETTLED_WHILE_OWING = 20
"""How many entries are enough for one decision about an account that owes: what comes is followed by what it pays."""


def settle(decision: Decision, now: datetime, policy: Policy) -> Decision:
    """Add what fell due by ``now`` in the order of time; at one midnight lots expire before new ones are granted."""
    today, before = now.date(), len(decision.entries)
    for _ in range(SETTLED_AT_ONCE):
        if decision.account.owed and len(decision.entries) - before >= SETTLED_WHILE_OWING:
            break
        expiry_due, grant_due = decision.account.expiry_due, _grant_due(decision.account, policy)
        if expiry_due and expiry_due <= min(today, grant_due or today):
            decision = _expire(decision, expiry_due, now, policy)
        elif grant_due and grant_due <= today:
            decision = grant(decision, grant_due, now, policy)
        else:
            # The stored date may be by an older policy.
            account = replace(decision.account, grant_due=grant_due)
            return replace(decision, account=as_of(account, now, policy))
    return replace(decision, complete=False)


def settled_view(account: Account, now: datetime, policy: Policy) -> Account:
    """The account as a command at ``now`` would find it, for showing. Nothing is written."""
    return settling(account, now, policy).account


def settling(account: Account, now: datetime, policy: Policy) -> Decision:
    """What a settlement at ``now`` would write, for showing beside what is written. Nothing is written here.

    Returns:
        The account as a command would find it, and every entry that fell due, however many transactions they take: each
        as it will be written, except for ``recorded_at``.
    """
    decision = settle(Decision(account), now, policy)
    while not decision.complete:
        decision = settle(replace(decision, complete=True), now, policy)
    return decision


def _grant_due(account: Account, policy: Policy) -> date | None:
    """The day of the next monthly Connects by the current policy: the account's own date may be by an older one."""
    if account.granted_month is None or account.closed_at:
        return None
    return cycle_of_month(account.granted_month, account.joined_on.day, policy.anchor_policy).next_starts_on


def _expire(decision: Decision, day: date, now: datetime, policy: Policy) -> Decision:
    slices = {bucket: -left for bucket, left in decision.account.lots.items() if bucket.expires_on == day}
    if slices:
        decision = decision.add_entry(
            EntryType.EXPIRY,
            slices,
            Request("expiry", day.isoformat() + f".{decision.account.seq}", "", "system"),
            at=midnight(day),
            now=now,
            reason="Connects expired",
            reference={"type": "expiry", "expired_on": day.isoformat()},
        )
    # Without any lot, the next one expires no sooner than one issued on this day. A date that stays set spares the next
    # grant a write to its index.
    soonest = expiry_of_lot(day, policy.lot_lifetime_months)
    next_due = min((bucket.expires_on for bucket in decision.account.lots), default=soonest)
    return replace(decision, account=replace(decision.account, expiry_due=next_due))
