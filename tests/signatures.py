"""A payment provider's signature on a message by the Standard Webhooks scheme, made without the code under test."""

import base64
import hashlib
import hmac


def secret_of(text: str) -> bytes:
    return base64.b64decode(text.removeprefix("whsec_"))


def sign(secret: bytes, message_id: str, signed_at: str, body: bytes) -> str:
    digest = hmac.new(secret, b".".join([message_id.encode(), signed_at.encode(), body]), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(secret: str, message_id: str, signed_at: int, body: bytes) -> dict[str, str]:
    """What a provider sends beside the body."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(signed_at),
        "webhook-signature": sign(secret_of(secret), message_id, str(signed_at), body),
    }
