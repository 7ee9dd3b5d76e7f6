"""What Stripe's adapter is tried on: the twin, localstripe for what it does right, and Stripe itself with a key."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlencode

import stripe
import urllib3

from local.ministack import HOST, START_SECONDS, free_port, port_is_taken
from local.stripe_twin import StripeTwin
from local.stripe_types import whole
from shared.ledger.purchases import PaymentSource
from shared.payments import Charge
from shared.stripe.provider import API_VERSION, StripeProvider
from shared.stripe.transport import Urllib3Transport

APP = "connects-ledger/tests"
RETURN_URL = "https://shop.example/paid"
NUMBERS = {
    "visa": "4242424242424242",
    "chargeCustomerFail": "4000000000000341",
    "authenticationRequired": "4000002500003155",
}
"""Of the cards that localstripe has; it knows them by number alone."""


class Keys:
    """Where API keys are kept: the first is known until it is refused."""

    def __init__(self, *stored: str) -> None:
        self.known, self.newest = stored[0], stored[-1]
        self.refused: list[str] = []

    def __call__(self, *, refused: str | None = None) -> str:
        if refused:
            self.refused.append(refused)
            self.known = self.newest
        return self.known


@dataclass
class Engine:
    """One counterpart, the adapter on it, and what is needed to prepare a test there."""

    url: str
    key: str
    return_url: str | None = None
    transport: stripe.HTTPClient | None = None
    run: str = "p"
    """Begins the ids of purchases. Stripe keeps idempotency keys for a day, so there each run needs its own."""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.provider = self.provider_for(APP)
        self.client = stripe.StripeClient(
            self.key,
            stripe_version=API_VERSION,
            base_addresses={"api": self.url},
            http_client=self.transport or Urllib3Transport(),
        )

    def provider_for(self, app: str, **more: Any) -> StripeProvider:
        return StripeProvider(
            Keys(self.key),
            app=app,
            return_url=self.return_url,
            api_base=self.url,
            transport=self.transport,
            **more,
        )

    def saved_card(self, card: str) -> tuple[str, str]:
        """A customer and their saved card, by the name that Stripe gives its test cards."""
        customer = self.client.v1.customers.create({}).id
        return customer, self.client.v1.payment_methods.attach(f"pm_card_{card}", {"customer": customer}).id

    def charge(self, card: str = "visa", **changes: Any) -> Charge:
        """The next purchase, of 40 Connects for 600 cents, by a customer with this card."""
        return self.charge_of(*self.saved_card(card), **changes)

    def charge_of(self, customer: str, method: str, **changes: Any) -> Charge:
        purchase_id = f"{self.run}{next(self._numbers)}"
        charge = Charge(
            charge_id=f"{purchase_id}-1",
            account_id="ann",
            purchase_id=purchase_id,
            attempt=1,
            amount_cents=600,
            currency="USD",
            source=PaymentSource.BILLING_METHOD,
            customer=customer,
            payment_method=method,
        )
        return replace(charge, **changes)

    def authenticate(self, ref: str, *, success: bool) -> None:
        """Answer the bank in the buyer's place."""
        raise NotImplementedError


class OnTwin(Engine):
    def __init__(self, twin: StripeTwin) -> None:
        self.twin = twin
        super().__init__(twin.url, twin.api_key, RETURN_URL)

    def authenticate(self, ref: str, *, success: bool) -> None:
        self.twin.authenticate(ref, success=success)


class OnLocalstripe(Engine):
    def __init__(self, url: str) -> None:
        super().__init__(url, "sk_test_of_localstripe", transport=LocalstripeTransport())

    def saved_card(self, card: str) -> tuple[str, str]:
        customer = self.client.v1.customers.create({}).id
        method = self.client.v1.payment_methods.create(
            {"type": "card", "card": {"number": NUMBERS[card], "exp_month": 12, "exp_year": 2040, "cvc": "123"}}
        )
        return customer, self.client.v1.payment_methods.attach(method.id, {"customer": customer}).id

    def authenticate(self, ref: str, *, success: bool) -> None:
        secret = self.client.v1.payment_intents.retrieve(ref).client_secret
        body = urlencode({"client_secret": secret, "success": str(success).lower(), "key": "pk_test_of_localstripe"})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url = f"{self.url}/v1/payment_intents/{ref}/_authenticate"
        assert urllib3.request("POST", url, body=body, headers=headers, retries=False).status == 200


class LocalstripeTransport(Urllib3Transport):
    """Leaves out the parameters that localstripe refuses, and adds to its answers what it does not give.

    It answers as of 2017: of an intent not what was received, of a charge no dispute and no receipt, and the state of
    an intent that does not admit a request is a "Bad request" without a code.
    """

    REFUSED = ("allowed_payment_method_types", "off_session", "return_url")

    def request(self, method, url, headers, post_data=None, *, _usage=None):
        form = [(name, text) for name, text in parse_qsl(post_data or "") if not name.startswith(self.REFUSED)]
        answer, status, headers = super().request(method, url, headers, urlencode(form) if post_data else post_data)
        return json.dumps(_completed(json.loads(answer))), status, headers


def _completed(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("object") == "payment_intent":
        charge = answer["latest_charge"]
        if charge:
            answer["latest_charge"] = whole(charge) | {"disputed": False}
        received = charge["amount"] if charge and charge["status"] == "succeeded" else 0
        return whole(answer) | {"amount_received": received}
    if answer.get("error", {}).get("message") == "Bad request":
        answer["error"]["code"] = "payment_intent_unexpected_state"
    return answer


@contextmanager
def localstripe() -> Iterator[str]:
    """localstripe as a process of ours, at the URL returned.

    Not by its own command, which listens on all addresses; and it writes nothing to /tmp, where all would share it.
    """
    port = free_port()
    serve = f"""
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda _: None
web.run_app(server.app, host="{HOST}", port={port}, print=None)
"""
    process = subprocess.Popen([sys.executable, "-c", serve], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        url = f"http://{HOST}:{port}"
        end = time.monotonic() + START_SECONDS
        while not port_is_taken(port):
            assert process.poll() is None, "localstripe does not start"
            assert time.monotonic() < end, "localstripe does not listen"
            time.sleep(0.02)
        yield url
    finally:
        process.terminate()
        process.wait()
