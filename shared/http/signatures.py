"""Requests of the payment provider, which has no token and signs them by the Standard Webhooks scheme.

The signature covers the body byte for byte. It is valid for some minutes of real time, within which a request may be
repeated, so that a repeat must do no harm.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.observability import logger
from shared.aws.wiring import wiring
from shared.clock import SystemClock
from shared.config import ConfigurationError
from shared.http.requests import raw_body
from shared.ledger.errors import LedgerError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

TOLERANCE = timedelta(minutes=5)
VERSION = "v1,"
SHORTEST_SECRET = 24
"""In bytes; the scheme's own minimum."""
KEPT = timedelta(minutes=5)
"""How long a secret is cached. One that was replaced is accepted for no longer."""
KEPT_AT_LEAST = timedelta(seconds=30)
"""How long a secret is cached even if a signature is not by it. That signature may be by a new secret, so it is read
again; but not for every such signature, or anybody could cause any number of reads."""


class SignatureInvalidError(LedgerError):
    """It does not say why."""

    code = "signature_invalid"

    def __init__(self) -> None:
        super().__init__("The request is not signed as it has to be.")


def require_signature(event: APIGatewayProxyEventV2) -> None:
    """Refuse what the payment provider did not sign.

    Raises:
        SignatureInvalidError
    """
    secret, now = _secret(), SystemClock().now()
    if not (is_signed(event, secret.read(now, KEPT), now) or is_signed(event, secret.read(now, KEPT_AT_LEAST), now)):
        raise SignatureInvalidError


def is_signed(event: APIGatewayProxyEventV2, secret: bytes, now: datetime) -> bool:
    """Whether one of a request's signatures was made with ``secret``, at about ``now``."""
    message_id, signed_at, signatures = (
        event.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    try:
        age = now - datetime.fromtimestamp(int(signed_at), UTC)
        expected = sign(secret, message_id, signed_at, raw_body(event)).encode()
        given = [each.encode() for each in signatures.split()]
    except (ValueError, OverflowError, OSError):  # no number, no instant; no base64, no Unicode
        return False
    return abs(age) <= TOLERANCE and any(hmac.compare_digest(expected, each) for each in given)


def sign(secret: bytes, message_id: str, signed_at: str, body: bytes) -> str:
    signed = f"{message_id}.{signed_at}.".encode() + body
    return VERSION + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def secret_of(text: str) -> bytes:
    """The bytes of a secret as providers hand it out: base64, with or without ``whsec_`` before it.

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


class Secret:
    """A secret in Secrets Manager. It is cached, and read again after some time because it may be replaced."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._value: bytes | None = None
        self._asked_at: datetime | None = None

    def read(self, now: datetime, kept: timedelta) -> bytes:
        """The secret, from the cache if Secrets Manager was asked less than ``kept`` ago.

        If it cannot be read again, the cached one stays.

        Raises:
            ConfigurationError: none is cached, and it is not valid, see `secret_of`.
            ClientError, BotoCoreError: none is cached, and it cannot be read.
        """
        if self._value is None or self._asked_at is None or abs(now - self._asked_at) >= kept:
            self._asked_at = now
            self._value = self._fetched(self._value)
        return self._value

    def _fetched(self, known: bytes | None) -> bytes:
        try:
            return secret_of(self._client.get_secret_value(SecretId=self._name)["SecretString"])
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


def _secret() -> Secret:
    name = wiring().settings.payment_secret
    if not name:
        raise ConfigurationError("PAYMENT_SECRET_ARN is not set")
    return _named(name)


@cache
def _named(name: str) -> Secret:
    """One for all invocations of a process."""
    return Secret(name)
