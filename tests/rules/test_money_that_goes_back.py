"""Money that goes back: the Connects of a purchase follow its payment, and nothing that was spent is free."""

import pytest

DISPUTED, WON = "needs_response", "won"


@pytest.fixture
def ann(freelancer):
    """With 40 Connects for 600 cents, and 50 free ones."""
    return freelancer()


def bought(account, quantity=40):
    return account.buys(quantity).body["purchase_id"]


def test_what_is_unspent_of_a_disputed_purchase_is_taken_back_at_once(ann, api):
    """At the withdrawal, not at the verdict."""
    purchase = bought(ann)
    api.goes_back(purchase, 600, DISPUTED)
    assert (ann.balance, ann.shown["owed"]) == (50, 0)


def test_what_was_spent_of_it_is_owed_and_other_connects_are_not_touched(ann, api, clock):
    purchase = bought(ann)
    ann.spends(60)
    clock.go(days=1)
    ann.given(7)
    api.goes_back(purchase, 600, DISPUTED)
    assert (ann.balance, ann.shown["owed"]) == (7, 10)


def test_whatever_comes_pays_what_is_owed_first(ann, api, clock):
    purchase = bought(ann)
    ann.spends(90)
    api.goes_back(purchase, 600, DISPUTED)
    clock.go(days=31)
    assert (ann.balance, ann.shown["owed"]) == (0, 30), "the monthly Connects"
    ann.rewarded("rising_talent")
    assert (ann.balance, ann.shown["owed"]) == (0, 0)
    ann.given(5)
    assert ann.balance == 5


def test_a_refund_of_a_proposal_pays_what_is_owed(ann, api):
    purchase = bought(ann)
    spend = ann.spends(90)
    api.goes_back(purchase, 600, DISPUTED)
    ann.refunded(spend)
    assert (ann.balance, ann.shown["owed"]) == (50, 0)


@pytest.mark.parametrize("cents", [150, 300, 450, 600])
def test_a_part_of_the_payment_takes_that_part_of_the_connects(ann, api, cents):
    purchase = bought(ann)
    api.goes_back(purchase, cents, None)
    assert ann.balance == 90 - 40 * cents // 600


def test_a_dispute_that_is_won_ends_as_if_it_had_not_been(ann, api):
    purchase = bought(ann)
    ann.spends(60)
    before = ann.shown
    api.goes_back(purchase, 600, DISPUTED)
    api.goes_back(purchase, 0, WON)
    assert ann.shown == before


def test_what_expired_unused_is_not_owed(ann, api, clock):
    purchase = bought(ann)
    ann.spends(60)
    clock.go(days=366)
    before = ann.balance
    api.goes_back(purchase, 600, DISPUTED)
    assert (ann.balance, ann.shown["owed"]) == (before, 10)


def test_every_change_is_a_row_that_says_why(ann, api):
    purchase = bought(ann)
    ann.spends(60)
    api.goes_back(purchase, 600, DISPUTED)
    ann.given(4)
    api.goes_back(purchase, 0, WON)
    assert [(entry["amount"], entry["reason"]) for entry in ann.entries("chargeback")] == [
        (-30, "Payment disputed: 30 Connects taken back, 10 owed"),
        (-4, "4 owed Connects paid back"),
        (34, "Dispute won: 34 Connects given back, 6 no longer owed"),
    ]


def test_the_owner_gets_a_notice_of_what_was_taken_back_and_of_what_came_again(ann, api, notices):
    purchase = bought(ann)
    ann.spends(60)
    api.goes_back(purchase, 600, DISPUTED)
    (reclaimed,) = notices("connects_reclaimed")
    assert (reclaimed["amount"], reclaimed["owed"], reclaimed["purchase_id"]) == (30, 10, purchase)
    api.goes_back(purchase, 0, WON)
    (restored,) = notices("connects_restored")
    assert (restored["amount"], restored["owed"]) == (30, 0)
