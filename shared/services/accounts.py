"""Opening accounts, and changing their plan and status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.ledger.accounts import OpenAccount, open_account
from shared.ledger.errors import AlreadyExistsError, BusyError
from shared.ledger.holds import jobs_held_on
from shared.ledger.model import Account, Claim, PlanChange, Request, Status, entry_id
from shared.ledger.plans import ChangeAccount
from shared.ledger.settling import settled_view
from shared.services.boosts import withdraw_boost
from shared.services.ledger import Ledger, check_same_request
from shared.services.retry import attempts, in_time
from shared.services.views import account_view
from shared.store.errors import ClaimedError, ContentionError, VersionMovedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

OPENING = "open"


@dataclass(frozen=True, slots=True)
class Opened:
    account: Mapping[str, Any]
    replayed: bool


@in_time
def open_new_account(ledger: Ledger, command: OpenAccount, *, deadline: float) -> Opened:
    """Open an account once, with a freelancer's sign-up Connects and the monthly ones of its cycle.

    Raises:
        AlreadyExistsError: it was opened under another key.
        IdempotencyKeyReusedError: the key opened it with another request.
    """
    holder = entry_id(command.account_id, OPENING, command.request.key)
    tries = attempts(deadline)
    for _ in tries:
        now = ledger.clock.now()
        decision = open_account(command, now, ledger.policy)
        view = account_view(settled_view(decision.account, now, ledger.policy), now.date(), ledger.policy)
        claim = Claim(OPENING, holder, command.request.fingerprint, json.dumps(view))
        try:
            ledger.table.open(decision, claim)
        except (ClaimedError, VersionMovedError) as error:
            tries.failed(error)
            return _opened_before(ledger, command, holder, replayed=not tries.unanswered)
        except ContentionError as error:
            tries.failed(error)
            continue
        return Opened(view, replayed=False)
    raise tries.busy


def _opened_before(ledger: Ledger, command: OpenAccount, holder: str, *, replayed: bool) -> Opened:
    try:
        claim = ledger.table.claim(command.account_id, OPENING)
    except ContentionError as error:
        raise BusyError(unanswered=True) from error
    if claim is None or claim.holder != holder or claim.answer is None:
        raise AlreadyExistsError(f"Account {command.account_id}")
    check_same_request(claim.fingerprint, command.request)
    return Opened(json.loads(claim.answer), replayed=replayed)


def change_account(
    ledger: Ledger,
    account_id: str,
    actor: str,
    *,
    deadline: float,
    plan: PlanChange | None = None,
    status: Status | None = None,
    at: datetime | None = None,
) -> Account:
    """Set the plan, the status, or both; the same again changes nothing.

    A change may be late: ``at`` says when it happened, and an older one never undoes a newer one. If the process dies
    after it has closed an account, closing it again releases what is held for its boosts.

    Raises:
        InvalidRequestError: neither is set.
        AccountClosedError: it is closed, and that is for ever.
        AccountNotFoundError, BusyError
    """
    command = ChangeAccount(Request("plan", "", "", actor), plan, status, at)
    outcome = ledger.execute(account_id, command, deadline=deadline)
    account = outcome.account or ledger.table.account(account_id)
    if account.closed_at and account.held:
        _release_holds(ledger, account, account.closed_at, deadline)
        account = ledger.table.account(account_id)
    return account


def _release_holds(ledger: Ledger, account: Account, closed_at: datetime, deadline: float) -> None:
    journal = ledger.table.journal(account.account_id)
    for job_id in jobs_held_on(account.held, reversed(journal)):
        withdraw_boost(ledger, job_id, account.account_id, closed_at, deadline=deadline)
