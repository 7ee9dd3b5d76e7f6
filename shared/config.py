"""The functions' settings, read from the environment once, when a function starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.calendar import AnchorPolicy
from shared.ledger.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

SANDBOX = "sandbox"
STRIPE = "stripe"
PAYMENT_PROVIDERS = ("none", STRIPE)
"""In minutes: a day."""
MOST_SHARDS = 256
MOST_COUNTERS = 90
"""Of a promo code: all are changed in one transaction, which takes 100 items."""


class ConfigurationError(Exception):
    """The environment lacks a setting or has one that makes no sense; the text names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a function runs and with what numbers."""

    table: str
    stage: str
    due_shards: int
    promo_counters: int
    account_claim: str
    agencies_claim: str
    policy: Policy
    due_queue_url: str | None = None
    sandbox_table: str | None = None
    event_bus: str | None = None
    outbox_dead_letters_url: str | None = None
    payment_provider: str = "none"
    """Outside of the sandbox, which has its own. Functions that have nothing to do with payments are not told."""
    payment_secret: str | None = None
    return_url: str | None = None
    """Where the bank sends a buyer back to."""

    @property
    def sandbox(self) -> bool:
        return self.stage == SANDBOX

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Raises ConfigurationError with the name of the variable that is missing or wrong."""
        return cls(
            table=text_of(environ, "TABLE_NAME"),
            stage=text_of(environ, "STAGE"),
            due_shards=_number(environ, "DUE_SHARDS", 1, MOST_SHARDS),
            promo_counters=_number(environ, "PROMO_COUNTERS", 1, MOST_COUNTERS),
            account_claim=text_of(environ, "ACCOUNT_CLAIM"),
            agencies_claim=text_of(environ, "AGENCIES_CLAIM"),
            policy=_policy(environ),
            due_queue_url=environ.get("DUE_QUEUE_URL"),
            sandbox_table=environ.get("SANDBOX_TABLE_NAME"),
            event_bus=environ.get("EVENT_BUS_NAME"),
            outbox_dead_letters_url=environ.get("OUTBOX_DEAD_LETTERS_URL"),
            payment_provider=_one_of(environ, "PAYMENT_PROVIDER", PAYMENT_PROVIDERS),
            payment_secret=environ.get("PAYMENT_SECRET_ARN"),
            return_url=environ.get("RETURN_URL") or None,
        )


def _policy(environ: Mapping[str, str]) -> Policy:
    try:
        return Policy(
            sign_up=_number(environ, "SIGN_UP_CONNECTS"),
            monthly_basic=_number(environ, "MONTHLY_BASIC_CONNECTS"),
            monthly_plus=_number(environ, "MONTHLY_PLUS_CONNECTS"),
            monthly_plus_free=_number(environ, "MONTHLY_PLUS_FREE_CONNECTS"),
            rising_talent=_number(environ, "RISING_TALENT_CONNECTS"),
            interview=_number(environ, "INTERVIEW_CONNECTS"),
            interview_cap=_number(environ, "INTERVIEW_CAP_CONNECTS"),
            interview_window_days=_number(environ, "INTERVIEW_WINDOW_DAYS"),
            certifications=_amounts(environ, "CERTIFICATION_CONNECTS"),
            lot_lifetime_months=_number(environ, "LOT_LIFETIME_MONTHS"),
            refund_grace_days=_number(environ, "REFUND_GRACE_DAYS"),
            anchor_policy=AnchorPolicy(text_of(environ, "ANCHOR_POLICY")),
            unit_price_cents=_number(environ, "UNIT_PRICE_CENTS"),
            minimum_purchase=_number(environ, "MINIMUM_PURCHASE"),
            currency=text_of(environ, "CURRENCY"),
            action_minutes=_number(environ, "ACTION_MINUTES"),
            expiring_soon_days=_number(environ, "EXPIRING_SOON_DAYS"),
            expiry_notice_days=_numbers(environ, "EXPIRY_NOTICE_DAYS"),
            badge_min_price=_number(environ, "BADGE_MIN_PRICE"),
            badge_max_price=_number(environ, "BADGE_MAX_PRICE"),
            badge_price_step=_number(environ, "BADGE_PRICE_STEP"),
            boost_places=_number(environ, "BOOST_PLACES"),
            auction_days=_number(environ, "AUCTION_DAYS"),
            auction_grace_seconds=_number(environ, "AUCTION_GRACE_SECONDS"),
            job_prices=_amounts(environ, "JOB_PRICES"),
        )
    except ValueError as error:
        raise ConfigurationError(f"the product's numbers make no sense: {error}") from error


def text_of(environ: Mapping[str, str], name: str) -> str:
    """Raises ConfigurationError where it is not set."""
    if not (value := environ.get(name)):
        raise ConfigurationError(f"{name} is not set")
    return value


def _one_of(environ: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    """The first where it is not set."""
    value = environ.get(name, allowed[0])
    if value not in allowed:
        raise ConfigurationError(f"{name} must be {' or '.join(allowed)}, not {value!r}")
    return value


def _number(environ: Mapping[str, str], name: str, least: int = 0, most: int | None = None) -> int:
    """A whole number; those of the product have their limits in `Policy`."""
    text = text_of(environ, name)
    if not text.isdecimal():
        raise ConfigurationError(f"{name} must be a whole number from {least} up, not {text!r}")
    number = int(text)
    if number < least or (most is not None and number > most):
        raise ConfigurationError(f"{name} must be from {least} to {most}, not {number}")
    return number


def _numbers(environ: Mapping[str, str], name: str) -> tuple[int, ...]:
    """Whole numbers, separated by commas: ``30,7,1``."""
    numbers = [number.strip() for number in text_of(environ, name).split(",")]
    if not all(number.isdecimal() for number in numbers):
        raise ConfigurationError(f"{name} must be like 30,7,1, not {environ[name]!r}")
    return tuple(map(int, numbers))


def _amounts(environ: Mapping[str, str], name: str) -> dict[str, int]:
    """Names and whole numbers as ``name=number``, separated by commas: ``python=10,design=5``."""
    pairs = [pair.strip() for pair in environ.get(name, "").split(",") if pair.strip()]
    amounts = {key.strip(): number.strip() for key, _, number in (pair.partition("=") for pair in pairs)}
    each_once = len(amounts) == len(pairs)
    if not each_once or not all(key and number.isdecimal() for key, number in amounts.items()):
        raise ConfigurationError(f"{name} must be like python=10,design=5, each once, not {environ[name]!r}")
    return {key: int(number) for key, number in amounts.items()}
