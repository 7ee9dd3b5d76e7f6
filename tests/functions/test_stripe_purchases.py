"""Purchases that Stripe's twin charges: what a buyer, Stripe's events and the schedule see, in production's stage.

After every test, what Stripe charged is what completed purchases cost, by purchase.
"""

import json

import pytest

from local.stripe_twin import Fault, StripeTwin
from shared.aws import secrets
from shared.aws.wiring import stripe_provider
from tests.functions.conftest import SETTINGS, START, client, fresh_tables
from tests.functions.events import NO_TOKEN, PAYMENT_SECRET, SERVICE, STAFF, http
from tests.stripe.engines import OnTwin

WEBHOOK = "payment_events"
NOTHING, WITH_IT = 50, 90


@pytest.fixture
def twin():
    with StripeTwin(lambda: START) as twin:
        yield twin
        assert twin.problems == []


@pytest.fixture(autouse=True)
def tables(aws, twin):  # noqa: ARG001
    def charged():
        found = {}
        for charge in twin.charges():
            about = twin.account.get("payment_intent", charge["payment_intent"])["metadata"]
            if about:
                assert about["purchase_id"] not in found, "it was charged twice"
                found[about["purchase_id"]] = charge["amount"]
        return found

    with fresh_tables(charged):
        yield


@pytest.fixture(autouse=True)
def in_production(api, twin, clock, restart):
    def store(secret):
        client("secretsmanager").put_secret_value(SecretId=SETTINGS["PAYMENT_SECRET_ARN"], SecretString=secret)

    twin.clock = lambda: clock.at
    secrets._named.cache_clear()
    stripe_provider.cache_clear()
    store(json.dumps({"api_key": twin.api_key, "webhook_secrets": twin.webhook_secrets}))
    restart(
        STAGE="production",
        PAYMENT_PROVIDER="stripe",
        RETURN_URL="https://shop.example/paid",
        STRIPE_API_BASE=twin.url,
        SANDBOX_TABLE_NAME=None,
    )
    api.open()
    yield
    stripe_provider.cache_clear()
    store(PAYMENT_SECRET)
    secrets._named.cache_clear()


@pytest.fixture
def card(api, twin):
    """Saves a test card of Stripe's as the account's payment method."""

    def save(name):
        customer, method = OnTwin(twin).saved_card(name)
        body = {"provider": "stripe", "customer": customer, "payment_method": method}
        assert api.call("put_billing_method", body=body).status == 200

    return save


@pytest.fixture
def send(api):
    """Delivers one event, and answers with the status."""

    def sends(headers, body):
        sent = http(WEBHOOK, claims=NO_TOKEN, headers=headers, raw=body)
        return api.send(WEBHOOK, sent).status

    return sends


@pytest.fixture
def deliver(twin, send):
    """Has every event that was not taken yet delivered, signed; answers how many were taken."""
    return lambda **more: twin.deliver(send, **more)


@pytest.fixture
def deliver_again(twin, send):
    """Has every event there was delivered once more, in both forms, the newest first."""

    def again():
        events = [*twin.thin_events(), *twin.account.events]
        assert {send(*twin.signed(event)) for event in reversed(events)} == {200}

    return again


@pytest.fixture
def a_schedule(clock, scheduled):
    """Some time later the schedule runs."""

    def run(**later):
        clock.go(**later)
        scheduled("purchase_reconcile")

    return run


@pytest.fixture(params=["by the schedule", "by an event", "by the buyer"])
def continued(request, api, deliver, a_schedule):
    """What happens first after an answer was lost; in the end the schedule runs."""

    def go_on():
        if request.param == "by an event":
            deliver()
        if request.param == "by the buyer":
            assert (api.buy().status, api.buy().replayed) == (202, True)
        a_schedule(minutes=5)

    return go_on


def charges_of(twin):
    return [charge["amount"] for charge in twin.charges()]


def test_a_saved_card_is_charged_once_however_often_the_purchase_and_its_events_are_sent(
    api, twin, card, deliver_again
):
    card("visa")
    bought = api.buy()
    assert (bought.status, api.balance()) == (201, WITH_IT)
    assert bought.body["receipt_url"]
    assert api.buy().body == bought.body
    deliver_again()
    assert (charges_of(twin), api.balance()) == ([600], WITH_IT)


def test_a_card_that_stripe_no_longer_knows_is_a_decline_at_once(api, twin):
    body = {"provider": "stripe", "customer": "cus_gone", "payment_method": "pm_gone"}
    assert api.call("put_billing_method", body=body).status == 200
    assert api.buy().refused == (402, "payment_declined")
    [row] = api.call("purchases", path={"account_id": "ann"}, query={}).body["purchases"]
    assert (row["status"], charges_of(twin)) == ("declined", [])


