"""A stand-in for Stripe on this machine: the calls that the ledger makes, answered as Stripe documents them.

It listens on the loopback address alone, keeps everything in memory, and takes test keys alone. A test sets its clock,
answers the bank in the buyer's place, opens disputes, delivers events, and has requests go wrong (`StripeTwin.fail`).
What it keeps and how that changes is in `local.stripe_account`; requests and answers are checked against the types that
Stripe's client ships (`local.stripe_types`).

Idempotency keys are as documented: one key is one request, of one call with the same parameters, for 24 hours. What was
carried out is answered again, also where the answer was a decline or a failure; what was malformed was not carried out.
"""

from __future__ import annotations

import copy
import json
import sys
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

import stripe
from stripe import params as types

from local.stripe_account import API_VERSION, JSON, StripeAccount, StripeTwinError, invalid, thin
from local.stripe_types import problems_of_answer, problems_of_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from email.message import Message

HOST = "127.0.0.1"
API_KEY = "sk_test_of_the_twin"
WEBHOOK_SECRET = "whsec_of_the_twin_on_this_machine"  # noqa: S105 - signs what this process sends to itself
KEY_KEPT_S = 24 * 3600
A_PAGE = 10


class Fault(StrEnum):
    """What goes wrong with a request."""

    LOST_BEFORE = "lost_before"  # the connection ends, and nothing happened
    LOST_AFTER = "lost_after"  # it happened, and the connection ends without an answer
    FAILED_BEFORE = "failed_before"  # 500, and nothing happened; the same key is answered the same
    FAILED_AFTER = "failed_after"  # it happened, and 500 is answered; the same key is answered the same
    TOO_MANY = "too_many"  # 429
    SLOW = "slow"  # answered after `StripeTwin.slow_s`, and nobody else gets at the object meanwhile
    WRONG_AMOUNT = "wrong_amount"  # a cent too much is charged
    GARBLED = "garbled"  # it happened, and half of the answer arrives


@dataclass(frozen=True)
class Call:
    """One of Stripe's calls: its parameters' type, and what it does."""

    name: str
    takes: type
    act: Callable[[StripeAccount, str, JSON], JSON]
    changes: bool = False
    """Whether it changes the object that its path names, which is locked meanwhile."""


@dataclass(frozen=True)
class Asked:
    """A request that can be carried out."""

    call: Call
    its_id: str
    params: JSON
    key: str | None
    request: str
    """What has to be the same for the same idempotency key."""
    fault: Fault | None


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]


@dataclass
class Kept:
    """What was answered under an idempotency key."""

    request: str
    at: int
    answer: tuple[int, JSON] | None = None


def _list(kind: str, *filters: str) -> Callable[[StripeAccount, str, JSON], JSON]:
    def act(account: StripeAccount, _: str, params: JSON) -> JSON:
        return _page(account.of(kind, **{name: params[name] for name in filters if name in params}), params)

    return act


def _events(account: StripeAccount, _: str, params: JSON) -> JSON:
    wanted = params.get("types")
    return _page([event for event in account.kept_events() if not wanted or event["type"] in wanted], params)


def _page(found: list[JSON], params: JSON) -> JSON:
    """Newest first: those behind ``starting_after``, or the nearest before ``ending_before``."""
    limit, ids = int(params.get("limit", A_PAGE)), [each["id"] for each in found]
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in ids:
            raise invalid(f"No such object: '{params[name]}'", "resource_missing", param=name)
    if "ending_before" in params:
        before = found[: ids.index(params["ending_before"])]
        page, more = before[-limit:], len(before) > limit
    else:
        behind = found[ids.index(params["starting_after"]) + 1 :] if "starting_after" in params else found
        page, more = behind[:limit], len(behind) > limit
    return {"object": "list", "data": page, "has_more": more, "url": "/v1/"}


