"""What went back is read from the money: refunds, and disputes for which it was withdrawn."""

import pytest

from shared.payments import PaymentState

CHARGED = PaymentState.CHARGED


@pytest.fixture
def charge(on_twin):
    return on_twin.charge()


@pytest.fixture
def ref(on_twin, charge):
    ref = on_twin.provider.prepare(charge)
    assert on_twin.provider.confirm(ref, charge, present=True).state is CHARGED
    return ref


@pytest.fixture
def back(on_twin, charge, ref):
    """How much went back of 600 cents, and what is said of the dispute."""

    def look():
        payment = on_twin.provider.look(ref, charge)
        assert (payment.state, payment.taken_cents) == (CHARGED, 600)
        return payment.returned_cents, payment.dispute

    return look


WITHDRAWN = [
    ("needs_response", 600),
    ("under_review", 600),
    ("lost", 600),
    ("appeal_needs_response", 600),
    ("appeal_under_review", 600),
    ("won", 0),
]


def test_a_dispute_counts_by_its_money_from_its_opening_to_a_won_appeal(on_twin, ref, back):
    dispute = on_twin.twin.dispute(ref)
    seen = [back()]
    for status, _ in WITHDRAWN[1:]:
        on_twin.twin.move_dispute(dispute, status)
        seen.append(back())
    assert seen == [(cents, status) for status, cents in WITHDRAWN]


@pytest.mark.parametrize(
    ("statuses", "cents"),
    [
        (("warning_under_review", "warning_closed"), 0),
        (("warning_closed",), 0),
        (("prevented",), 0),
        (("needs_response",), 600),
        (("warning_under_review", "needs_response", "lost"), 600),
        (("needs_response", "won"), 0),
        (("needs_response", "prevented"), 0),
    ],
)
def test_an_inquiry_counts_once_it_became_a_dispute(on_twin, ref, back, statuses, cents):
    dispute = on_twin.twin.dispute(ref, "warning_needs_response")
    assert back() == (0, "warning_needs_response")
    on_twin.twin.move_dispute(dispute, *statuses)
    assert back() == (cents, statuses[-1])


def test_the_fee_of_a_dispute_is_no_money_of_the_buyers(on_twin, ref, back):
    dispute = on_twin.twin.dispute(ref, amount=200)
    assert back()[0] == 200
    on_twin.twin.move_dispute(dispute, "won")
    assert back()[0] == 0


def test_what_was_refunded_and_disputed_went_back_once(on_twin, ref, back):
    on_twin.client.v1.refunds.create({"payment_intent": ref, "amount": 200})
    dispute = on_twin.twin.dispute(ref)
    assert back()[0] == 600
    on_twin.twin.move_dispute(dispute, "won")
    assert back()[0] == 200


def test_two_disputes_of_one_payment_add_up(on_twin, ref, back):
    first, second = on_twin.twin.dispute(ref, amount=100), on_twin.twin.dispute(ref, amount=250)
    assert back() == (350, "needs_response")
    on_twin.twin.move_dispute(first, "won")
    assert back() == (250, "needs_response"), "the newest is the one that is shown"
    on_twin.twin.move_dispute(second, "won")
    assert back() == (0, "won")


@pytest.mark.parametrize("currencies", ["eur", "usd"])
def test_a_dispute_settled_in_another_currency_counts_by_its_own_amount(on_twin, ref, back, currencies):
    dispute = on_twin.twin.dispute(ref, amount=300)
    kept = on_twin.twin.account.get("dispute", dispute)
    kept["balance_transactions"] = [
        moved | {"amount": -278, "currency": currencies} for moved in kept["balance_transactions"]
    ]
    assert back()[0] == (300 if currencies == "eur" else 278)


def test_a_refund_that_the_bank_sends_back_did_not_happen(on_twin):
    charge = on_twin.charge("pendingRefund")
    ref = on_twin.provider.prepare(charge)
    on_twin.provider.confirm(ref, charge, present=True)
    refund = on_twin.client.v1.refunds.create({"payment_intent": ref, "amount": 250})
    assert (refund.status, on_twin.provider.look(ref, charge).returned_cents) == ("pending", 250)
    on_twin.twin.settle_refund(refund.id, success=False)
    assert on_twin.provider.look(ref, charge).returned_cents == 0


def test_a_payment_that_nobody_disputed_is_looked_at_with_one_request(on_twin, charge, ref):
    on_twin.twin.asked.clear()
    on_twin.provider.look(ref, charge)
    assert on_twin.twin.asked == {"retrieve": 1}


def test_a_receipt_is_named(on_twin, charge, ref):
    payment = on_twin.provider.look(ref, charge)
    assert payment.receipt_url == f"https://pay.stripe.com/receipts/{payment.provider_charge}"
