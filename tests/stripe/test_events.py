"""What the adapter makes of Stripe's events: which purchase they are about, and nothing of what they say of it."""

import json
import random
import re
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest
import urllib3
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from local.stripe_twin import Fault
from shared.config import ConfigurationError
from shared.payments import Heard, NoAnswerError, PaymentState
from shared.stripe.provider import EVENT_TYPES, EVENTS_A_PAGE
from tests.stripe.engines import APP, OnLocalstripe

SNAPSHOT, THIN = False, True
SECRET = "whsec_of_localstripe"
AS_A_SERVICE = {"Authorization": "Bearer sk_test_of_localstripe"}


@pytest.fixture
def charge(on_twin):
    return on_twin.charge()


@pytest.fixture
def ref(on_twin, charge):
    return on_twin.provider.prepare(charge)


@pytest.fixture
def about(charge, ref):
    return Heard("ann", charge.purchase_id, ref)


@pytest.fixture
def everything_happened(on_twin, charge, ref):
    """To one payment; of each type of event at least one, but for those of other payments."""
    twin = on_twin.twin
    on_twin.provider.confirm(ref, charge, present=True)
    on_twin.client.v1.refunds.create({"payment_intent": ref, "amount": 100})
    dispute = twin.dispute(ref)
    twin.move_dispute(dispute, "under_review", "won")


def events(twin, *, thin):
    return twin.thin_events() if thin else list(twin.account.events)


def of_interest(event):
    return event["type"].removeprefix("v1.") in EVENT_TYPES


@pytest.mark.parametrize("thin", [SNAPSHOT, THIN])
@pytest.mark.usefixtures("everything_happened")
def test_each_event_of_a_payment_is_about_its_purchase(on_twin, about, thin):
    found = [event for event in events(on_twin.twin, thin=thin) if of_interest(event)]
    assert {event["type"].removeprefix("v1.") for event in found} == {
        "payment_intent.succeeded",
        "charge.refunded",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    }
    assert {on_twin.provider.hear(event) for event in found} == {about}


@pytest.mark.parametrize("thin", [SNAPSHOT, THIN])
def test_each_event_of_a_payment_that_fails_waits_or_comes_back_is_about_its_purchase(on_twin, thin):
    heard = set()
    for card in ("chargeCustomerFail", "authenticationRequired", "pendingRefund"):
        charge = on_twin.charge(card)
        ref = on_twin.provider.prepare(charge)
        if on_twin.provider.confirm(ref, charge, present=True).state is PaymentState.DECLINED:
            on_twin.provider.give_up(ref, charge)
        heard.add(Heard("ann", charge.purchase_id, ref))
    on_twin.twin.settle_refund(on_twin.client.v1.refunds.create({"payment_intent": ref}).id, success=False)
    slow = on_twin.charge()
    waits = on_twin.provider.prepare(slow)
    on_twin.twin.process(waits)
    heard.add(Heard("ann", slow.purchase_id, waits))
    found = [event for event in events(on_twin.twin, thin=thin) if of_interest(event)]
    assert {event["type"].removeprefix("v1.") for event in found} == {
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payment_intent.processing",
        "charge.refunded",
        "refund.failed",
        "refund.updated",
    }
    assert {on_twin.provider.hear(event) for event in found} == heard


@pytest.mark.parametrize("thin", [SNAPSHOT, THIN])
@pytest.mark.usefixtures("everything_happened")
def test_an_event_costs_one_request_at_most_and_a_snapshot_of_the_payment_none(on_twin, thin):
    for event in filter(of_interest, events(on_twin.twin, thin=thin)):
        on_twin.twin.asked.clear()
        on_twin.provider.hear(event)
        snapshot = not thin and event["type"].startswith("payment_intent.")
        assert on_twin.twin.asked.total() == (0 if snapshot else 1), event["type"]


@pytest.mark.parametrize("thin", [SNAPSHOT, THIN])
@pytest.mark.usefixtures("everything_happened")
def test_an_event_in_the_envelope_of_eventbridge_is_the_same(on_twin, about, thin):
    for event in filter(of_interest, events(on_twin.twin, thin=thin)):
        envelope = {
            "version": "0",
            "source": "aws.partner/stripe.com/ed_1",
            "detail-type": event["type"],
            "detail": event,
        }
        assert on_twin.provider.hear(envelope) == about


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": None},
        {"type": "payout.paid", "data": {"object": {"object": "payout", "id": "po_1"}}},
        {"type": "v1.customer.created", "related_object": {"type": "customer", "id": "cus_1"}},
        {"type": "payment_intent.created", "data": {"object": {"object": "payment_intent", "id": "pi_1"}}},
        {"type": "charge.refunded", "data": {"object": {"object": "charge", "id": "ch_1", "payment_intent": None}}},
        {"type": "v1.refund.updated", "related_object": {"type": "something_new", "id": "x_1"}},
        {
            "type": "payment_intent.succeeded",
            "data": {"object": {"object": "payment_intent", "id": "pi_1", "metadata": {}}},
        },
    ],
)
def test_an_event_of_something_else_is_not_ours_and_nobody_is_asked(on_twin, event):
    assert on_twin.provider.hear(event) is None
    assert not on_twin.twin.asked


def test_an_event_of_another_application_of_the_account_is_not_ours(on_twin):
    other = on_twin.client.v1.payment_intents.create({"amount": 500, "currency": "usd", "metadata": {"order": "7"}})
    on_twin.client.v1.payment_intents.cancel(other.id)
    for thin in (SNAPSHOT, THIN):
        assert [on_twin.provider.hear(event) for event in events(on_twin.twin, thin=thin)] == [None, None]
    assert on_twin.provider.heard_since(None)[0] == []


