"""What the adapter makes of a Stripe that fails: it never charges twice, and says only what it knows."""

import logging
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from threading import Thread

import pytest
import stripe
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.ministack import free_port
from local.stripe_twin import Fault
from shared.config import ConfigurationError
from shared.payments import NoAnswerError, PaymentState
from shared.stripe.provider import StripeProvider
from shared.stripe.transport import Urllib3Transport
from tests.stripe.engines import APP, Keys, OnTwin

CHARGED, DECLINED, IN_PROGRESS, NEEDS_BUYER, WRONG = PaymentState
NO_ANSWER = [
    Fault.LOST_BEFORE,
    Fault.LOST_AFTER,
    Fault.FAILED_BEFORE,
    Fault.FAILED_AFTER,
    Fault.TOO_MANY,
    Fault.GARBLED,
]
HAPPENED = {Fault.LOST_AFTER, Fault.FAILED_AFTER, Fault.GARBLED}


@pytest.fixture
def charge(on_twin):
    return on_twin.charge()


@pytest.fixture
def ref(on_twin, charge):
    return on_twin.provider.prepare(charge)


@pytest.mark.parametrize("fault", NO_ANSWER)
def test_a_payment_that_cannot_be_prepared_is_no_answer_and_moves_nothing(on_twin, charge, fault):
    on_twin.twin.fail("create", fault)
    with pytest.raises(NoAnswerError):
        on_twin.provider.prepare(charge)
    assert on_twin.twin.charges() == []


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.TOO_MANY, Fault.GARBLED])
def test_what_is_prepared_again_after_no_answer_is_one_payment(on_twin, charge, fault):
    on_twin.twin.fail("create", fault)
    with pytest.raises(NoAnswerError):
        on_twin.provider.prepare(charge)
    ref = on_twin.provider.prepare(charge)
    assert [intent["id"] for intent in on_twin.twin.account.of("payment_intent")] == [ref]


@pytest.mark.parametrize("fault", NO_ANSWER)
def test_a_confirmation_without_answer_is_settled_by_a_look(on_twin, charge, ref, fault):
    on_twin.twin.fail("confirm", fault)
    with pytest.raises(NoAnswerError):
        on_twin.provider.confirm(ref, charge, present=True)
    assert on_twin.provider.look(ref, charge).state is (CHARGED if fault in HAPPENED else DECLINED)
    assert len(on_twin.twin.charges()) == (fault in HAPPENED)


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.TOO_MANY, Fault.GARBLED])
def test_a_confirmation_without_answer_is_sent_again_and_charges_once(on_twin, charge, ref, fault):
    on_twin.twin.fail("confirm", fault, fault)
    for _ in range(2):
        with pytest.raises(NoAnswerError):
            on_twin.provider.confirm(ref, charge, present=True)
    assert on_twin.provider.confirm(ref, charge, present=True).state is CHARGED
    assert len(on_twin.twin.charges()) == 1


@pytest.mark.parametrize("fault", NO_ANSWER)
def test_a_confirmation_without_answer_can_be_given_up_or_was_charged(on_twin, charge, ref, fault):
    on_twin.twin.fail("confirm", fault)
    with pytest.raises(NoAnswerError):
        on_twin.provider.confirm(ref, charge, present=True)
    payment = on_twin.provider.give_up(ref, charge)
    assert payment.state is (CHARGED if fault in HAPPENED else DECLINED)
    assert on_twin.provider.look(ref, charge) == payment


def test_a_decline_whose_answer_was_lost_is_a_decline_when_it_is_confirmed_a_day_later(on_twin, clock):
    """Stripe has forgotten the idempotency key by then, and says that the intent is in another state."""
    charge = on_twin.charge("chargeCustomerFail")
    ref = on_twin.provider.prepare(charge)
    on_twin.twin.fail("confirm", Fault.LOST_AFTER)
    with pytest.raises(NoAnswerError):
        on_twin.provider.confirm(ref, charge, present=True)
    clock.go(hours=25)
    payment = on_twin.provider.confirm(ref, charge, present=True)
    assert (payment.state, payment.reason, payment.code) == (DECLINED, "Your card was declined", "generic_decline")


