"""With which saved payment method an account pays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.ledger.errors import AccountClosedError, BillingMethodMissingError
from shared.ledger.model import Status
from shared.services.retry import attempts, in_time
from shared.store.billing import BillingMethod, BillingMethods
from shared.store.errors import BillingMovedError, ContentionError

if TYPE_CHECKING:
    from shared.services.ledger import Ledger


def billing_method(ledger: Ledger, account_id: str) -> BillingMethod:
    """The one that purchases of an account are charged to.

    Raises:
        BillingMethodMissingError: it has none.
        ContentionError: throttling, or no answer.
    """
    method = BillingMethods(ledger.table).of(account_id)
    if method is None:
        raise BillingMethodMissingError
    return method


@in_time
def set_billing_method(
    ledger: Ledger, account_id: str, *, provider: str, customer: str, payment_method: str, deadline: float
) -> BillingMethod:
    """Keep which payment method purchases are charged to from now on. One that is the same already stays as it is.

    A purchase that is under way goes on with the one that it began with.

    Raises:
        AccountNotFoundError, AccountClosedError, BusyError
    """
    methods, tries = BillingMethods(ledger.table), attempts(deadline)
    for _ in tries:
        try:
            if ledger.table.account(account_id).status is Status.CLOSED:
                raise AccountClosedError
            known = methods.of(account_id)
            if known and (known.provider, known.customer, known.payment_method) == (provider, customer, payment_method):
                return known
            return methods.save(known, BillingMethod(account_id, provider, customer, payment_method))
        except (BillingMovedError, ContentionError) as error:
            tries.failed(error)
    raise tries.busy
