"""A campaign: a promo code that brings Connects to a limited number of accounts, once each, while it is valid.

Redemptions are counted by several **counters**, so that many of them at the same moment do not wait for one item. Each
counter may give out a share of the campaign's cap. The shares add up to the cap, so the counters together never give
more than the cap, and give all of it before the last one refuses.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.credits import Credit
from shared.ledger.errors import InvalidRequestError, PromoNotActiveError
from shared.ledger.model import EntryType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.ledger.model import Request

PROMO = "promo"
"""The operation of a redemption's key, and the type of its entry's reference."""
CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Campaign:
    code: str
    connects: int
    """What a redemption brings."""
    max_redemptions: int
    """The cap over all accounts; 0 ends the campaign."""
    starts_at: datetime
    ends_at: datetime
    """The first instant at which it is no longer valid."""
    counters: int = 0
    revision: int = 0
    """Counts changes of terms. The counters store it too, so that a redemption is written only by current terms."""
    exhausted: bool = False
    """Every counter was found exhausted. That stays so until the terms change, so none has to be read again."""

    def __post_init__(self) -> None:
        if self.starts_at >= self.ends_at:
            raise InvalidRequestError("body", "from must lie before to")

    def has_terms_of(self, other: Campaign) -> bool:
        return self == replace(other, counters=self.counters, revision=self.revision, exhausted=self.exhausted)

    def check_active(self, now: datetime) -> None:
        """Raises PromoNotActiveError outside of [starts_at, ends_at)."""
        if not self.starts_at <= now < self.ends_at:
            raise PromoNotActiveError(self.code)


@dataclass(frozen=True, slots=True)
class Counter:
    """How many redemptions one counter gave out, and how many it may give."""

    taken: int
    share: int
    revision: int

    @property
    def exhausted(self) -> bool:
        return self.taken >= self.share


def normalised_code(text: str) -> str:
    """The code in upper case and without outer spaces.

    Raises:
        ValueError: it is not of the form of a code.
    """
    code = text.strip()
    # Checked before `upper`, which makes ASCII letters of some that are not.
    if not CODE.fullmatch(code):
        raise ValueError("must be 1 to 64 of A-Z a-z 0-9 _ -")
    return code.upper()


def promo_claim(code: str) -> str:
    """An account redeems a code at most once."""
    return f"promo#{code}"


def promo_credit(campaign: Campaign, request: Request, **reference: str) -> Credit:
    """What a redemption brings, once for each account. ``reference`` names the purchase that it comes with."""
    return Credit(
        EntryType.PROMO,
        campaign.connects,
        paid=False,
        reason=f"Promo code {campaign.code}",
        reference={"type": PROMO, "code": campaign.code, **reference},
        request=request,
        once=promo_claim(campaign.code),
    )


def counters_for(max_redemptions: int, known: int, at_most: int) -> int:
    """How many counters a campaign has: no more than redemptions, and never fewer than it had."""
    return max(known, min(max_redemptions, at_most), 1)


def shares(taken: Sequence[int], max_redemptions: int) -> list[int]:
    """What each counter may give in all, if ``taken`` are given: the rest of the cap is spread evenly.

    All are 0 if the cap is reached, or lower than what was given: that stays right if more are given meanwhile.
    """
    left = max_redemptions - sum(taken)
    if left <= 0:
        return [0] * len(taken)
    each, over = divmod(left, len(taken))
    return [given + each + (number < over) for number, given in enumerate(taken)]


def first_counter(account_id: str, counters: int) -> int:
    """The counter that an account tries first: spread over the accounts, and always the same one for an account."""
    return zlib.crc32(account_id.encode()) % counters


def next_counter(counters: Sequence[Counter], first: int) -> int | None:
    """The next from ``first`` on that has some left, so that the rest is taken from all counters alike."""
    order = [*range(first, len(counters)), *range(first)]
    return next((number for number in order if not counters[number].exhausted), None)