def test_what_was_declined_while_it_was_given_up_is_not_given_up_yet(on_twin, charge, ref, monkeypatch):
    """It could not be canceled while the bank decided, and now whoever has its secret could still pay."""
    on_twin.twin.process(ref)
    intent_of = on_twin.provider._intent

    def the_bank_decides_first(asked):
        kept = on_twin.twin.account.get("payment_intent", ref)
        kept |= {"status": "requires_payment_method", "payment_method": None}
        return intent_of(asked)

    monkeypatch.setattr(on_twin.provider, "_intent", the_bank_decides_first)
    assert on_twin.provider.give_up(ref, charge).state is IN_PROGRESS
    assert on_twin.provider.give_up(ref, charge).state is DECLINED
    assert on_twin.twin.account.get("payment_intent", ref)["status"] == "canceled"


@pytest.mark.parametrize(("call", "fault"), [*product(["retrieve", "disputes"], NO_ANSWER)])
def test_a_look_without_answer_says_nothing(on_twin, call, fault):
    charge = on_twin.charge("createDispute")
    ref = on_twin.provider.prepare(charge)
    paid = on_twin.provider.confirm(ref, charge, present=True)
    on_twin.twin.fail(call, fault)
    with pytest.raises(NoAnswerError):
        on_twin.provider.look(ref, charge)
    assert on_twin.provider.look(ref, charge) == paid


@pytest.mark.parametrize("fault", NO_ANSWER)
def test_a_payment_that_was_given_up_without_answer_is_given_up_again(on_twin, charge, ref, fault):
    on_twin.twin.fail("cancel", fault)
    with pytest.raises(NoAnswerError):
        on_twin.provider.give_up(ref, charge)
    assert on_twin.provider.give_up(ref, charge).state is DECLINED


@pytest.mark.parametrize("call", ["create", "confirm"])
def test_a_wrong_amount_is_told_and_never_taken_for_a_payment(on_twin, charge, call):
    on_twin.twin.fail(call, Fault.WRONG_AMOUNT)
    ref = on_twin.provider.prepare(charge)
    payment = on_twin.provider.confirm(ref, charge, present=True)
    assert (payment.state, payment.taken_cents) == (WRONG, 601)
    assert on_twin.provider.look(ref, charge) == payment


def test_a_payment_that_another_request_is_changing_is_no_answer(on_twin, charge, ref):
    on_twin.twin.slow_s = 0.5
    on_twin.twin.fail("confirm", Fault.SLOW)
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(on_twin.provider.confirm, ref, charge, present=True)
        while ref not in on_twin.twin._in_use:
            time.sleep(0.001)
        with pytest.raises(NoAnswerError, match="429"):
            on_twin.provider.give_up(ref, charge)
        with pytest.raises(NoAnswerError, match="409"):
            on_twin.provider.confirm(ref, charge, present=True)
        assert slow.result().state is CHARGED


def test_a_stripe_that_does_not_answer_in_time_is_no_answer(twin):
    engine = OnTwin(twin)
    charge = engine.charge()
    ref = engine.provider.prepare(charge)
    hasty = StripeProvider(Keys(twin.api_key), app=APP, api_base=twin.url, transport=Urllib3Transport(read_s=0.05))
    twin.fail("confirm", Fault.SLOW)
    with pytest.raises(NoAnswerError, match="APIConnectionError"):
        hasty.confirm(ref, charge, present=True)
    assert twin.asked["confirm"] == 1, "it was tried again"


def test_a_stripe_that_is_not_there_is_no_answer(charge):
    nowhere = StripeProvider(Keys("sk_test_x"), app=APP, api_base=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NoAnswerError, match="APIConnectionError"):
        nowhere.prepare(charge)


@pytest.fixture
def impostor(tmp_path):
    """A server that is not Stripe: its certificate is its own. The URL, and what it was asked for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day, now = timedelta(days=1), datetime.now(UTC)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    certificate = certificate.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "both.pem").write_bytes(secret + certificate.sign(key, hashes.SHA256()).public_bytes(pem))
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            self.send_error(500)

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            """It is refused, and is not to write of it."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_port}", asked
        server.shutdown()


def test_a_server_that_cannot_prove_to_be_stripe_is_told_nothing(charge, impostor):
    url, asked = impostor
    provider = StripeProvider(Keys("sk_test_x"), app=APP, api_base=url)
    with pytest.raises(NoAnswerError, match="APIConnectionError"):
        provider.prepare(charge)
    assert asked == []


def test_a_payment_in_progress_is_neither_charged_nor_given_up(on_twin, charge, ref):
    on_twin.twin.process(ref)
    assert on_twin.provider.look(ref, charge).state is IN_PROGRESS
    assert on_twin.provider.give_up(ref, charge).state is IN_PROGRESS
    assert on_twin.provider.confirm(ref, charge, present=True).state is IN_PROGRESS
    on_twin.twin.settle(ref)
    assert on_twin.provider.give_up(ref, charge).state is CHARGED


