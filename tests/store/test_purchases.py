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
from shared.payments import Payment, PaymentState
from shared.sandbox.payments import Behaviour
from shared.services.purchase_outcomes import read_purchase
from shared.store.errors import PurchaseMovedError
from shared.store.purchases import Purchases
from tests.core.builders import paid
from tests.faults import TRANSACT, KilledError, dies
from tests.invariants import Contents
from tests.providers import Instead

COMPLETED, PENDING, DECLINED = PurchaseState.COMPLETED, PurchaseState.PENDING, PurchaseState.DECLINED


@pytest.fixture
def driver(driver):
    driver.open()
    return driver


@pytest.fixture
def succeeds(provider):
    return provider.that(Behaviour.SUCCEED)


def bought_amounts(driver):
    return [entry.amount for entry in driver.journal() if entry.type is EntryType.PURCHASE]


def the_purchase(driver):
    [due] = Purchases(driver.table).due(driver.clock.at + timedelta(days=1))
    assert due.account_id == "ann"
    return due.purchase_id


def test_a_purchase_is_charged_and_credited(driver, succeeds):
    bought = driver.buy(40, succeeds)
    assert (bought.purchase.state, bought.purchase.amount_cents, bought.replayed) == (COMPLETED, 600, False)
    assert bought.entry.slices == {paid("2027-01-16"): 40}
    assert driver.balance() == 40


def test_a_completed_purchase_is_read_back_with_its_entry(driver, succeeds):
    bought = driver.buy(40, succeeds)
    read = read_purchase(driver.ledger, "ann", bought.purchase.purchase_id)
    assert (read.purchase.state, read.entry) == (COMPLETED, bought.entry)
    assert read.purchase.due_at is None
    assert list(Purchases(driver.table).due(driver.clock.at + timedelta(days=1))) == []


def test_the_same_purchase_sent_again_is_answered_as_the_first_time(driver, succeeds):
    first = driver.buy(40, succeeds)
    again = driver.buy(40, succeeds)
    assert (again.entry, again.purchase.state, again.replayed) == (first.entry, COMPLETED, True)
    assert driver.balance() == 40


def test_the_key_of_a_purchase_serves_no_other(driver, succeeds):
    driver.buy(40, succeeds)
    with pytest.raises(IdempotencyKeyReusedError):
        driver.buy(60, succeeds)


def test_a_declined_purchase_charges_and_credits_nothing(driver, provider):
    with pytest.raises(PaymentDeclinedError):
        driver.buy(40, provider.that(Behaviour.DECLINE))
    assert (provider.charges, bought_amounts(driver)) == ([], [])


def test_a_declined_purchase_may_be_tried_again_with_the_same_key(driver, provider, succeeds):
    with pytest.raises(PaymentDeclinedError):
        driver.buy(40, provider.that(Behaviour.DECLINE))
    assert driver.buy(40, succeeds).purchase.state is COMPLETED
    assert bought_amounts(driver) == [40]


def test_a_purchase_whose_charge_is_late_is_pending_until_it_is_asked_after(driver, provider, succeeds):
    late = provider.that(Behaviour.LATE)
    bought = driver.buy(40, late)
    assert (bought.purchase.state, bought.entry, driver.balance()) == (PENDING, None, 0)
    assert driver.reconcile(the_purchase(driver), late) is COMPLETED
    assert bought_amounts(driver) == [40]
    assert driver.buy(40, succeeds).purchase.state is PENDING  # as the first time; reading it tells more


def test_a_charge_whose_answer_was_lost_ends_in_its_connects_without_anyone_asking(driver, provider):
    lost = provider.that(Behaviour.TIMEOUT)
    assert driver.buy(40, lost).purchase.state is PENDING
    purchase_id = the_purchase(driver)
    assert [driver.reconcile(purchase_id, lost) for _ in range(2)] == [COMPLETED, COMPLETED]
    assert bought_amounts(driver) == [40]


def in_progress(*_, **__):
    return Payment(PaymentState.IN_PROGRESS)


