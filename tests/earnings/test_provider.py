"""A purchase paid from earnings is paid at most once, whatever is lost, repeated or too late."""

import base64
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import urllib3

from local.earnings import EarningsService, Fault
from shared.config import ConfigurationError
from shared.earnings.provider import EarningsProvider
from shared.earnings.signing import HmacSigner
from shared.ledger.errors import PaymentDeclinedError
from shared.payments import Heard, NoAnswerError, PaymentState

LOST = (Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.BUSY, Fault.TOO_MANY)


def test_what_is_held_is_not_paid_and_cannot_be_held_twice(service, provider, charge):
    provider.prepare(charge(1))
    assert service.earnings.left("ann") == 400
    with pytest.raises(PaymentDeclinedError, match="not enough earnings"):
        provider.prepare(charge(2))
    assert provider.look("purchase-1", charge(1)).state is PaymentState.DECLINED
    assert provider.give_up("purchase-1", charge(1)).state is PaymentState.DECLINED
    assert service.earnings.left("ann") == 1_000


def test_a_payment_that_is_confirmed_by_many_at_once_and_again_is_paid_once(service, provider, charge):
    ref = provider.prepare(charge())
    with ThreadPoolExecutor(8) as threads:
        payments = list(threads.map(lambda _: provider.confirm(ref, charge(), present=True), range(8)))
    assert {payment.state for payment in payments} == {PaymentState.CHARGED}
    assert payments[0].taken_cents == 600
    assert service.earnings.left("ann") == 400
    assert provider.prepare(charge()) == ref
    assert service.earnings.left("ann") == 400


@pytest.mark.parametrize("fault", LOST)
def test_a_hold_without_an_answer_is_held_once_when_it_is_asked_for_again(service, provider, charge, fault):
    service.fail("hold", fault)
    with pytest.raises(NoAnswerError):
        provider.prepare(charge())
    assert provider.prepare(charge()) == "purchase-1"
    assert service.earnings.left("ann") == 400


@pytest.mark.parametrize("fault", LOST)
def test_a_commit_without_an_answer_is_paid_once_when_it_is_confirmed_again(service, provider, charge, fault):
    ref = provider.prepare(charge())
    service.fail("commit", fault)
    with pytest.raises(NoAnswerError):
        provider.confirm(ref, charge(), present=False)
    assert provider.confirm(ref, charge(), present=False).state is PaymentState.CHARGED
    assert service.earnings.left("ann") == 400


@pytest.mark.parametrize("fault", LOST)
def test_a_payment_that_is_given_up_after_a_lost_commit_says_whether_it_was_paid(service, provider, charge, fault):
    ref = provider.prepare(charge())
    service.fail("commit", fault)
    with pytest.raises(NoAnswerError):
        provider.confirm(ref, charge(), present=False)
    paid = fault is Fault.LOST_AFTER
    after = provider.give_up(ref, charge())
    assert after.state is (PaymentState.CHARGED if paid else PaymentState.DECLINED)
    assert provider.confirm(ref, charge(), present=False).state is after.state
    assert service.earnings.left("ann") == (400 if paid else 1_000)


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("operation", ["cancel", "read", "page"])
def test_any_other_call_without_an_answer_says_so(service, provider, charge, operation, fault):
    ref = provider.prepare(charge())
    service.fail(operation, fault)
    with pytest.raises(NoAnswerError):
        {
            "cancel": lambda: provider.give_up(ref, charge()),
            "read": lambda: provider.look(ref, charge()),
            "page": lambda: provider.heard_since(None),
        }[operation]()


def test_a_payment_that_was_given_up_before_it_arrived_is_never_held(service, provider, charge):
    assert provider.give_up("purchase-1", charge()).state is PaymentState.DECLINED
    with pytest.raises(PaymentDeclinedError):
        provider.prepare(charge())
    assert provider.confirm("purchase-1", charge(), present=True).state is PaymentState.DECLINED
    assert service.earnings.left("ann") == 1_000


def test_a_hold_that_is_an_hour_old_can_not_be_paid(service, provider, charge, clock):
    ref = provider.prepare(charge())
    clock.go(minutes=61)
    payment = provider.confirm(ref, charge(), present=True)
    assert (payment.state, payment.code) == (PaymentState.DECLINED, "expired")
    assert service.earnings.left("ann") == 1_000


def test_a_payment_that_nobody_knows_was_never_made(provider, charge):
    assert provider.look("purchase-1", charge()).state is PaymentState.DECLINED
    assert provider.confirm("purchase-1", charge(), present=True).state is PaymentState.DECLINED


