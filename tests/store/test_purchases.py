"""Purchases: at most one charge whatever happens, and a charge always ends in its Connects."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.ledger.errors import (
    AccountFrozenError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    PaymentDeclinedError,
    PlanRequiredError,
    PurchaseNotFoundError,
)
from shared.ledger.model import Decision, EntryType, Kind, Plan
from shared.ledger.purchases import PurchaseState
from shared.payments import ChargeResult, ChargeState
from shared.sandbox.payments import Behaviour
from shared.services.purchases import read_purchase
from shared.store.errors import PurchaseMovedError
from tests.core.builders import paid
from tests.wire import TRANSACT, KilledError, dies

COMPLETED, PENDING, DECLINED = PurchaseState.COMPLETED, PurchaseState.PENDING, PurchaseState.DECLINED


@pytest.fixture
def desk(desk):
    desk.open()
    return desk


@pytest.fixture
def succeeds(provider):
    return provider.that(Behaviour.SUCCEED)


def bought_amounts(desk):
    return [entry.amount for entry in desk.journal() if entry.type is EntryType.PURCHASE]


def the_purchase(desk):
    [due] = desk.table.due_purchases(desk.clock.at + timedelta(days=1))
    assert due.account_id == "ann"
    return due.purchase_id


def test_a_purchase_is_charged_and_credited(desk, succeeds):
    bought = desk.buy(40, succeeds)
    assert (bought.purchase.state, bought.purchase.amount_cents, bought.replayed) == (COMPLETED, 600, False)
    assert bought.entry.slices == {paid("2027-01-16"): 40}
    assert desk.balance() == 40


def test_a_completed_purchase_is_read_back_with_its_entry(desk, succeeds):
    bought = desk.buy(40, succeeds)
    read = read_purchase(desk.ledger, "ann", bought.purchase.purchase_id)
    assert (read.purchase.state, read.entry) == (COMPLETED, bought.entry)
    assert read.purchase.due_at is None
    assert list(desk.table.due_purchases(desk.clock.at + timedelta(days=1))) == []


def test_the_same_purchase_sent_again_is_answered_as_the_first_time(desk, succeeds):
    first = desk.buy(40, succeeds)
    again = desk.buy(40, succeeds)
    assert (again.entry, again.purchase.state, again.replayed) == (first.entry, COMPLETED, True)
    assert desk.balance() == 40


def test_the_key_of_a_purchase_serves_no_other(desk, succeeds):
    desk.buy(40, succeeds)
    with pytest.raises(IdempotencyKeyReusedError):
        desk.buy(60, succeeds)


def test_a_declined_purchase_charges_and_credits_nothing(desk, provider):
    with pytest.raises(PaymentDeclinedError):
        desk.buy(40, provider.that(Behaviour.DECLINE))
    assert (provider.charges, bought_amounts(desk)) == ([], [])


def test_a_declined_purchase_may_be_tried_again_with_the_same_key(desk, provider, succeeds):
    with pytest.raises(PaymentDeclinedError):
        desk.buy(40, provider.that(Behaviour.DECLINE))
    assert desk.buy(40, succeeds).purchase.state is COMPLETED
    assert bought_amounts(desk) == [40]


def test_a_purchase_whose_charge_is_late_is_pending_until_it_is_asked_after(desk, provider, succeeds):
    late = provider.that(Behaviour.LATE)
    bought = desk.buy(40, late)
    assert (bought.purchase.state, bought.entry, desk.balance()) == (PENDING, None, 0)
    assert desk.reconcile(the_purchase(desk), late) is COMPLETED
    assert bought_amounts(desk) == [40]
    assert desk.buy(40, succeeds).purchase.state is PENDING  # as the first time; reading it tells more


def test_a_charge_whose_answer_was_lost_ends_in_its_connects_without_anyone_asking(desk, provider):
    lost = provider.that(Behaviour.TIMEOUT)
    assert desk.buy(40, lost).purchase.state is PENDING
    purchase_id = the_purchase(desk)
    assert [desk.reconcile(purchase_id, lost) for _ in range(2)] == [COMPLETED, COMPLETED]
    assert bought_amounts(desk) == [40]


class InProgress:
    def resolve(self, _):
        return ChargeResult(ChargeState.IN_PROGRESS)


def test_a_purchase_is_asked_after_later_and_later(desk, provider):
    desk.buy(40, provider.that(Behaviour.LATE))
    purchase_id = the_purchase(desk)
    waits = []
    for _ in range(8):
        desk.reconcile(purchase_id, InProgress())
        waits.append(desk.table.purchase("ann", purchase_id).due_at - desk.clock.at)
    assert [wait.total_seconds() / 60 for wait in waits] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert desk.reconcile(purchase_id, provider.that(Behaviour.SUCCEED)) is COMPLETED


def test_whoever_dies_before_the_charge_has_charged_nothing(desk, provider):
    class Dies:
        def charge(self, _):
            raise KilledError

    with pytest.raises(KilledError):
        desk.buy(40, Dies())
    assert desk.reconcile(the_purchase(desk), provider.that(Behaviour.SUCCEED)) is DECLINED
    assert (provider.charges, bought_amounts(desk)) == ([], [])


def test_whoever_dies_after_the_charge_leaves_its_connects_to_the_reconciliation(desk, succeeds, wire):
    wire.on(TRANSACT, dies)
    with pytest.raises(KilledError):
        desk.buy(40, succeeds)
    assert desk.reconcile(the_purchase(desk), succeeds) is COMPLETED
    assert bought_amounts(desk) == [40]


def test_whoever_dies_after_the_charge_may_send_it_again(desk, succeeds, wire):
    wire.on(TRANSACT, dies)
    with pytest.raises(KilledError):
        desk.buy(40, succeeds)
    assert desk.buy(40, succeeds).purchase.state is COMPLETED
    assert bought_amounts(desk) == [40]


def test_a_reconciliation_that_overtakes_the_purchase_credits_it_once(desk, succeeds, wire):
    wire.on(TRANSACT, wire.before(lambda: desk.reconcile(the_purchase(desk), succeeds)))
    assert desk.buy(40, succeeds).entry.amount == 40
    assert bought_amounts(desk) == [40]


def test_a_purchase_voided_before_it_was_charged_is_declined(desk, succeeds):
    """The buyer stood still between putting the purchase and charging it for so long that it was called off."""

    class Slow:
        def charge(self, charge):
            desk.reconcile(the_purchase(desk), succeeds)
            return succeeds.charge(charge)

    with pytest.raises(PaymentDeclinedError):
        desk.buy(40, Slow())
    assert bought_amounts(desk) == []


def test_an_agency_buys_only_on_plus(desk, succeeds):
    desk.open("acme", kind=Kind.AGENCY)
    with pytest.raises(PlanRequiredError):
        desk.buy(40, succeeds, account="acme")
    desk.change_plan(Plan.PLUS, account="acme")
    desk.change_plan(Plan.BASIC, account="acme", at_once=True)
    with pytest.raises(AccountFrozenError):
        desk.buy(40, succeeds, account="acme")
    assert desk.balance("acme") == 0


def test_a_repeat_is_a_repeat_whatever_has_become_the_least_that_can_be_bought(desk, succeeds):
    desk.buy(40, succeeds)
    desk.under(minimum_purchase=50)
    assert desk.buy(40, succeeds).replayed
    with pytest.raises(InvalidRequestError):
        desk.buy(40, succeeds, "another")


def test_a_purchase_that_never_was_is_not_found(desk, succeeds):
    with pytest.raises(PurchaseNotFoundError):
        read_purchase(desk.ledger, "ann", "a" * 26)
    with pytest.raises(ExceptionGroup) as failed:
        desk.reconcile("a" * 26, succeeds)
    assert failed.group_contains(PurchaseNotFoundError)


def test_a_purchase_is_saved_only_as_it_was_read(desk, provider):
    desk.buy(40, provider.that(Behaviour.LATE))
    read = desk.table.purchase("ann", the_purchase(desk))
    desk.table.save_purchase(read, replace(read, checks=7))
    for stale in (read, None):
        with pytest.raises(PurchaseMovedError):
            desk.table.save_purchase(stale, replace(read, checks=9))
    assert desk.table.purchase("ann", read.purchase_id).checks == 7
    desk.reconcile(read.purchase_id, provider.that(Behaviour.SUCCEED))


def test_a_charge_pays_out_the_attempt_it_was_made_for_and_no_other(desk, provider, succeeds):
    with pytest.raises(PaymentDeclinedError):
        desk.buy(40, provider.that(Behaviour.DECLINE))
    desk.buy(40, provider.that(Behaviour.LATE))
    second = desk.table.purchase("ann", the_purchase(desk))
    account = desk.stored()
    with pytest.raises(PurchaseMovedError):
        desk.table.commit(account, Decision(account), also=[desk.table.completion(replace(second, attempt=1))])
    assert (second.attempt, desk.stored()) == (2, account)
    desk.reconcile(second.purchase_id, succeeds)
