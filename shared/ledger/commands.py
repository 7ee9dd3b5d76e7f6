"""What can happen to an account, each a pure function from a state to a `Decision` or a refusal.

Before any command the account is **settled**: whatever the calendar has brought up to ``now`` (lots that expired,
monthly Connects that came) happens first, in the order of its instants, in the same transaction. So a late
schedule is never visible in a balance, the journal is in the order of time, and the scheduled functions have no
logic of their own: they settle the accounts that nobody touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.ledger.badge import RenewBadge, SwitchBadge, is_badge, renew, switch
from shared.ledger.calendar import add_months, cycle_of_month, cycle_on, expiry_of_lot, midnight
from shared.ledger.errors import (
    AccountFrozenError,
    AlreadyRefundedError,
    InsufficientConnectsError,
    InvalidRequestError,
    NotRefundableError,
    PlanRequiredError,
    RewardCapReachedError,
)
from shared.ledger.expiry_notices import tell_expiring, wait_for_notices
from shared.ledger.holds import EndHold, Hold, end_hold, hold
from shared.ledger.model import Account, Bucket, Decision, Entry, EntryType, Kind, Plan, Request, back
from shared.ledger.policy import MAX_AMOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from shared.ledger.policy import Policy

SETTLED_AT_ONCE = 40
"""How much that fell due one decision may carry; a transaction takes 100 items. Three years without a schedule are
about two decisions."""

BACK = {"job_canceled": "Job canceled", "job_removed": "Job removed", "fraud": "Job removed for fraud"}
"""The reasons for which Connects come back."""

NOT_BACK = frozenset({"job_expired", "job_filled", "not_chosen", "withdrawn"})
"""The reasons for which they do not."""


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """``joined_on`` is today where it is not given; it may lie in the past, never in the future."""

    account_id: str
    kind: Kind
    plan: Plan
    joined_on: date | None
    request: Request


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
class Refund:
    """Give a spend back, for one of the reasons in `BACK`."""

    spend: Entry
    reason: str
    request: Request


@dataclass(frozen=True, slots=True)
class Interview:
    """A client invited to an interview after a proposal, which cost ``spend``.

    ``came_back`` is how many of its Connects had come back already.
    """

    spend: Entry
    came_back: int
    request: Request


@dataclass(frozen=True, slots=True)
class Adjust:
    """A courtesy or a correction by staff: ``amount`` is signed."""

    amount: int
    reason: str
    request: Request

    def __post_init__(self) -> None:
        _check_amount(abs(self.amount))


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """``as_of`` is when it was changed, where that is not now: a change that comes after a newer one is none."""

    plan: Plan
    request: Request
    as_of: datetime | None = None


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
    | ChangePlan
    | SwitchBadge
    | RenewBadge
    | Settle
    | TellExpiring
)


def open_account(command: OpenAccount, now: datetime, policy: Policy) -> Decision:
    """A new account: a freelancer's sign-up Connects and those of the cycle it is opened in.

    Both are issued today or, for the cycle's, on its first day. Cycles before the current one are not made up for.

    Raises:
        InvalidRequestError: ``joined_on`` is in the future.
    """
    today = now.date()
    joined_on = command.joined_on or today
    if joined_on > today:
        raise InvalidRequestError("body.joined_on", f"is after today, {today}")
    decision = Decision(Account(command.account_id, command.kind, command.plan, joined_on, last_at=now))
    if command.kind is Kind.AGENCY:
        return decision
    cycle = cycle_on(today, joined_on.day, policy.anchor_policy)
    account = replace(decision.account, granted_month=add_months(cycle.month, -1), grant_due=cycle.starts_on)
    decision = Decision(account)
    if policy.sign_up:
        decision = decision.post(
            EntryType.GRANT,
            {Bucket(expiry_of_lot(today, policy.lot_lifetime_months), paid=False): policy.sign_up},
            command.request,
            at=now,
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
            decided = _refund(settled, command, now, policy)
        case Interview():
            decided = _interview(settled, command, now, policy)
        case Adjust():
            decided = _adjust(settled, command, now, policy)
        case Hold():
            decided = hold(settled, command, now)
        case EndHold():
            decided = end_hold(settled, command, now, policy)
        case ChangePlan():
            decided = _change_plan(settled, command, now, policy)
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
        AccountFrozenError: an agency that fell back to basic.
        PlanRequiredError: an agency that has not been on plus.
    """
    if account.frozen:
        raise AccountFrozenError
    if account.kind is Kind.AGENCY and account.plan is Plan.BASIC:
        raise PlanRequiredError


