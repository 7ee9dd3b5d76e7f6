"""The process that `make bench` measures: warm handlers next to the bare botocore calls that they make.

It runs with a function's package and the libraries of Lambda's runtime only:
`python -S bench_warm.py ENDPOINT_URL TABLE TWIN PATH...`. The handlers work on TABLE; what they send is recorded and
sent again, in the same order, by a plain client to TWIN, which starts out equal. So both do the very same calls.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

ENDPOINT_URL, TABLE, TWIN, *PATHS = sys.argv[1:] if __name__ == "__main__" else ("", "", "")
sys.path[:0] = PATHS

BUCKETS = 24
BLOCK, BLOCKS = 10, 31
AUDIT, AUDITS = "audit", 7
READS = {"GetItem", "Query"}

Calls = list[tuple[str, dict[str, Any]]]
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


class Context:
    """The context that Lambda passes to a handler."""

    function_name = "bench"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    aws_request_id = "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 10_000


def event(method: str, path: str, body: Any = None, key: str = "", **query: str) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """An HTTP API's event, with a service's token."""
    headers = {"authorization": "Bearer " + "x" * 900, "accept": "*/*", "user-agent": "bench", "host": "api"}
    if key:
        headers |= {"idempotency-key": key, "content-type": "application/json"}
    claims = {"client_id": "bench", "scope": "connects/service", "token_use": "access"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={value}" for name, value in query.items()),
        "queryStringParameters": query,
        "headers": headers,
        "requestContext": {
            "authorizer": {"jwt": {"claims": claims, "scopes": None}},
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            "requestId": "JKJaXmPLvHcESHA=",
            "stage": "$default",
        },
        "body": json.dumps(body) if body is not None else None,
        "isBase64Encoded": False,
    }


class Bench:
    def __init__(self) -> None:
        import botocore.config  # noqa: PLC0415 - only now is the path as it is in Lambda
        import botocore.session  # noqa: PLC0415

        from functions.accounts.app import handler as accounts  # noqa: PLC0415
        from functions.refund.app import handler as refund  # noqa: PLC0415
        from functions.spend.app import handler as spend  # noqa: PLC0415
        from shared.aws.wiring import wiring  # noqa: PLC0415

        self.accounts: Handler = accounts
        self.spend: Handler = spend
        self.refund: Handler = refund
        self.ledger = wiring().ledger
        client = self.ledger.table.client
        client.meta.events.register("provide-client-params.dynamodb", self._record)
        client.meta.events.register("after-call.dynamodb", self._meter)
        self.bare = botocore.session.get_session().create_client("dynamodb", endpoint_url=ENDPOINT_URL)
        self.calls: Calls = []
        self.units = {"read": 0.0, "write": 0.0}
        self.count = 0
        self.spends: list[str] = []

    def _record(self, params: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
        params["ReturnConsumedCapacity"] = "INDEXES"
        self.calls.append((model.name, params))

    def _meter(self, parsed: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
        consumed = parsed["ConsumedCapacity"]
        for table in consumed if isinstance(consumed, list) else [consumed]:
            self.units["read" if model.name in READS else "write"] += table["CapacityUnits"]

    def repeat_bare(self, calls: Calls) -> float:
        """Send the calls again. Returns the seconds of CPU time."""
        methods = {name: getattr(self.bare, snake(name)) for name in {name for name, _ in calls}}
        twins = []
        for name, params in calls:
            params.pop("ClientRequestToken", None)  # the bare client generates one itself
            twins.append((methods[name], json.loads(json.dumps(params).replace(f'"{TABLE}"', f'"{TWIN}"'))))
        started = time.process_time()
        for method, params in twins:
            method(**params)
        return time.process_time() - started

    def block(self, operation: Callable[[], object], times: int) -> tuple[float, float]:
        """CPU seconds of the operations, and of the same calls by the bare client."""
        self.calls, self.units = [], {"read": 0.0, "write": 0.0}
        started = time.process_time()
        for _ in range(times):
            operation()
        return time.process_time() - started, self.repeat_bare(self.calls)

    def measure(self, operation: Callable[[], object]) -> dict[str, float]:
        self.block(operation, 5)  # warm
        blocks = [self.block(operation, BLOCK) for _ in range(BLOCKS)]
        return {
            "cpu_ms": statistics.median(ours for ours, _ in blocks) / BLOCK * 1000,
            "bare_cpu_ms": statistics.median(bare for _, bare in blocks) / BLOCK * 1000,
            # Of two blocks in a row, since the machine's speed changes from one moment to the next.
            "ratio": statistics.median(ours / bare for ours, bare in blocks),
            "calls": len(self.calls) / BLOCK,
            "wcu": self.units["write"] / BLOCK,
            "rcu": self.units["read"] / BLOCK,
        }

    def prepare(self) -> None:
        """An account with 24 buckets, on both tables."""
        from shared.ledger.credits import Credit  # noqa: PLC0415
        from shared.ledger.model import EntryType, Request  # noqa: PLC0415

        def open_and_fill() -> None:
            body = {"account_id": "ann", "kind": "freelancer", "plan": "plus", "joined_on": "2024-01-15"}
            answered(self.accounts(event("POST", "/accounts", body, "open"), Context()))
            account = self.ledger.table.account("ann")
            self.calls.pop()
            lots = {bucket_in(days): 5_000 for days in range(BUCKETS - len(account.lots))}
            for number, bucket in enumerate(lots):
                account = self.credit(account, bucket, Request("bench", str(number), "f", "bench"), Credit, EntryType)

        self.block(open_and_fill, 1)

    def credit(self, account: Any, bucket: Any, request: Any, credit: Any, types: Any) -> Any:  # noqa: ANN401
        """Add a lot by an ordinary transaction, but with another day of expiry."""
        from dataclasses import replace  # noqa: PLC0415

        from shared.ledger.commands import decide  # noqa: PLC0415

        command = credit(types.PURCHASE, 5_000, paid=bucket.paid, reason="Bench", reference={}, request=request)
        decision = decide(account, command, self.ledger.clock.now(), self.ledger.policy)
        entry = replace(decision.entries[-1], slices={bucket: 5_000})
        after = replace(decision.account, lots={**account.lots, bucket: 5_000})
        return self.ledger.table.commit(account, replace(decision, account=after, entries=(entry,)))

    def spend_once(self) -> None:
        self.count += 1
        self.spends.append(self.spend_with(f"s{self.count}")["id"])

    def spend_with(self, key: str) -> dict[str, Any]:
        body = {"amount": 6, "reference": {"type": "proposal", "proposal_id": "proposal-1"}}
        return answered(self.spend(event("POST", "/accounts/ann/spends", body, key), Context()))

    def refund_once(self) -> None:
        path = f"/accounts/ann/spends/{self.spends.pop()}/refund"
        answered(self.refund(event("POST", path, {"reason": "job_canceled"}, f"r{len(self.spends)}"), Context()))

    def read_once(self) -> None:
        answered(self.accounts(event("GET", "/accounts/ann"), Context()))

    def page_once(self) -> None:
        answered(self.accounts(event("GET", "/accounts/ann/history", limit="50"), Context()))

    def audit(self) -> dict[str, float]:
        """CPU time of an audit for each entry, in the least disturbed run."""
        from shared.services.audits import audit_account  # noqa: PLC0415

        account, took = self.ledger.table.account("ann"), []
        for _ in range(AUDITS):
            started = time.process_time()
            audit_account(self.ledger, account, None, deadline=time.monotonic() + 60)
            took.append(time.process_time() - started)
        return {"us_an_entry": min(took) / account.seq * 1e6, "entries": account.seq}

    def run(self) -> dict[str, dict[str, float]]:
        self.prepare()
        return {
            "spend": self.measure(self.spend_once),
            "balance": self.measure(self.read_once),
            "history, a page of 50": self.measure(self.page_once),
            "refund": self.measure(self.refund_once),
            AUDIT: self.audit(),
        }


def bucket_in(days: int) -> Any:  # noqa: ANN401 - known only in the measured process
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from shared.ledger.model import Bucket  # noqa: PLC0415

    return Bucket((datetime.now(UTC) + timedelta(days=300 + days)).date(), paid=bool(days % 2))


def answered(response: dict[str, Any]) -> dict[str, Any]:
    if response["statusCode"] not in {200, 201}:
        raise AssertionError(response)
    body: dict[str, Any] = json.loads(response["body"])
    return body


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


def main() -> None:
    with open(os.devnull, "w") as logs, redirect_stdout(logs):  # noqa: PTH123
        measured = Bench().run()
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
