"""What an account was on, and when: plan and status as their news tells, however late and in whatever order it came.

An account keeps what was told of its plan and of its status by the instant at which it happened. What the plan was at
any instant, and what each cycle is due for it, follows from that alone, so the order in which it was told makes no
difference, and telling it twice none either.

What lateness can no longer change: news from before the account was opened; news that is older than the last
`MOST_CHANGES` of its kind; and cycles before the last `REMEMBERED_CYCLES`, whose Connects stay as they came.
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
"""So many changes of plan, and as many of status, are kept: some 30 bytes each of the account's item."""
REMEMBERED_CYCLES = 13
"""The current one and those of a year: what they brought is kept, so that late news can add what is missing."""

ONE_INSTANT = timedelta(milliseconds=1)
"""What the clock tells apart."""

N = TypeVar("N", PlanChange, Status)


@dataclass(frozen=True, slots=True)
class Step:
    """From ``at`` on the account is on this plan. The first step stands for all time before it, too."""

    at: datetime
    plan: Plan


# --- What is told ---------------------------------------------------------------------------------------------


def with_plan_change(account: Account, at: datetime, news: PlanChange, policy: Policy) -> Account:
    """The account with news of its plan."""
    began = PlanChange.PLUS if account.plan is Plan.PLUS else PlanChange.BASIC_NOW
    told = _with_change(account.plans or {_since(account): began}, at, news)
    plans, first = _bounded(told), min(_bounded(told))
    if plans[first] is PlanChange.BASIC and plan_at(steps(replace(account, plans=told), policy), first) is Plan.BASIC:
        plans = {**plans, first: PlanChange.BASIC_NOW}  # what came before is forgotten, that it had an effect is not
    return replace(account, plans=plans)


def with_status_change(account: Account, at: datetime, status: Status) -> Account:
    """The account with news of its status."""
    told = _with_change(account.statuses or {_since(account): Status.ACTIVE}, at, status)
    return replace(account, statuses=_bounded(told))


def newest(account: Account) -> datetime:
    """The instant of the newest of all that was told."""
    return max([_since(account), *account.plans, *account.statuses])


def _since(account: Account) -> datetime:
    return account.opened_at or midnight(account.joined_on)


def _with_change(known: Mapping[datetime, N], at: datetime, news: N) -> Mapping[datetime, N]:
    """What was told with one more; what is older than all that is known changes nothing."""
    oldest = min(known)
    if at < oldest:
        return known
    at = max(at, oldest + ONE_INSTANT)  # an account that was opened and upgraded in one instant was so in this order
    order = list(type(news))
    return {**known, at: max(known.get(at, news), news, key=order.index)}


def _bounded(told: Mapping[datetime, N]) -> Mapping[datetime, N]:
    """Without one where it is too many: one that says what those about it say or, failing that, the oldest."""
    if len(told) <= MOST_CHANGES:
        return told
    instants = sorted(told)
    between = zip(instants, instants[1:], instants[2:], strict=False)
    same = [at for before, at, after in between if told[before] is told[at] is told[after]]
    gone = min(same, default=instants[0])
    return {at: news for at, news in told.items() if at != gone}


# --- What follows from it -------------------------------------------------------------------------------------


def steps(account: Account, policy: Policy) -> list[Step]:
    """The plans of an account one after the other; the last one may be still to come."""
    if not account.plans:
        return [Step(_since(account), account.plan)]
    found: list[Step] = []
    falls_back: datetime | None = None
    for at, news in sorted(account.plans.items()):
        if not found:
            found.append(Step(at, Plan.BASIC if news is PlanChange.BASIC_NOW else Plan.PLUS))
        elif falls_back and falls_back <= at:
            found.append(Step(falls_back, Plan.BASIC))
            falls_back = None
        on_plus = found[-1].plan is Plan.PLUS
        if news is PlanChange.BASIC:
            cycle = cycle_on(at.date(), account.joined_on.day, policy.anchor_policy)
            falls_back = midnight(cycle.next_starts_on) if on_plus else None
            continue
        falls_back = None
        if on_plus is not (news is PlanChange.PLUS):
            found.append(Step(at, Plan.PLUS if news is PlanChange.PLUS else Plan.BASIC))
    return [*found, Step(falls_back, Plan.BASIC)] if falls_back else found


def plan_at(found: list[Step], at: datetime) -> Plan:
    return next((step.plan for step in reversed(found) if step.at <= at), found[0].plan)


def next_plan(account: Account, policy: Policy) -> Plan | None:
    """The plan that a settled account will be on from its next cycle on, where that is another one."""
    last = steps(account, policy)[-1].plan
    return last if last is not account.plan else None


def status_at(account: Account, at: datetime) -> Status:
    if account.closed_at and account.closed_at <= at:
        return Status.CLOSED
    if not account.statuses:
        return Status.ACTIVE
    told = [instant for instant in account.statuses if instant <= at]
    return account.statuses[max(told, default=min(account.statuses))]


def as_of(account: Account, now: datetime, policy: Policy) -> Account:
    """The account on the plan that it is on now; an agency that fell back to basic is frozen."""
    if not account.plans:
        return account
    found = steps(account, policy)
    plan = plan_at(found, max(now, newest(account)))
    was_on_plus = account.frozen or account.plan is Plan.PLUS or any(step.plan is Plan.PLUS for step in found)
    frozen = account.kind is Kind.AGENCY and plan is Plan.BASIC and was_on_plus
    return replace(account, plan=plan, frozen=frozen)


# --- What each cycle is due -----------------------------------------------------------------------------------


def due_in(account: Account, cycle: Cycle, policy: Policy) -> Granted:
    """What a cycle is due by all that is known, without the amount.

    The plan of its first instant, where that is known and the account was active; and, where that was not plus, the
    rest of plus for the days that were left at the first upgrade in it that the account was active at.
    """
    start, end = midnight(cycle.starts_on), midnight(cycle.next_starts_on)
    found = steps(account, policy)
    known = all(_reaches_back(account, told, start) for told in (account.plans, account.statuses))
    plan = plan_at(found, start) if known and status_at(account, start) is Status.ACTIVE else None
    days = [
        cycle.days_left(step.at.date())
        for before, step in pairwise(found)
        if before.plan is Plan.BASIC and start < step.at < end and status_at(account, step.at) is Status.ACTIVE
    ]
    return Granted(plan, max(days, default=0) if plan is not Plan.PLUS else 0)


def _reaches_back(account: Account, told: Mapping[datetime, object], at: datetime) -> bool:
    """Whether nothing was forgotten of so long ago."""
    return not told or at >= min(told) or min(told) == _since(account)


def granted_in(account: Account, month: date) -> Granted:
    """What a remembered cycle has brought."""
    return account.granted[max(known for known in account.granted if known <= month)]


def with_granted(account: Account, month: date, granted: Granted) -> Account:
    """The account whose cycle of ``month`` has brought so much: a remembered one, or the one after the newest."""
    brought = {known: granted_in(account, known) for known in remembered_months(account)} | {month: granted}
    months = sorted(brought)[-REMEMBERED_CYCLES:]
    runs = {months[0]: brought[months[0]]}
    for before, after in pairwise(months):
        if brought[after] != brought[before]:
            runs[after] = brought[after]
    return replace(account, granted=runs, granted_month=months[-1])


def remembered_months(account: Account) -> Iterator[date]:
    """The months whose cycles late news may still add to, oldest first."""
    month, latest = min(account.granted, default=None), account.granted_month
    while month and latest and month <= latest:
        yield month
        month = add_months(month, 1)
