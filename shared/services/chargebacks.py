"""Money that goes back: what the payment provider says of a purchase is brought to its Connects.

The provider is asked how much of a payment is back with the buyer, and the purchase is brought to that level
(`shared.ledger.chargebacks`)::

    1  read the purchase                    at revision n
    2  ask the provider
    3  write the level, the entry and the account in one transaction, if the purchase is at revision n still

So an answer that is older than what another one wrote in between is not written; the provider is asked once more. And
as it may have answered with what it knew a moment ago, every level that is written leaves the purchase due in a minute
(`LOOK_AGAIN`). It stays due until an answer to a question that was asked after that agrees with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.ledger.chargebacks import BringToLevel, Journal, JournalMovedError, needs_journal, why_of
from shared.ledger.errors import PurchaseNotFoundError
from shared.ledger.model import EntryType
from shared.ledger.purchases import LOOK_AGAIN, Purchase, PurchaseState
from shared.services.retry import attempts, in_time
from shared.store.errors import ContentionError, PurchaseMovedError
from shared.store.purchases import Purchases

if TYPE_CHECKING:
    from shared.services.ledger import Ledger


@in_time
def bring_to_level(
    ledger: Ledger, purchase: Purchase, returned_cents: int, dispute: str | None, *, deadline: float
) -> Purchase:
    """Take back or give back what of a completed purchase's Connects is missing to what went back of its payment.

    A repeat finds nothing to do. A purchase that is not completed is left alone.

    Args:
        ledger: The ledger.
        purchase: As it was read **before** the provider was asked.
        returned_cents: How much of the payment is back with the buyer, by refunds and disputes, as it was answered.
        dispute: The status of its dispute, if it has one.
        deadline: Monotonic seconds by which to give up.

    Returns:
        The purchase as it is now, or as it was read if the answer agrees with that. If another level was written since
        it was read, it is not at this one, and due soon.

    Raises:
        BusyError: it may not have happened, and has to be tried again.
    """
    tries = attempts(deadline)
    for _ in tries:
        try:
            return _write(ledger, purchase, returned_cents, dispute, deadline=deadline)
        except PurchaseMovedError as error:
            tries.failed(error)
            break
        except JournalMovedError:
            continue
        except ContentionError as error:
            tries.failed(error)
    for _ in tries:
        try:
            return _look_again(ledger, purchase, returned_cents, dispute)
        except (PurchaseMovedError, ContentionError) as error:
            tries.failed(error)
    raise tries.busy


def _write(
    ledger: Ledger, purchase: Purchase, returned_cents: int, dispute: str | None, *, deadline: float
) -> Purchase:
    now, purchases = ledger.clock.now(), Purchases(ledger.table)
    if purchase.state is not PurchaseState.COMPLETED:
        return purchase
    if (purchase.returned_cents, purchase.dispute) == (returned_cents, dispute):
        if purchase.due_at is None or purchase.due_at > now:
            return purchase
        return _saved(ledger, purchase, replace(purchase, due_at=None))
    after = purchase.at_level(returned_cents, dispute, now)
    if after.reclaimed == purchase.reclaimed:
        return _saved(ledger, purchase, after)
    bought = ledger.table.entry(purchase.account_id, purchase.entry_id)
    if bought is None:
        raise AssertionError(f"purchase {purchase.purchase_id} is completed and has no entry")
    account = ledger.table.account(purchase.account_id)
    journal = None
    if needs_journal(purchase, bought, now.date()):
        later = ledger.table.entries_after(bought, EntryType.EXPIRY, EntryType.CHARGEBACK)
        journal = Journal(tuple(entry for entry in later if entry.seq <= account.seq), account.seq)
    command = BringToLevel(purchase, bought, returned_cents, why_of(purchase, returned_cents, dispute), journal)
    level = purchases.leveled(purchase, after)
    outcome = ledger.execute(purchase.account_id, command, deadline=deadline, also=[level], read=account)
    if not outcome.written:
        # This step was written before: by an earlier try that was not answered, or by another process.
        raise PurchaseMovedError(purchase.purchase_id)
    return replace(after, revision=after.revision + 1)


def _look_again(ledger: Ledger, purchase: Purchase, returned_cents: int, dispute: str | None) -> Purchase:
    """The purchase as it is now; due soon if it says otherwise than this answer, which may be the older or the newer.

    Raises:
        PurchaseMovedError: it was written once more.
    """
    known = Purchases(ledger.table).purchase(purchase.account_id, purchase.purchase_id)
    if known is None:
        raise PurchaseNotFoundError(purchase.purchase_id)
    soon = ledger.clock.now() + LOOK_AGAIN
    if (known.returned_cents, known.dispute) == (returned_cents, dispute) or (known.due_at and known.due_at <= soon):
        return known
    return _saved(ledger, known, replace(known, due_at=soon))


def _saved(ledger: Ledger, before: Purchase, after: Purchase) -> Purchase:
    ledger.table.update(Purchases(ledger.table).leveled(before, after))
    return replace(after, revision=before.revision + 1)
