"""Due dates that lie in the table, when the settings change that they were computed by.

A due date is computed where an account is written, by the settings of that moment. An account that nobody touches keeps
it: with more days ahead, its owner would not be told on the new days of lots that are there. So every account is looked
at once after such a change, by the schedule of notices, and whoever looks at an account computes its dates anew.

This costs one read a run, to know whether anything has changed; and after a change, once, in as many runs as it takes,
the whole index, a read an account, and a write where a date moves.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from shared.services.due import NOTICES
from shared.store.settings import read_basis, save_basis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.ledger.policy import Policy
    from shared.services.due import Dispatched, Work
    from shared.services.ledger import Ledger

ALL = date.max
"""No account is due later."""


def basis_of(policy: Policy) -> str:
    """The settings by which an account's due dates are computed, and of which a change may call for a sooner one."""
    days = ",".join(str(ahead) for ahead in sorted(policy.expiry_notice_days, reverse=True))
    return f"expiry_notice_days={days} anchor_policy={policy.anchor_policy}"


def dispatch_notices(ledger: Ledger, dispatch: Callable[[Work], Dispatched]) -> Dispatched:
    """Dispatch the accounts that are due to be told or, after a change of the settings, every account once.

    Every account includes those that are due, so nobody is told later for it.
    """
    known, basis = read_basis(ledger.table), basis_of(ledger.policy)
    if known.basis == basis:
        return dispatch(NOTICES)
    found = dispatch(replace(NOTICES, everyone=f"{known.changes} {basis}"))
    if found.complete:
        save_basis(ledger.table, basis)
    return found


@contextmanager
def day_to_look_until(ledger: Ledger, today: date) -> Iterator[date]:
    """Up to which due date accounts are to be looked at: today, or `ALL` where the settings have changed.

    They count as looked at when the block is left without an error; else the next run looks at all of them again.
    """
    basis = basis_of(ledger.policy)
    if read_basis(ledger.table).basis == basis:
        yield today
    else:
        yield ALL
        save_basis(ledger.table, basis)
