"""Monthly Connects, and what changes of plan and of status do, whenever they arrive.

A cycle grants its plan's monthly amount on its first day. An upgrade inside it grants ``floor((plus - basic) x days
left / days)`` more, free and paid ones in proportion; a downgrade counts from the next cycle on. All of it follows from
the account's timeline (`shared.ledger.timeline`): a late change is stored at the instant at which it happened, and what
the remembered cycles lack by it is granted at once. What a cycle granted too much is never taken back.

A row that makes up for something is dated when it was written, because nothing could have used it before; its lot
expires as if it had been granted on its day. A lot that would have expired by now is granted and expires, as two rows.

What an account may do and get, by its status (a frozen agency is an active one on basic that was on plus):

======================================  =========  =========  =======================  ==============================
what                                    active     frozen     suspended                closed
======================================  =========  =========  =======================  ==============================
spend, bid, badge on, begin a purchase  yes        no         no                       no
redeem a promo code                     yes        yes        no                       no
a charge that went through              Connects   Connects   Connects, no promo code  Connects, no promo code
monthly Connects, rest of an upgrade    yes        agency     none, none made up for   none
reward, certificate                     yes        agency     yes: it was won before   no
interview                               yes        yes        yes                      the refund of it, no reward
refund, correction down                 yes        yes        yes                      yes
a payment that goes back, or comes      yes        yes        yes                      yes
again (`shared.ledger.chargebacks`)
correction up                           yes        yes        yes                      no
hold of a boost                         as won     as won     as won                   comes back
badge that is on                        renewed    off (end)  off at once              off at once
change of plan                          yes        yes        yes, brings nothing now  no
expiry, and notices of it               run on     run on     run on                   run on
======================================  =========  =========  =======================  ==============================

For a cycle the status of its first instant counts, for an upgrade the status at the upgrade. A suspension or closing
that arrives late undoes nothing that was granted or used. Once an account is known to be closed, changes of an earlier
time are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.ledger.badges import switch_off
from shared.ledger.calendar import add_months, cycle_of_month, expiry_of_lot, midnight
from shared.ledger.errors import AccountClosedError, AccountSuspendedError, InvalidRequestError
from shared.ledger.model import Account, Bucket, EntryType, Granted, Plan, PlanChange, Request, Status
from shared.ledger.timeline import (
    ONE_INSTANT,
    due_in,
    granted_in,
    newest,
    remembered_months,
    with_granted,
    with_plan_change,
    with_status_change,
)

if TYPE_CHECKING:
    from datetime import date, datetime

    from shared.ledger.calendar import Cycle
    from shared.ledger.model import Decision
    from shared.ledger.policy import Policy


@dataclass(frozen=True, slots=True)
class ChangeAccount:
    """Another plan, another status, or both.

    ``at`` is when it happened. Without ``at`` it is newer than all known changes.
    """

    request: Request
    plan: PlanChange | None = None
    status: Status | None = None
    at: datetime | None = None

    def __post_init__(self) -> None:
        if self.plan is None and self.status is None:
            raise InvalidRequestError("body", "needs plan, status, or both")

    def apply(self, settled: Decision, now: datetime, policy: Policy, /) -> Decision:
        """Store the change at the instant at which it happened, and grant what the remembered cycles lack by it.

        What had fallen due was settled by the changes known before, as the account's owner was shown it, whether a
        schedule had run or not. A badge goes off if the account may no longer act.

        Raises:
            AccountClosedError: it is closed, unless the change is that it is closed.
        """
        settled = replace(settled, account=_changed(settled.account, self, now, policy))
        status = settled.account.status
        if status is Status.CLOSED:
            return switch_off(settled, AccountClosedError(), now)
        if status is Status.SUSPENDED:
            settled = switch_off(settled, AccountSuspendedError(), now)
        for month in remembered_months(settled.account):
            cycle = cycle_of_month(month, settled.account.joined_on.day, policy.anchor_policy)
            settled = _make_up(settled, cycle, self.request.actor, now, policy)
        return settled


def _changed(account: Account, command: ChangeAccount, now: datetime, policy: Policy) -> Account:
    if account.status is Status.CLOSED and (command.plan or command.status is not Status.CLOSED):
        raise AccountClosedError
    # A caller's clock that is ahead must not make the changes to come count as older.
    at = min(command.at, now) if command.at else max(now, newest(account) + ONE_INSTANT)
    if command.plan:
        account = with_plan_change(account, at, command.plan, policy)
    return with_status_change(account, at, command.status) if command.status else account


@dataclass(frozen=True, slots=True)
class _Row:
    """What a grant's entry says; its lot expires as one that was issued on ``issued_on``."""

    request: Request
    reason: str
    reference: dict[str, str]
    issued_on: date
    at: datetime
    now: datetime


