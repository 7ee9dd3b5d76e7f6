"""The numbers of the product. Each is configuration; the defaults are what the marketplace's pages state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from shared.ledger.calendar import AnchorPolicy
from shared.ledger.errors import InvalidRequestError

MAX_AMOUNT = 1_000_000
"""The most Connects that a single request may move."""

MOST_NOTICES = 10
"""As many notices may fall due on one day, and one transaction writes all of a day's."""
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


def between(least: int, most: int) -> Mapping[str, tuple[int, int]]:
    """Metadata of a number's field: the least and the most that it may be, as the template's parameter has it."""
    return {"limits": (least, most)}


@dataclass(frozen=True, slots=True)
class Policy:
    """What the product promises, in Connects, whole cents, days and months."""

    sign_up: int = field(default=40, metadata=between(0, MAX_AMOUNT))
    monthly_basic: int = field(default=10, metadata=between(0, MAX_AMOUNT))
    monthly_plus: int = field(default=100, metadata=between(0, MAX_AMOUNT))
    monthly_plus_free: int = field(default=10, metadata=between(0, MAX_AMOUNT))
    """How many of ``monthly_plus`` are free; the subscription paid for the others, so they burn as purchased."""
    rising_talent: int = field(default=30, metadata=between(1, MAX_AMOUNT))
    """At least 1, as for an interview: each reward is an entry."""
    interview: int = field(default=10, metadata=between(1, MAX_AMOUNT))
    """What an interview brings in all: the proposal's Connects come back, the rest is a reward."""
    interview_cap: int = field(default=50, metadata=between(0, MAX_AMOUNT))
    """The most that interviews may bring an account in any ``interview_window_days``."""
    interview_window_days: int = field(default=7, metadata=between(1, 366))
    certifications: Mapping[str, int] = field(default_factory=dict, hash=False)
    """What each certificate brings, by its id. Not hashed, as a mapping cannot be: a policy is a key of caches."""
    lot_lifetime_months: int = field(default=12, metadata=between(1, 60))
    """How long a lot lives. An account, and so an entry, has at most two buckets for each day of it. The 3,654 of 5
    years are 62 KB of an item, which may have 400, and 225 KB of the event about an entry, which may have 256."""
    refund_grace_days: int = field(default=30, metadata=between(0, 366))
    """How long refunded Connects last whose own lot has expired since."""
    anchor_policy: AnchorPolicy = AnchorPolicy.CLAMP
    unit_price_cents: int = field(default=15, metadata=between(1, 100_000))
    minimum_purchase: int = field(default=10, metadata=between(1, MAX_AMOUNT))
    currency: str = "USD"
    action_minutes: int = field(default=15, metadata=between(1, 1440))
    """How long a buyer may take to answer the bank, where it asks, before the purchase is given up."""
    expiring_soon_days: int = field(default=30, metadata=between(1, 366))
    expiry_notice_days: tuple[int, ...] = (30, 7, 1)
    """How many days ahead an owner is notified that Connects are about to expire."""
    badge_min_price: int = field(default=4, metadata=between(1, MAX_AMOUNT))
    """What a week of the availability badge costs where hardly anybody has one."""
    badge_max_price: int = field(default=20, metadata=between(1, MAX_AMOUNT))
    badge_price_step: int = field(default=1000, metadata=between(1, 1_000_000_000))
    """For every so many badges that are on, a week costs one Connect more."""
    boost_places: int = field(default=4, metadata=between(1, 20))
    """How many proposals on a job may be boosted."""
    auction_days: int = field(default=7, metadata=between(1, 366))
    """How long after its job was posted an auction of boosted places closes."""
    auction_grace_seconds: int = field(default=300, metadata=between(0, 86_400))
    """How long after that the schedule closes it, so that events of before the close have time to arrive."""
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


LIMITS: Mapping[str, tuple[int, int]] = {
    each.name: each.metadata["limits"] for each in fields(Policy) if "limits" in each.metadata
}
"""The least and the most that each number may be."""


def check_amount(amount: int) -> None:
    """Raises InvalidRequestError: a request moves from 1 to `MAX_AMOUNT` Connects."""
    if not 1 <= amount <= MAX_AMOUNT:
        raise InvalidRequestError("amount", f"must be from 1 to {MAX_AMOUNT}")