CALLS: dict[tuple[str, str], Call] = {
    ("POST", "customers"): Call(
        "customer", types.CustomerCreateParams, lambda account, _, params: account.create_customer(params)
    ),
    ("POST", "payment_methods/*/attach"): Call(
        "attach", types.PaymentMethodAttachParams, lambda account, its_id, params: account.attach(its_id, params)
    ),
    ("POST", "payment_methods/*/detach"): Call(
        "detach",
        types.PaymentMethodDetachParams,
        lambda account, its_id, _: account.detach(account.get("payment_method", its_id)),
    ),
    ("POST", "payment_intents"): Call(
        "create", types.PaymentIntentCreateParams, lambda account, _, params: account.create_intent(params)
    ),
    ("POST", "payment_intents/*/confirm"): Call(
        "confirm",
        types.PaymentIntentConfirmParams,
        lambda account, its_id, params: account.confirm(account.get("payment_intent", its_id), params),
        changes=True,
    ),
    ("POST", "payment_intents/*/cancel"): Call(
        "cancel",
        types.PaymentIntentCancelParams,
        lambda account, its_id, params: account.cancel(account.get("payment_intent", its_id), params),
        changes=True,
    ),
    ("GET", "payment_intents/*"): Call(
        "retrieve", types.PaymentIntentRetrieveParams, lambda account, its_id, _: account.get("payment_intent", its_id)
    ),
    ("GET", "charges"): Call("charges", types.ChargeListParams, _list("charge", "payment_intent", "customer")),
    ("GET", "charges/*"): Call(
        "charge", types.ChargeRetrieveParams, lambda account, its_id, _: account.get("charge", its_id)
    ),
    ("POST", "refunds"): Call("refund", types.RefundCreateParams, lambda account, _, params: account.refund(params)),
    ("GET", "refunds/*"): Call(
        "read_refund", types.RefundRetrieveParams, lambda account, its_id, _: account.get("refund", its_id)
    ),
    ("GET", "disputes"): Call("disputes", types.DisputeListParams, _list("dispute", "payment_intent", "charge")),
    ("GET", "disputes/*"): Call(
        "dispute", types.DisputeRetrieveParams, lambda account, its_id, _: account.get("dispute", its_id)
    ),
    ("GET", "events"): Call("events", types.EventListParams, _events),
}


