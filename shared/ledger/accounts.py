"""Opening an account."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.calendar import add_months, cycle_on, expiry_of_lot, midnight
from shared.ledger.errors import InvalidRequestError
from shared.ledger.expiry_notices import lower_notice_due
from shared.ledger.model import Account, Bucket, Decision, EntryType, Kind, Plan, Request
from shared.ledger.settling import settle

if TYPE_CHECKING:
    from datetime import date, datetime

    from shared.ledger.policy import Policy


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """Open an account at ``at``, now where it is not given; what has fallen due since then is settled with it.

    ``joined_on`` is the day of ``at`` where it is not given. It may lie in the past, never in the future.
    """

    account_id: str
    kind: Kind
    plan: Plan
    joined_on: date | None
    request: Request
    at: datetime | None = None


def open_account(command: OpenAccount, now: datetime, policy: Policy) -> Decision:
    """A new account, with a freelancer's sign-up Connects and the monthly ones of the cycle in which it is opened.

    The sign-up Connects are dated at the opening, the monthly ones on the cycle's first day. Earlier cycles grant
    nothing.

    Raises:
        InvalidRequestError: ``joined_on`` is in the future.
    """
    at = min(command.at or now, now)
    joined_on = command.joined_on or at.date()
    if joined_on > now.date():
        raise InvalidRequestError("body.joined_on", f"is after today, {now.date()}")
    at = max(at, midnight(joined_on))
    today = at.date()
    account = Account(command.account_id, command.kind, command.plan, joined_on, opened_at=at, last_at=at)
    decision = Decision(account)
    if command.kind is Kind.AGENCY:
        return decision
    cycle = cycle_on(today, joined_on.day, policy.anchor_policy)
    decision = Decision(replace(account, granted_month=add_months(cycle.month, -1), grant_due=cycle.starts_on))
    if policy.sign_up:
        decision = decision.add_entry(
            EntryType.GRANT,
            {Bucket(expiry_of_lot(today, policy.lot_lifetime_months), paid=False): policy.sign_up},
            command.request,
            at=at,
            now=now,
            reason="Sign-up Connects",
            reference={"type": "sign_up"},
        )
    return lower_notice_due(settle(decision, now, policy), now.date(), policy)
