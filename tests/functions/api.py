"""An `Api`: calls the functions' handlers as their triggers do, each request one line."""

import importlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from shared.config import ConfigurationError
from tests.document import check_answer
from tests.functions.events import NO_TOKEN, SERVICE, STAFF, event, http, signed, sqs, user
from tests.permissions import LEDGER, TableAction, denied, in_the_sandbox

HANDLER_OF = {
    "open_account": "accounts",
    "read_account": "accounts",
    "change_account": "accounts",
    "put_billing_method": "accounts",
    "history": "accounts",
    "audit": "audit",
    "reward": "rewards",
    "adjustment": "rewards",
    "put_promo": "promos",
    "redeem_promo": "promos",
    "purchases": "purchase",
    "read_purchase": "purchase",
    "check_purchase": "purchase",
    "put_job": "jobs",
    "read_job": "jobs",
    "job_event": "jobs",
    "boost": "boosts",
}
"""The function that a call's event is for, where it is not named like the function."""


RUNNING: list[str] = []
"""The functions that are called, the innermost last: a test may have one meet another half-way."""


@contextmanager
def permitted(function: str) -> Iterator[None]:
    from shared.aws.wiring import wiring  # noqa: PLC0415 - after Powertools' settings are there

    try:
        table = wiring().ledger.table
    except ConfigurationError:
        table = None
    if table is None or table.name != LEDGER:
        yield  # and so the function has no table to ask
        return
    events = table.client.meta.events
    policy = in_the_sandbox("".join(map(str.title, function.split("_"))) + "Function")
    refused: list[TableAction] = []

    def check(params: dict[str, Any], model: Any, **_: object) -> None:
        if RUNNING[-1] == function:
            refused.extend(denied(policy, model.name, params))

    RUNNING.append(function)
    events.register("provide-client-params.dynamodb", check)
    try:
        yield
    finally:
        events.unregister("provide-client-params.dynamodb", check)
        RUNNING.pop()
    assert refused == [], f"{function} may not do this"


@dataclass
class Context:
    """What Lambda hands a handler beside the event."""

    function_name: str
    left_ms: int = 10_000
    memory_limit_in_mb: int = 1024
    aws_request_id: str = "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"
    _started: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:us-east-1:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms - int((time.monotonic() - self._started) * 1000)


@dataclass(frozen=True)
class Answer:
    """An HTTP function's answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """Of a refusal; that it is one in every respect is checked on the way."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.body["status"] == self.status
        assert all(self.body[name] for name in ("type", "title", "detail", "code"))
        return self.body["code"]

    @property
    def refused(self) -> tuple[int, str]:
        return self.status, self.code

    @property
    def replayed(self) -> bool:
        return self.headers.get("Idempotent-Replayed") == "true"


