"""Requests of the payment provider, which has no token and signs them: Stripe in its own way, others by a standard.

The signature covers the body byte for byte. It is valid for some minutes of real time, within which a request may be
repeated, so that a repeat must do no harm.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.aws.secrets import KEPT, KEPT_AT_LEAST, payment_secret, secret_of
from shared.aws.wiring import wiring
from shared.clock import SystemClock
from shared.config import STRIPE
from shared.http.requests import raw_body
from shared.ledger.errors import LedgerError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

TOLERANCE = timedelta(minutes=5)
"""Either way. Stripe's own client takes signatures of any time ahead."""
VERSION = "v1,"


class SignatureInvalidError(LedgerError):
    """It does not say why."""

    code = "signature_invalid"

    def __init__(self) -> None:
        super().__init__("The request is not signed as it has to be.")


def require_signature(event: APIGatewayProxyEventV2) -> None:
    """Refuse what the payment provider did not sign, with any of the secrets that it has.

    Raises:
        SignatureInvalidError
    """
    settings, now = wiring().settings, SystemClock().now()
    stored = payment_secret(settings)
    is_by = is_by_stripe if settings.payment_provider == STRIPE else is_by_standard
    for kept in (KEPT, KEPT_AT_LEAST):
        if any(is_by(event, secret, now) for secret in stored.read(now, kept).webhook_secrets):
            return
    raise SignatureInvalidError


def is_by_standard(event: APIGatewayProxyEventV2, secret: str, now: datetime) -> bool:
    """Whether one of a request's signatures was made with ``secret`` at about ``now``, by Standard Webhooks."""
    message_id, signed_at, signatures = (
        event.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    try:
        expected = sign(secret_of(secret), message_id, signed_at, raw_body(event)).encode()
        return _is_recent(signed_at, now) and _is_among(expected, signatures.split())
    except (ValueError, OverflowError, OSError):  # no number, no instant; no base64, no Unicode
        return False


def is_by_stripe(event: APIGatewayProxyEventV2, secret: str, now: datetime) -> bool:
    """The same by Stripe, in one header, ``t=1795341600,v1=<hex>,v1=<hex>``: docs.stripe.com/webhooks/signature."""
    parts = [part.partition("=") for part in event.headers.get("stripe-signature", "").split(",")]
    signed_at = next((value for name, _, value in parts if name == "t"), "")
    try:
        expected = sign_like_stripe(secret, signed_at, raw_body(event)).encode()
        return _is_recent(signed_at, now) and _is_among(expected, [value for name, _, value in parts if name == "v1"])
    except (ValueError, OverflowError, OSError):
        return False


def sign(secret: bytes, message_id: str, signed_at: str, body: bytes) -> str:
    signed = f"{message_id}.{signed_at}.".encode() + body
    return VERSION + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def sign_like_stripe(secret: str, signed_at: str, body: bytes) -> str:
    """The key is the secret's text, ``whsec_`` included."""
    return hmac.digest(secret.encode(), f"{signed_at}.".encode() + body, hashlib.sha256).hex()


def _is_recent(signed_at: str, now: datetime) -> bool:
    return abs(now - datetime.fromtimestamp(int(signed_at), UTC)) <= TOLERANCE


def _is_among(expected: bytes, given: list[str]) -> bool:
    return any(hmac.compare_digest(expected, each.encode()) for each in given)
