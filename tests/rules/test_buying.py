"""Buying: $0.15 each, from one source, charged at most once, and a charge always ends in its Connects."""

import json

import pytest

from tests.document import document, resolved
from tests.functions.conftest import charges

BUNDLES = [10, 20, 40, 60, 80, 100, 150, 200, 250, 300]
PENDING = ["timeout", "late"]
"""The provider charges and its answer is lost, or it charges only later."""


def test_connects_are_15_cents_each_in_every_bundle(agency):
    acme = agency()
    for quantity in BUNDLES:
        bought = acme.buys(quantity).body
        assert (bought["quantity"], bought["amount_cents"], bought["currency"]) == (quantity, quantity * 15, "USD")
    assert acme.balance == sum(BUNDLES)


def test_any_whole_number_from_10_up_can_be_bought(agency):
    acme = agency()
    assert [acme.buys(quantity).body["amount_cents"] for quantity in (10, 11, 37, 1001)] == [150, 165, 555, 15_015]
    assert acme.balance == 10 + 11 + 37 + 1001


def test_fewer_than_10_or_fractions_cannot_be_bought(freelancer):
    ann = freelancer()
    for quantity in (9, 1, 0, -10, 10.5, "10"):
        assert ann.buys(quantity).refused == (400, "invalid_request")
    assert (ann.balance, charges()) == (50, {})


@pytest.mark.parametrize("source", ["earnings_balance", "billing_method"])
def test_a_purchase_is_paid_from_the_earnings_balance_or_the_billing_method(freelancer, source):
    bought = freelancer().buys(10, source)
    assert (bought.status, charges()) == (201, {bought.body["purchase_id"]: 150})


def test_never_from_both_in_one_purchase_nor_from_none(freelancer):
    ann = freelancer()
    for payment in (
        {"source": ["earnings_balance", "billing_method"]},
        {"source": "earnings_balance,billing_method"},
        {"source": "earnings_balance", "second_source": "billing_method"},
        [{"source": "earnings_balance"}, {"source": "billing_method"}],
        {},
    ):
        assert ann.buys(10, payment).refused == (400, "invalid_request")
    assert (ann.balance, charges()) == (50, {})


def test_the_source_of_a_purchase_cannot_be_changed(freelancer):
    ann = freelancer()
    ann.buys(10, "earnings_balance", key="k")
    assert ann.buys(10, "billing_method", key="k").refused == (422, "idempotency_key_reused")


def test_there_is_no_call_by_which_connects_become_money():
    """Amounts of money are only in purchases and in the budget of a job."""
    calls = [call for path in document()["paths"].values() for call in path.values()]
    speak_of_money = {call["operationId"] for call in calls if "_cents" in json.dumps(in_full(call))}
    assert speak_of_money == {"purchase", "purchases", "read_purchase", "check_purchase", "put_job"}


def in_full(node):
    """With everything that it refers to in the document."""
    if isinstance(node, dict):
        return {name: in_full(inner) for name, inner in resolved(node).items()}
    return [in_full(inner) for inner in node] if isinstance(node, list) else node


def test_a_purchase_is_never_refunded_and_what_staff_take_brings_no_money_back(api, freelancer):
    ann = freelancer()
    bought = ann.buys(40).body
    assert api.refund(bought["entry"]["id"]).refused == (404, "spend_not_found")
    ann.given(-90)
    assert (ann.balance, charges()) == (0, {bought["purchase_id"]: 600})


def test_a_purchase_is_charged_once_however_often_it_is_sent(freelancer):
    ann = freelancer()
    sent = {ann.buys(40, key="k").body["purchase_id"] for _ in range(3)}
    assert charges() == dict.fromkeys(sent, 600)
    assert (len(sent), ann.rows("purchase")) == (1, [("2026-11-22", 40)])


@pytest.mark.parametrize("provider", PENDING)
def test_a_charge_ends_in_its_connects_within_minutes_without_anyone_asking(freelancer, clock, scheduled, provider):
    ann = freelancer()
    assert ann.buys(40, sandbox=provider).body["status"] == "pending"
    assert ann.balance == 50
    clock.go(minutes=2)
    scheduled("purchase_reconcile")
    assert (ann.balance, list(charges().values())) == (90, [600])


@pytest.mark.parametrize("provider", PENDING)
def test_a_buyer_who_was_charged_and_tries_again_is_not_charged_again(freelancer, clock, scheduled, provider):
    """Users reported that they were."""
    ann = freelancer()
    ann.buys(40, key="k", sandbox=provider)
    ann.buys(40, key="k")
    clock.go(minutes=2)
    scheduled("purchase_reconcile")
    ann.buys(40, key="k")
    assert (ann.balance, list(charges().values())) == (90, [600])


def test_a_purchase_that_was_declined_charges_nothing_and_brings_nothing(freelancer):
    ann = freelancer()
    assert ann.buys(40, sandbox="decline").refused == (402, "payment_declined")
    assert (ann.balance, charges()) == (50, {})


def test_balance_and_history_show_a_purchase_in_the_next_read(freelancer):
    ann = freelancer()
    entry = ann.buys(40).body["entry"]
    assert (ann.balance, ann.entries()[-1]) == (90, entry)
