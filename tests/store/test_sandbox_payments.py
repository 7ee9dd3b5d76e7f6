"""The sandbox's payment provider keeps what the port promises."""

from datetime import timedelta

import pytest

from shared.ledger.purchases import PaymentSource
from shared.payments import Charge, Heard, PaymentState
from shared.sandbox.payments import Behaviour

CHARGED, DECLINED, IN_PROGRESS, NEEDS_BUYER, WRONG = PaymentState
CHARGE = Charge("p-1", "ann", "p", 1, 600, "USD", PaymentSource.BILLING_METHOD)


@pytest.fixture
def that(provider, sandbox):
    """Of the payments here none belongs to a purchase."""
    yield provider.that
    with sandbox.charge.batch_write() as batch:
        for row in sandbox.charge.scan(consistent_read=True):
            batch.delete(row)


@pytest.fixture
def succeeds(that):
    return that(Behaviour.SUCCEED)


@pytest.fixture
def ref(succeeds):
    return succeeds.prepare(CHARGE)


def confirm(provider, ref, *, present=True):
    return provider.confirm(ref, CHARGE, present=present)


def test_what_is_prepared_is_not_charged_however_often_it_is_looked_at(provider, succeeds, ref):
    assert [succeeds.look(ref, CHARGE).state for _ in range(2)] == [DECLINED, DECLINED]
    assert (succeeds.prepare(CHARGE), provider.charges) == (ref, [])
    assert confirm(succeeds, ref).state is CHARGED


def test_confirmed_often_it_is_charged_once_and_says_so_each_time(provider, that, succeeds, ref):
    first = confirm(succeeds, ref)
    assert (first.state, first.taken_cents, first.returned_cents) == (CHARGED, 600, 0)
    assert [confirm(that(behaviour), ref) for behaviour in (Behaviour.SUCCEED, Behaviour.DECLINE)] == [first, first]
    assert (succeeds.look(ref, CHARGE), succeeds.give_up(ref, CHARGE), provider.charges) == (first, first, ["p"])


def test_what_was_declined_can_be_charged_until_it_is_given_up(that, succeeds, ref):
    declined = confirm(that(Behaviour.DECLINE), ref)
    assert (declined.state, declined.reason) == (DECLINED, "the card was declined")
    assert confirm(succeeds, ref).state is CHARGED


def test_what_was_given_up_is_never_charged(provider, that, succeeds, ref):
    confirm(that(Behaviour.DECLINE), ref)
    given_up = succeeds.give_up(ref, CHARGE)
    assert (given_up.state, given_up.reason) == (DECLINED, "the card was declined")
    assert (confirm(succeeds, ref), succeeds.look(ref, CHARGE), provider.charges) == (given_up, given_up, [])


def test_what_is_late_goes_through_once_it_is_asked_after(that, succeeds, ref):
    late = that(Behaviour.LATE)
    assert [confirm(late, ref).state for _ in range(2)] == [IN_PROGRESS, IN_PROGRESS]
    assert succeeds.give_up(ref, CHARGE).state is CHARGED


def test_a_buyer_who_is_asked_agrees_a_minute_later(that, clock, ref):
    asks = that(Behaviour.ACTION)
    asked = confirm(asks, ref)
    assert (asked.state, asked.action.until - clock.at) == (NEEDS_BUYER, timedelta(days=1))
    assert (confirm(asks, ref), asks.look(ref, CHARGE)) == (asked, asked)
    clock.at += timedelta(minutes=1)
    assert asks.look(ref, CHARGE).state is CHARGED


@pytest.mark.parametrize("behaviour", [Behaviour.ACTION, Behaviour.ABANDON])
def test_what_its_buyer_is_asked_for_can_be_given_up(that, clock, ref, behaviour):
    asks = that(behaviour)
    confirm(asks, ref)
    given_up = asks.give_up(ref, CHARGE)
    clock.at += timedelta(hours=1)
    assert given_up.state is asks.look(ref, CHARGE).state is DECLINED


def test_a_buyer_who_is_not_there_is_not_asked(that, ref):
    assert confirm(that(Behaviour.ACTION), ref, present=False).state is DECLINED


@pytest.mark.parametrize("charged", [{"amount_cents": 599}, {"currency": "EUR"}])
def test_another_charge_than_was_asked_for_is_wrong(sandbox, succeeds, ref, charged):
    confirm(succeeds, ref)
    row = sandbox.charge.get(ref)
    row.update([getattr(sandbox.charge, name).set(value) for name, value in charged.items()])
    assert {each.state for each in (confirm(succeeds, ref), succeeds.look(ref, CHARGE))} == {WRONG}


def test_an_event_names_the_payment_that_it_is_about(succeeds):
    event = {"type": "charge.settled", "account_id": "ann", "charge_id": "p-1", "amount": 1}
    assert succeeds.hear(event) == Heard("ann", "p", "p-1")
    assert succeeds.hear(event | {"type": "payout.paid"}) is None
    assert succeeds.hear({}) is None


def test_its_list_has_every_payment_once_in_parts(succeeds, sandbox, monkeypatch):
    monkeypatch.setattr("shared.sandbox.payments.A_PAGE", 2)
    sandbox.clock(pk="CLOCK", ahead_ms=1).save()
    for number in range(5):
        succeeds.prepare(Charge(f"p{number}-1", "ann", f"p{number}", 1, 600, "USD", PaymentSource.BILLING_METHOD))
    heard, cursor = succeeds.heard_since(None)
    while cursor:
        more, cursor = succeeds.heard_since(cursor)
        heard += more
    assert sorted(each.ref for each in heard) == [f"p{number}-1" for number in range(5)]
    assert {(each.account_id, each.ref.removesuffix("-1")) for each in heard} == {
        ("ann", each.purchase_id) for each in heard
    }
