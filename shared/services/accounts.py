"""Opening accounts and changing plans."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.ledger.commands import ChangePlan, OpenAccount, open_account
from shared.ledger.errors import AlreadyExistsError, BusyError
from shared.ledger.model import Account, Claim, Plan, Request, entry_id
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
    """Open an account once, with a freelancer's sign-up Connects and those of its cycle.

    Raises:
        AlreadyExistsError: it was opened under another key.
        IdempotencyKeyReusedError: the key opened it with another request.
    """
    holder = entry_id(command.account_id, OPENING, command.request.key)
    tries = attempts(deadline)
    for _ in tries:
        now = ledger.clock.now()
        decision = open_account(command, now, ledger.policy)
        view = account_view(decision.account, now.date(), ledger.policy)
        claim = Claim(OPENING, holder, command.request.fingerprint, json.dumps(view))
        try:
            ledger.table.open(decision, claim)
        except (ClaimedError, VersionMovedError) as error:
            tries.met(error)
            return _opened_before(ledger, command, holder, replayed=not tries.unanswered)
        except ContentionError as error:
            tries.met(error)
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


def change_plan(
    ledger: Ledger, account_id: str, plan: Plan, actor: str, *, deadline: float, as_of: datetime | None = None
) -> Account:
    """Set the plan; setting it twice is setting it once.

    News of a change may be late: ``as_of`` says when it happened, and one that is older than the last is ignored.
    """
    command = ChangePlan(plan, Request("plan", "", "", actor), as_of)
    outcome = ledger.execute(account_id, command, deadline=deadline)
    return outcome.account or ledger.table.account(account_id)
