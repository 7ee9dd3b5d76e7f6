"""Who calls, and what they may do. The gateway has verified the token; every right is checked here once more.

Three kinds of caller: an end user (*self*) acts for the account that its token names and for the agencies it belongs
to; a *service* of the marketplace for any account; *staff* for any account, and for what is theirs alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shared.ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.config import Settings

Right = Literal["anyone", "self", "service", "staff", "provider"]
"""The least that a caller has to be. *Anyone* has a valid token; the payment provider has none, and signs."""

SERVICE = "connects/service"
STAFF = "connects/staff"
SCOPES: dict[Right, tuple[str, ...]] = {
    "anyone": (),
    "self": (),
    "service": (SERVICE, STAFF),
    "staff": (STAFF,),
}
"""The scopes of a token, one of which a right asks for, here and at the gateway."""


class ForbiddenError(LedgerError):
    """Says nothing of whether the account exists."""

    code = "forbidden"

    def __init__(self) -> None:
        super().__init__("This token does not allow that.")


@dataclass(frozen=True, slots=True)
class Caller:
    actor: str
    accounts: frozenset[str]
    scopes: frozenset[str]

    def is_owner_of(self, account_id: str) -> bool:
        """Whether it is an end user who acts for an account of its own, and no service for somebody else."""
        return account_id in self.accounts

    def require(self, right: Right, account_id: str | None) -> None:
        """Check a right. ``account_id`` is the account in the path, None where the path names none.

        Raises:
            ForbiddenError
        """
        if right == "self":
            allowed = account_id in self.accounts or bool(self.scopes & {SERVICE, STAFF})
        else:
            allowed = not SCOPES[right] or not self.scopes.isdisjoint(SCOPES[right])
        if not allowed:
            raise ForbiddenError


def caller_of(event: Mapping[str, Any], settings: Settings) -> Caller:
    """The caller of an HTTP API event with a JWT authorizer.

    Raises:
        ForbiddenError: the event carries no verified token.
    """
    try:
        claims: Mapping[str, Any] = event["requestContext"]["authorizer"]["jwt"]["claims"]
    except (KeyError, TypeError):
        raise ForbiddenError from None
    own = claims.get(settings.account_claim)
    accounts = frozenset([*([str(own)] if own else []), *_many(claims.get(settings.agencies_claim))])
    actor = f"account:{own}" if own else f"client:{claims.get('client_id', 'unknown')}"
    return Caller(actor, accounts, frozenset(_many(claims.get("scope"))))


def _many(claim: object) -> list[str]:
    """A claim with several values: an HTTP API hands a list over as ``[a b]``."""
    if isinstance(claim, list):
        return [str(value) for value in claim]
    return str(claim or "").strip("[]").replace(",", " ").split()
