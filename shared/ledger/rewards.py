"""What a freelancer gets for Rising Talent and for a certificate; once each. For an interview see `interviews`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.ledger.credits import Credit
from shared.ledger.errors import InvalidRequestError
from shared.ledger.model import EntryType, Request

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.ledger.policy import Policy


def rising_talent(request: Request, at: datetime | None, policy: Policy) -> Credit:
    reference = {"type": "rising_talent"}
    return _reward(policy.rising_talent, "Rising Talent", reference, request, once="rising_talent", at=at)


def certification(certificate: str, request: Request, at: datetime | None, policy: Policy) -> Credit:
    """Raises InvalidRequestError: no such certificate is configured."""
    amount = policy.certifications.get(certificate)
    if not amount:
        raise InvalidRequestError("body.reference.certificate", "brings no Connects")
    reference = {"type": "certification", "certificate": certificate}
    once = f"certification#{certificate}"
    return _reward(amount, f"Certificate {certificate}", reference, request, once=once, at=at)


def _reward(
    amount: int, reason: str, reference: Mapping[str, str], request: Request, *, once: str, at: datetime | None
) -> Credit:
    """Free Connects that live from the day of ``at`` on, for freelancers alone."""
    return Credit(
        EntryType.REWARD,
        amount,
        paid=False,
        reason=reason,
        reference=reference,
        request=request,
        once=once,
        freelancers_only=True,
        at=at,
    )
