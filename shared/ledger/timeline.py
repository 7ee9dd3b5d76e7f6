"""Which plan and status an account had when, however late and in whatever order their changes arrive.

An account keeps the changes of its plan and of its status by the instants at which they happened. The plan at any
instant, and what each cycle is due for it, follow from these alone. So the order in which changes arrive makes no
difference, and the same change sent twice has no further effect.

What a late change no longer affects: the time before the account was opened; the time before the last `MOST_CHANGES`
changes of its kind; and cycles before the last `REMEMBERED_CYCLES`, whose Connects stay as they were granted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from shared.ledger.calendar import add_months, cycle_on, midnight
from shared.ledger.model import Account, Granted, Kind, Plan, PlanChange, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.ledger.calendar import Cycle
    from shared.ledger.policy import Policy

MOST_CHANGES = 12
"""How many changes of plan are kept, and as many of status: some 30 bytes each in the account's item."""
REMEMBERED_CYCLES = 13
"""The current one and those of a year: what they granted is kept, so that a late change can add what is missing."""

ONE_INSTANT = timedelta(milliseconds=1)
"""The resolution of the clock."""

N = TypeVar("N", PlanChange, Status)


@dataclass(frozen=True, slots=True)
class Step:
    """From ``at`` on the account is on this plan. The first step also counts for all time before it."""

    at: datetime
    plan: Plan


# --- Storing a change -----------------------------------------------------------------------------------------


def with_plan_change(account: Account, at: datetime, change: PlanChange, policy: Policy) -> Account:
    """The account with one more change of plan."""
    began = PlanChange.PLUS if account.plan is Plan.PLUS else PlanChange.BASIC_NOW
    changes = _with_change(account.plans or {_since(account): began}, at, change)
    plans = _bounded(changes)
    first = min(plans)
    if (
        plans[first] is PlanChange.BASIC
        and plan_at(steps(replace(account, plans=changes), policy), first) is Plan.BASIC
    ):
        # The first change says on which plan the account was: without those left out, this one would say plus.
        plans = {**plans, first: PlanChange.BASIC_NOW}
    return replace(account, plans=plans)


def with_status_change(account: Account, at: datetime, status: Status) -> Account:
    """The account with one more change of status."""
    changes = _with_change(account.statuses or {_since(account): Status.ACTIVE}, at, status)
    return replace(account, statuses=_bounded(changes))


def newest(account: Account) -> datetime:
    """The instant of the newest change of plan or status."""
    return max([_since(account), *account.plans, *account.statuses])


def _since(account: Account) -> datetime:
    return account.opened_at or midnight(account.joined_on)


def _with_change(known: Mapping[datetime, N], at: datetime, change: N) -> Mapping[datetime, N]:
    """The changes with one more; one that is older than all that are known is ignored."""
    oldest = min(known)
    if at < oldest:
        return known
    at = max(at, oldest + ONE_INSTANT)  # an account that was opened and upgraded in one instant was so in this order
    order = list(type(change))
    return {**known, at: max(known.get(at, change), change, key=order.index)}


def _bounded(changes: Mapping[datetime, N]) -> Mapping[datetime, N]:
    """At most `MOST_CHANGES`: left out is one that equals both of its neighbours or, where none does, the oldest."""
    if len(changes) <= MOST_CHANGES:
        return changes
    instants = sorted(changes)
    between = zip(instants, instants[1:], instants[2:], strict=False)
    same = [at for before, at, after in between if changes[before] is changes[at] is changes[after]]
    left_out = min(same, default=instants[0])
    return {at: change for at, change in changes.items() if at != left_out}


# --- Plan and status at an instant ----------------------------------------------------------------------------