def check_refundable(reason: str) -> None:
    """Raises NotRefundableError for the reasons that give nothing back."""
    if reason in NOT_BACK:
        raise NotRefundableError(reason)


def refund_claim(spend: Entry) -> str:
    """A spend comes back at most once, whatever mix of reasons arrives."""
    return f"refund#{spend.entry_id}"


def interview_claim(spend: Entry) -> str:
    """A proposal has its interview at most once."""
    return f"interview#{spend.entry_id}"


def _settle(decision: Decision, now: datetime, policy: Policy) -> Decision:
    """Everything that fell due by ``now``, by its instant; at the same midnight lots expire before new ones come."""
    today = now.date()
    for _ in range(SETTLED_AT_ONCE):
        expiry_due, grant_due = decision.account.expiry_due, decision.account.grant_due
        if expiry_due and expiry_due <= min(today, grant_due or today):
            decision = _expire(decision, expiry_due, now, policy)
        elif grant_due and grant_due <= today:
            decision = _grant(decision, grant_due, now, policy)
        else:
            return decision
    return replace(decision, complete=False)


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


def _grant(decision: Decision, issued_on: date, now: datetime, policy: Policy) -> Decision:
    account = decision.account
    if account.granted_month is None:
        raise AssertionError(f"{account.account_id}: a grant is due and no cycle came before it")
    month = add_months(account.granted_month, 1)
    expires_on = expiry_of_lot(issued_on, policy.lot_lifetime_months)
    free, paid = policy.monthly_basic, 0
    if account.plan is Plan.PLUS:
        free, paid = policy.monthly_plus_free, policy.monthly_plus - policy.monthly_plus_free
    slices = {Bucket(expires_on, paid=False): free, Bucket(expires_on, paid=True): paid}
    if free + paid:
        decision = decision.post(
            EntryType.GRANT,
            {bucket: amount for bucket, amount in slices.items() if amount},
            Request("grant", _name(month), "", "system"),
            at=midnight(issued_on),
            now=now,
            reason=f"Monthly Connects, {account.plan} plan",
            reference={"type": "cycle", "cycle": _name(month), "starts_on": issued_on.isoformat()},
        )
    cycle = cycle_of_month(month, account.joined_on.day, policy.anchor_policy)
    return replace(
        decision,
        account=replace(
            decision.account,
            granted_month=month,
            granted_plan=account.plan,
            grant_due=cycle.next_starts_on,
        ),
    )


def _credit(settled: Decision, command: Credit, now: datetime, policy: Policy) -> Decision:
    if command.freelancers_only and settled.account.kind is not Kind.FREELANCER:
        raise InvalidRequestError("account", "is an agency, and agencies get no free Connects")
    bucket = Bucket(expiry_of_lot(now.date(), policy.lot_lifetime_months), paid=command.paid)
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


def _refund(settled: Decision, command: Refund, now: datetime, policy: Policy) -> Decision:
    check_refundable(command.reason)
    _check_on_proposal(command.spend)
    slices = back(command.spend.slices, -command.spend.amount, now.date(), policy.refund_grace_days)
    return settled.once(refund_claim(command.spend)).post(
        EntryType.REFUND,
        slices,
        command.request,
        at=now,
        now=now,
        reason=BACK[command.reason],
        reference={"type": "spend", "spend_id": command.spend.entry_id, "why": command.reason},
    )


def _check_on_proposal(spend: Entry) -> None:
    """What a badge cost never comes back, nor does it win an interview."""
    if is_badge(spend):
        raise NotRefundableError("badge")


