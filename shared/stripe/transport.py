"""How Stripe's client reaches Stripe: over urllib3, which botocore has loaded anyway, with time limits of its own.

The client's usual transport is requests, which would double what a function loads and waits up to 80 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import stripe
import urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_S = 1.0
READ_S = 8.0
CONNECTIONS = 10
"""As many as there are threads that ask at once."""


class Urllib3Transport(stripe.HTTPClient):
    """One pool of connections. It never tries again: whether a payment is asked for again is the caller's decision."""

    name: ClassVar[str] = "urllib3"

    def __init__(self, *, connect_s: float = CONNECT_S, read_s: float = READ_S) -> None:
        super().__init__()
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS,
            cert_reqs="CERT_REQUIRED",
            ca_certs=stripe.ca_bundle_path,
            timeout=urllib3.Timeout(connect=connect_s, read=read_s),
            retries=False,
        )

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: str | None = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Raises APIConnectionError: there was no answer, or no whole one."""
        try:
            answer = self._pool.request(method.upper(), url, headers=headers, body=post_data)
            return answer.data.decode(), answer.status, answer.headers
        except (urllib3.exceptions.HTTPError, UnicodeDecodeError) as error:
            raise stripe.APIConnectionError(type(error).__name__) from None  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self._pool.clear()
