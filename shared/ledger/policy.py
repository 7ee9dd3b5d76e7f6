"""The numbers of the product. Each is configuration; the defaults are what the marketplace's pages state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.ledger.calendar import AnchorPolicy
from shared.ledger.errors import InvalidRequestError

MAX_AMOUNT = 1_000_000
"""The most Connects that a single request may move."""

LIMITS: Mapping[str, tuple[int, int]] = {
    "sign_up": (0, MAX_AMOUNT),
    "monthly_basic": (0, MAX_AMOUNT),
    "monthly_plus": (0, MAX_AMOUNT),
    "monthly_plus_free": (0, MAX_AMOUNT),
    "rising_talent": (1, MAX_AMOUNT),  # every reward is an entry, and an entry of a reward is never 0
    "interview": (1, MAX_AMOUNT),
    "interview_cap": (0, MAX_AMOUNT),
    "interview_window_days": (1, 366),
    # An account, and so an entry, has at most two buckets for each day of a lot's life: 3,654 for 5 years. They take
    # 62 KB of an item, which may have 400 KB, and 225 KB of the event for an entry, which may have 256 KB.
    "lot_lifetime_months": (1, 60),
    "refund_grace_days": (0, 366),
    "unit_price_cents": (1, 100_000),
    "minimum_purchase": (1, MAX_AMOUNT),
    "expiring_soon_days": (1, 366),
    "badge_min_price": (1, MAX_AMOUNT),
    "badge_max_price": (1, MAX_AMOUNT),
    "badge_price_step": (1, 1_000_000_000),
    "boost_places": (1, 20),
    "auction_days": (1, 366),
    "auction_grace_seconds": (0, 86_400),
}
"""The bounds of each number, the same as those of the template's parameters."""

MOST_NOTICES = 10
"""How many different days ahead may be configured: as many notices may fall on one day, and one transaction has to
take them all."""
LONGEST_NOTICE_DAYS = 999


JOB_PRICES = {
    "small/simple": 2,
    "small/moderate": 4,
    "small/complex": 6,
    "medium/simple": 4,
    "medium/moderate": 8,
    "medium/complex": 12,
    "large/simple": 8,
    "large/moderate": 12,
    "large/complex": 16,
}
"""Users reported prices from 1 to 16; no public page says how they follow from size and scope."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the product promises, in Connects, whole cents, days and months."""

    sign_up: int = 40
    monthly_basic: int = 10
    monthly_plus: int = 100
    monthly_plus_free: int = 10
    """How many of ``monthly_plus`` are free; the subscription paid for the others, so they burn as purchased."""
    rising_talent: int = 30
    interview: int = 10
    """What an interview brings in all: the proposal's Connects are refunded, the rest is a reward."""
    interview_cap: int = 50
    """The most that interviews may bring an account within any ``interview_window_days``."""
    interview_window_days: int = 7
    certifications: Mapping[str, int] = field(default_factory=dict, hash=False)
    """What each certificate brings, by its id. Left out of the hash, as a mapping has none: a policy is a cache key."""
    lot_lifetime_months: int = 12
    refund_grace_days: int = 30
    anchor_policy: AnchorPolicy = AnchorPolicy.CLAMP
    unit_price_cents: int = 15
    minimum_purchase: int = 10
    currency: str = "USD"
    expiring_soon_days: int = 30
    expiry_notice_days: tuple[int, ...] = (30, 7, 1)
    """How many days ahead an owner gets a notice that Connects are about to expire."""
    badge_min_price: int = 4
    """What a week of the availability badge costs when few accounts have one."""
    badge_max_price: int = 20
    badge_price_step: int = 1000
    """The price of a week rises by one Connect for this many badges that are on."""
    boost_places: int = 4
    """How many proposals on a job may be boosted."""
    auction_days: int = 7
    """How long after its job was posted an auction of boosted places closes."""
    auction_grace_seconds: int = 300
    """How long after its closing time an auction is closed by the clock: late events have time to arrive."""
    job_prices: Mapping[str, int] = field(default_factory=lambda: JOB_PRICES, hash=False)
    """What a proposal costs, by ``size/scope`` of the job."""

    def __post_init__(self) -> None:
        """Refuse numbers outside of their limits, and those that contradict each other.

        Raises:
            ValueError: names the number.
        """
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from {least} to {most}")
        if self.monthly_plus_free > self.monthly_plus:
            raise ValueError("monthly_plus_free is part of monthly_plus and cannot be more")
        if self.monthly_basic > self.monthly_plus:
            raise ValueError("monthly_plus cannot be less than monthly_basic")
        if self.badge_min_price > self.badge_max_price:
            raise ValueError("badge_min_price cannot be more than badge_max_price")
        self._check_notices()
        if not self.job_prices or not all(0 < price <= MAX_AMOUNT for price in self.job_prices.values()):
            raise ValueError(f"job_prices must be from 1 to {MAX_AMOUNT}, for one size and scope at least")
        if not all(0 <= amount <= MAX_AMOUNT for amount in self.certifications.values()):
            raise ValueError(f"certifications must bring from 0 to {MAX_AMOUNT}")

    def _check_notices(self) -> None:
        days = self.expiry_notice_days
        if not days or not all(1 <= ahead <= LONGEST_NOTICE_DAYS for ahead in days):
            raise ValueError(f"expiry_notice_days must be from 1 to {LONGEST_NOTICE_DAYS} each")
        if len(set(days)) < len(days) or len(days) > MOST_NOTICES:
            raise ValueError(f"expiry_notice_days must be {MOST_NOTICES} different numbers at most")


def check_amount(amount: int) -> None:
    """Raises InvalidRequestError: a request moves from 1 to `MAX_AMOUNT` Connects."""
    if not 1 <= amount <= MAX_AMOUNT:
        raise InvalidRequestError("amount", f"must be from 1 to {MAX_AMOUNT}")