def test_without_a_saved_card_nothing_is_begun(api, twin):
    assert api.buy().refused == (409, "billing_method_missing")
    assert api.call("purchases", path={"account_id": "ann"}, query={}).body["purchases"] == []
    assert twin.asked == {}


def test_a_source_that_is_connected_to_nothing_is_refused_and_no_card_is_charged(api, twin, card):
    card("visa")
    refused = api.buy(body={"quantity": 40, "payment": {"source": "earnings_balance"}})
    assert refused.refused == (400, "invalid_request")
    assert refused.body["errors"][0]["loc"] == "body.payment.source"
    assert charges_of(twin) == []


def test_a_declined_card_is_charged_nothing_and_another_one_may_be_tried_under_the_same_key(api, twin, card, deliver):
    card("chargeCustomerFail")
    declined = api.buy()
    assert declined.refused == (402, "payment_declined")
    assert deliver() > 0
    card("visa")
    assert (api.buy().status, charges_of(twin), api.balance()) == (201, [600], WITH_IT)


@pytest.mark.parametrize("thin_events", [True, False])
def test_a_buyer_who_answers_the_bank_gets_the_connects_by_the_event_alone(api, twin, card, deliver, thin_events):
    card("authenticationRequired")
    asked = api.buy()
    assert (asked.status, asked.body["status"]) == (202, "pending")
    assert asked.body["action"]["url"].startswith(twin.url)
    [ref] = [intent["id"] for intent in twin.account.of("payment_intent")]
    twin.authenticate(ref, success=True)
    assert deliver(thin_events=thin_events) > 0
    read = api.call("read_purchase", path={"account_id": "ann", "purchase_id": asked.body["purchase_id"]}).body
    assert (read["status"], "action" in read, api.balance()) == ("completed", False, WITH_IT)
    again = api.buy()
    assert (again.status, again.replayed) == (202, True)


def test_a_buyer_whom_the_bank_refuses_is_declined_within_a_minute(api, twin, card, a_schedule):
    card("authenticationRequired")
    asked = api.buy()
    [ref] = [intent["id"] for intent in twin.account.of("payment_intent")]
    twin.authenticate(ref, success=False)
    a_schedule(minutes=1)
    read = api.call("read_purchase", path={"account_id": "ann", "purchase_id": asked.body["purchase_id"]}).body
    assert (read["status"], charges_of(twin)) == ("declined", [])
    assert twin.account.get("payment_intent", ref)["status"] == "canceled"


def test_a_bank_that_asks_where_a_service_buys_is_a_decline(api, twin, card):
    card("authenticationRequired")
    assert api.buy(claims=SERVICE).refused == (402, "payment_declined")
    assert charges_of(twin) == []


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.FAILED_AFTER, Fault.GARBLED])
def test_a_charge_whose_answer_is_lost_ends_as_stripe_says(api, twin, card, continued, fault):
    card("visa")
    twin.fail("confirm", fault)
    answered = api.buy()
    assert (answered.status, api.balance()) == (202, NOTHING)
    continued()
    paid = fault is not Fault.LOST_BEFORE
    assert (charges_of(twin), api.balance()) == (([600], WITH_IT) if paid else ([], NOTHING))


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.TOO_MANY, Fault.FAILED_BEFORE])
def test_where_stripe_does_not_name_a_payment_nothing_is_charged_and_it_may_be_sent_again(
    api, twin, card, a_schedule, fault
):
    card("visa")
    twin.fail("create", fault)
    answered = api.buy()
    assert answered.refused == (503, "busy")
    assert "Nothing was charged" in answered.body["detail"]
    a_schedule(minutes=1)  # Stripe answers a failure again under its key, and a next attempt has another
    assert (api.buy().status, charges_of(twin), api.balance()) == (201, [600], WITH_IT)


def test_a_charge_of_another_amount_is_under_review_and_credits_nothing(api, twin, card):
    card("visa")
    twin.fail("confirm", Fault.WRONG_AMOUNT)
    assert (api.buy().status, api.balance()) == (202, NOTHING)
    [row] = api.call("purchases", path={"account_id": "ann"}, query={"status": "under_review"}).body["purchases"]
    assert row["status"] == "under_review"
    twin.account.of("charge")[0]["status"] = "failed"  # it is no charge of a completed purchase


def test_an_event_with_a_large_object_in_it_is_taken(api, twin, card):
    card("visa")
    api.buy()
    [event] = [each for each in twin.account.events if each["type"] == "payment_intent.succeeded"]
    headers, body = twin.signed(event | {"more": "x" * 100_000})
    sent = http(WEBHOOK, claims=NO_TOKEN, headers=headers, raw=body)
    assert api.send(WEBHOOK, sent).status == 200


