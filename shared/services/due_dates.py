"""Stored due dates after a change of the settings by which they were computed.

A due date is computed when an account is written, by the settings of that moment. An account that does not change keeps
it: with a new number of days ahead, its owner would get no notice on the new day for lots that exist already. So after
such a change the schedule of notices visits every account once, which computes its dates anew.

This costs one read a run, to find out whether the settings have changed. After a change it costs, once and in as many
runs as it takes, the whole index, one read an account, and a write if a date changes.
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
    """The settings by which due dates are computed, and whose change may make one earlier."""
    days = ",".join(str(ahead) for ahead in sorted(policy.expiry_notice_days, reverse=True))
    return f"expiry_notice_days={days} anchor_policy={policy.anchor_policy}"


def dispatch_notices(ledger: Ledger, dispatch: Callable[[Work], Dispatched]) -> Dispatched:
    """Dispatch the accounts that are due for a notice or, after a change of the settings, every account once.

    That includes the accounts that are due, so no notice is later for it.
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
    """The due date up to which accounts are to be visited: today, or `ALL` after a change of the settings.

    They count as visited when the block is left without an error; else the next run visits all of them again.
    """
    basis = basis_of(ledger.policy)
    if read_basis(ledger.table).basis == basis:
        yield today
    else:
        yield ALL
        save_basis(ledger.table, basis)
