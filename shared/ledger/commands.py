"""What can happen to an account, each a pure function from a state to a `Decision` or a refusal.

Before any command the account is **settled**: whatever the calendar has brought up to ``now`` (lots that expired,
monthly Connects that came) happens first, in the order of its instants, in the same transaction. So a late
schedule is never visible in a balance, the journal is in the order of time, and the scheduled functions have no
logic of their own: they settle the accounts that nobody touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.badges import RenewBadge, SwitchBadge, renew, switch
from shared.ledger.calendar import add_months, cycle_of_month, cycle_on, expiry_of_lot, midnight
from shared.ledger.errors import (
    AccountClosedError,
    InsufficientConnectsError,
    InvalidRequestError,
    NoFreeConnectsError,
    PlanRequiredError,
)
from shared.ledger.expiry_notices import tell_expiring, wait_for_notices
from shared.ledger.holds import EndHold, Hold, end_hold, hold
from shared.ledger.interviews import Interview, interview
from shared.ledger.model import Account, Bucket, Decision, EntryType, Kind, Plan, Request, Status
from shared.ledger.plans import ChangeAccount, change, grant
from shared.ledger.policy import MAX_AMOUNT
from shared.ledger.refunds import Refund, refund
from shared.ledger.timeline import as_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from shared.ledger.policy import Policy

SETTLED_AT_ONCE = 40
"""How much that fell due one decision may carry; a transaction takes 100 items. Three years without a schedule are
about two decisions."""


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """``joined_on`` is the day of ``at`` where it is not given; it may lie in the past, never in the future.

    ``at`` is when the account was opened, now where it is not given: what has come since comes with it.
    """

    account_id: str
    kind: Kind
    plan: Plan
    joined_on: date | None
    request: Request
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """Connects from any source but the calendar: ``paid`` ones burn after free ones of the same day."""

    type: EntryType
    amount: int
    paid: bool
    reason: str
    reference: Mapping[str, str]
    request: Request
    once: str | None = None
    """What this may be given for only once for ever."""
    freelancers_only: bool = False
    """Agencies get no free Connects."""
    at: datetime | None = None
    """When what it is given for happened, where that is not now: they live from that day on."""
    bonus: Credit | None = None
    """What comes with it, as an entry of its own."""

    def __post_init__(self) -> None:
        _check_amount(self.amount)


@dataclass(frozen=True, slots=True)
class Spend:
    """An amount of 0 is for what is free: a row that explains it."""

    amount: int
    reason: str
    reference: Mapping[str, str]
    request: Request

    def __post_init__(self) -> None:
        if self.amount:
            _check_amount(self.amount)


@dataclass(frozen=True, slots=True)
class Adjust:
    """A courtesy or a correction by staff: ``amount`` is signed."""

    amount: int
    reason: str
    request: Request

    def __post_init__(self) -> None:
        _check_amount(abs(self.amount))


@dataclass(frozen=True, slots=True)
class Settle:
    """Nothing but what the calendar brings."""


@dataclass(frozen=True, slots=True)
class TellExpiring:
    """Tell the owner of lots that are about to expire."""


Command = (
    Credit
    | Spend
    | Refund
    | Interview
    | Adjust
    | Hold
    | EndHold
    | ChangeAccount
    | SwitchBadge
    | RenewBadge
    | Settle
    | TellExpiring
)


def open_account(command: OpenAccount, now: datetime, policy: Policy) -> Decision:
    """A new account: a freelancer's sign-up Connects and those of the cycle it is opened in.

    Both are issued when it is opened or, for the cycle's, on its first day. Cycles before that one are not made up for.

    Raises:
        InvalidRequestError: ``joined_on`` is in the future.
    """
    at = min(command.at or now, now)
    joined_on = command.joined_on or at.date()
    if joined_on > now.date():
        raise InvalidRequestError("body.joined_on", f"is after today, {now.date()}")
    at = max(at, midnight(joined_on))
    today = at.date()
    account = Account(command.account_id, command.kind, command.plan, joined_on, told_since=at, last_at=at)
    decision = Decision(account)
    if command.kind is Kind.AGENCY:
        return decision
    cycle = cycle_on(today, joined_on.day, policy.anchor_policy)
    decision = Decision(replace(account, granted_month=add_months(cycle.month, -1), grant_due=cycle.starts_on))
    if policy.sign_up:
        decision = decision.post(
            EntryType.GRANT,
            {Bucket(expiry_of_lot(today, policy.lot_lifetime_months), paid=False): policy.sign_up},
            command.request,
            at=at,
            now=now,
            reason="Sign-up Connects",
            reference={"type": "sign_up"},
        )
    return wait_for_notices(_settle(decision, now, policy), now.date(), policy)


def decide(  # noqa: C901, PLR0912 - a case a command
    account: Account, command: Command, now: datetime, policy: Policy
) -> Decision:
    """Settle the account, then do what the command says.

    Returns:
        The new state and every entry, the command's own last. Not ``complete`` where more had fallen due than one
        transaction takes: write it and decide again.

    Raises:
        LedgerError: the refusal; nothing changes.
    """
    # The clocks of two machines differ: one that is behind must not bring back a day, or a cycle, that has ended.
    now = max(now, account.last_at or now)
    settled = _settle(Decision(account), now, policy)
    if not settled.complete:
        return wait_for_notices(settled, now.date(), policy)
    match command:
        case Settle():
            decided = settled
        case Credit():
            decided = _credit(settled, command, now, policy)
        case Spend():
            decided = _spend(settled, command, now)
        case Refund():
            decided = refund(settled, command, now, policy)
        case Interview():
            decided = interview(settled, command, now, policy)
        case Adjust():
            decided = _adjust(settled, command, now, policy)
        case Hold():
            decided = hold(settled, command, now)
        case EndHold():
            decided = end_hold(settled, command, now, policy)
        case ChangeAccount():
            decided = change(settled, command, now, policy)
        case TellExpiring():
            decided = tell_expiring(settled, now, policy)
        case SwitchBadge():
            decided = switch(settled, command, now)
        case RenewBadge():
            decided = renew(settled, command, now)
    # What came back may expire at once, by a grace of 0 days.
    return wait_for_notices(_settle(decided, now, policy), now.date(), policy)


def settled_view(account: Account, now: datetime, policy: Policy) -> Account:
    """The account as a command at ``now`` would find it, for showing. Nothing is written."""
    return settling(account, now, policy).account


def settling(account: Account, now: datetime, policy: Policy) -> Decision:
    """What a settlement at ``now`` would write, for showing beside what is written. Nothing is.

    Returns:
        The account as a command would find it, and every entry that fell due, however many transactions they take: each
        as it will be written, but for ``recorded_at``.
    """
    decision = _settle(Decision(account), now, policy)
    while not decision.complete:
        decision = _settle(replace(decision, complete=True), now, policy)
    return decision


def check_may_buy(account: Account) -> None:
    """Agencies may buy only on plus.

    Raises:
        AccountClosedError, AccountSuspendedError
        AccountFrozenError: an agency that fell back to basic.
        PlanRequiredError: an agency that has not been on plus.
    """
    account.check_may_use()
    if account.kind is Kind.AGENCY and account.plan is Plan.BASIC:
        raise PlanRequiredError


def _settle(decision: Decision, now: datetime, policy: Policy) -> Decision:
    """Everything that fell due by ``now``, by its instant; at the same midnight lots expire before new ones come."""
    today = now.date()
    for _ in range(SETTLED_AT_ONCE):
        expiry_due, grant_due = decision.account.expiry_due, _grant_due(decision.account, policy)
        if expiry_due and expiry_due <= min(today, grant_due or today):
            decision = _expire(decision, expiry_due, now, policy)
        elif grant_due and grant_due <= today:
            decision = grant(decision, grant_due, now, policy)
        else:
            # By an older policy it may be due on another day.
            account = replace(decision.account, grant_due=grant_due)
            return replace(decision, account=as_of(account, now, policy))
    return replace(decision, complete=False)


def _grant_due(account: Account, policy: Policy) -> date | None:
    """When the next monthly Connects come, by the policy of now: the date in the account may be by an older one."""
    if account.granted_month is None or account.closed_at:
        return None
    return cycle_of_month(account.granted_month, account.joined_on.day, policy.anchor_policy).next_starts_on


def _expire(decision: Decision, day: date, now: datetime, policy: Policy) -> Decision:
    slices = {bucket: -left for bucket, left in decision.account.lots.items() if bucket.expires_on == day}
    if slices:
        decision = decision.post(
            EntryType.EXPIRY,
            slices,
            Request("expiry", day.isoformat() + f".{decision.account.seq}", "", "system"),
            at=midnight(day),
            now=now,
            reason="Connects expired",
            reference={"type": "expiry", "expired_on": day.isoformat()},
        )
    # Where nothing is left, a lot that comes later expires no sooner than one of today. Not forgetting the date spares
    # the next grant a write to its index.
    soonest = expiry_of_lot(day, policy.lot_lifetime_months)
    next_due = min((bucket.expires_on for bucket in decision.account.lots), default=soonest)
    return replace(decision, account=replace(decision.account, expiry_due=next_due))


def _credit(settled: Decision, command: Credit, now: datetime, policy: Policy) -> Decision:
    if command.freelancers_only and settled.account.kind is not Kind.FREELANCER:
        raise NoFreeConnectsError
    _check_may_get(settled.account, command.type)
    issued_at = min(command.at or now, now)
    bucket = Bucket(expiry_of_lot(issued_at.date(), policy.lot_lifetime_months), paid=command.paid)
    if command.once:
        settled = settled.once(command.once)
    settled = settled.post(
        command.type,
        {bucket: command.amount},
        command.request,
        at=now,
        now=now,
        reason=command.reason,
        reference=command.reference,
    )
    return _credit(settled, command.bonus, now, policy) if command.bonus else settled


def _check_may_get(account: Account, what: EntryType) -> None:
    """A charge always ends in its Connects; a code is redeemed by the account, and a reward was won before."""
    if what is EntryType.PROMO:
        account.check_may_act()
    elif what is not EntryType.PURCHASE and account.status is Status.CLOSED:
        raise AccountClosedError


def _spend(settled: Decision, command: Spend, now: datetime) -> Decision:
    return settled.post(
        EntryType.SPEND,
        settled.account.use(command.amount),
        command.request,
        at=now,
        now=now,
        reason=command.reason,
        reference=command.reference,
    )


def _adjust(settled: Decision, command: Adjust, now: datetime, policy: Policy) -> Decision:
    account = settled.account
    if command.amount > 0:
        if account.status is Status.CLOSED:
            raise AccountClosedError
        slices = {Bucket(expiry_of_lot(now.date(), policy.lot_lifetime_months), paid=False): command.amount}
    elif account.balance + command.amount < 0:
        raise InsufficientConnectsError(balance=account.balance, required=-command.amount)
    else:
        slices = account.burn(-command.amount)
    return settled.post(
        EntryType.ADJUSTMENT,
        slices,
        command.request,
        at=now,
        now=now,
        reason=command.reason,
        reference={"type": "adjustment"},
    )


def _check_amount(amount: int) -> None:
    if not 1 <= amount <= MAX_AMOUNT:
        raise InvalidRequestError("amount", f"must be from 1 to {MAX_AMOUNT}")
