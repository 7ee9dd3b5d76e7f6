"""Which saved payment method an account pays with: one item beside the account, which a spend therefore never reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import PutError

from shared.store.errors import BillingMovedError, contention_from_aws
from shared.store.rows import Row, WholeAttribute

if TYPE_CHECKING:
    from shared.store.table import Table

BILLING_SK = "BILLING"


@dataclass(frozen=True, slots=True)
class BillingMethod:
    """A payment method that its owner saved at the payment provider; nothing of the card itself."""

    account_id: str
    provider: str
    customer: str
    payment_method: str
    revision: int = 0
    """Counts writes."""


class BillingRow(Row):
    record = BillingMethod

    provider = UnicodeAttribute()
    customer = UnicodeAttribute()
    payment_method = UnicodeAttribute()
    revision = WholeAttribute()

    def method(self) -> BillingMethod:
        return BillingMethod(self.pk, **self.fields())


class BillingMethods:
    """Cheap to make: the table has the connection and the classes of rows."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._row = table.rows(BillingRow)

    def of(self, account_id: str) -> BillingMethod | None:
        """One call, 1 read unit."""
        row = self._table.get(BillingRow, account_id, BILLING_SK)
        return row.method() if row else None

    def save(self, before: BillingMethod | None, after: BillingMethod) -> BillingMethod:
        """Put a payment method, if ``before`` is still the account's.

        Raises:
            BillingMovedError: it is not.
            ContentionError: throttling, or no answer.
        """
        after = replace(after, revision=before.revision + 1 if before else 1)
        unmoved = self._row.revision == before.revision if before else self._row.pk.does_not_exist()
        row = self._row(pk=after.account_id, sk=BILLING_SK, **BillingRow.values(after))
        try:
            with contention_from_aws():
                row.save(unmoved)
        except PutError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise BillingMovedError(after.account_id).after(error.cause) from error
            raise
        return after