def steps(account: Account, policy: Policy) -> list[Step]:
    """The plans of an account in the order of time; the last one may lie in the future."""
    if not account.plans:
        return [Step(_since(account), account.plan)]
    found: list[Step] = []
    falls_back: datetime | None = None
    for at, change in sorted(account.plans.items()):
        if not found:
            found.append(Step(at, Plan.BASIC if change is PlanChange.BASIC_NOW else Plan.PLUS))
        elif falls_back and falls_back <= at:
            found.append(Step(falls_back, Plan.BASIC))
            falls_back = None
        on_plus = found[-1].plan is Plan.PLUS
        if change is PlanChange.BASIC:
            cycle = cycle_on(at.date(), account.joined_on.day, policy.anchor_policy)
            falls_back = midnight(cycle.next_starts_on) if on_plus else None
            continue
        falls_back = None
        if on_plus is not (change is PlanChange.PLUS):
            found.append(Step(at, Plan.PLUS if change is PlanChange.PLUS else Plan.BASIC))
    return [*found, Step(falls_back, Plan.BASIC)] if falls_back else found


def plan_at(found: list[Step], at: datetime) -> Plan:
    return next((step.plan for step in reversed(found) if step.at <= at), found[0].plan)


def next_plan(account: Account, policy: Policy) -> Plan | None:
    """The plan of a settled account from its next cycle on, if that is another one."""
    last = steps(account, policy)[-1].plan
    return last if last is not account.plan else None


def status_at(account: Account, at: datetime) -> Status:
    if account.closed_at and account.closed_at <= at:
        return Status.CLOSED
    if not account.statuses:
        return Status.ACTIVE
    before = [instant for instant in account.statuses if instant <= at]
    return account.statuses[max(before, default=min(account.statuses))]


def as_of(account: Account, now: datetime, policy: Policy) -> Account:
    """The account with the plan of ``now``; an agency that fell back to basic is frozen."""
    if not account.plans:
        return account
    found = steps(account, policy)
    plan = plan_at(found, max(now, newest(account)))
    was_on_plus = account.frozen or account.plan is Plan.PLUS or any(step.plan is Plan.PLUS for step in found)
    frozen = account.kind is Kind.AGENCY and plan is Plan.BASIC and was_on_plus
    return replace(account, plan=plan, frozen=frozen)


# --- What each cycle is due -----------------------------------------------------------------------------------


def due_in(account: Account, cycle: Cycle, policy: Policy) -> Granted:
    """What a cycle is due by all known changes, without the amount.

    That is the plan of its first instant, if that is known and the account was active then. If that was not plus, it is
    also the rest of plus for the days that were left at the first upgrade in the cycle while the account was active.
    """
    start, end = midnight(cycle.starts_on), midnight(cycle.next_starts_on)
    found = steps(account, policy)
    known = all(_reaches_back(account, changes, start) for changes in (account.plans, account.statuses))
    plan = plan_at(found, start) if known and status_at(account, start) is Status.ACTIVE else None
    days = [
        cycle.days_left(step.at.date())
        for before, step in pairwise(found)
        if before.plan is Plan.BASIC and start < step.at < end and status_at(account, step.at) is Status.ACTIVE
    ]
    return Granted(plan, max(days, default=0) if plan is not Plan.PLUS else 0)


def _reaches_back(account: Account, changes: Mapping[datetime, object], at: datetime) -> bool:
    """Whether no change from before ``at`` was left out."""
    return not changes or at >= min(changes) or min(changes) == _since(account)


def granted_in(account: Account, month: date) -> Granted:
    """What a remembered cycle has granted."""
    return account.granted[max(known for known in account.granted if known <= month)]


def with_granted(account: Account, month: date, granted: Granted) -> Account:
    """The account with what the cycle of ``month`` granted: a remembered cycle, or the one after the newest."""
    by_month = {known: granted_in(account, known) for known in remembered_months(account)} | {month: granted}
    months = sorted(by_month)[-REMEMBERED_CYCLES:]
    kept = {months[0]: by_month[months[0]]}
    for before, after in pairwise(months):
        if by_month[after] != by_month[before]:
            kept[after] = by_month[after]
    return replace(account, granted=kept, granted_month=months[-1])


def remembered_months(account: Account) -> Iterator[date]:
    """The months to whose cycles a late change may still add, oldest first."""
    month, latest = min(account.granted, default=None), account.granted_month
    while month and latest and month <= latest:
        yield month
        month = add_months(month, 1)
