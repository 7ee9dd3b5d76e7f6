"""Purchases: the minimum, the price, what follows from the provider's answer, and what a charge brings."""

from datetime import timedelta

import pytest

from shared.ledger.errors import InvalidRequestError
from shared.ledger.model import EntryType, Request
from shared.ledger.policy import Policy
from shared.ledger.promos import Campaign
from shared.ledger.purchases import (
    Order,
    PaymentSource,
    PurchaseState,
    check_quantity,
    credit_for,
    new_attempt,
    purchase_id_of,
)
from tests.core.builders import noon

NOW = noon("2026-01-15")
POLICY = Policy(unit_price_cents=15, minimum_purchase=10, currency="USD")
REQUEST = Request("purchase", "buy", "f", "ann")


def bought(quantity=20, declined=None, promo_code=None):
    order = Order(quantity, PaymentSource.BILLING_METHOD, promo_code)
    return new_attempt("ann", order, REQUEST, declined, now=NOW, policy=POLICY)


def test_less_than_the_minimum_is_refused():
    check_quantity(10, POLICY)
    with pytest.raises(InvalidRequestError, match="must be 10 or more"):
        check_quantity(9, POLICY)


def test_a_purchase_costs_its_quantity_times_the_unit_price():
    purchase = bought(20)
    assert (purchase.amount_cents, purchase.currency) == (300, "USD")
    assert (purchase.state, purchase.due_at) == (PurchaseState.PENDING, NOW + timedelta(minutes=1))


def test_each_attempt_has_a_charge_of_its_own_and_all_are_one_purchase():
    first = bought()
    second = bought(declined=first.declined("the card was declined"))
    assert first.charge_id != second.charge_id
    assert first.purchase_id == second.purchase_id
    assert {purchase_id_of(each.charge_id) for each in (first, second)} == {first.purchase_id}


def test_a_pending_purchase_is_checked_after_1_2_4_minutes_and_so_on_up_to_an_hour():
    purchase, waits = bought(), []
    for _ in range(8):
        purchase = purchase.still_pending(NOW)
        waits.append((purchase.due_at - NOW) // timedelta(minutes=1))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_decided_purchase_is_not_checked_again():
    assert bought().completed().due_at is None
    assert bought().declined("the card was declined").due_at is None


def test_a_charge_brings_purchased_connects_and_free_ones_of_its_promo_code():
    campaign = Campaign("SPRING", 5, 100, NOW, NOW + timedelta(days=1))
    credit = credit_for(bought(20), campaign)
    assert (credit.type, credit.amount, credit.paid) == (EntryType.PURCHASE, 20, True)
    assert (credit.bonus.type, credit.bonus.amount, credit.bonus.paid) == (EntryType.PROMO, 5, False)
    assert credit_for(bought(20)).bonus is None
