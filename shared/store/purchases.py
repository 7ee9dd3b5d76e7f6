"""Purchases in the ledger's table: one item each, beside the account."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute
from pynamodb.exceptions import PutError

from shared.ledger.purchases import PaymentSource, Purchase, PurchaseState
from shared.store.due import DueIndex
from shared.store.errors import PurchaseMovedError, contention_from_aws
from shared.store.rows import EnumAttribute, InstantAttribute, OpenEnumAttribute, Row, WholeAttribute, shard_of
from shared.store.transaction_items import Update

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from shared.store.table import Table
    from shared.store.transaction_items import TransactionItem

PURCHASES_A_PAGE = 100
COMPLETION = ("state", "due_at", "action_until", "promo_refused", "provider_charge", "receipt_url")
"""The attributes that are written when a purchase is completed, beside its revision."""


def purchase_sk(purchase_id: str) -> str:
    return f"PURCHASE#{purchase_id}"


class PurchaseRow(Row):
    record = Purchase

    shard = UnicodeAttribute()
    due_at = InstantAttribute(attr_name="purchase_due", null=True)
    state = EnumAttribute(PurchaseState)
    quantity = WholeAttribute()
    amount_cents = WholeAttribute()
    currency = UnicodeAttribute()
    source = OpenEnumAttribute(PaymentSource)
    created_at = InstantAttribute()
    actor = UnicodeAttribute()
    fingerprint = UnicodeAttribute()
    attempt = WholeAttribute()
    checks = WholeAttribute()
    answered_pending = BooleanAttribute()
    declined_because = UnicodeAttribute()
    promo_code = UnicodeAttribute(null=True)
    promo_refused = UnicodeAttribute(null=True)
    ref = UnicodeAttribute(null=True)
    present = BooleanAttribute()
    action_until = InstantAttribute(null=True)
    provider_charge = UnicodeAttribute(null=True)
    receipt_url = UnicodeAttribute(null=True)
    returned_cents = WholeAttribute(null=True)
    reclaimed = WholeAttribute(null=True)
    reclaims = WholeAttribute(null=True)
    dispute = UnicodeAttribute(null=True)
    revision = WholeAttribute()

    def purchase(self) -> Purchase:
        purchase = Purchase(self.pk, self.sk.removeprefix(purchase_sk("")), **self.fields())
        if "present" not in self.attribute_values:
            # Written by a release that charged in one step, under our own id: its payment may exist, and by that name.
            return replace(purchase, ref=purchase.charge_id)
        return purchase


PURCHASE_DUE = DueIndex(PurchaseRow.due_at, lambda pk, sk: (pk, sk.removeprefix(purchase_sk(""))))


@dataclass(frozen=True, slots=True)
class DuePurchase:
    """A purchase whose charge the payment provider is to be asked about, and since when."""

    account_id: str
    purchase_id: str
    since: datetime


class Purchases:
    """Cheap to make: the table has the connection and the classes of rows."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._row = table.rows(PurchaseRow)

    def purchase(self, account_id: str, purchase_id: str) -> Purchase | None:
        row = self._table.get(PurchaseRow, account_id, purchase_sk(purchase_id))
        return row.purchase() if row else None

    def page(self, account_id: str, after: str | None = None) -> list[Purchase]:
        """One call: some of an account's purchases, those whose ids come next; nothing at the end.

        Raises:
            ContentionError: throttling, or no answer.
        """
        start_key = {"pk": {"S": account_id}, "sk": {"S": purchase_sk(after)}} if after else None
        with contention_from_aws():
            rows = self._row.query(
                account_id,
                self._row.sk.startswith(purchase_sk("")),
                consistent_read=True,
                last_evaluated_key=start_key,
                limit=PURCHASES_A_PAGE,
            )
            return [row.purchase() for row in rows]

    def all_of(self, account_id: str) -> list[Purchase]:
        """All purchases of an account, by id; strongly consistent, one call for each 1 MB.

        Raises:
            ContentionError: throttling, or no answer.
        """
        prefix = self._row.sk.startswith(purchase_sk(""))
        with contention_from_aws(reading=True):
            return [row.purchase() for row in self._row.query(account_id, prefix, consistent_read=True)]

    def save(self, before: Purchase | None, after: Purchase) -> Purchase:
        """Put a purchase, if it is as it was read or, where ``before`` is None, does not exist.

        Raises:
            PurchaseMovedError: it is not.
            ContentionError: throttling, or no answer.
        """
        after = replace(after, revision=after.revision + 1)
        row = self._keyed(after, shard=shard_of(after.account_id, self._table.shards), **PurchaseRow.values(after))
        unchanged = self._row.revision == before.revision if before else self._row.pk.does_not_exist()
        try:
            with contention_from_aws():
                row.save(unchanged)
        except PutError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise PurchaseMovedError(after.purchase_id).after(error.cause) from error
            raise
        return after

    def completed(self, purchase: Purchase) -> TransactionItem:
        """Completes a purchase, if it is as it was read. Refused with PurchaseMovedError."""
        after = PurchaseRow.values(purchase.completed())
        changed = {name: after[name] for name in COMPLETION}
        return Update(
            self._keyed(purchase),
            [*self._row.set_all(changed), self._row.revision.set(self._row.revision + 1)],
            self._row.revision == purchase.revision,
            lambda _: PurchaseMovedError(purchase.purchase_id),
        )

    def leveled(self, before: Purchase, after: Purchase) -> Update:
        """Writes what of a payment went back, if the purchase is as it was read. Refused with PurchaseMovedError."""
        row, values = self._row, PurchaseRow.values(after)
        names = ("returned_cents", "reclaimed", "reclaims", "dispute", "due_at")
        return Update(
            self._keyed(before),
            [*row.set_all({name: values[name] for name in names}), row.revision.set(row.revision + 1)],
            row.revision == before.revision,
            lambda _: PurchaseMovedError(before.purchase_id),
        )

    def due(self, until: datetime) -> Iterator[DuePurchase]:
        """Purchases whose charge is to be asked after by ``until``, shard by shard."""
        for key in self._table.due(PURCHASE_DUE, until):
            account_id, purchase_id = key.id
            yield DuePurchase(account_id, purchase_id, cast("datetime", key.since))

    def _keyed(self, purchase: Purchase, **values: Any) -> PurchaseRow:  # noqa: ANN401 - by attribute
        return self._row(pk=purchase.account_id, sk=purchase_sk(purchase.purchase_id), **values)
