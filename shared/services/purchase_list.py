"""An account's purchases, newest first, in pages.

Ids of purchases are hashes, so DynamoDB lists them in no order of time. All rows of the account are read, 1 read unit
for five or more, and put in order here. An index by time would cost a write unit, as much as 5 read units, at each of a
purchase's three writes: more than lists of some hundred purchases, and purchases of before would not be in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.errors import InvalidRequestError
from shared.store.purchases import Purchases
from shared.store.rows import instant

if TYPE_CHECKING:
    from shared.ledger.purchases import Purchase, PurchaseState
    from shared.services.ledger import Ledger

    Place = list[str]


@dataclass(frozen=True, slots=True)
class PurchaseQuery:
    account_id: str
    limit: int
    state: PurchaseState | None = None
    cursor: str | None = None

    @property
    def digest(self) -> str:
        """Tells a cursor of another query apart. A page may have another limit than the one before."""
        return hashlib.sha256(f"{self.account_id} {self.state}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class PurchasePage:
    purchases: list[Purchase]
    next_cursor: str | None
    """None at the end."""


def list_purchases(ledger: Ledger, query: PurchaseQuery) -> PurchasePage:
    """A page of an account's purchases by when their present attempt began, the newest first.

    One call to DynamoDB for each 1 MB of purchases, some two thousand; strongly consistent. A purchase that begins anew
    between two pages moves to the front, where the next page is not.

    Raises:
        AccountNotFoundError
        InvalidRequestError: the cursor is of another query.
        ContentionError: throttling, or no answer.
    """
    below = _place_in(query)
    purchases = Purchases(ledger.table).all_of(query.account_id)
    if not purchases:
        ledger.table.account(query.account_id)
    wanted = [purchase for purchase in purchases if query.state in {None, purchase.status}]
    wanted = [purchase for purchase in wanted if below is None or _place_of(purchase) < below]
    wanted.sort(key=_place_of, reverse=True)
    page = wanted[: query.limit]
    more = len(wanted) > len(page)
    return PurchasePage(page, _cursor(query, _place_of(page[-1])) if more else None)


def _place_of(purchase: Purchase) -> Place:
    return [instant(purchase.created_at), purchase.purchase_id]


def _cursor(query: PurchaseQuery, place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps([query.digest, *place]).encode()).decode()


def _place_in(query: PurchaseQuery) -> Place | None:
    """The place of the last purchase of the page before; None for the first page."""
    if query.cursor is None:
        return None
    refused = InvalidRequestError("query.cursor", "is not one that this query gave")
    try:
        _, created_at, purchase_id = json.loads(base64.urlsafe_b64decode(query.cursor))
        given = _cursor(query, [created_at, purchase_id]) == query.cursor
    except (ValueError, TypeError):
        raise refused from None
    if not given or not isinstance(created_at, str) or not isinstance(purchase_id, str):
        raise refused
    return [created_at, purchase_id]
