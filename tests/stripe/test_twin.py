"""The twin is what Stripe documents: without that, nothing that is proved on it holds at Stripe."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import stripe
import urllib3

from local.stripe_account import NEXT_STATUSES
from local.stripe_twin import CALLS, Fault, StripeTwin
from local.stripe_types import fields_of, problems_of_answer
from shared.stripe.provider import API_VERSION
from tests.stripe.engines import RETURN_URL, OnTwin


@pytest.fixture
def intents(on_twin):
    return on_twin.client.v1.payment_intents


@pytest.fixture
def new(on_twin):
    """Parameters of an intent, of a customer with this card."""

    def params(card="visa", **changes):
        customer, method = on_twin.saved_card(card)
        return {"amount": 600, "currency": "usd", "customer": customer, "payment_method": method, **changes}

    return params


# --- Idempotency keys


def test_one_key_is_one_request(intents, new):
    params = new()
    made = [intents.create(params, {"idempotency_key": "k"}) for _ in range(3)]
    assert len({intent.id for intent in made}) == 1
    assert [intent.last_response.headers.get("Idempotent-Replayed") for intent in made] == [None, "true", "true"]


def test_a_key_is_forgotten_after_a_day(intents, new, clock):
    params = new()
    first = intents.create(params, {"idempotency_key": "k"}).id
    clock.go(hours=23, minutes=59)
    assert intents.create(params, {"idempotency_key": "k"}).id == first
    clock.go(minutes=1)
    assert intents.create(params, {"idempotency_key": "k"}).id != first


def test_a_key_for_other_parameters_or_another_call_is_refused(intents, new):
    params = new()
    intent = intents.create(params, {"idempotency_key": "k"})
    for ask in (
        lambda: intents.create(params | {"amount": 601}, {"idempotency_key": "k"}),
        lambda: intents.confirm(intent.id, {}, {"idempotency_key": "k"}),
    ):
        with pytest.raises(stripe.IdempotencyError):
            ask()


def test_a_decline_and_a_failure_are_answered_again(intents, new, twin):
    declined = intents.create(new("chargeCustomerFail"))
    for _ in range(2):
        with pytest.raises(stripe.CardError, match="declined"):
            intents.confirm(declined.id, {}, {"idempotency_key": "declined"})
    good = intents.create(new())
    twin.fail("confirm", Fault.FAILED_AFTER)
    for _ in range(2):
        with pytest.raises(stripe.APIError, match="unknown"):
            intents.confirm(good.id, {}, {"idempotency_key": "failed"})
    assert len(twin.charges()) == 1


def test_what_was_malformed_or_too_much_uses_no_key_up(intents, new, twin):
    params = new()
    with pytest.raises(stripe.InvalidRequestError):
        intents.create(params | {"amount": 1}, {"idempotency_key": "k"})
    twin.fail("create", Fault.TOO_MANY)
    with pytest.raises(stripe.RateLimitError):
        intents.create(params, {"idempotency_key": "k"})
    assert intents.create(params, {"idempotency_key": "k"}).amount == 600


def test_two_requests_with_one_key_at_once_are_a_conflict(intents, new, twin):
    params = new()
    twin.slow_s = 0.3
    twin.fail("create", Fault.SLOW)
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(intents.create, params, {"idempotency_key": "k"})
        while "k" not in twin._kept:
            time.sleep(0.001)
        with pytest.raises(stripe.APIError) as conflict:
            intents.create(params, {"idempotency_key": "k"})
        assert conflict.value.http_status == 409
        assert intents.create(params, {"idempotency_key": "another"}).id != slow.result().id


# --- Intents


@pytest.mark.parametrize(
    ("card", "status"),
    [
        ("visa", "succeeded"),
        ("chargeCustomerFail", "requires_payment_method"),
        ("authenticationRequired", "requires_action"),
    ],
)
def test_an_intent_is_confirmed_once_and_then_says_in_which_state_it_is(intents, new, card, status):
    intent = intents.create(new(card)).id
    with suppress(stripe.CardError):
        intents.confirm(intent)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        intents.confirm(intent)
    assert refused.value.code == "payment_intent_unexpected_state"
    assert refused.value.error.payment_intent.status == intents.retrieve(intent).status == status


@pytest.mark.parametrize("ask", ["confirm", "cancel"])
def test_what_is_paid_or_canceled_stays_so(intents, new, ask):
    paid, canceled = intents.create(new()).id, intents.create(new()).id
    intents.confirm(paid)
    intents.cancel(canceled)
    for intent, status in ((paid, "succeeded"), (canceled, "canceled")):
        with pytest.raises(stripe.InvalidRequestError, match=status):
            getattr(intents, ask)(intent)
        assert intents.retrieve(intent).status == status


def test_a_declined_intent_needs_another_card(intents, new):
    intent = intents.create(new("chargeCustomerFail")).id
    with pytest.raises(stripe.CardError):
        intents.confirm(intent)
    shown = intents.retrieve(intent, {"expand": ["latest_charge"]})
    assert (shown.status, shown.payment_method) == ("requires_payment_method", None)
    assert (shown.latest_charge.status, shown.latest_charge.paid) == ("failed", False)


@pytest.mark.parametrize(("query", "status"), [("", "succeeded"), ("?outcome=failure", "requires_payment_method")])
def test_the_page_of_the_bank_sends_the_buyer_back(intents, new, query, status):
    intent = intents.create(new("authenticationRequired")).id
    action = intents.confirm(intent, {"return_url": RETURN_URL}).next_action
    answer = urllib3.request("GET", action.redirect_to_url.url + query, redirect=False)
    assert (answer.status, answer.headers["Location"]) == (303, f"{RETURN_URL}?payment_intent={intent}")
    assert intents.retrieve(intent).status == status
    assert urllib3.request("GET", action.redirect_to_url.url, redirect=False).status == 400, "answered twice"


# --- Money that goes back


def test_no_more_is_refunded_than_was_paid(on_twin, intents, new):
    refunds, intent = on_twin.client.v1.refunds, intents.create(new()).id
    intents.confirm(intent)
    refunds.create({"payment_intent": intent, "amount": 400})
    with pytest.raises(stripe.InvalidRequestError, match="200"):
        refunds.create({"payment_intent": intent, "amount": 201})
    assert refunds.create({"payment_intent": intent}).amount == 200
    with pytest.raises(stripe.InvalidRequestError, match="already"):
        refunds.create({"payment_intent": intent, "amount": 1})


def test_what_is_disputed_cannot_be_refunded(on_twin, intents, new):
    intent = intents.create(new("createDispute")).id
    intents.confirm(intent)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        on_twin.client.v1.refunds.create({"payment_intent": intent})
    assert refused.value.code == "charge_disputed"


def test_a_dispute_has_every_status_that_stripe_has_and_goes_no_other_way(twin, intents, new):
    known = {*NEXT_STATUSES, *(status for following in NEXT_STATUSES.values() for status in following)}
    literal, _ = fields_of(stripe.Dispute)["status"].__args__
    assert known == set(literal.__args__)
    intent = intents.create(new()).id
    intents.confirm(intent)
    dispute = twin.dispute(intent)
    with pytest.raises(ValueError, match="needs_response to appeal_under_review"):
        twin.move_dispute(dispute, "appeal_under_review")


# --- Events


@pytest.mark.parametrize("thin", [True, False])
def test_stripes_own_client_takes_the_events_and_their_signatures(twin, on_twin, intents, new, thin):
    """While one secret is replaced by another, each of them will do."""
    intents.confirm(intents.create(new()).id)
    twin.webhook_secrets.append("whsec_the_next")
    parse = on_twin.client.parse_event_notification if thin else on_twin.client.construct_event
    taken = []

    def take(headers, body):
        for secret in twin.webhook_secrets:
            event = parse(body, headers["stripe-signature"], secret, tolerance=None)
        taken.append(event)
        return 200

    twin.deliver(take, thin_events=thin)
    assert [event.type.removeprefix("v1.") for event in taken] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]
    if thin:
        assert [type(event).__name__ for event in taken][-1] == "V1PaymentIntentSucceededEventNotification"
        assert taken[-1].fetch_related_object().status == "succeeded"


def test_an_event_is_delivered_again_until_it_is_taken(twin, intents, new):
    intents.create(new())
    answers = iter([503, 500, 200])
    assert [twin.deliver(lambda *_: next(answers)) for _ in range(4)] == [0, 0, 1, 0]


# --- What is checked


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"payment_method_types": ["card"]}, "payment_method_types is unknown"),
        ({"amount": "six"}, "amount is 'six', no int"),
        ({"currency": None}, "currency is missing"),
        ({"automatic_payment_methods": {"allow_redirects": "never"}}, "automatic_payment_methods.enabled is missing"),
        ({"allowed_payment_method_types": "card"}, "allowed_payment_method_types is no list"),
    ],
)
def test_a_parameter_that_stripe_does_not_take_is_refused(clock, changes, wrong):
    with StripeTwin(clock) as twin:
        with pytest.raises(stripe.InvalidRequestError, match=wrong):
            OnTwin(twin).client.v1.payment_intents.create({"amount": 600, "currency": "usd"} | changes)
        assert twin.problems == [wrong]


def test_an_answer_of_the_twin_with_a_field_too_many_or_too_few_is_noticed(clock):
    with StripeTwin(clock) as twin:
        kept = twin.account.objects[OnTwin(twin).provider.prepare(OnTwin(twin).charge())]
    assert problems_of_answer(kept) == []
    assert problems_of_answer(kept | {"fee": 1}) == ["payment_intent.fee is unknown"]
    assert problems_of_answer(kept | {"amount": "600"}) == ["payment_intent.amount is '600', no int"]
    del kept["amount_received"]
    assert problems_of_answer(kept) == ["payment_intent.amount_received is missing"]


def test_it_answers_on_the_loopback_address_alone_and_as_one_version(twin):
    assert twin._server.server_address[0] == "127.0.0.1"
    other = stripe.StripeClient(twin.api_key, stripe_version="2026-09-30.endive", base_addresses={"api": twin.url})
    with pytest.raises(stripe.InvalidRequestError, match=API_VERSION):
        other.v1.payment_intents.retrieve("pi_1")


def test_what_it_does_not_answer_is_not_found(on_twin):
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized"):
        on_twin.client.v1.payouts.list()
    assert ("GET", "payouts") not in CALLS


def test_its_events_are_json(twin, intents, new):
    intents.create(new())
    headers, body = twin.signed(twin.account.events[0])
    assert json.loads(body)["type"] == "payment_intent.created"
    assert headers["content-type"] == "application/json"