def test_an_event_of_which_stripe_does_not_answer_is_no_answer(on_twin, ref):
    on_twin.provider.give_up(ref, on_twin.charge())
    (event,) = [event for event in on_twin.twin.thin_events() if of_interest(event)]
    on_twin.twin.fail("retrieve", Fault.FAILED_BEFORE)
    with pytest.raises(NoAnswerError):
        on_twin.provider.hear(event)


def test_an_event_of_another_stripe_account_is_a_wrong_setting(on_twin):
    event = {"type": "v1.payment_intent.succeeded", "related_object": {"type": "payment_intent", "id": "pi_else"}}
    with pytest.raises(ConfigurationError, match="resource_missing"):
        on_twin.provider.hear(event)


def test_an_event_of_localstripe_is_signed_as_ours_are_and_about_its_purchase(localstripe_url):
    """It was written by others, and its events are of a version of 2017."""
    from shared.http.signatures import is_by_stripe  # noqa: PLC0415 - once Powertools' settings are there

    engine, received = OnLocalstripe(localstripe_url), Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.put({"headers": {"stripe-signature": self.headers["Stripe-Signature"]}, "body": body})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        hook = {
            "url": f"http://127.0.0.1:{server.server_port}/",
            "secret": SECRET,
            "events": ["payment_intent.succeeded"],
        }
        answer = urllib3.request("POST", f"{localstripe_url}/_config/webhooks/ours", json=hook, headers=AS_A_SERVICE)
        assert answer.status == 200
        charge = engine.charge()
        ref = engine.provider.prepare(charge)
        engine.provider.confirm(ref, charge, present=True)
        told = received.get(timeout=10)
        server.shutdown()
    event = json.loads(told["body"])
    sent, at = APIGatewayProxyEventV2(told | {"isBase64Encoded": False}), datetime.fromtimestamp(event["created"], UTC)
    assert is_by_stripe(sent, SECRET, at)
    assert not is_by_stripe(sent, f"{SECRET}x", at)
    assert engine.provider.hear(event) == Heard("ann", charge.purchase_id, ref)


# --- Stripe's own list


def walk(provider, cursor=None):
    """All that the list has after a cursor, and the cursor behind it."""
    found = []
    while True:
        page, after = provider.heard_since(cursor)
        found += page
        if after == cursor:
            return found, cursor
        cursor = after


def pay(on_twin, many):
    heard = []
    customer, method = on_twin.saved_card("visa")
    for _ in range(many):
        charge = on_twin.charge_of(customer, method)
        ref = on_twin.provider.prepare(charge)
        on_twin.provider.confirm(ref, charge, present=False)
        heard.append(Heard("ann", charge.purchase_id, ref))
    return heard


def test_the_list_names_each_payment_from_the_oldest_on(on_twin):
    paid = pay(on_twin, 5)
    found, cursor = walk(on_twin.provider)
    assert found == paid
    assert walk(on_twin.provider, cursor) == ([], cursor)
    more = pay(on_twin, 3)
    assert walk(on_twin.provider, cursor)[0] == more


def test_an_empty_list_names_nothing(on_twin):
    assert on_twin.provider.heard_since(None) == ([], None)


def test_a_list_of_several_pages_is_walked_without_a_gap(on_twin, monkeypatch):
    monkeypatch.setattr("shared.stripe.provider.EVENTS_A_PAGE", 7)
    paid = pay(on_twin, 30)
    found, cursor = walk(on_twin.provider)
    assert found == paid
    assert walk(on_twin.provider, cursor) == ([], cursor)
    assert EVENTS_A_PAGE == 100


@pytest.mark.usefixtures("everything_happened")
def test_a_payment_to_which_much_happened_is_named_once_a_page(on_twin, about):
    assert on_twin.provider.heard_since(None)[0] == [about]


def test_a_cursor_that_stripe_has_forgotten_begins_with_the_oldest(on_twin, clock):
    pay(on_twin, 2)
    _, cursor = walk(on_twin.provider)
    clock.go(days=31)
    assert on_twin.provider.heard_since(cursor) == ([], cursor)
    later = pay(on_twin, 2)
    assert walk(on_twin.provider, cursor)[0] == later


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.TOO_MANY, Fault.FAILED_BEFORE])
def test_a_list_that_is_not_answered_is_asked_for_again_from_the_same_place(on_twin, fault):
    paid = pay(on_twin, 2)
    on_twin.twin.fail("events", fault)
    with pytest.raises(NoAnswerError):
        on_twin.provider.heard_since(None)
    assert walk(on_twin.provider)[0] == paid


def test_events_that_never_arrived_are_in_the_list_whatever_order_the_others_had(on_twin):
    """Half of the deliveries are lost: what was delivered and what is listed are together everything."""
    paid = pay(on_twin, 10)
    lost = random.Random(1)  # noqa: S311
    delivered = []

    def send(_, body):
        if lost.random() < 0.5:
            return 503
        delivered.append(on_twin.provider.hear(json.loads(body)))
        return 200

    assert on_twin.twin.deliver(send) < 30
    assert set(delivered) - {None} < set(paid)
    assert walk(on_twin.provider)[0] == paid


def test_the_types_are_those_that_the_page_for_operators_lists():
    page = (Path(__file__).parents[2] / "functions" / "README.md").read_text()
    listed = page[page.index("An event destination for") : page.index("They are signed by")]
    assert re.findall(r"`((?:payment_intent|charge|refund)\.[a-z_.]+)`", listed) == list(EVENT_TYPES)


def test_the_types_are_few_enough_for_one_request(on_twin):
    """Stripe takes 20 in a list."""
    assert len(EVENT_TYPES) <= 20
    assert on_twin.provider_for(APP).heard_since(None) == ([], None)
