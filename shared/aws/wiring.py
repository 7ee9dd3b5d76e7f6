"""Puts a function together from its environment: the table, the clock and the payment provider of its stage."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from shared.clock import SystemClock
from shared.config import STRIPE, ConfigurationError, Settings
from shared.services.ledger import Ledger
from shared.store.sending import LONGEST_REQUEST_S, sending_until
from shared.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from shared.payments import PaymentProvider
    from shared.sandbox.clock import SandboxClock
    from shared.sandbox.table import SandboxTable
    from shared.stripe.provider import StripeProvider

ANSWER_WITHIN_S = 5.0
"""The longest that a caller waits: where DynamoDB hangs, or while conflicting changes are retried."""
RESERVE_S = LONGEST_REQUEST_S + 0.5
"""The part of a function's time that is kept for its last request to DynamoDB and for the answer."""
MARGIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Wiring:
    settings: Settings
    ledger: Ledger


@cache
def wiring() -> Wiring:
    """Built once a process.

    Raises:
        ConfigurationError: names the setting that is missing.
    """
    settings = Settings.read(os.environ)
    table = Table(settings.table, shards=settings.due_shards)
    clock = sandbox_clock(settings) if settings.sandbox else SystemClock()
    return Wiring(settings, Ledger(table, settings.policy, clock))


def payment_provider(behaviour: str | None = None) -> PaymentProvider:
    """The stage's payment provider. ``behaviour`` is how a tester wants the sandbox's to act; others ignore it.

    Raises:
        ConfigurationError: no provider is connected for this stage.
        ValueError: the sandbox knows no such behaviour.
    """
    settings = wiring().settings
    if not settings.sandbox:
        if settings.payment_provider == STRIPE:
            return stripe_provider(settings)
        raise ConfigurationError(f"no payment provider is connected for the stage {settings.stage}")
    from shared.sandbox.payments import Behaviour, SandboxProvider  # noqa: PLC0415 - loaded in the sandbox only

    asked = Behaviour(behaviour or Behaviour.SUCCEED)
    return SandboxProvider(_sandbox_table(settings), wiring().ledger.clock, asked)


@cache
def _sandbox_table(settings: Settings) -> SandboxTable:
    from shared.sandbox.table import SandboxTable  # noqa: PLC0415 - loaded in the sandbox only

    if not settings.sandbox_table:
        raise ConfigurationError("SANDBOX_TABLE_NAME is not set")
    return SandboxTable(settings.sandbox_table)


@cache
def stripe_provider(settings: Settings) -> StripeProvider:
    """One for all invocations of a process: it keeps its connections."""
    from shared.aws.secrets import KEPT, KEPT_AT_LEAST, payment_secret  # noqa: PLC0415 - where Stripe is the provider
    from shared.stripe.provider import StripeProvider  # noqa: PLC0415 - as above

    def api_key(*, refused: str | None = None) -> str:
        key = payment_secret(settings).read(SystemClock().now(), KEPT_AT_LEAST if refused else KEPT).api_key
        if not key:
            raise ConfigurationError("the payment provider's secret has no api_key")
        return key

    return StripeProvider(
        api_key,
        app=f"connects-ledger/{settings.stage}",
        return_url=settings.return_url,
        action_time=timedelta(minutes=settings.policy.action_minutes),
        api_base=os.environ.get("STRIPE_API_BASE"),  # a stand-in on a developer's machine
    )


def sandbox_clock(settings: Settings) -> SandboxClock:
    from shared.sandbox.clock import SandboxClock  # noqa: PLC0415 - loaded in the sandbox only

    return SandboxClock(_sandbox_table(settings))


def warm_up() -> None:
    """Connect to DynamoDB while the function starts, when Lambda gives it a whole processor.

    Of the functions that have the payment provider's secret, load its client too.

    A wrong setting is not reported here: the first request fails and logs it.
    """
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        with suppress(ConfigurationError):
            settings = wiring().settings
            if settings.payment_secret and settings.payment_provider == STRIPE and not settings.sandbox:
                stripe_provider(settings)


def deadline(context: LambdaContext) -> float:
    """When to give up one change, in monotonic seconds, so that the function still answers."""
    return min(_end(context), time.monotonic() + ANSWER_WITHIN_S - MARGIN_S)


@contextmanager
def answering(context: LambdaContext) -> Iterator[None]:
    """Within it, no request is sent to DynamoDB that could delay the answer beyond `ANSWER_WITHIN_S`."""
    after_silence = time.monotonic() + ANSWER_WITHIN_S - LONGEST_REQUEST_S - MARGIN_S
    with sending_until(_end(context), after_silence=after_silence):
        yield


@contextmanager
def working(context: LambdaContext) -> Iterator[None]:
    """Within it, no request is sent to DynamoDB for which the function has no time left. No caller waits."""
    with sending_until(_end(context)):
        yield


def _end(context: LambdaContext) -> float:
    """When the last request has to be sent, in monotonic seconds, so that the function still ends by itself."""
    return time.monotonic() + context.get_remaining_time_in_millis() / 1000 - RESERVE_S
