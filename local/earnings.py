"""The marketplace's earnings service on this machine: a reference for its engineers, and what the tests pay through.

It does what ``shared/earnings/api.json`` says, in memory and on the loopback address alone: holds, their signatures by
either scheme, and events. `EarningsService.fail` has requests go wrong. ``python -m local.earnings PORT`` starts it.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import sys
import threading
from collections import defaultdict, deque
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.engines import CREDENTIALS
from shared.earnings.signing import SERVICE, content_digest, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message

HOST = "127.0.0.1"
JSON = dict[str, Any]
RECENT = timedelta(minutes=5)
A_PAGE = 10
ROUTE = re.compile(r"/holds(?:/(?P<charge_id>[A-Za-z0-9_-]{1,80})(?:/(?P<verb>commit|cancel|return))?)?")
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[a-z0-9-]+)/(?P<service>[a-z-]+)/aws4_request, "
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)
OF_ONE_HOLD = ("account_id", "amount_cents", "currency")
HELD_AS = (*OF_ONE_HOLD, "expires_at")
STATUS = {
    "insufficient_earnings": 402,
    "not_found": 404,
    "canceled": 409,
    "expired": 409,
    "committed": 409,
    "not_committed": 409,
    "other_body": 422,
    "invalid": 422,
    "signature_invalid": 401,
    "too_many_requests": 429,
    "busy": 503,
}


class Fault(StrEnum):
    """What goes wrong with a request."""

    LOST_BEFORE = "lost_before"  # the connection ends, and nothing happened
    LOST_AFTER = "lost_after"  # it happened, and the connection ends without an answer
    BUSY = "busy"  # 503, and nothing happened
    TOO_MANY = "too_many"  # 429


REFUSED_BY = {Fault.BUSY: "busy", Fault.TOO_MANY: "too_many_requests"}
NOTHING_HAPPENS = {Fault.LOST_BEFORE, *REFUSED_BY}


class RefusedError(Exception):
    @property
    def code(self) -> str:
        return str(self.args[0])


@dataclass
class Hold:
    charge_id: str
    state: str
    account_id: str | None = None
    amount_cents: int | None = None
    currency: str | None = None
    expires_at: str | None = None
    committed_at: str | None = None
    returned_cents: int = 0


@dataclass
class Earnings:
    """What the service keeps, and its rules. Each call is one step for all threads."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    starts_with_cents: int = 1_000_000
    """What an account has that was never heard of."""
    holds: dict[str, Hold] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    """The ids of holds, once more for each change."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _spent: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def left(self, account_id: str) -> int:
        """What an account has left, without what is held."""
        with self._lock:
            held = sum(
                hold.amount_cents or 0
                for hold in self.holds.values()
                if hold.account_id == account_id and self._state(hold) == "held"
            )
            return self.starts_with_cents - self._spent[account_id] - held

    def hold(self, charge_id: str, body: Mapping[str, Any]) -> tuple[int, Hold]:
        with self._lock:
            wanted = Hold(charge_id, "held", **{name: body[name] for name in HELD_AS})
            known = self.holds.get(charge_id)
            if known is None:
                if self.left(body["account_id"]) < body["amount_cents"]:
                    raise RefusedError("insufficient_earnings")
                return 201, self._changed(wanted)
            if (state := self._state(known)) in {"canceled", "expired"}:
                raise RefusedError(state)
            if any(getattr(known, name) != body[name] for name in OF_ONE_HOLD):
                raise RefusedError("other_body")
            return 200, known

    def commit(self, charge_id: str) -> Hold:
        with self._lock:
            hold = self.read(charge_id)
            if hold.state in {"canceled", "expired"}:
                raise RefusedError(hold.state)
            if hold.state == "held":
                self._spent[str(hold.account_id)] += hold.amount_cents or 0
                hold.state, hold.committed_at = "committed", _text(self.now())
                self._changed(hold)
            return hold

    def cancel(self, charge_id: str) -> Hold:
        with self._lock:
            hold = self.holds.get(charge_id) or Hold(charge_id, "new")
            if hold.state == "committed":
                raise RefusedError("committed")
            if self._state(hold) in {"new", "held"}:
                hold.state = "canceled"
                self._changed(hold)
            return hold

    def read(self, charge_id: str) -> Hold:
        with self._lock:
            if charge_id not in self.holds:
                raise RefusedError("not_found")
            hold = self.holds[charge_id]
            self._state(hold)
            return hold

    def give_back(self, charge_id: str, cents: int) -> Hold:
        """So much in all."""
        with self._lock:
            hold = self.read(charge_id)
            if hold.state != "committed":
                raise RefusedError("not_committed")
            if not hold.returned_cents <= cents <= (hold.amount_cents or 0):
                raise RefusedError("invalid")
            if cents > hold.returned_cents:
                self._spent[str(hold.account_id)] -= cents - hold.returned_cents
                hold.returned_cents = cents
                self._changed(hold)
            return hold

    def page(self, cursor: str | None) -> JSON:
        with self._lock:
            start = int(cursor or 0)
            found = list(dict.fromkeys(self.changes[start : start + A_PAGE]))
            end = min(start + A_PAGE, len(self.changes))
            return {"holds": [vars(self.read(charge_id)) for charge_id in found], "cursor": str(end) if end else None}

    def _state(self, hold: Hold) -> str:
        """Its state now: time passes."""
        if hold.state == "held" and hold.expires_at and datetime.fromisoformat(hold.expires_at) <= self.now():
            hold.state = "expired"
        return hold.state

    def _changed(self, hold: Hold) -> Hold:
        self.holds[hold.charge_id] = hold
        self.changes.append(hold.charge_id)
        return hold


class EarningsService:
    """The service over HTTP, while in its context.

    Args:
        earnings: What it keeps.
        port: 0 for any that is free.
        secret: For a service outside of AWS: requests are then signed with it, and not by AWS's credentials.
    """

    def __init__(self, earnings: Earnings | None = None, port: int = 0, secret: bytes | None = None) -> None:
        self.earnings = earnings or Earnings()
        self.secret = secret
        self.asked: list[tuple[str, str]] = []
        """Method and path of each request that was signed well."""
        self.answered: list[tuple[str, str, int, JSON]] = []
        """Method, path, status and body of each answer, in whatever order."""
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._server = ThreadingHTTPServer((HOST, port), _handler(self))
        self.url = f"http://{HOST}:{self._server.server_port}"

    def fail(self, operation: str, *faults: Fault) -> None:
        """What goes wrong with the next requests of a kind: ``hold``, ``commit``, ``cancel``, ``read`` or ``page``."""
        self._faults[operation].extend(faults)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve_forever(self) -> None:
        self._server.serve_forever()

    def fault(self, operation: str) -> Fault | None:
        return self._faults[operation].popleft() if self._faults[operation] else None

    def require_signature(self, method: str, url: str, headers: Message, body: bytes) -> None:
        signed = self._by_secret if self.secret is not None else self._by_aws
        try:
            if not signed(method, url, headers, body):
                raise RefusedError("signature_invalid")
        except (KeyError, ValueError) as error:
            raise RefusedError("signature_invalid") from error

    def _by_secret(self, method: str, url: str, headers: Message, body: bytes) -> bool:
        params = headers["Signature-Input"].removeprefix("sig=")
        created = re.search(r";created=(\d+);", params)
        if created is None or not self._recent(datetime.fromtimestamp(int(created[1]), UTC)):
            return False
        expected = signature_of(self.secret or b"", method, url, content_digest(body), params)
        given = base64.b64decode(headers["Signature"].removeprefix("sig=:").removesuffix(":"), validate=True)
        return headers["Content-Digest"] == content_digest(body) and hmac.compare_digest(expected, given)

    def _by_aws(self, method: str, url: str, headers: Message, body: bytes) -> bool:
        """By the very headers that the caller says were signed, with the key that AWS would look up."""
        said = AUTHORIZATION.fullmatch(headers["Authorization"])
        signed_at = datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        known = said is not None and said["key"] == CREDENTIALS["AWS_ACCESS_KEY_ID"] and said["service"] == SERVICE
        if said is None or not known or not self._recent(signed_at):
            return False
        credentials = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
        request = AWSRequest(method, url, data=body)
        for name in said["headers"].split(";"):
            if name != "host":
                request.headers[name] = headers[name]
        request.context["timestamp"] = headers["X-Amz-Date"]
        signer = SigV4Auth(credentials, SERVICE, said["region"])
        to_sign = signer.string_to_sign(request, signer.canonical_request(request))
        return hmac.compare_digest(signer.signature(to_sign, request), said["signature"])

    def _recent(self, signed_at: datetime) -> bool:
        return abs(datetime.now(UTC) - signed_at) <= RECENT


def _handler(service: EarningsService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one packet: two would wait for each other

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            asked = ROUTE.fullmatch(parts.path)
            fault = None
            try:
                service.require_signature(self.command, f"http://{self.headers['Host']}{self.path}", self.headers, body)
                service.asked.append((self.command, self.path))
                operation, call = _call(service.earnings, self.command, asked, parts.query, body)
                fault = service.fault(operation)
                status, answer = (200, {}) if fault in NOTHING_HAPPENS else call()
            except RefusedError as refused:
                status, answer = STATUS[refused.code], {"code": refused.code}
            except (KeyError, TypeError, ValueError) as error:
                status, answer = STATUS["invalid"], {"code": "invalid", "detail": str(error)}
            if code := fault and REFUSED_BY.get(fault):
                status, answer = STATUS[code], {"code": code}
            if fault in {Fault.LOST_BEFORE, Fault.LOST_AFTER}:
                self.close_connection = True
                return
            service.answered.append((self.command, parts.path, status, copy(answer)))
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = _answer  # noqa: N815 - the base class's names

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

    return Handler


def _call(
    earnings: Earnings, method: str, asked: re.Match[str] | None, query: str, body: bytes
) -> tuple[str, Callable[[], tuple[int, JSON]]]:
    """The name of an operation, and what carries it out."""
    if asked is None:
        raise RefusedError("not_found")
    charge_id, verb = asked["charge_id"], asked["verb"]
    match method, verb:
        case "GET", None if charge_id is None:
            return "page", lambda: (200, earnings.page(parse_qs(query).get("cursor", [None])[0]))
        case "GET", None:
            return "read", lambda: (200, vars(earnings.read(charge_id)))
        case "PUT", None if charge_id:

            def hold() -> tuple[int, JSON]:
                status, made = earnings.hold(charge_id, json.loads(body))
                return status, vars(made)

            return "hold", hold
        case "POST", "commit":
            return "commit", lambda: (200, vars(earnings.commit(charge_id)))
        case "POST", "cancel":
            return "cancel", lambda: (200, vars(earnings.cancel(charge_id)))
        case "POST", "return":
            return "return", lambda: (200, vars(earnings.give_back(charge_id, json.loads(body)["cents"])))
    raise RefusedError("not_found")


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


if __name__ == "__main__":
    EarningsService(port=int(sys.argv[1])).serve_forever()
