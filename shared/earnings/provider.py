"""A balance of earnings behind the port: a hold of ours, under our own id, that is committed or canceled.

::

    (none) ──► held ──► committed
      │         ├─────► canceled
      │         └─────► expired        an hour after it was made
      └───────────────► canceled       one that never arrived can not be made any more

What the service promises is in api.json: each call may be repeated, and a hold is committed at most once.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode

import urllib3

from shared.config import ConfigurationError
from shared.ledger.errors import PaymentDeclinedError
from shared.ledger.purchases import PaymentSource, purchase_id_of
from shared.payments import Heard, NoAnswerError, Payment, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.clock import Clock
    from shared.payments import Charge

    Sign = Callable[[str, str, bytes], Mapping[str, str]]
    """Of a method, an address and a body: the headers that sign them."""

CONNECT_S, READ_S = 1.0, 8.0
CONNECTIONS = 10
"""As many as there are threads that ask at once."""
HOLD_LASTS = timedelta(hours=1)
OK, CREATED, PAYMENT_REQUIRED, NOT_FOUND, CONFLICT = 200, 201, 402, 404, 409
TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500
REFUSED = frozenset({401, 403})
HELD, COMMITTED, CANCELED, EXPIRED = "held", "committed", "canceled", "expired"
INSUFFICIENT = "there are not enough earnings"
NOT_MADE = "the payment was never made"
OF_A_HOLD = "hold."
"""What the types of events begin with that are about holds."""


class EarningsProvider:
    """One a process: it keeps its connections."""

    sources: ClassVar[frozenset[PaymentSource]] = frozenset({PaymentSource.EARNINGS_BALANCE})
    needs_payment_method: ClassVar[bool] = False

    def __init__(self, url: str, sign: Sign, clock: Clock) -> None:
        self._url = url.rstrip("/")
        self._sign = sign
        self._clock = clock
        times = urllib3.Timeout(connect=CONNECT_S, read=READ_S)
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, timeout=times, retries=False)

    def prepare(self, charge: Charge) -> str:
        """Hold the amount. A hold that is neither committed nor canceled expires by itself.

        Raises:
            PaymentDeclinedError: there are not enough earnings, or the hold can not be made any more.
            ConfigurationError: the service does not take what is sent.
            NoAnswerError
        """
        hold = {
            "account_id": charge.account_id,
            "amount_cents": charge.amount_cents,
            "currency": charge.currency,
            "expires_at": (self._clock.now() + HOLD_LASTS).isoformat(timespec="milliseconds"),
        }
        status, _ = self._ask("PUT", _path(charge.charge_id), hold, {PAYMENT_REQUIRED, CONFLICT})
        if status in {PAYMENT_REQUIRED, CONFLICT}:
            reason = INSUFFICIENT if status == PAYMENT_REQUIRED else NOT_MADE
            raise PaymentDeclinedError(reason, purchase_id=charge.purchase_id)
        return charge.charge_id

    def confirm(self, ref: str, charge: Charge, *, present: bool) -> Payment:  # noqa: ARG002 - nobody is asked
        """Commit the hold; one that can not be committed is canceled, so that it never can be.

        Raises:
            ConfigurationError
            NoAnswerError
        """
        status, hold = self._ask("POST", f"{_path(ref)}/commit", None, {NOT_FOUND, CONFLICT})
        return self._payment(hold, charge) if status == OK else self.give_up(ref, charge)

    def look(self, ref: str, charge: Charge) -> Payment:
        """Raises ConfigurationError, NoAnswerError."""
        status, hold = self._ask("GET", _path(ref), None, {NOT_FOUND})
        return self._payment(hold, charge) if status == OK else Payment(PaymentState.DECLINED, NOT_MADE)

    def give_up(self, ref: str, charge: Charge) -> Payment:
        """Cancel the hold, or find that it was committed.

        Raises:
            ConfigurationError
            NoAnswerError
        """
        status, hold = self._ask("POST", f"{_path(ref)}/cancel", None, {CONFLICT})
        return self._payment(hold, charge) if status == OK else self.look(ref, charge)

    def hear(self, event: Mapping[str, Any]) -> Heard | None:
        """``{"type": "hold.committed", "charge_id": "..."}``: the service is asked whose hold it is."""
        if not str(event.get("type")).startswith(OF_A_HOLD):
            return None
        charge_id = str(event.get("charge_id"))
        status, hold = self._ask("GET", _path(charge_id), None, {NOT_FOUND})
        return _heard(hold) if status == OK else None

    def heard_since(self, cursor: str | None) -> tuple[list[Heard], str | None]:
        """A page of the holds that changed after ``cursor``, in that order. The cursor stays where nothing did."""
        query = f"?{urlencode({'cursor': cursor})}" if cursor else ""
        _, page = self._ask("GET", f"/holds{query}", None, set())
        return list(filter(None, map(_heard, page["holds"]))), page["cursor"]

    def _payment(self, hold: Mapping[str, Any], charge: Charge) -> Payment:
        if hold["state"] == HELD:
            # It moves nothing, and may still be committed or canceled.
            return Payment(PaymentState.DECLINED, NOT_MADE)
        if hold["state"] in {CANCELED, EXPIRED}:
            return Payment(PaymentState.DECLINED, NOT_MADE, hold["state"])
        asked = (charge.account_id, charge.amount_cents, charge.currency)
        made = (hold["account_id"], hold["amount_cents"], hold["currency"])
        return Payment(
            PaymentState.CHARGED if made == asked else PaymentState.WRONG,
            taken_cents=hold["amount_cents"],
            returned_cents=hold["returned_cents"],
            provider_charge=hold["charge_id"],
        )

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, expected: set[int]
    ) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of an answer: one that is ``expected``, or of success."""
        url, sent = f"{self._url}{path}", json.dumps(body).encode() if body is not None else b""
        headers = {"content-type": "application/json"} if sent else {}
        try:
            answer = self._pool.request(method, url, body=sent, headers={**headers, **self._sign(method, url, sent)})
            status: int = answer.status
            if status == TOO_MANY_REQUESTS or status >= SERVER_ERROR:
                raise NoAnswerError
            if status in {OK, CREATED} or status in expected:
                found: dict[str, Any] = json.loads(answer.data)
                return status, found
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise NoAnswerError from error
        refused = "our signature" if status in REFUSED else f"{method} {path}: {answer.data[:200]!r}"
        raise ConfigurationError(f"the earnings service answered {status} to {refused}")


def _path(charge_id: str) -> str:
    return f"/holds/{quote(charge_id, safe='')}"


def _heard(hold: Mapping[str, Any]) -> Heard | None:
    """None of one that never arrived: it was canceled by its id alone, and is of nobody."""
    if hold.get("account_id") is None:
        return None
    return Heard(hold["account_id"], purchase_id_of(hold["charge_id"]), hold["charge_id"])
