"""The adapter to the earnings service and the reference service, over HTTP on the loopback address."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import shared.earnings
from local.earnings import Earnings, EarningsService
from local.engines import CREDENTIALS
from shared.earnings.provider import EarningsProvider
from shared.earnings.signing import HmacSigner, Sigv4Signer
from shared.ledger.purchases import PaymentSource
from shared.payments import Charge

SECRET = b"a secret of thirty-two bytes, or so"


DOCUMENT = json.loads((Path(shared.earnings.__path__[0]) / "api.json").read_text())


def problems_with(method: str, path: str, status: int, answer: Any) -> list[str]:
    """What the document does not say of an answer of the service."""
    for pattern, operations in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path) and method.lower() in operations:
            described = operations[method.lower()]["responses"].get(str(status))
            if described is None:
                return [f"{method} {path} may not answer {status}"]
            schema = described["content"]["application/json"]["schema"]
            validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
            return [f"{method} {path} {status}: {error.message}" for error in validator.iter_errors(answer)]
    return [f"{method} {path} is answered, and is not in the document"]


@dataclass
class Clock:
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.at

    def at_real(self, moment: datetime) -> datetime:
        return moment

    def go(self, **ahead: int) -> None:
        self.at += timedelta(**ahead)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["iam", "hmac"])
def service(request: pytest.FixtureRequest, clock: Clock) -> Iterator[EarningsService]:
    """By each of the two ways to sign."""
    secret = SECRET if request.param == "hmac" else None
    with EarningsService(Earnings(now=clock.now, starts_with_cents=1_000), secret=secret) as service:
        yield service
    problems = [problem for answer in service.answered for problem in problems_with(*answer)]
    assert not problems, "\n".join(["shared/earnings/api.json says otherwise:", *problems])


@pytest.fixture
def provider(service: EarningsService, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> EarningsProvider:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    sign = HmacSigner(lambda: SECRET) if service.secret else Sigv4Signer("us-east-1")
    return EarningsProvider(service.url, sign, clock)


@pytest.fixture
def charge() -> Callable[..., Charge]:
    def made(number: int = 1, **more: Any) -> Charge:
        asked: dict[str, Any] = {
            "charge_id": f"purchase-{number}",
            "account_id": "ann",
            "purchase_id": "purchase",
            "attempt": number,
            "amount_cents": 600,
            "currency": "USD",
            "source": PaymentSource.EARNINGS_BALANCE,
        }
        return Charge(**asked | more)

    return made
