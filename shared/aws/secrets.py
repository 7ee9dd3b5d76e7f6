"""The payment provider's secret in Secrets Manager: what it signs events with and, of Stripe, the key of its API."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.observability import logger
from shared.config import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime

    from shared.config import Settings

KEPT = timedelta(minutes=5)
"""How long a secret is cached. One that was replaced is accepted for no longer."""
KEPT_AT_LEAST = timedelta(seconds=30)
"""How long a secret is cached even where something is not by it. It may be by a new secret, so that is read again; but
not each time, or anybody could cause any number of reads."""
SHORTEST_SECRET = 24
"""In bytes; the minimum of Standard Webhooks."""


@dataclass(frozen=True, slots=True)
class PaymentSecret:
    """Neither is in its text: what is logged may have it inside."""

    webhook_secrets: tuple[str, ...] = field(repr=False)
    """More than one while one is replaced by another. As the provider gives them out, ``whsec_`` included."""
    api_key: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> PaymentSecret:
        """Read one of two forms: ``{"api_key": "rk_..", "webhook_secrets": ["whsec_..", ..]}``, or a secret in base64.

        Raises:
            ConfigurationError: it is neither, or a secret is so short that it could be guessed. Does not quote it.
        """
        if not text.lstrip().startswith("{"):
            secret_of(text)
            return cls((text.strip(),))
        match _json(text):
            case {"api_key": str(key), "webhook_secrets": [_, *_] as secrets} if key and all(map(_is_long, secrets)):
                return cls(tuple(secrets), key)
        raise ConfigurationError(
            "the payment provider's secret must be like"
            f' {{"api_key": "..", "webhook_secrets": [".."]}}, each secret of {SHORTEST_SECRET} characters or more'
        )


def secret_of(text: str) -> bytes:
    """The bytes of a secret of Standard Webhooks: base64, with or without ``whsec_`` before it.

    Raises:
        ConfigurationError: it is no base64, or so short that it could be guessed.
    """
    try:
        secret = base64.b64decode(text.strip().removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise ConfigurationError(f"the payment provider's secret is not base64: {error}") from error
    if len(secret) < SHORTEST_SECRET:
        raise ConfigurationError(f"the payment provider's secret has fewer than {SHORTEST_SECRET} bytes")
    return secret


class StoredSecret:
    """The secret, cached, and read again after some time because it may be replaced."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._value: PaymentSecret | None = None
        self._asked_at: datetime | None = None

    def read(self, now: datetime, kept: timedelta = KEPT) -> PaymentSecret:
        """The secret, from the cache if Secrets Manager was asked less than ``kept`` ago.

        If it cannot be read again, the cached one stays.

        Raises:
            ConfigurationError: none is cached, and it is not valid, see `PaymentSecret.parse`.
            ClientError, BotoCoreError: none is cached, and it cannot be read.
        """
        if self._value is None or self._asked_at is None or abs(now - self._asked_at) >= kept:
            self._asked_at = now
            self._value = self._fetched(self._value)
        return self._value

    def _fetched(self, known: PaymentSecret | None) -> PaymentSecret:
        try:
            return PaymentSecret.parse(self._client.get_secret_value(SecretId=self._name)["SecretString"])
        except (ClientError, BotoCoreError, ConfigurationError):
            if known is None:
                raise
            logger.exception("the secret could not be read anew")
            return known

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - boto3 makes its clients as it runs
        """Made when it is first needed, because it loads boto3."""
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        times = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
        return boto3.client("secretsmanager", config=times)


def payment_secret(settings: Settings) -> StoredSecret:
    """Raises ConfigurationError where the function has none."""
    if not settings.payment_secret:
        raise ConfigurationError("PAYMENT_SECRET_ARN is not set")
    return _named(settings.payment_secret)


@cache
def _named(name: str) -> StoredSecret:
    """One for all invocations of a process."""
    return StoredSecret(name)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _is_long(secret: object) -> bool:
    return isinstance(secret, str) and len(secret) >= SHORTEST_SECRET