def _interview(settled: Decision, command: Interview, now: datetime, policy: Policy) -> Decision:
    """In all as much as an interview brings: the proposal's own Connects come back, the rest is a reward."""
    _check_on_proposal(command.spend)
    missing = max(policy.interview - command.came_back, 0)
    refunded = min(-command.spend.amount - command.came_back, missing)
    rewarded = missing - refunded
    if not missing:
        raise AlreadyRefundedError(command.spend.entry_id)
    settled = _count_interview(settled.once(interview_claim(command.spend)), missing, now, policy)
    reference = {"type": "interview", "spend_id": command.spend.entry_id}
    request = command.request
    if refunded:
        settled = settled.once(refund_claim(command.spend)).post(
            EntryType.REFUND,
            back(command.spend.slices, refunded, now.date(), policy.refund_grace_days),
            request,
            at=now,
            now=now,
            reason="Interview: the proposal's Connects",
            reference=reference,
        )
        request = replace(request, operation="interview_reward")
    if rewarded:
        settled = settled.post(
            EntryType.REWARD,
            {Bucket(expiry_of_lot(now.date(), policy.lot_lifetime_months), paid=False): rewarded},
            request,
            at=now,
            now=now,
            reason="Interview",
            reference=reference,
        )
    return settled


def _count_interview(settled: Decision, amount: int, now: datetime, policy: Policy) -> Decision:
    """Interviews bring an account only so much in any so many days."""
    since = now - timedelta(days=policy.interview_window_days)
    recent = {at: brought for at, brought in settled.account.interviews.items() if at > since}
    awarded = sum(recent.values())
    if awarded + amount > policy.interview_cap:
        raise RewardCapReachedError(cap=policy.interview_cap, awarded=awarded, days=policy.interview_window_days)
    recent[now] = recent.get(now, 0) + amount
    return replace(settled, account=replace(settled.account, interviews=recent))


def _adjust(settled: Decision, command: Adjust, now: datetime, policy: Policy) -> Decision:
    account = settled.account
    if command.amount > 0:
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


def _change_plan(settled: Decision, command: ChangePlan, now: datetime, policy: Policy) -> Decision:
    """An upgrade brings the rest of the cycle's Connects at once; a downgrade takes nothing back.

    Over one cycle an account gets at most its best plan's monthly amount: a second upgrade in it brings nothing.
    """
    account = settled.account
    # Nobody's clock may rule out the changes to come.
    as_of = min(command.as_of or now, now)
    if command.as_of and account.plan_as_of and as_of < account.plan_as_of:
        return settled
    upgraded = command.plan is Plan.PLUS and account.granted_plan is Plan.BASIC
    if upgraded and account.granted_month:
        settled = _top_up(settled, account.granted_month, command, now, policy)
    fell_back = account.kind is Kind.AGENCY and command.plan is Plan.BASIC and account.plan is Plan.PLUS
    return replace(
        settled,
        account=replace(
            settled.account,
            plan=command.plan,
            plan_as_of=as_of if command.as_of or command.plan is not account.plan else account.plan_as_of,
            granted_plan=Plan.PLUS if upgraded else account.granted_plan,
            frozen=command.plan is Plan.BASIC and (account.frozen or fell_back),
        ),
    )


def _top_up(settled: Decision, month: date, command: ChangePlan, now: datetime, policy: Policy) -> Decision:
    today = now.date()
    cycle = cycle_of_month(month, settled.account.joined_on.day, policy.anchor_policy)
    # No more than a whole cycle, should another anchor policy have moved its start meanwhile.
    left = min(cycle.days_left(today), cycle.days)
    amount = (policy.monthly_plus - policy.monthly_basic) * left // cycle.days
    if amount <= 0:
        return settled
    return settled.post(
        EntryType.GRANT,
        {Bucket(expiry_of_lot(today, policy.lot_lifetime_months), paid=True): amount},
        Request("upgrade", _name(month), "", command.request.actor),
        at=now,
        now=now,
        reason=f"Upgrade to plus, {left} of {cycle.days} days left",
        reference={"type": "upgrade", "cycle": _name(month)},
    )


def _check_amount(amount: int) -> None:
    if not 1 <= amount <= MAX_AMOUNT:
        raise InvalidRequestError("amount", f"must be from 1 to {MAX_AMOUNT}")


def _name(month: date) -> str:
    return f"{month:%Y-%m}"
