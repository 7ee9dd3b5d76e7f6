"""What can happen to an account: commands, each of which applies itself to a settled account or is refused.

Before any command the account is **settled** (`shared.ledger.settling`): what fell due by the calendar up to ``now``
happens first, in the order of time, in the same transaction. So a late schedule is never visible in a balance, and the
journal is in the order of time.

Each command is defined with its rules: `credits`, `proposals`, `refunds`, `interviews`, `holds`, `plans`, `badges`,
`expiry_notices` and `chargebacks`. Opening an account (`accounts`) is the one change that has no account before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shared.ledger.expiry_notices import lower_notice_due
from shared.ledger.model import Account, Decision, Request
from shared.ledger.settling import settle

if TYPE_CHECKING:
    from datetime import datetime

    from shared.ledger.policy import Policy


class Command(Protocol):
    """One change of an account."""

    @property
    def request(self) -> Request | None:
        """The caller's request with its idempotency key; None for a command that changes nothing when repeated."""
        ...

    def apply(self, settled: Decision, now: datetime, policy: Policy, /) -> Decision:
        """The decision for a settled account.

        Raises:
            LedgerError: the refusal; nothing changes.
        """
        ...


@dataclass(frozen=True, slots=True)
class Settle:
    """Settle the account, and do nothing else."""

    request: None = None

    def apply(self, settled: Decision, _now: datetime, _policy: Policy, /) -> Decision:
        return settled


def decide(account: Account, command: Command, now: datetime, policy: Policy) -> Decision:
    """Settle the account, then apply the command.

    Returns:
        The new state and every entry, the command's own last. Not ``complete`` if more had fallen due than one
        transaction takes: write it and decide again.

    Raises:
        LedgerError: the refusal; nothing changes.
    """
    # The clocks of two machines differ: one that is behind must not return to a day, or a cycle, that has ended.
    now = max(now, account.last_at or now)
    settled = settle(Decision(account), now, policy)
    if not settled.complete:
        return lower_notice_due(settled, now.date(), policy)
    decided = command.apply(settled, now, policy)
    # With 0 days of grace, a refund of an expired lot expires at once.
    return lower_notice_due(settle(decided, now, policy), now.date(), policy)
