"""How requests to the earnings service are signed: method, address and body, by AWS's credentials or a shared secret.

Of a signature that left out method and address, an empty ``commit`` could be sent again as a ``cancel``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import get_session

from shared.config import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE = "execute-api"
COVERED = ("@method", "@target-uri", "content-digest")
KEY_ID = "connects"


class Sigv4Signer:
    """AWS Signature Version 4, as API Gateway and IAM check it: no secret has to be kept or replaced.

    Raises:
        ConfigurationError: there are no credentials.
    """

    def __init__(self, region: str) -> None:
        credentials = get_session().get_credentials()
        if credentials is None:
            raise ConfigurationError("there are no AWS credentials to sign with")
        self._region = region
        self._credentials = credentials

    def __call__(self, method: str, url: str, body: bytes) -> dict[str, str]:
        request = AWSRequest(method, url, data=body)
        SigV4Auth(self._credentials.get_frozen_credentials(), SERVICE, self._region).add_auth(request)
        return dict(request.headers.items())


class HmacSigner:
    """HTTP Message Signatures (RFC 9421) by hmac-sha256, for a service outside of AWS.

    Args:
        secret: Returns the shared secret as it is now.
        now: The time in seconds since 1970.
    """

    def __init__(self, secret: Callable[[], bytes], now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._now = now

    def __call__(self, method: str, url: str, body: bytes) -> dict[str, str]:
        digest = content_digest(body)
        covered = " ".join(f'"{name}"' for name in COVERED)
        params = f'({covered});created={int(self._now())};keyid="{KEY_ID}";alg="hmac-sha256"'
        signature = signature_of(self._secret(), method, url, digest, params)
        return {
            "Content-Digest": digest,
            "Signature-Input": f"sig={params}",
            "Signature": f"sig=:{base64.b64encode(signature).decode()}:",
        }


def content_digest(body: bytes) -> str:
    """As RFC 9530 writes it."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def signature_of(secret: bytes, method: str, url: str, digest: str, params: str) -> bytes:
    """Over the lines that RFC 9421 makes of what is covered, in section 2.5."""
    values = dict(zip(COVERED, (method, url, digest), strict=True))
    lines = [f'"{name}": {value}' for name, value in values.items()]
    return hmac.digest(secret, "\n".join([*lines, f'"@signature-params": {params}']).encode(), hashlib.sha256)