def test_a_repeat_while_the_bank_asks_is_what_became_of_it_and_not_the_first_answer(on_twin):
    charge = on_twin.charge("authenticationRequired")
    ref = on_twin.provider.prepare(charge)
    first = on_twin.provider.confirm(ref, charge, present=True)
    assert on_twin.provider.confirm(ref, charge, present=True) == first
    on_twin.authenticate(ref, success=True)
    assert on_twin.provider.confirm(ref, charge, present=True).state is CHARGED


@pytest.mark.parametrize("card", ["chargeDeclinedStolenCard"])
def test_a_thief_is_not_told_why(on_twin, card):
    charge = on_twin.charge(card)
    payment = on_twin.provider.confirm(on_twin.provider.prepare(charge), charge, present=True)
    assert (payment.state, payment.code) == (DECLINED, "generic_decline")


# --- A Stripe that is set up otherwise


def test_a_replaced_key_is_read_anew_and_the_request_sent_again(twin, charge):
    keys = Keys(twin.api_key, "rk_test_the_next")
    provider = StripeProvider(keys, app=APP, api_base=twin.url)
    twin.api_keys[:] = ["rk_test_the_next"]
    assert provider.look(provider.prepare(charge), charge).state is DECLINED
    assert keys.refused == ["sk_test_of_the_twin"]


def test_a_key_that_stripe_refuses_is_no_decline_but_a_wrong_setting(twin, charge, ref):
    provider = StripeProvider(Keys(twin.api_key), app=APP, api_base=twin.url)
    twin.api_keys[:] = ["rk_test_another"]
    for ask in (
        lambda: provider.prepare(charge),
        lambda: provider.confirm(ref, charge, present=True),
        lambda: provider.look(ref, charge),
        lambda: provider.give_up(ref, charge),
        lambda: provider.heard_since(None),
    ):
        with pytest.raises(ConfigurationError, match="AuthenticationError status=401"):
            ask()


@pytest.mark.parametrize("ask", ["look", "give_up"])
def test_a_payment_that_this_stripe_does_not_have_is_a_wrong_setting(on_twin, charge, ask):
    with pytest.raises(ConfigurationError, match="resource_missing"):
        getattr(on_twin.provider, ask)("pi_of_another_account", charge)


def test_a_payment_that_this_stripe_does_not_have_cannot_be_confirmed(on_twin, charge):
    with pytest.raises(ConfigurationError, match="resource_missing"):
        on_twin.provider.confirm("pi_of_another_account", charge, present=True)


def test_a_key_without_a_right_is_a_wrong_setting(on_twin, charge, ref, monkeypatch):
    def forbid(*_):
        raise stripe.PermissionError("not this", http_status=403)

    monkeypatch.setattr(on_twin.provider, "_ask", forbid)
    with pytest.raises(ConfigurationError, match="PermissionError status=403"):
        on_twin.provider.look(ref, charge)


def test_a_faster_caller_than_stripe_allows_loses_nothing(on_twin):
    """Stripe allows 25 requests a second in a test account: what was not answered is asked for again."""
    charges = [on_twin.charge() for _ in range(20)]
    on_twin.twin.most_a_second = 25
    unanswered = 0

    def pay(charge):
        nonlocal unanswered
        while True:
            try:
                return on_twin.provider.confirm(on_twin.provider.prepare(charge), charge, present=False)
            except NoAnswerError:
                unanswered += 1

    with ThreadPoolExecutor(4) as threads:
        payments = list(threads.map(pay, charges))
    assert {payment.state for payment in payments} == {CHARGED}
    assert len(on_twin.twin.charges()) == 20
    assert unanswered


# --- What is logged


@pytest.mark.parametrize("fault", [None, *NO_ANSWER])
def test_no_secret_is_logged_or_in_an_error(on_twin, caplog, fault):
    caplog.set_level(logging.DEBUG)
    charge = on_twin.charge("authenticationRequired")
    ref = on_twin.provider.prepare(charge)
    if fault:
        on_twin.twin.fail("confirm", fault)
        with pytest.raises(NoAnswerError) as caught:
            on_twin.provider.confirm(ref, charge, present=True)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        said = str(caught.value)
    else:
        said = str(on_twin.provider.confirm(ref, charge, present=True).state)
    for secret in (f"{ref}_secret_", on_twin.key, "whsec_"):
        assert secret not in caplog.text + said