def test_a_purchase_is_looked_at_after_1_2_4_minutes_and_then_every_5(driver, provider):
    driver.buy(40, provider.that(Behaviour.LATE))
    purchase_id, began = the_purchase(driver), driver.clock.at
    looks = []
    for _ in range(6):
        driver.reconcile(purchase_id, Instead(None, give_up=in_progress))
        looks.append((driver.clock.at - began) // timedelta(minutes=1))
    assert looks == [1, 3, 7, 12, 17, 22]
    assert driver.reconcile(purchase_id, provider.that(Behaviour.SUCCEED)) is COMPLETED


def test_whoever_dies_before_the_charge_has_charged_nothing(driver, provider):
    def killed(_):
        raise KilledError

    with pytest.raises(KilledError):
        driver.buy(40, Instead(None, prepare=killed))
    assert driver.reconcile(the_purchase(driver), provider.that(Behaviour.SUCCEED)) is DECLINED
    assert (provider.charges, bought_amounts(driver)) == ([], [])


def test_whoever_dies_after_the_charge_leaves_its_connects_to_the_reconciliation(driver, succeeds, faults):
    faults.on(TRANSACT, dies)
    with pytest.raises(KilledError):
        driver.buy(40, succeeds)
    assert driver.reconcile(the_purchase(driver), succeeds) is COMPLETED
    assert bought_amounts(driver) == [40]


def test_whoever_dies_after_the_charge_may_send_it_again(driver, succeeds, faults):
    faults.on(TRANSACT, dies)
    with pytest.raises(KilledError):
        driver.buy(40, succeeds)
    assert driver.buy(40, succeeds).purchase.state is COMPLETED
    assert bought_amounts(driver) == [40]


def test_a_reconciliation_that_overtakes_the_purchase_credits_it_once(driver, succeeds, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.reconcile(the_purchase(driver), succeeds)))
    assert driver.buy(40, succeeds).entry.amount == 40
    assert bought_amounts(driver) == [40]


def test_a_purchase_voided_before_it_was_charged_is_declined(driver, succeeds):
    """The buyer stood still between putting the purchase and charging it for so long that it was called off."""

    def slow(ref, charge, *, present):
        driver.reconcile(the_purchase(driver), succeeds)
        return succeeds.confirm(ref, charge, present=present)

    with pytest.raises(PaymentDeclinedError):
        driver.buy(40, Instead(succeeds, confirm=slow))
    assert bought_amounts(driver) == []


def test_an_agency_buys_only_on_plus(driver, succeeds):
    driver.open("acme", kind=Kind.AGENCY)
    with pytest.raises(PlanRequiredError):
        driver.buy(40, succeeds, account="acme")
    driver.change_plan(Plan.PLUS, account="acme")
    driver.change_plan(Plan.BASIC, account="acme", at_once=True)
    with pytest.raises(AccountFrozenError):
        driver.buy(40, succeeds, account="acme")
    assert driver.balance("acme") == 0


def test_a_repeat_is_a_repeat_whatever_has_become_the_least_that_can_be_bought(driver, succeeds):
    driver.buy(40, succeeds)
    driver.under(minimum_purchase=50)
    assert driver.buy(40, succeeds).replayed
    with pytest.raises(InvalidRequestError):
        driver.buy(40, succeeds, "another")


def test_a_purchase_that_never_was_is_not_found(driver, succeeds):
    with pytest.raises(PurchaseNotFoundError):
        read_purchase(driver.ledger, "ann", "a" * 26)
    with pytest.raises(ExceptionGroup) as failed:
        driver.reconcile("a" * 26, succeeds)
    assert failed.group_contains(PurchaseNotFoundError)


def test_a_purchase_is_saved_only_as_it_was_read(driver, provider):
    driver.buy(40, provider.that(Behaviour.LATE))
    read = Purchases(driver.table).purchase("ann", the_purchase(driver))
    Purchases(driver.table).save(read, replace(read, checks=7))
    for stale in (read, None):
        with pytest.raises(PurchaseMovedError):
            Purchases(driver.table).save(stale, replace(read, checks=9))
    assert Purchases(driver.table).purchase("ann", read.purchase_id).checks == 7
    driver.reconcile(read.purchase_id, provider.that(Behaviour.SUCCEED))


def test_a_charge_pays_out_the_attempt_it_was_made_for_and_no_other(driver, provider, succeeds):
    with pytest.raises(PaymentDeclinedError):
        driver.buy(40, provider.that(Behaviour.DECLINE))
    first = Contents(driver.table).purchases("ann")[0]
    driver.buy(40, provider.that(Behaviour.LATE))
    second = Purchases(driver.table).purchase("ann", the_purchase(driver))
    account = driver.stored()
    with pytest.raises(PurchaseMovedError):
        driver.table.commit(account, Decision(account), also=[Purchases(driver.table).completed(first)])
    assert (first.attempt, second.attempt, driver.stored()) == (1, 2, account)
    driver.reconcile(second.purchase_id, succeeds)