@pytest.mark.parametrize("other", [{"amount_cents": 700}, {"currency": "EUR"}, {"account_id": "bob"}])
def test_a_payment_of_something_else_than_was_asked_for_is_wrong(provider, charge, other):
    ref = provider.prepare(charge())
    provider.confirm(ref, charge(), present=True)
    payment = provider.look(ref, replace(charge(), **other))
    assert (payment.state, payment.taken_cents) == (PaymentState.WRONG, 600)
    with pytest.raises(ConfigurationError, match="other_body"):
        provider.prepare(replace(charge(), **other))


def test_what_goes_back_is_told_in_all(service, provider, charge):
    ref = provider.prepare(charge())
    provider.confirm(ref, charge(), present=True)
    for cents in (100, 100, 450):
        service.earnings.give_back(ref, cents)
        assert provider.look(ref, charge()).returned_cents == cents
    assert service.earnings.left("ann") == 850


def test_an_event_is_about_the_purchase_of_its_hold(provider, charge):
    provider.confirm(provider.prepare(charge()), charge(), present=True)
    assert provider.hear({"type": "hold.committed", "charge_id": "purchase-1"}) == Heard(
        "ann", "purchase", "purchase-1"
    )
    assert provider.hear({"type": "hold.committed", "charge_id": "unknown-1"}) is None
    assert provider.hear({"type": "account.opened", "charge_id": "purchase-1"}) is None
    assert provider.hear({}) is None


def test_the_list_of_changes_has_every_payment_and_then_nothing_new(service, provider, charge):
    service.earnings.starts_with_cents = 100_000
    provider.give_up("nobody-1", charge())  # of no account
    for number in range(1, 26):
        provider.confirm(provider.prepare(charge(number)), charge(number), present=True)
    found, cursor = set(), None
    while (page := provider.heard_since(cursor))[1] != cursor:
        heard, cursor = page
        found |= {each.ref for each in heard}
    assert found == {f"purchase-{number}" for number in range(1, 26)}
    assert provider.heard_since(cursor) == ([], cursor)
    service.earnings.give_back("purchase-3", 5)
    assert [each.ref for each in provider.heard_since(cursor)[0]] == ["purchase-3"]


def test_a_signature_by_a_secret_is_over_the_lines_that_rfc_9421_makes():
    body = b'{"cents": 1}'
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    params = '("@method" "@target-uri" "content-digest");created=1700000000;keyid="connects";alg="hmac-sha256"'
    lines = (
        '"@method": PUT\n'
        '"@target-uri": https://earnings.example/holds/p-1\n'
        f'"content-digest": sha-256=:{digest}:\n'
        f'"@signature-params": {params}'
    )
    signature = base64.b64encode(hmac.digest(b"a secret", lines.encode(), "sha256")).decode()
    signed = HmacSigner(lambda: b"a secret", now=lambda: 1_700_000_000.9)
    assert signed("PUT", "https://earnings.example/holds/p-1", body) == {
        "Content-Digest": f"sha-256=:{digest}:",
        "Signature-Input": f"sig={params}",
        "Signature": f"sig=:{signature}:",
    }


@pytest.mark.parametrize("what", ["method", "address", "body", "nothing"])
def test_a_signature_is_good_for_its_method_address_and_body_alone(service, provider, what):
    method, address, body = "PUT", f"{service.url}/holds/purchase-1", b"{}"
    headers = dict(provider._sign(method, address, body))
    if what == "method":
        method = "GET"
    elif what == "address":
        address += "/cancel"
    elif what == "body":
        body = b'{"a": 1}'
    answer = urllib3.PoolManager(retries=False).request(method, address, body=body, headers=headers)
    if what == "nothing":
        assert answer.status == 422
    else:
        assert (answer.status, answer.json()) == (401, {"code": "signature_invalid"})
        service.answered.clear()  # one is of a call that there is not


def test_an_old_signature_and_one_by_another_secret_are_refused(clock, charge):
    with EarningsService(secret=b"theirs") as service:
        for sign in (HmacSigner(lambda: b"ours"), HmacSigner(lambda: b"theirs", now=lambda: 1_700_000_000)):
            with pytest.raises(ConfigurationError, match="signature"):
                EarningsProvider(service.url, sign, clock).prepare(charge())
        assert service.asked == []


def test_a_service_that_is_not_there_does_not_answer(clock, charge):
    with pytest.raises(NoAnswerError):
        EarningsProvider("http://127.0.0.1:9", lambda *_: {}, clock).prepare(charge())