def test_an_event_that_stripe_did_not_sign_is_refused(api, twin, card):
    card("visa")
    api.buy()
    headers, body = twin.signed(twin.thin_events()[0])
    for wrong in ({"stripe-signature": headers["stripe-signature"][:-1] + "0"}, {"stripe-signature": None}):
        sent = http(WEBHOOK, claims=NO_TOKEN, headers=headers | wrong, raw=body)
        assert api.send(WEBHOOK, sent).refused == (401, "signature_invalid")


def test_an_event_of_a_payment_that_is_not_ours_is_taken_and_changes_nothing(api, twin, deliver):
    on_twin = OnTwin(twin)
    customer, method = on_twin.saved_card("visa")
    intents = on_twin.client.v1.payment_intents
    intent = intents.create({"amount": 100, "currency": "usd", "customer": customer, "payment_method": method})
    intents.confirm(intent.id)
    on_twin.client.v1.refunds.create({"payment_intent": intent.id})
    assert deliver() > 0
    assert (api.balance(), api.call("purchases", path={"account_id": "ann"}, query={}).body["purchases"]) == (
        NOTHING,
        [],
    )


# --- What goes back


@pytest.fixture
def ref(api, twin, card):
    """A purchase of 40 Connects for 600 cents that is completed."""
    card("visa")
    assert api.buy().status == 201
    return twin.account.of("payment_intent")[0]["id"]


def account_of(api):
    read = api.read()
    return read["balance"], read.get("owed")


@pytest.mark.parametrize("thin_events", [True, False])
def test_a_refund_takes_back_what_it_is_worth_and_a_second_one_the_rest(api, twin, ref, deliver, thin_events):
    refunds = OnTwin(twin).client.v1.refunds
    for cents, left in ((150, 80), (450, 50)):
        refunds.create({"payment_intent": ref, "amount": cents})
        assert deliver(thin_events=thin_events) > 0
        assert account_of(api) == (left, 0)
    [row] = api.call("purchases", path={"account_id": "ann"}, query={}).body["purchases"]
    assert row["status"] == "refunded_to_card"


@pytest.mark.parametrize("used", [0, 70, 90])
def test_a_dispute_takes_what_is_there_and_a_won_one_gives_it_back_to_the_very_lots(
    api, twin, ref, deliver_again, used
):
    if used:
        assert api.spend(used).status == 201
    before = api.read()
    dispute = twin.dispute(ref)
    deliver_again()
    left = WITH_IT - used
    assert account_of(api) == (max(0, left - 40), max(0, 40 - left))
    twin.move_dispute(dispute, "under_review", "won")
    deliver_again()
    after = api.read()
    assert {name: after[name] for name in ("balance", "expiring")} == {
        name: before[name] for name in ("balance", "expiring")
    }
    assert after["owed"] == 0


def test_a_lost_dispute_stays_owed_until_something_comes_and_each_change_says_why(api, twin, ref, deliver):
    api.spend(90)
    twin.move_dispute(twin.dispute(ref), "lost")
    deliver()
    assert account_of(api) == (0, 40)
    assert api.reward("rising_talent").status == 201
    balance, owed = account_of(api)
    assert (balance, owed) == (0, 10)
    rows = [row for row in api.entries() if row["type"] == "chargeback"]
    assert [row["amount"] for row in rows] == [-30, 0]
    assert all(row["reason"] and row["reference"]["purchase_id"] for row in rows)


def test_the_schedule_asks_once_more_after_each_level_and_then_no_more(twin, ref, deliver, a_schedule):
    twin.dispute(ref)
    deliver()
    asked = twin.asked.total()
    a_schedule(minutes=1)
    assert twin.asked.total() > asked
    asked = twin.asked.total()
    a_schedule(minutes=10)
    assert twin.asked.total() == asked


def test_staff_find_by_a_check_what_no_event_said(api, twin, ref):
    twin.dispute(ref)
    purchase_id = twin.account.get("payment_intent", ref)["metadata"]["purchase_id"]
    path = {"account_id": "ann", "purchase_id": purchase_id}
    checked = api.call("check_purchase", claims=STAFF, path=path).body
    assert (checked["done"], checked["agrees"], checked["provider"]["returned_cents"]) == ("leveled", True, 600)
    assert account_of(api) == (NOTHING, 0)
    again = api.call("check_purchase", claims=STAFF, path=path).body
    assert (again["done"], again["agrees"]) == ("nothing", True)
