"""Purchases: the minimum, the price, what follows from the provider's answer, and what a charge brings."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from shared.ledger.errors import InvalidRequestError
from shared.ledger.model import EntryType, Request
from shared.ledger.policy import Policy
from shared.ledger.promos import Campaign
from shared.ledger.purchases import (
    Order,
    PaymentSource,
    Purchase,
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


MINUTE = timedelta(minutes=1)


def looks_at(purchase, until):
    """The minutes after its beginning at which a purchase is looked at that nobody decides."""
    now, looks = purchase.due_at, []
    while now <= until:
        looks.append((now - NOW) // MINUTE)
        purchase = purchase.still_pending(now)
        now = purchase.due_at
    return looks


def test_a_pending_purchase_is_looked_at_after_1_2_4_minutes_then_every_5_and_after_a_day_hourly():
    looks = looks_at(bought(), NOW + timedelta(days=2))
    assert looks[:6] == [1, 2, 4, 8, 13, 18]
    waits = [later - earlier for earlier, later in pairwise(looks)]
    in_a_day = [wait for look, wait in zip(looks, waits, strict=False) if look < 24 * 60]
    assert (max(in_a_day), set(waits[len(in_a_day) :])) == (5, {60})


def test_a_purchase_whose_buyer_is_asked_is_looked_at_each_minute_and_when_that_ends():
    asked = bought().asks_buyer(NOW + MINUTE / 2, NOW + timedelta(days=1), POLICY)
    assert asked.action_until == NOW + MINUTE / 2 + timedelta(minutes=15)
    times = [asked.due_at]
    while asked.waits_for_buyer(times[-1]):
        asked = asked.still_pending(times[-1])
        times.append(asked.due_at)
    assert {later - earlier for earlier, later in pairwise(times)} == {MINUTE}
    assert times[-1] == asked.action_until


def test_a_buyer_has_no_longer_than_the_provider_gives_and_asking_again_gives_no_longer():
    asked = bought().asks_buyer(NOW, NOW + 5 * MINUTE, POLICY)
    again = asked.asks_buyer(NOW + 3 * MINUTE, NOW + timedelta(days=1), POLICY)
    assert (asked.action_until, again.action_until) == (NOW + 5 * MINUTE, NOW + 5 * MINUTE)
    assert again.waits_for_buyer(NOW + 5 * MINUTE - timedelta(milliseconds=1))
    assert not again.waits_for_buyer(NOW + 5 * MINUTE)


@pytest.mark.parametrize("decided", [lambda each: each.declined("no"), Purchase.completed, Purchase.under_review])
def test_a_decided_purchase_waits_for_nobody_and_is_due_no_more(decided):
    after = decided(bought().asks_buyer(NOW, NOW + timedelta(days=1), POLICY))
    assert (after.due_at, after.action_until) == (None, None)
    assert not after.is_due(NOW + timedelta(days=9))


def test_a_purchase_begins_anew_only_where_its_caller_was_answered_that_it_was_declined():
    declined = bought().declined("no")
    assert declined.may_begin_anew
    assert not replace(declined, answered_pending=True).may_begin_anew
    assert not bought().may_begin_anew


def test_a_next_attempt_has_no_name_at_the_provider_yet():
    declined = bought().named("pi_1", present=True).declined("no")
    again = bought(declined=declined)
    assert (declined.ref, again.ref, again.present) == ("pi_1", None, False)
    assert not again.is_same_attempt(declined)


def test_a_charge_brings_purchased_connects_and_free_ones_of_its_promo_code():
    campaign = Campaign("SPRING", 5, 100, NOW, NOW + timedelta(days=1))
    credit = credit_for(bought(20), campaign)
    assert (credit.type, credit.amount, credit.paid) == (EntryType.PURCHASE, 20, True)
    assert (credit.bonus.type, credit.bonus.amount, credit.bonus.paid) == (EntryType.PROMO, 5, False)
    assert credit_for(bought(20)).bonus is None
