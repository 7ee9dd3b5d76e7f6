"""What can happen to an account: commands, each of which applies itself to a settled account or is refused.

Before any command the account is **settled** (`shared.ledger.settling`): whatever the calendar has brought up to
``now`` happens first, in the order of its instants, in the same transaction. So a late schedule is never visible in a
balance, and the journal is in the order of time.

The commands stand with their rules: `accounts`, `credits`, `proposals`, `refunds`, `interviews`, `holds`, `plans`,
`badges` and `expiry_notices`.
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
        """Who wants it, and under which idempotency key; None where doing it again changes nothing."""
        ...

    def apply(self, settled: Decision, now: datetime, policy: Policy, /) -> Decision:
        """What it makes of a settled account.

        Raises:
            LedgerError: the refusal; nothing changes.
        """
        ...


@dataclass(frozen=True, slots=True)
class Settle:
    """Nothing but what the calendar brings."""

    request: None = None

    def apply(self, settled: Decision, _now: datetime, _policy: Policy, /) -> Decision:
        return settled


def decide(account: Account, command: Command, now: datetime, policy: Policy) -> Decision:
    """Settle the account, then do what the command says.

    Returns:
        The new state and every entry, the command's own last. Not ``complete`` where more had fallen due than one
        transaction takes: write it and decide again.

    Raises:
        LedgerError: the refusal; nothing changes.
    """
    # The clocks of two machines differ: one that is behind must not bring back a day, or a cycle, that has ended.
    now = max(now, account.last_at or now)
    settled = settle(Decision(account), now, policy)
    if not settled.complete:
        return lower_notice_due(settled, now.date(), policy)
    decided = command.apply(settled, now, policy)
    # What came back may expire at once, by a grace of 0 days.
    return lower_notice_due(settle(decided, now, policy), now.date(), policy)
