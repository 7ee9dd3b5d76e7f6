"""Puts a function together from its environment: the table, the clock and the payment gateway of its stage."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from shared.clock import SystemClock
from shared.config import ConfigurationError, Settings
from shared.services.ledger import Ledger
from shared.store.sending import LONGEST_REQUEST_S, sending_until
from shared.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from shared.payments import PaymentGateway
    from shared.sandbox.clock import SandboxClock
    from shared.sandbox.table import SandboxTable

ANSWER_WITHIN_S = 5.0
"""Where DynamoDB hangs, and as long as changes that meet are tried again."""
RESERVE_S = LONGEST_REQUEST_S + 0.5
"""Kept of a function's time for the last request under way and the answer."""
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


def payment_gateway(behaviour: str | None = None) -> PaymentGateway:
    """The stage's payment provider. ``behaviour`` is what a tester asks of the sandbox's; elsewhere it is ignored.

    Raises:
        ConfigurationError: no provider is connected for this stage.
        ValueError: the sandbox knows no such behaviour.
    """
    settings = wiring().settings
    if not settings.sandbox:
        raise ConfigurationError(f"no payment provider is connected for the stage {settings.stage}")
    from shared.sandbox.payments import Behaviour, SandboxGateway  # noqa: PLC0415 - loaded in the sandbox only

    return SandboxGateway(_sandbox_table(settings), Behaviour(behaviour or Behaviour.SUCCEED))


@cache
def _sandbox_table(settings: Settings) -> SandboxTable:
    from shared.sandbox.table import SandboxTable  # noqa: PLC0415 - loaded in the sandbox only

    if not settings.sandbox_table:
        raise ConfigurationError("SANDBOX_TABLE_NAME is not set")
    return SandboxTable(settings.sandbox_table)


def sandbox_clock(settings: Settings) -> SandboxClock:
    from shared.sandbox.clock import SandboxClock  # noqa: PLC0415 - loaded in the sandbox only

    return SandboxClock(_sandbox_table(settings))


def warm_up() -> None:
    """Make the connection while the function starts, when Lambda lends it a whole processor.

    A wrong setting is not for here: the first request tells it in its log.
    """
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        with suppress(ConfigurationError):
            wiring()


def deadline(context: LambdaContext) -> float:
    """Monotonic seconds by which to give one change up, so that the function still answers."""
    return min(_end(context), time.monotonic() + ANSWER_WITHIN_S - MARGIN_S)


@contextmanager
def answering(context: LambdaContext) -> Iterator[None]:
    """Ask DynamoDB for nothing that would keep a caller waiting who is owed an answer in `ANSWER_WITHIN_S`."""
    after_silence = time.monotonic() + ANSWER_WITHIN_S - LONGEST_REQUEST_S - MARGIN_S
    with sending_until(_end(context), after_silence=after_silence):
        yield


@contextmanager
def working(context: LambdaContext) -> Iterator[None]:
    """Ask DynamoDB for nothing that would keep a function from its end. Nobody waits."""
    with sending_until(_end(context)):
        yield


def _end(context: LambdaContext) -> float:
    """Monotonic seconds by which the last request has to be sent, so that the function still ends by itself."""
    return time.monotonic() + context.get_remaining_time_in_millis() / 1000 - RESERVE_S
