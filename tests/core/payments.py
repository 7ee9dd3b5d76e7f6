"""The purchases of a `Book`, and what happens to their Connects as their payments go back and come again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.ledger.audit import audit
from shared.ledger.chargebacks import BringToLevel, Journal, JournalMovedError, Why
from shared.ledger.model import Entry, EntryType
from shared.ledger.purchases import Order, PaymentSource, Purchase, credit_for, new_attempt
from tests.core.builders import Book


@dataclass
class Payments:
    book: Book
    purchases: dict[str, Purchase] = field(default_factory=dict)

    def copy(self) -> Payments:
        return Payments(self.book.copy(), dict(self.purchases))

    def buy(self, quantity: int) -> str:
        """Returns the purchase's id."""
        order, request = Order(quantity, PaymentSource.BILLING_METHOD), self.book.request("purchase")
        begun = new_attempt("ann", order, request, None, now=self.book.now, policy=self.book.policy)
        self.book.run(credit_for(begun))
        self.purchases[begun.purchase_id] = begun.completed()
        return begun.purchase_id

    def goes_back(self, purchase_id: str, cents: int | None = None, why: Why = Why.DISPUTE) -> Entry | None:
        """So much of its payment is back with the buyer now, all of it if no number is given.

        Returns the entry, None where nothing changed.
        """
        purchase = self.purchases[purchase_id]
        cents = purchase.amount_cents if cents is None else cents
        written = len(self.book.entries)
        try:
            self.book.run(self.command(purchase_id, cents, why))
        except JournalMovedError:  # more had fallen due than one decision takes, and the first of it is written
            self.book.run(self.command(purchase_id, cents, why))
        after = purchase.at_level(cents, "lost", self.book.now)
        self.purchases[purchase_id] = after
        step = self.book.entries[written:]
        return next((entry for entry in step if entry.entry_id == purchase.reclaim_id(purchase.reclaims + 1)), None)

    def comes_again(self, purchase_id: str, why: Why = Why.WON) -> Entry | None:
        return self.goes_back(purchase_id, 0, why)

    def command(self, purchase_id: str, cents: int, why: Why = Why.DISPUTE) -> BringToLevel:
        """With the journal only where it is needed, as the service does."""
        purchase = self.purchases[purchase_id]
        bought = next(entry for entry in self.book.entries if entry.entry_id == purchase.entry_id)
        expired = any(bucket.expired(self.book.now.date()) for bucket in bought.slices)
        journal = self.journal_from(bought) if purchase.reclaims or expired else None
        return BringToLevel(purchase, bought, cents, why, journal)

    def journal_from(self, bought: Entry) -> Journal:
        wanted = {EntryType.EXPIRY, EntryType.CHARGEBACK}
        later = [entry for entry in self.book.entries if entry.seq > bought.seq and entry.type in wanted]
        return Journal(tuple(later), self.book.account.seq)

    def problems(self) -> list[str]:
        found = audit(self.book.account, self.book.entries, self.purchases.values())
        return [problem for finding in found for problem in finding.problems]


def debts(entries: Iterable[Entry]) -> dict[str, int]:
    """What is owed by purchase, by the journal's rows alone."""
    owed: Counter[str] = Counter()
    for entry in entries:
        if entry.type is EntryType.CHARGEBACK:
            owed[entry.reference["purchase_id"]] += int(entry.reference.get("owed", "0"))
    return {purchase_id: left for purchase_id, left in owed.items() if left}


def lost(entries: Iterable[Entry], purchase_id: str) -> int:
    """What of a purchase is excused."""
    return sum(
        int(entry.reference.get("lost", "0"))
        for entry in entries
        if entry.reference.get("purchase_id") == purchase_id and entry.type is EntryType.CHARGEBACK
    )
