"""Connects from any source but the calendar, and corrections by staff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.calendar import expiry_of_lot
from shared.ledger.errors import AccountClosedError, InsufficientConnectsError, NoFreeConnectsError
from shared.ledger.model import Account, Bucket, Decision, EntryType, Kind, Request, Status
from shared.ledger.policy import check_amount

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.ledger.policy import Policy


@dataclass(frozen=True, slots=True)
class Credit:
    """Connects from any source but the calendar: ``paid`` ones burn after free ones of the same day."""

    type: EntryType
    amount: int
    paid: bool
    reason: str
    reference: Mapping[str, str]
    request: Request
    once: str | None = None
    """The name of the claim, if it may be given only once for ever."""
    freelancers_only: bool = False
    """Agencies get no free Connects."""
    at: datetime | None = None
    """When the reason for it happened, if not now: its lot lives from that day on."""
    bonus: Credit | None = None
    """A further credit in the same transaction, as an entry of its own."""

    def __post_init__(self) -> None:
        check_amount(self.amount)

    def apply(self, settled: Decision, now: datetime, policy: Policy, /) -> Decision:
        """Raises NoFreeConnectsError, AccountClosedError and, for a promo code, what `Account.check_may_act` raises."""
        if self.freelancers_only and settled.account.kind is not Kind.FREELANCER:
            raise NoFreeConnectsError
        _check_may_get(settled.account, self.type)
        issued_at = min(self.at or now, now)
        bucket = Bucket(expiry_of_lot(issued_at.date(), policy.lot_lifetime_months), paid=self.paid)
        if self.once:
            settled = settled.once(self.once)
        settled = settled.add_entry(
            self.type,
            {bucket: self.amount},
            self.request,
            at=now,
            now=now,
            reason=self.reason,
            reference=self.reference,
        )
        return self.bonus.apply(settled, now, policy) if self.bonus else settled


@dataclass(frozen=True, slots=True)
class Adjust:
    """A courtesy or a correction by staff; ``amount`` is signed."""

    amount: int
    reason: str
    request: Request

    def __post_init__(self) -> None:
        check_amount(abs(self.amount))

    def apply(self, settled: Decision, now: datetime, policy: Policy, /) -> Decision:
        """Raises AccountClosedError, InsufficientConnectsError."""
        account = settled.account
        if self.amount > 0:
            if account.status is Status.CLOSED:
                raise AccountClosedError
            slices = {Bucket(expiry_of_lot(now.date(), policy.lot_lifetime_months), paid=False): self.amount}
        elif account.balance + self.amount < 0:
            raise InsufficientConnectsError(balance=account.balance, required=-self.amount)
        else:
            slices = account.burn(-self.amount)
        return settled.add_entry(
            EntryType.ADJUSTMENT,
            slices,
            self.request,
            at=now,
            now=now,
            reason=self.reason,
            reference={"type": "adjustment"},
        )


def _check_may_get(account: Account, what: EntryType) -> None:
    """A purchase that was charged is always credited, a reward to all but closed accounts, a promo code to active ones.

    Redeeming a code is an act of the account, and a reward was won before.
    """
    if what is EntryType.PROMO:
        account.check_may_act()
    elif what is not EntryType.PURCHASE and account.status is Status.CLOSED:
        raise AccountClosedError
