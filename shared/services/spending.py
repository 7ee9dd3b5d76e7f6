"""Spending Connects on a proposal, and giving them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.ledger.commands import Refund, Spend, check_refundable
from shared.ledger.errors import AlreadyRefundedError, PriceChangedError, SpendNotFoundError
from shared.ledger.model import EntryType, Request
from shared.services.ledger import Ledger, Outcome
from shared.store.errors import ClaimedError

if TYPE_CHECKING:
    from collections.abc import Mapping


def spend_on_proposal(
    ledger: Ledger,
    account_id: str,
    *,
    amount: int,
    expected_price: int | None,
    reference: Mapping[str, str],
    request: Request,
    deadline: float,
) -> Outcome:
    """Spend ``amount`` Connects, soonest expiring first.

    The sender may say which price it saw: if that is not the price, nothing is spent.

    Raises:
        PriceChangedError, InsufficientConnectsError, AccountFrozenError, AccountNotFoundError
    """
    if expected_price is not None and expected_price != amount:
        raise PriceChangedError(price=amount)
    command = Spend(amount, "Proposal", reference, request)
    return ledger.execute(account_id, command, deadline=deadline)


def refund_spend(
    ledger: Ledger, account_id: str, spend_id: str, *, reason: str, request: Request, deadline: float
) -> Outcome:
    """Give one spend back, to the lots it came from, at most once whoever asks and however often.

    Raises:
        NotRefundableError: Connects do not come back for this reason.
        SpendNotFoundError: no such spend; a refund is no spend and is never refunded.
        AlreadyRefundedError: it came back before, under another key.
    """
    check_refundable(reason)
    spend = ledger.table.entry(account_id, spend_id)
    if spend is None or spend.type is not EntryType.SPEND:
        raise SpendNotFoundError(spend_id)
    try:
        return ledger.execute(account_id, Refund(spend, reason, request), deadline=deadline)
    except ClaimedError as error:
        raise AlreadyRefundedError(spend_id) from error