@dataclass
class StripeTwin:
    """Runs within ``with StripeTwin() as twin``, at ``twin.url``.

    Args:
        clock: The time; a test's own where it has to go ahead.
        webhook_secrets: What events are signed with: two while one is replaced by the other.
        most_a_second: How many requests are answered in a second of real time; 429 beyond.
    """

    clock: Callable[[], datetime] | None = None
    webhook_secrets: list[str] = field(default_factory=lambda: [WEBHOOK_SECRET])
    most_a_second: int | None = None
    slow_s: float = 0.2
    api_keys: list[str] = field(default_factory=lambda: [API_KEY])
    asked: Counter[str] = field(default_factory=Counter)
    """How often each call was made."""
    problems: list[str] = field(default_factory=list)
    """What was wrong with requests, or with answers of the twin itself."""
    _faults: defaultdict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    _kept: dict[str, Kept] = field(default_factory=dict)
    _delivered: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _in_use: set[str] = field(default_factory=set)
    _in_a_second: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.account = StripeAccount(self.now, lambda intent: f"{self.url}/pages/{intent['client_secret']}")

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"answers_for": self})
        self._server = _Server((HOST, 0), handler)
        self._server.problems = self.problems
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_port}"

    @property
    def api_key(self) -> str:
        return self.api_keys[0]

    def now(self) -> int:
        return int(self.clock().timestamp() if self.clock else time.time())

    # --- What a test has happen

    def fail(self, call: str, *faults: Fault) -> None:
        """Have the next requests of a call go wrong, one for each fault."""
        self._faults[call].extend(faults)

    def authenticate(self, ref: str, *, success: bool) -> None:
        """Answer the bank in the buyer's place."""
        with self._lock:
            self.account.authenticate(self.account.get("payment_intent", ref), success=success)

    def process(self, ref: str) -> None:
        with self._lock:
            self.account.process(self.account.get("payment_intent", ref))

    def settle(self, ref: str) -> None:
        with self._lock:
            self.account.settle(self.account.get("payment_intent", ref))

    def dispute(self, ref: str, status: str = "needs_response", amount: int | None = None) -> str:
        """Open a dispute of what an intent charged, and return its id."""
        with self._lock:
            charge = self.account.get("charge", self.account.get("payment_intent", ref)["latest_charge"])
            return str(self.account.dispute(charge, status, amount)["id"])

    def move_dispute(self, dispute: str, *statuses: str) -> None:
        with self._lock:
            for status in statuses:
                self.account.move_dispute(self.account.get("dispute", dispute), status)

    def settle_refund(self, refund: str, *, success: bool) -> None:
        with self._lock:
            self.account.settle_refund(self.account.get("refund", refund), success=success)

    def charges(self, ref: str | None = None) -> list[JSON]:
        """What was charged, of one intent or of all."""
        paid = self.account.of("charge", status="succeeded")
        return [charge for charge in paid if ref in (None, charge["payment_intent"])]

    # --- Events

    def thin_events(self) -> list[JSON]:
        """As they are sent to a destination for thin events, oldest first."""
        return [small for small in map(thin, self.account.events) if small]

    def signed(self, event: JSON, at: int | None = None) -> tuple[dict[str, str], bytes]:
        """The headers and the body of a delivery, signed with every secret there is."""
        body, at = json.dumps(event, indent=2), self.now() if at is None else at
        made = [
            stripe.WebhookSignature.generate_signature_header(body, secret, at).partition(",")[2]
            for secret in self.webhook_secrets
        ]
        return {"stripe-signature": ",".join([f"t={at}", *made]), "content-type": "application/json"}, body.encode()

    def deliver(self, send: Callable[[dict[str, str], bytes], int], *, thin_events: bool = True) -> int:
        """Send the events that were not taken yet, and return how many were: those answered 2xx."""
        before = len(self._delivered)
        for event in self.thin_events() if thin_events else list(self.account.events):
            if event["id"] not in self._delivered and send(*self.signed(event)) // 100 == 2:  # noqa: PLR2004
                self._delivered.add(event["id"])
        return len(self._delivered) - before

    # --- Answering

    def answer(self, method: str, url: str, headers: Message, body: str) -> Answer | None:
        """None where the connection ends without an answer."""
        fault = None
        try:
            asked = self._admitted(method, url, headers, body)
            fault = asked.fault
            if fault is Fault.LOST_BEFORE:
                return None
            status, answered, replayed = self._once(asked)
        except StripeTwinError as error:
            status, answered, replayed = error.status, error.body, False
        if fault is Fault.LOST_AFTER:
            return None
        text = json.dumps(answered).encode()
        more = {"Idempotent-Replayed": "true"} if replayed else {}
        sent = text[: len(text) // 2] if fault is Fault.GARBLED else text
        return Answer(status, sent, {"Request-Id": f"req_{sum(self.asked.values()):08}", **more})

    def _admitted(self, method: str, url: str, headers: Message, body: str) -> Asked:
        """The request, where it is one that can be carried out.

        Raises:
            StripeTwinError: the key, the rate, the path or the parameters are not right.
        """
        path = urlsplit(url).path
        call, its_id = _routed(method, path)
        self.asked[call.name if call else "unknown"] += 1
        if headers.get("Authorization", "").removeprefix("Bearer ") not in self.api_keys:
            raise StripeTwinError(401, "invalid_request_error", None, "Invalid API Key provided", kept=False)
        self._check_rate()
        if call is None:
            raise StripeTwinError(404, "invalid_request_error", None, f"Unrecognized request URL: {path}", kept=False)
        params = _params(urlsplit(url).query if method == "GET" else body)
        self._check_request(call, headers, params)
        fault = self._faults[call.name].pop(0) if self._faults[call.name] else None
        if fault is Fault.TOO_MANY:
            raise _too_many("rate_limit")
        return Asked(call, its_id, params, headers.get("Idempotency-Key"), f"{method} {path} {body}", fault)

    def _once(self, asked: Asked) -> tuple[int, JSON, bool]:
        """Carry out a request, or answer what was answered under its idempotency key; and whether that was so."""
        if asked.key is None:
            return 200, self._carried_out(asked), False
        with self._lock:
            kept = self._kept.get(asked.key)
            if kept and kept.at > self.now() - KEY_KEPT_S:
                if kept.request != asked.request:
                    message = "Keys for idempotent requests can only be used with the same parameters and endpoint."
                    raise StripeTwinError(400, "idempotency_error", None, message)
                if kept.answer is None:
                    message = "There is currently another in-progress request using this Idempotent Key."
                    raise StripeTwinError(409, "idempotency_error", "idempotency_key_in_use", message)
                return *kept.answer, True
            self._kept[asked.key] = kept = Kept(asked.request, self.now())
        try:
            kept.answer = 200, self._carried_out(asked)
        except StripeTwinError as error:
            if error.kept:
                kept.answer = error.status, error.body
            raise
        finally:
            if kept.answer is None:
                del self._kept[asked.key]
        return *kept.answer, False

    def _carried_out(self, asked: Asked) -> JSON:
        with self._locked(asked.its_id if asked.call.changes else None):
            if asked.fault is Fault.SLOW:
                time.sleep(self.slow_s)
            if asked.fault is Fault.FAILED_BEFORE:
                raise _failure()
            with self._lock:
                self.account.request = {"id": None, "idempotency_key": asked.key}
                found = asked.call.act(self.account, asked.its_id, asked.params)
                if asked.fault is Fault.WRONG_AMOUNT:
                    found["amount_received" if asked.call.name == "confirm" else "amount"] += 1
                answered = self._shown(found, asked.params.get("expand", []))
            if asked.fault is Fault.FAILED_AFTER:
                raise _failure()
            return answered

    @contextmanager
    def _locked(self, its_id: str | None) -> Iterator[None]:
        """Stripe answers 429 where an object is being changed by another request."""
        with self._lock:
            if its_id in self._in_use:
                raise _too_many("lock_timeout")
            if its_id:
                self._in_use.add(its_id)
        try:
            yield
        finally:
            self._in_use.discard(its_id or "")

    def _shown(self, found: JSON, expand: list[str]) -> JSON:
        """A copy for the answer, with what it names of other objects in their place where that is asked for."""
        shown = copy.deepcopy(found)
        for each in shown["data"] if shown["object"] == "list" else [shown]:
            self.problems += problems_of_answer(each)
        for name in expand:
            if shown.get(name):
                shown[name] = copy.deepcopy(self.account.objects[shown[name]])
        return shown

    def _check_request(self, call: Call, headers: Message, params: JSON) -> None:
        if headers.get("Stripe-Version") != API_VERSION:
            raise invalid(f"The twin answers as version {API_VERSION} alone")
        wrong = problems_of_request(params, call.takes)
        if wrong:
            self.problems += wrong
            raise invalid("; ".join(wrong), "parameter_unknown", param=wrong[0].split()[0])

    def _check_rate(self) -> None:
        second = int(time.monotonic())
        with self._lock:
            self._in_a_second[second] += 1
            if self.most_a_second and self._in_a_second[second] > self.most_a_second:
                raise _too_many("rate_limit")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    problems: list[str]

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """A caller that did not wait for its answer is none; anything else is an error of the twin."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.problems.append(f"{type(error).__name__}: {error}")


class _Handler(BaseHTTPRequestHandler):
    answers_for: StripeTwin
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path.startswith("/pages/"):
            self._page()
        else:
            self._answer("")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def log_message(self, *_: object) -> None:
        """A request may name what belongs in no log."""

    def _answer(self, body: str) -> None:
        answer = self.answers_for.answer(self.command, self.path, self.headers, body)
        if answer is None:
            self.close_connection = True
            return
        self._send(answer.status, answer.body, answer.headers | {"Content-Type": "application/json"})

    def _page(self) -> None:
        """Where the bank asks the buyer: ``?outcome=failure`` refuses, anything else agrees."""
        url = urlsplit(self.path)
        ref = url.path.removeprefix("/pages/").partition("_secret_")[0]
        try:
            intent = self.answers_for.account.get("payment_intent", ref)
            back = intent["next_action"]["redirect_to_url"]["return_url"] if intent["next_action"] else None
            self.answers_for.authenticate(ref, success=url.query != "outcome=failure")
        except StripeTwinError as error:
            self._send(error.status, b"", {})
        else:
            self._send(303, b"", {"Location": f"{back}?payment_intent={ref}"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _too_many(code: str) -> StripeTwinError:
    return StripeTwinError(429, "invalid_request_error", code, "Too many requests", kept=False)


def _failure() -> StripeTwinError:
    return StripeTwinError(500, "api_error", None, "An unknown error occurred")


def _routed(method: str, path: str) -> tuple[Call | None, str]:
    """The call that a path is of, and the id that it names."""
    parts = path.removeprefix("/v1/").split("/")
    its_id = parts[1] if len(parts) > 1 else ""
    pattern = "/".join(["*" if at == 1 else part for at, part in enumerate(parts)])
    return CALLS.get((method, pattern)), its_id


def _params(text: str) -> JSON:
    """What a form has, ``metadata[app]=ledger&expand[0]=latest_charge`` as objects and lists."""
    found: JSON = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        at, *below = name.replace("]", "").split("[")
        place = found
        for following in below:
            place = place.setdefault(at, {})
            at = following
        place[at] = value
    return {name: _with_lists(value) for name, value in found.items()}


def _with_lists(value: Any) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(each) for name, each in value.items()}
    return list(inner.values()) if all(name.isdecimal() for name in inner) else inner