class Api:
    """Calls the functions. The caller is a service where the test names no claims; the payment provider signs."""

    left_ms: int | None = None
    """What a function has left of its time; as long as the template gives it, where a test does not say."""

    def send(self, name: str, sent: dict[str, Any]) -> Answer:
        """Have the event `sent` handled by the function that the file `name` is for."""
        answer = self.invoke(HANDLER_OF.get(name, name), sent)
        assert answer["headers"]["X-Request-Id"] == sent["requestContext"]["requestId"]
        called = f"{sent['requestContext']['http']['method']} {sent['rawPath']}"
        check_answer(called, answer["statusCode"], answer["headers"], answer["body"])
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    def call(self, name: str, **changes: Any) -> Answer:
        if name == "payment_events":
            return self.send(name, signed(http(name, **{"claims": NO_TOKEN, **changes})))
        return self.send(name, http(name, **{"claims": SERVICE, **changes}))

    def invoke(self, function: str, sent: dict[str, Any]) -> Any:
        """What a function answers. It asks nothing of the ledger's table that its policies do not allow."""
        handler = importlib.import_module(f"functions.{function}.app").handler
        self.context = Context(function, self.left_ms or (10_000 if "requestContext" in sent else 60_000))
        with permitted(function):
            return json.loads(json.dumps(handler(sent, self.context)))

    def run(self, function: str, **changes: Any) -> Any:
        """One run of a schedule."""
        return self.invoke(function, event(function) | changes)

    def deliver(self, function: str, *bodies: str) -> list[str]:
        """Hand a batch to a queue's function; tells which messages it gives back."""
        answer = self.invoke(function, sqs(f"{function}_queue", *bodies))
        return [failed["itemIdentifier"] for failed in answer["batchItemFailures"]]

    def open(self, account: str = "ann", *, kind: str = "freelancer", plan: str = "basic", **more: str) -> Answer:
        body = {"account_id": account, "kind": kind, "plan": plan, **more}
        opened = self.call("open_account", key=f"open-{account}", body=body)
        assert opened.status == 201, opened.text
        return opened

    def change(self, account: str = "ann", **changes: str) -> Answer:
        return self.call("change_account", path={"account_id": account}, body=changes)

    def spend(
        self, amount: int = 6, key: str = "spend", account: str = "ann", job: str | None = None, **more: Any
    ) -> Answer:
        """On a proposal for no job in particular, unless one is named."""
        reference = {"type": "proposal", "proposal_id": "p-1"} | ({"job_id": job} if job else {})
        body = {"amount": amount, "reference": reference, **more}
        return self.call("spend", path={"account_id": account}, key=key, body=body)

    def propose(self, account: str = "ann", job: str = "j-1", key: str = "propose", **body: Any) -> Answer:
        """A proposal on a job, at its price unless the body names one."""
        reference = {"type": "proposal", "proposal_id": "p-1", "job_id": job} | body.pop("reference", {})
        return self.call("spend", path={"account_id": account}, key=key, body={"reference": reference, **body})

    def post(self, job: str = "j-1", **body: Any) -> Answer:
        return self.call("put_job", path={"job_id": job}, body={"version": 1} | body)

    def tell(self, happened: str = "canceled", job: str = "j-1", **more: str) -> Answer:
        return self.call("job_event", path={"job_id": job}, body={"type": happened, **more})

    def job(self, job: str = "j-1") -> Answer:
        return self.call("read_job", path={"job_id": job})

    def boost(self, bid: int, account: str = "ann", job: str = "j-1", key: str = "boost", **more: Any) -> Answer:
        body = {"job_id": job, "proposal_id": f"p-{account}", "bid": bid, **more}
        return self.call("boost", path={"account_id": account}, key=key, body=body)

    def refund(
        self, spend_id: str, key: str = "refund", account: str = "ann", reason: str = "job_canceled", **changes: Any
    ) -> Answer:
        path = {"account_id": account, "spend_id": spend_id}
        return self.call("refund", path=path, key=key, body={"reason": reason}, **changes)

    def reward(
        self, kind: str, key: str = "reward", account: str = "ann", at: str | None = None, **reference: str
    ) -> Answer:
        body = {"kind": kind, "reference": reference} | ({"at": at} if at else {})
        return self.call("reward", path={"account_id": account}, key=key, body=body)

    def adjust(
        self, amount: int, key: str = "adjustment", account: str = "ann", reason: str = "As a courtesy"
    ) -> Answer:
        body = {"amount": amount, "reason": reason}
        return self.call("adjustment", claims=STAFF, path={"account_id": account}, key=key, body=body)

    def put_promo(self, code: str = "SPRING", **changes: Any) -> Answer:
        terms = {"connects": 5, "max_redemptions": 100, "from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
        return self.call("put_promo", claims=STAFF, path={"code": code}, body=terms | changes)

    def redeem(self, code: Any = "SPRING", key: str = "redeem", account: str = "ann", **changes: Any) -> Answer:
        claims = user("ann", "[acme]")
        path, body = {"account_id": account}, {"code": code}
        return self.call("redeem_promo", **{"claims": claims, "path": path, "key": key, "body": body, **changes})

    def badge(self, on: bool = True, most: Any = 6, account: str = "ann", **changes: Any) -> Answer:
        body = {"enabled": on, "max_per_week": most}
        sent = {"claims": user("ann", "[acme]"), "path": {"account_id": account}, "body": body}
        return self.call("badge", **sent | changes)

    def buy(
        self, quantity: Any = 40, key: str = "buy", account: str = "ann", sandbox: str | None = None, **changes: Any
    ) -> Answer:
        body = {"quantity": quantity, "payment": {"source": "billing_method"}}
        sent = {"claims": user("ann", "[acme]"), "path": {"account_id": account}, "body": body}
        return self.call("purchase", key=key, headers={"x-sandbox-payment": sandbox}, **sent | changes)

    def goes_back(
        self, purchase_id: str, cents: int, dispute: str | None = "needs_response", account: str = "ann"
    ) -> None:
        """What of a payment is back with the buyer, as a payment provider answers."""
        from shared.aws.wiring import wiring  # noqa: PLC0415 - after Powertools' settings are there
        from shared.services.chargebacks import bring_to_level  # noqa: PLC0415 - as above
        from shared.services.purchase_outcomes import read_purchase  # noqa: PLC0415 - as above

        ledger = wiring().ledger
        purchase = read_purchase(ledger, account, purchase_id).purchase
        bring_to_level(ledger, purchase, cents, dispute, deadline=time.monotonic() + 30)

    def read_purchase(self, purchase_id: str, account: str = "ann") -> dict[str, Any]:
        path = {"account_id": account, "purchase_id": purchase_id}
        return self.call("read_purchase", claims=user(account), path=path).body

    def read(self, account: str = "ann") -> dict[str, Any]:
        return self.call("read_account", path={"account_id": account}).body

    def balance(self, account: str = "ann") -> int:
        return self.read(account)["balance"]

    def entries(self, account: str = "ann", **query: str) -> list[dict[str, Any]]:
        """Of all times, newest first."""
        query = {"from": "2000-01-01", "limit": "100"} | query
        answer = self.call("history", path={"account_id": account}, query=query)
        return answer.body["entries"]

    def written(self, account: str = "ann", *types: str) -> list[dict[str, Any]]:
        """As `entries` shows them, those that are written: of what fell due, what a command or a schedule settled."""
        from shared.aws.wiring import wiring  # noqa: PLC0415 - after Powertools' settings are there
        from shared.services.views import entry_view  # noqa: PLC0415 - as above

        shown = map(entry_view, reversed(wiring().ledger.table.journal(account)))
        return [entry for entry in shown if not types or entry["type"] in types]
