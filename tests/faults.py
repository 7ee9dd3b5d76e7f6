"""What passes between a store and its database: counted, metered, and tampered with.

All of it happens where botocore sends a request, below its own retries, so a lost answer or a throttled request is
met by everything that would meet it in production.
"""

import io
import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from urllib3 import HTTPResponse

TRANSACT, GET, PUT, QUERY = "TransactWriteItems", "GetItem", "PutItem", "Query"
BATCH_GET, UPDATE = "BatchGetItem", "UpdateItem"
READS = {GET, QUERY, BATCH_GET}

AGAIN = 2
"""As often as a request that is not answered is sent before anybody else hears of it."""

Send = Callable[[], AWSResponse]
Fault = Callable[[Send], AWSResponse | None]
"""What becomes of one request: an answer of its own, an exception, or None to let it pass."""


@dataclass
class Cost:
    """What an operation asked of DynamoDB, in capacity units of table and indexes together."""

    calls: list[str] = field(default_factory=list)
    read_units: float = 0
    write_units: float = 0

    def __str__(self) -> str:
        return f"{len(self.calls)} calls {self.calls}, {self.write_units:g} WCU, {self.read_units:g} RCU"


class FaultInjector:
    """Between a botocore client and its endpoint until `detach`: lets requests fail, and meters those that pass."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._cost = Cost()
        self._aside = False
        self._hooks = {
            "before-parameter-build.dynamodb": self._ask_for_capacity,
            "before-send.dynamodb": self._tamper,
            "after-call.dynamodb": self._meter,
        }
        for event, hook in self._hooks.items():
            client.meta.events.register_first(event, hook)

    def detach(self) -> None:
        for event, hook in self._hooks.items():
            self._client.meta.events.unregister(event, hook)

    def on(self, operation: str, *faults: Fault) -> None:
        """Let the next requests of this operation meet these faults, one each."""
        self._faults[operation].extend(faults)

    def calm(self) -> None:
        """Let all requests from now on pass."""
        self._faults.clear()

    @contextmanager
    def measured(self) -> Iterator[Cost]:
        before, self._cost = self._cost, Cost()
        try:
            yield self._cost
        finally:
            self._cost = before

    def before(self, action: Callable[[], object]) -> Fault:
        """Somebody else does `action` in the moment before the request arrives; that is neither counted nor met."""

        def interfere(_: Send) -> None:
            self._aside = True
            action()
            self._aside = False

        return interfere

    def _ask_for_capacity(self, params: dict[str, Any], **_: object) -> None:
        if "ReturnConsumedCapacity" in params:
            params["ReturnConsumedCapacity"] = "INDEXES"

    def _tamper(self, request: Any, event_name: str, **_: object) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        if self._aside:
            return None
        self._cost.calls.append(operation)
        faults = self._faults[operation]
        return faults.popleft()(lambda: self._client._endpoint.http_session.send(request)) if faults else None

    def _meter(self, parsed: dict[str, Any], model: Any, **_: object) -> None:
        if self._aside:
            return
        consumed = parsed.get("ConsumedCapacity", [])
        units = sum(table["CapacityUnits"] for table in (consumed if isinstance(consumed, list) else [consumed]))
        if model.name in READS:
            self._cost.read_units += units
        else:
            self._cost.write_units += units


def request_lost(_: Send) -> AWSResponse:
    raise ReadTimeoutError(endpoint_url="the table")


def answer_lost(send: Send) -> AWSResponse:
    """The request arrives and is carried out; the caller never hears of it."""
    send()
    raise ReadTimeoutError(endpoint_url="the table")


def unreachable(_: Send) -> AWSResponse:
    raise ConnectTimeoutError(endpoint_url="the table")


def refused(code: str, *reasons: str) -> Fault:
    """An error as DynamoDB words it; for a cancelled transaction with the reason of each of its items."""
    body: dict[str, Any] = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code}
    status = 500 if code == "InternalServerError" else 400
    if reasons:
        body |= {"CancellationReasons": [{"Code": reason} for reason in reasons]}

    def answer(_: Send) -> AWSResponse:
        raw = HTTPResponse(body=io.BytesIO(json.dumps(body).encode()), status=status, preload_content=False)
        return AWSResponse("", status, HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"}), raw)

    return answer


def answered(status: int, body: bytes = b"", content_type: str = "text/html") -> Fault:
    """Whatever somebody on the way answers in DynamoDB's place; the request goes no further."""

    def answer(_: Send) -> AWSResponse:
        raw = HTTPResponse(body=io.BytesIO(body), status=status, preload_content=False)
        return AWSResponse("", status, HTTPHeaders.from_dict({"content-type": content_type}), raw)

    return answer


def breaks(error: Exception) -> Fault:
    """The SDK's own error, as if the request had met it."""

    def raise_it(_: Send) -> AWSResponse:
        raise error

    return raise_it


CONFLICT = refused("TransactionCanceledException", "None", "TransactionConflict")
THROTTLED_TRANSACTION = refused("TransactionCanceledException", "None", "ThrottlingError")
THROTTLED = refused("ProvisionedThroughputExceededException")


def passes(_: Send) -> None:
    """Nothing happens to this one."""


def dies(_: Send) -> AWSResponse:
    """The process ends here, with the request unsent."""
    raise KilledError


class KilledError(BaseException):
    """Not an `Exception`, so that nothing that is caught and tried again can bring the dead back."""
