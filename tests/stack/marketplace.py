"""A `Marketplace`: everybody who calls the API, each request one line."""

import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from local.tokens import user_token
from tests.document import check_answer
from tests.signatures import signed_headers

REPLAYED = "Idempotent-Replayed"
PROBLEM = "application/problem+json"


def unique(name: str) -> str:
    return f"{name}-{secrets.token_hex(6)}"


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, which is a problem+json in every respect."""
    problem = answer.json()
    assert answer.headers["Content-Type"] == PROBLEM
    assert problem["status"] == answer.status_code
    assert all(problem[name] for name in ("type", "title", "detail", "code"))
    return answer.status_code, problem["code"]


def at_once(calls: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """Every call on a thread of its own, all under way together."""
    with ThreadPoolExecutor(len(calls)) as threads:
        return [each.result() for each in [threads.submit(call) for call in calls]]


@dataclass
class Marketplace:
    stack: dict[str, Any]
    http: httpx.Client
    tokens: dict[str, str]
    opened: list[str] = field(default_factory=list)

    def call(
        self,
        token: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **query: str,
    ) -> httpx.Response:
        """A request, and an answer that carries its id if it came from a function."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if key:
            sent["Idempotency-Key"] = key
        answer = self.http.request(method, path, json=body, headers=sent, params=query or None)
        assert answer.status_code in {401, 403} or answer.headers["X-Request-Id"]
        check_answer(f"{method} {path}", answer.status_code, answer.headers, answer.text)
        return answer

    def service(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.call(self.tokens["service"], method, path, body, **more)

    def staff(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.call(self.tokens["staff"], method, path, body, **more)

    def token_of(self, account: str, *agencies: str) -> str:
        """An end user's."""
        return user_token(self.stack, account, list(agencies))

    def open(self, kind: str = "freelancer", plan: str = "basic", **more: str) -> str:
        """A new account; a freelancer on basic has 40 Connects for signing up and 10 of its first cycle."""
        account = unique("t")
        answer = self.service("POST", "/accounts", {"account_id": account, "kind": kind, "plan": plan} | more, key="o")
        assert answer.status_code == 201, answer.text
        self.opened.append(account)
        return account

    def spend(self, account: str, amount: int, key: str, job: str | None = None, **more: Any) -> httpx.Response:
        """On a proposal for a job that nobody else has heard of, unless one is named."""
        reference = {"type": "proposal", "proposal_id": f"proposal-{key}", "job_id": job or f"job-{key}"}
        return self.service(
            "POST", f"/accounts/{account}/spends", {"amount": amount, "reference": reference} | more, key=key
        )

    def boost(self, account: str, job: str, bid: int, key: str = "boost") -> httpx.Response:
        body = {"job_id": job, "proposal_id": f"proposal-{account}", "bid": bid}
        return self.service("POST", f"/accounts/{account}/boosts", body, key=key)

    def refund(self, account: str, spend_id: str, key: str, reason: str = "job_canceled") -> httpx.Response:
        return self.service("POST", f"/accounts/{account}/spends/{spend_id}/refund", {"reason": reason}, key=key)

    def reward(self, account: str, kind: str, key: str, **reference: str) -> httpx.Response:
        body = {"kind": kind, "reference": reference}
        return self.service("POST", f"/accounts/{account}/rewards", body, key=key)

    def adjust(self, account: str, amount: int, key: str, reason: str = "As a courtesy") -> httpx.Response:
        body = {"amount": amount, "reason": reason}
        return self.staff("POST", f"/accounts/{account}/adjustments", body, key=key)

    def put_promo(self, code: str, **terms: Any) -> httpx.Response:
        """A campaign of 5 Connects for 100 accounts, valid for as long as the stack's clock may go."""
        usual = {"connects": 5, "max_redemptions": 100, "from": "2000-01-01T00:00:00Z", "to": "8000-01-01T00:00:00Z"}
        return self.staff("PUT", f"/promos/{code}", usual | terms)

    def redeem(self, account: str, code: str, key: str) -> httpx.Response:
        """As the account's owner."""
        path = f"/accounts/{account}/promo-redemptions"
        return self.call(self.token_of(account), "POST", path, {"code": code}, key=key)

    def buy(
        self,
        account: str,
        quantity: int,
        key: str,
        *,
        sandbox: str | None = None,
        token: str | None = None,
        source: str = "billing_method",
        **more: str,
    ) -> httpx.Response:
        """`sandbox` is what the payment provider does with the charge."""
        return self.call(
            token or self.tokens["service"],
            "POST",
            f"/accounts/{account}/purchases",
            {"quantity": quantity, "payment": {"source": source}} | more,
            key=key,
            headers={"X-Sandbox-Payment": sandbox} if sandbox else None,
        )

    def payment_event(self, event: dict[str, Any], secret: str, *, tampered: bytes = b"") -> httpx.Response:
        """As the payment provider tells it, signed; what is `tampered` comes behind what was signed."""
        body, path = json.dumps(event).encode(), "/payments/webhook"
        headers = signed_headers(secret, unique("evt"), int(time.time()), body) | {"Content-Type": "application/json"}
        answer = self.http.post(path, content=body + tampered, headers=headers)
        check_answer(f"POST {path}", answer.status_code, answer.headers, answer.text)
        return answer

    def purchase(self, account: str, purchase_id: str) -> dict[str, Any]:
        return self.service("GET", f"/accounts/{account}/purchases/{purchase_id}").json()

    def read(self, account: str) -> dict[str, Any]:
        return self.service("GET", f"/accounts/{account}").json()

    def balance(self, account: str) -> int:
        return self.read(account)["balance"]

    def entries(self, account: str, **query: str) -> list[dict[str, Any]]:
        """Of all times, newest first."""
        answer = self.service("GET", f"/accounts/{account}/history", **{"from": "2000-01-01", "limit": "100"} | query)
        assert answer.status_code == 200, answer.text
        return answer.json()["entries"]

    def of_type(self, account: str, entry_type: str) -> list[int]:
        """The amounts of an account's entries of one type, oldest first."""
        return [entry["amount"] for entry in reversed(self.entries(account, type=entry_type))]
