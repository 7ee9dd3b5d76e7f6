"""Refunding a spend, in part or in whole, also when two refunds of it meet."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from shared.ledger.model import EntryType
from shared.services.retry import attempts
from shared.store.errors import CameBackError
from shared.store.refunds import Refunds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.ledger.interviews import Interview
    from shared.ledger.model import Decision, Entry
    from shared.ledger.refunds import Refund
    from shared.services.ledger import Ledger, Outcome
    from shared.store.transaction_items import TransactionItem


def give_back(
    ledger: Ledger, command: Refund | Interview, *, deadline: float, also: Sequence[TransactionItem] = ()
) -> Outcome:
    """Execute the command on how much of its spend was refunded: nothing, until the write is refused with that number.

    So the first refund of a spend, mostly the only one, reads nothing more.

    Raises:
        LedgerError, StoreError: as `Ledger.execute`.
    """
    refunds, spend = Refunds(ledger.table), command.spend
    tries = attempts(deadline)
    for _ in tries:
        also_written = partial(_items_for, refunds, command, also)
        try:
            return ledger.execute(spend.account_id, command, deadline=deadline, also=also_written)
        except CameBackError as error:
            tries.failed(error)
            command = replace(command, came_back=refunds.came_back(spend, error))
    raise tries.busy


def _items_for(
    refunds: Refunds, command: Refund | Interview, also: Sequence[TransactionItem], decision: Decision
) -> Sequence[TransactionItem]:
    spend = command.spend
    refund = next((entry for entry in decision.entries if _is_refund_of(entry, spend)), None)
    return [refunds.grown(spend, command.came_back, refund), *also] if refund else also


def _is_refund_of(entry: Entry, spend: Entry) -> bool:
    return entry.type is EntryType.REFUND and entry.reference.get("spend_id") == spend.entry_id
