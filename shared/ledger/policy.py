"""The numbers of the product. Each is configuration; the defaults are what the marketplace's pages state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.ledger.calendar import AnchorPolicy
from shared.ledger.errors import InvalidRequestError

MAX_AMOUNT = 1_000_000
"""No single request moves more Connects than this."""

LIMITS: Mapping[str, tuple[int, int]] = {
    "sign_up": (0, MAX_AMOUNT),
    "monthly_basic": (0, MAX_AMOUNT),
    "monthly_plus": (0, MAX_AMOUNT),
    "monthly_plus_free": (0, MAX_AMOUNT),
    "rising_talent": (1, MAX_AMOUNT),  # every reward is an entry, also those that bring the least
    "interview": (1, MAX_AMOUNT),
    "interview_cap": (0, MAX_AMOUNT),
    "interview_window_days": (1, 366),
    # Two buckets a day of a lot's life are the most that an account, and so an entry, can have. Those of 5 years are
    # 3,654: 62 KB of an item, which may have 400, and 225 KB of the event that tells of an entry, which may have 256.
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
"""The least and the most that each number may be, as the template's parameters have it."""

MOST_NOTICES = 10
"""So many numbers of days ahead at most: as many notices may fall on one day, and a transaction takes a whole day's."""
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
"""Users saw 1 to 16; no page says how it follows from size and scope."""


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
    """What an interview brings in all: the proposal's Connects come back, the rest is a reward."""
    interview_cap: int = 50
    """The most that interviews may bring an account in any ``interview_window_days``."""
    interview_window_days: int = 7
    certifications: Mapping[str, int] = field(default_factory=dict, hash=False)
    """What each certificate brings, by its id. Not hashed, as a mapping cannot be: a policy is a key of caches."""
    lot_lifetime_months: int = 12
    refund_grace_days: int = 30
    anchor_policy: AnchorPolicy = AnchorPolicy.CLAMP
    unit_price_cents: int = 15
    minimum_purchase: int = 10
    currency: str = "USD"
    expiring_soon_days: int = 30
    expiry_notice_days: tuple[int, ...] = (30, 7, 1)
    """How many days ahead an owner is told that Connects are about to expire."""
    badge_min_price: int = 4
    """What a week of the availability badge costs where hardly anybody has one."""
    badge_max_price: int = 20
    badge_price_step: int = 1000
    """So many badges that are on make the week one Connect dearer."""
    boost_places: int = 4
    """How many proposals on a job may be boosted."""
    auction_days: int = 7
    """So long after its job was posted an auction of boosted places closes."""
    auction_grace_seconds: int = 300
    """So long after that the clock closes it: news of what happened before has time to come."""
    job_prices: Mapping[str, int] = field(default_factory=lambda: JOB_PRICES, hash=False)
    """What a proposal costs, by the job's ``size/scope``."""

    def __post_init__(self) -> None:
        """Refuse numbers beyond their limits, and those that contradict each other.

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
