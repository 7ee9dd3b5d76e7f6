"""What the adapter promises, on every counterpart: whatever Stripe is, it is this.

Run with Stripe's own test mode as well: ``STRIPE_TEST_KEY=sk_test_... pytest tests/stripe/test_conformance.py``.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from shared.ledger.errors import PaymentDeclinedError
from shared.payments import NoAnswerError, PaymentState
from tests.stripe.engines import APP

CHARGED, DECLINED, IN_PROGRESS, NEEDS_BUYER, WRONG = PaymentState


def state_of(engine, ref):
    return engine.client.v1.payment_intents.retrieve(ref).status


# --- On all of them


def test_what_is_prepared_moves_nothing(engine):
    charge = engine.charge()
    ref = engine.provider.prepare(charge)
    payment = engine.provider.look(ref, charge)
    assert (payment.state, payment.taken_cents, payment.provider_charge) == (DECLINED, 0, None)
    assert state_of(engine, ref) == "requires_confirmation"


@pytest.mark.parametrize("present", [True, False])
def test_a_good_card_is_charged_when_it_is_confirmed(engine, present):
    charge = engine.charge()
    ref = engine.provider.prepare(charge)
    payment = engine.provider.confirm(ref, charge, present=present)
    assert (payment.state, payment.taken_cents, payment.returned_cents) == (CHARGED, 600, 0)
    assert payment.provider_charge
    assert engine.provider.look(ref, charge) == payment


def test_a_payment_that_is_confirmed_again_is_charged_once(engine):
    charge = engine.charge()
    ref = engine.provider.prepare(charge)
    payments = {engine.provider.confirm(ref, charge, present=True) for _ in range(3)}
    assert len(payments) == 1
    assert [paid.amount for paid in engine.client.v1.charges.list({"customer": charge.customer}).data] == [600]


@pytest.mark.parametrize("present", [True, False])
def test_a_declined_card_declines_and_its_payment_is_given_up(engine, present):
    charge = engine.charge("chargeCustomerFail")
    ref = engine.provider.prepare(charge)
    payment = engine.provider.confirm(ref, charge, present=present)
    assert (payment.state, payment.taken_cents) == (DECLINED, 0)
    assert payment.reason == "Your card was declined"
    assert state_of(engine, ref) == "requires_payment_method"
    assert engine.provider.confirm(ref, charge, present=present).state is DECLINED
    assert engine.provider.give_up(ref, charge).state is DECLINED
    assert state_of(engine, ref) == "canceled"
    assert engine.provider.look(ref, charge).state is DECLINED


def test_what_is_given_up_is_declined_and_can_never_be_charged(engine):
    charge = engine.charge()
    ref = engine.provider.prepare(charge)
    assert engine.provider.give_up(ref, charge).state is DECLINED
    assert engine.provider.confirm(ref, charge, present=True).state is DECLINED
    assert engine.provider.give_up(ref, charge).state is DECLINED
    assert state_of(engine, ref) == "canceled"


def test_what_was_charged_cannot_be_given_up(engine):
    charge = engine.charge()
    ref = engine.provider.prepare(charge)
    paid = engine.provider.confirm(ref, charge, present=True)
    assert engine.provider.give_up(ref, charge) == paid


@pytest.mark.parametrize(
    "other", [{"amount_cents": 601}, {"currency": "EUR"}, {"account_id": "bob"}, {"purchase_id": "another"}]
)
def test_a_payment_of_another_amount_currency_or_purchase_is_wrong(engine, other):
    charge = engine.charge()
    ref = engine.provider.prepare(charge)
    paid = engine.provider.confirm(ref, charge, present=True)
    payment = engine.provider.look(ref, replace(charge, **other))
    assert (payment.state, payment.taken_cents, payment.provider_charge) == (WRONG, 600, paid.provider_charge)


def test_a_refund_is_what_went_back(engine):
    charge = engine.charge()
    ref = engine.provider.prepare(charge)
    paid = engine.provider.confirm(ref, charge, present=True)
    for cents, back in ((100, 100), (200, 300), (300, 600)):
        refund = {"charge": paid.provider_charge} if engine.transport else {"payment_intent": ref}
        engine.client.v1.refunds.create({**refund, "amount": cents})
        payment = engine.provider.look(ref, charge)
        assert (payment.state, payment.taken_cents, payment.returned_cents) == (CHARGED, 600, back)


# --- Where a test can answer the bank


def test_a_bank_that_asks_is_answered_and_the_payment_completes_by_itself(with_buyer):
    charge = with_buyer.charge("authenticationRequired")
    ref = with_buyer.provider.prepare(charge)
    payment = with_buyer.provider.confirm(ref, charge, present=True)
    assert (payment.state, payment.taken_cents) == (NEEDS_BUYER, 0)
    assert payment.action.client_secret.startswith(f"{ref}_secret_")
    assert with_buyer.provider.look(ref, charge) == payment
    with_buyer.authenticate(ref, success=True)
    assert with_buyer.provider.look(ref, charge).state is CHARGED
    assert with_buyer.provider.confirm(ref, charge, present=True).state is CHARGED


def test_a_buyer_whom_the_bank_does_not_accept_is_declined_once_it_is_given_up(with_buyer):
    charge = with_buyer.charge("authenticationRequired")
    ref = with_buyer.provider.prepare(charge)
    with_buyer.provider.confirm(ref, charge, present=True)
    with_buyer.authenticate(ref, success=False)
    payment = with_buyer.provider.look(ref, charge)
    assert (payment.state, payment.code) == (DECLINED, "payment_intent_authentication_failure")
    assert payment.reason == "The provided PaymentMethod has failed authentication"
    assert with_buyer.provider.give_up(ref, charge).state is DECLINED
    assert state_of(with_buyer, ref) == "canceled"


# --- Where Stripe is as it is documented


def test_a_bank_that_asks_a_present_buyer_has_a_page_for_it(as_documented):
    charge = as_documented.charge("authenticationRequired")
    ref = as_documented.provider.prepare(charge)
    action = as_documented.provider.confirm(ref, charge, present=True).action
    assert action.url.startswith(("http://127.0.0.1:", "https://"))
    assert as_documented.provider.give_up(ref, charge).state is DECLINED


def test_a_bank_that_asks_declines_where_nobody_is_present(as_documented):
    charge = as_documented.charge("authenticationRequired")
    ref = as_documented.provider.prepare(charge)
    payment = as_documented.provider.confirm(ref, charge, present=False)
    assert (payment.state, payment.code) == (DECLINED, "authentication_required")


def test_what_is_prepared_again_is_the_same_payment(as_documented):
    charge = as_documented.charge()
    assert len({as_documented.provider.prepare(charge) for _ in range(3)}) == 1


def test_what_is_prepared_again_with_another_card_is_another_payment(as_documented):
    charge = as_documented.charge()
    first = as_documented.provider.prepare(charge)
    customer, method = as_documented.saved_card("visa")
    changed = replace(charge, customer=customer, payment_method=method)
    ref = as_documented.provider.prepare(changed)
    assert ref != first
    assert as_documented.provider.confirm(ref, changed, present=True).state is CHARGED


def test_a_card_that_there_is_not_is_a_decline_before_anything_is_named(as_documented):
    charge = replace(as_documented.charge(), payment_method="pm_that_there_is_not")
    with pytest.raises(PaymentDeclinedError, match="No such"):
        as_documented.provider.prepare(charge)


def test_a_card_that_is_taken_away_before_it_is_confirmed_is_a_decline(on_twin):
    """On the twin alone: how Stripe refuses a card that was detached meanwhile is not documented."""
    charge = on_twin.charge()
    ref = on_twin.provider.prepare(charge)
    on_twin.client.v1.payment_methods.detach(charge.payment_method)
    payment = on_twin.provider.confirm(ref, charge, present=True)
    assert (payment.state, payment.code) == (DECLINED, "resource_missing")
    assert on_twin.provider.give_up(ref, charge).state is DECLINED


def test_an_amount_below_stripes_least_is_a_decline(as_documented):
    with pytest.raises(PaymentDeclinedError, match=r"(?i)amount must"):
        as_documented.provider.prepare(as_documented.charge(amount_cents=10))


def test_a_repeat_by_another_kind_of_caller_is_answered_what_became_of_it(as_documented):
    charge = as_documented.charge()
    ref = as_documented.provider.prepare(charge)
    paid = as_documented.provider.confirm(ref, charge, present=True)
    assert as_documented.provider.confirm(ref, charge, present=False) == paid


def test_many_who_confirm_at_once_charge_once(as_documented):
    charge = as_documented.charge()
    ref = as_documented.provider.prepare(charge)

    def confirm(_):
        with suppress(NoAnswerError):
            return as_documented.provider.confirm(ref, charge, present=True).state

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(confirm, range(8))) <= {CHARGED, IN_PROGRESS, None}
    payment = as_documented.provider.look(ref, charge)
    assert (payment.state, payment.taken_cents) == (CHARGED, 600)


def test_a_dispute_takes_the_money_back_at_once(as_documented):
    charge = as_documented.charge("createDispute")
    ref = as_documented.provider.prepare(charge)
    as_documented.provider.confirm(ref, charge, present=True)
    payment = until(lambda: as_documented.provider.look(ref, charge), lambda payment: payment.dispute)
    assert (payment.state, payment.taken_cents, payment.returned_cents) == (CHARGED, 600, 600)
    assert payment.dispute == "needs_response"


def test_an_inquiry_takes_nothing_back(as_documented):
    charge = as_documented.charge("createDisputeInquiry")
    ref = as_documented.provider.prepare(charge)
    as_documented.provider.confirm(ref, charge, present=True)
    payment = until(lambda: as_documented.provider.look(ref, charge), lambda payment: payment.dispute)
    assert (payment.returned_cents, payment.dispute) == (0, "warning_needs_response")


def test_what_happened_is_in_the_list_of_events(as_documented):
    charge = as_documented.charge()
    ref = as_documented.provider.prepare(charge)
    as_documented.provider.confirm(ref, charge, present=True)
    cursor, found = None, []
    while not any(heard.ref == ref for heard in found):
        found, after = as_documented.provider.heard_since(cursor)
        assert after != cursor or not found
        cursor = after
    mine = next(heard for heard in found if heard.ref == ref)
    assert (mine.account_id, mine.purchase_id) == ("ann", charge.purchase_id)


def test_another_ledger_of_the_same_stripe_account_does_not_hear_of_it(as_documented):
    charge = as_documented.charge()
    ref = as_documented.provider.prepare(charge)
    event = {"type": "v1.payment_intent.succeeded", "related_object": {"type": "payment_intent", "id": ref}}
    assert as_documented.provider.hear(event).ref == ref
    assert as_documented.provider_for(f"{APP}/another").hear(event) is None


def until(ask, enough, tries=20):
    """Stripe opens a test card's dispute a moment after the charge."""
    for _ in range(tries):
        found = ask()
        if enough(found):
            break
        time.sleep(0.5)
    return found