def grant(decision: Decision, issued_on: date, now: datetime, policy: Policy) -> Decision:
    """The monthly Connects of the cycle after the newest that was granted."""
    account = decision.account
    if account.granted_month is None:
        raise AssertionError(f"{account.account_id}: a grant is due and no cycle came before it")
    cycle = cycle_of_month(add_months(account.granted_month, 1), account.joined_on.day, policy.anchor_policy)
    begun = replace(with_granted(account, cycle.month, Granted()), grant_due=cycle.next_starts_on)
    monthly = Granted(due_in(account, cycle, policy).plan)
    if monthly.plan is None:
        return replace(decision, account=begun)
    row = _Row(
        Request("grant", _name(cycle), "", "system"),
        f"Monthly Connects, {monthly.plan} plan",
        {"type": "cycle", "cycle": _name(cycle), "starts_on": issued_on.isoformat()},
        issued_on,
        at=midnight(issued_on),
        now=now,
    )
    return _grant_up_to(replace(decision, account=begun), cycle, monthly, row, policy)


def _make_up(settled: Decision, cycle: Cycle, actor: str, now: datetime, policy: Policy) -> Decision:
    had, due = granted_in(settled.account, cycle.month), due_in(settled.account, cycle, policy)
    if due.plan and _more(had.plan, due.plan):
        row = _Row(
            Request("grant", f"{_name(cycle)}.{due.plan}", "", actor),
            f"Monthly Connects, {due.plan} plan, for the cycle from {cycle.starts_on} on",
            {"type": "cycle", "cycle": _name(cycle), "starts_on": cycle.starts_on.isoformat()},
            cycle.starts_on,
            at=now,
            now=now,
        )
        days = 0 if due.plan is Plan.PLUS else had.upgraded_days
        settled = _grant_up_to(settled, cycle, Granted(due.plan, days), row, policy)
        had = granted_in(settled.account, cycle.month)
    if had.plan is Plan.PLUS or due.upgraded_days <= had.upgraded_days:
        return settled
    upgraded_on = cycle.next_starts_on - timedelta(due.upgraded_days)
    before = f", {had.upgraded_days} of them had come" if had.upgraded_days else ""
    row = _Row(
        Request("upgrade", f"{_name(cycle)}.{due.upgraded_days}", "", actor),
        f"Upgrade to plus, {due.upgraded_days} of {cycle.days} days left{before}",
        {"type": "upgrade", "cycle": _name(cycle), "upgraded_on": upgraded_on.isoformat()},
        upgraded_on,
        at=now,
        now=now,
    )
    return _grant_up_to(settled, cycle, Granted(had.plan, due.upgraded_days), row, policy)


def _grant_up_to(decision: Decision, cycle: Cycle, wanted: Granted, row: _Row, policy: Policy) -> Decision:
    """Grant what a cycle lacks from what it granted to what is wanted, at most its best plan's monthly amount."""
    had = granted_in(decision.account, cycle.month)
    (free_before, before), (free_after, after) = _worth(had, cycle, policy), _worth(wanted, cycle, policy)
    best = policy.monthly_plus if wanted.plan is Plan.PLUS or wanted.upgraded_days else policy.monthly_basic
    amount = max(min(after - before, best - had.amount), 0)
    free = min(max(free_after - free_before, 0), amount)
    expires_on = expiry_of_lot(row.issued_on, policy.lot_lifetime_months)
    slices = {Bucket(expires_on, paid=False): free, Bucket(expires_on, paid=True): amount - free}
    if amount:
        decision = decision.add_entry(
            EntryType.GRANT,
            {bucket: part for bucket, part in slices.items() if part},
            row.request,
            at=row.at,
            now=row.now,
            reason=row.reason,
            reference=row.reference,
        )
    granted = replace(wanted, amount=had.amount + amount)
    return replace(decision, account=with_granted(decision.account, cycle.month, granted))


def _worth(granted: Granted, cycle: Cycle, policy: Policy) -> tuple[int, int]:
    """How many Connects that is by the current numbers: the free ones, and all."""
    if granted.plan is Plan.PLUS:
        return policy.monthly_plus_free, policy.monthly_plus
    monthly = policy.monthly_basic if granted.plan else 0
    days = min(granted.upgraded_days, cycle.days)
    free = max(policy.monthly_plus_free - policy.monthly_basic, 0) * days // cycle.days
    return monthly + free, monthly + (policy.monthly_plus - policy.monthly_basic) * days // cycle.days


def _more(had: Plan | None, due: Plan) -> bool:
    return had is None or (had is Plan.BASIC and due is Plan.PLUS)


def _name(cycle: Cycle) -> str:
    return f"{cycle.month:%Y-%m}"
