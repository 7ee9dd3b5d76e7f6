"""Promo codes: a cap over all accounts, once an account, alone or with a purchase."""

from datetime import date, timedelta

import pytest

from shared.ledger.calendar import midnight
from shared.ledger.errors import (
    AccountNotFoundError,
    IdempotencyKeyReusedError,
    PaymentDeclinedError,
    PromoExhaustedError,
    PromoNotActiveError,
    PromoNotFoundError,
    PromoUsedError,
)
from shared.ledger.model import EntryType, Kind, Plan
from shared.ledger.purchases import PurchaseState
from shared.sandbox.payments import Behaviour
from shared.services.purchase_outcomes import read_purchase
from shared.services.views import purchase_view
from tests.core.builders import free
from tests.faults import GET, TRANSACT, answer_lost, request_lost
from tests.providers import Instead

BATCH = "BatchGetItem"
TICK = timedelta(milliseconds=1)
START, END = midnight(date(2026, 1, 1)), midnight(date(2026, 2, 1))


@pytest.fixture
def driver(driver):
    driver.open()
    return driver


@pytest.fixture
def succeeds(provider):
    return provider.that(Behaviour.SUCCEED)


def promos(driver, account="ann"):
    return [entry.amount for entry in driver.journal(account) if entry.type is EntryType.PROMO]


def purchases(driver):
    return [entry.amount for entry in driver.journal() if entry.type is EntryType.PURCHASE]


def open_accounts(driver, *names):
    for name in names:
        driver.open(name)


def exhausted_by_others(driver, cap=1):
    """A campaign of which nothing is left, though Ann had none of it."""
    driver.put_campaign(cap)
    for number in range(cap):
        driver.open(f"other-{number}")
        driver.redeem(account=f"other-{number}")


def test_a_promo_code_brings_free_connects_that_last_as_long_as_any(driver):
    driver.put_campaign(100)
    entry = driver.redeem().entry
    assert (entry.type, entry.slices) == (EntryType.PROMO, {free("2027-01-16"): 5})
    assert (entry.reason, entry.reference) == ("Promo code SPRING", {"type": "promo", "code": "SPRING"})
    assert (driver.balance(), driver.redeemed()) == (5, 1)


def test_an_unknown_code_is_refused(driver):
    with pytest.raises(PromoNotFoundError):
        driver.redeem(code="AUTUMN")


def test_an_account_that_does_not_exist_is_missed_before_the_code_is(driver):
    with pytest.raises(AccountNotFoundError):
        driver.redeem(code="AUTUMN", account="nobody")
    driver.put_campaign(100)
    with pytest.raises(AccountNotFoundError):
        driver.redeem(account="nobody")


@pytest.mark.parametrize("now", [START - TICK, END], ids=["before", "at its end"])
def test_a_code_out_of_its_window_is_refused(driver, now):
    driver.put_campaign(100)
    with pytest.raises(PromoNotActiveError):
        driver.at(now).redeem()
    assert driver.redeemed() == 0


@pytest.mark.parametrize("now", [START, END - TICK], ids=["first", "last"])
def test_a_code_is_redeemed_in_the_first_and_the_last_instant_of_its_window(driver, now):
    driver.at(START - timedelta(days=9)).open("bob")
    driver.put_campaign(100)
    assert driver.at(now).redeem(account="bob").entry.amount == 5


def test_an_account_redeems_a_code_once_under_whatever_key(driver):
    driver.put_campaign(100)
    driver.redeem()
    with pytest.raises(PromoUsedError):
        driver.redeem("another key")
    assert (promos(driver), driver.redeemed()) == ([5], 1)


def test_an_account_redeems_several_codes(driver):
    driver.put_campaign(100)
    driver.put_campaign(100, code="SUMMER", connects=7)
    driver.redeem("one")
    driver.redeem("two", code="SUMMER")
    assert promos(driver) == [5, 7]


def test_who_used_a_code_is_told_so_also_when_nothing_is_left_of_it(driver):
    driver.put_campaign(1)
    driver.redeem()
    with pytest.raises(PromoUsedError):
        driver.redeem("another key")


def test_the_same_redemption_sent_again_is_answered_as_the_first_time(driver):
    driver.put_campaign(100)
    first = driver.redeem()
    again = driver.redeem()
    assert (again.entry, again.replayed) == (first.entry, True)
    assert driver.redeemed() == 1


def ends(driver):
    driver.at(END)


def runs_out(driver):
    driver.put_campaign(0)


def changes(driver):
    driver.put_campaign(100, connects=9)


@pytest.mark.parametrize("happens", [ends, runs_out, changes])
def test_a_redemption_is_repeated_whatever_became_of_the_campaign(driver, happens):
    driver.put_campaign(100)
    first = driver.redeem()
    happens(driver)
    assert driver.redeem().entry == first.entry


def test_the_key_of_a_redemption_serves_no_other_code(driver):
    driver.put_campaign(100)
    driver.put_campaign(100, code="SUMMER")
    driver.redeem()
    for code in ("SUMMER", "AUTUMN"):
        with pytest.raises(IdempotencyKeyReusedError):
            driver.redeem(code=code)


def test_a_refusal_does_not_use_the_key_up(driver):
    with pytest.raises(PromoNotFoundError):
        driver.redeem()
    driver.put_campaign(0)
    with pytest.raises(PromoExhaustedError):
        driver.redeem()
    driver.put_campaign(1)
    assert not driver.redeem().replayed


@pytest.mark.parametrize("cap", [1, 3, 4, 9])
def test_a_code_brings_its_connects_exactly_as_often_as_its_cap_says(driver, cap):
    exhausted_by_others(driver, cap)
    with pytest.raises(PromoExhaustedError):
        driver.redeem()
    assert (promos(driver), driver.redeemed()) == ([], cap)
    assert all(counter.taken <= counter.share for counter in driver.counters())


def test_an_exhausted_counter_sends_on_to_the_others_without_trying_each(driver, faults):
    driver.put_campaign(10, counters=10)
    open_accounts(driver, *(f"other-{number}" for number in range(10)))
    for number in range(9):
        driver.redeem(account=f"other-{number}")
    with faults.measured() as cost:
        driver.redeem(account="other-9")
    assert cost.calls.count(TRANSACT) <= 2
    assert cost.calls.count(BATCH) <= 1


@pytest.mark.parametrize(
    ("kind", "plans"),
    [(Kind.AGENCY, [Plan.BASIC]), (Kind.AGENCY, [Plan.PLUS]), (Kind.AGENCY, [Plan.PLUS, Plan.BASIC])],
    ids=["basic", "plus", "frozen"],
)
def test_an_agency_redeems_on_whatever_plan_and_keeps_them_while_it_is_frozen(driver, kind, plans):
    driver.put_campaign(100)
    driver.open("acme", kind=kind, plan=plans[0])
    for plan in plans[1:]:
        driver.change_plan(plan, account="acme", at_once=True)
    driver.redeem(account="acme")
    assert driver.balance("acme") == 5


def test_a_code_that_was_found_exhausted_is_not_once_its_cap_is_raised(driver):
    exhausted_by_others(driver, 3)
    for _ in range(2):
        with pytest.raises(PromoExhaustedError):
            driver.redeem()
    with pytest.raises(PromoUsedError):
        driver.redeem("another key", account="other-0")
    assert driver.redeem("redeem", account="other-0").replayed
    driver.put_campaign(4)
    assert driver.redeem().entry.amount == 5


# --- Putting a campaign


def test_a_campaign_put_again_is_the_same(driver, faults):
    driver.put_campaign(100)
    driver.redeem()
    with faults.measured() as cost:
        assert driver.put_campaign(100) == 1
    assert cost.calls == [GET, BATCH]


def test_a_raised_cap_lets_more_redeem_and_counts_what_was_given(driver):
    exhausted_by_others(driver, 3)
    assert driver.put_campaign(5) == 3
    open_accounts(driver, "bob", "carol")
    driver.redeem()
    driver.redeem(account="bob")
    with pytest.raises(PromoExhaustedError):
        driver.redeem(account="carol")
    assert driver.redeemed() == 5


def test_a_raised_cap_gets_more_counters_and_a_lowered_one_keeps_them(driver):
    driver.put_campaign(1, counters=10)
    assert len(driver.counters()) == 1
    driver.put_campaign(100, counters=10)
    assert [counter.share for counter in driver.counters()] == [10] * 10
    driver.put_campaign(25, counters=2)
    assert [counter.share for counter in driver.counters()] == [3] * 5 + [2] * 5


@pytest.mark.parametrize("cap", [0, 2, 3])
def test_a_cap_of_no_more_than_was_given_ends_the_campaign(driver, cap):
    driver.put_campaign(100)
    open_accounts(driver, "bob", "carol", "dave")
    for account in ("bob", "carol", "dave"):
        driver.redeem(account=account)
    assert driver.put_campaign(cap) == 3
    with pytest.raises(PromoExhaustedError):
        driver.redeem()
    assert driver.redeemed() == 3


def test_a_changed_campaign_brings_what_it_says_now(driver):
    driver.put_campaign(100)
    driver.put_campaign(100, connects=9, ends_at=END + timedelta(days=30))
    assert driver.at(END).redeem().entry.amount == 9


def test_terms_that_change_between_a_redemptions_read_and_its_write_are_the_ones_that_count(driver, faults):
    driver.put_campaign(100)
    faults.on(TRANSACT, faults.before(lambda: driver.put_campaign(100, connects=9)))
    assert driver.redeem().entry.amount == 9


def test_a_campaign_that_ends_between_a_redemptions_read_and_its_write_gives_nothing(driver, faults):
    driver.put_campaign(100)
    faults.on(TRANSACT, faults.before(lambda: driver.put_campaign(0)))
    with pytest.raises(PromoExhaustedError):
        driver.redeem()


def test_the_last_one_taken_between_read_and_write_is_not_given_twice(driver, faults):
    driver.put_campaign(1)
    driver.open("bob")
    faults.on(TRANSACT, faults.before(lambda: driver.redeem(account="bob")))
    with pytest.raises(PromoExhaustedError):
        driver.redeem()


def test_redemptions_between_a_puts_read_and_its_write_do_not_stop_it(driver, faults):
    driver.put_campaign(100)
    faults.on(TRANSACT, faults.before(driver.redeem))
    with faults.measured() as cost:
        driver.put_campaign(50)
    assert cost.calls.count(TRANSACT) == 1
    assert sum(counter.share for counter in driver.counters()) == 50


def test_a_cap_that_is_reached_between_a_puts_read_and_its_write_is_not_exceeded(driver, faults):
    driver.put_campaign(100, counters=1)
    faults.on(TRANSACT, faults.before(driver.redeem))
    driver.open("bob")
    driver.put_campaign(0)
    driver.put_campaign(100, counters=1)
    faults.on(TRANSACT, faults.before(lambda: driver.redeem(account="bob")))
    driver.put_campaign(1)
    driver.open("carol")
    with pytest.raises(PromoExhaustedError):
        driver.redeem(account="carol")


def test_two_who_put_a_campaign_at_once_leave_the_terms_of_one(driver, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.put_campaign(7)))
    driver.put_campaign(9)
    assert sum(counter.share for counter in driver.counters()) == 9


@pytest.mark.parametrize("fault", [request_lost, answer_lost], ids=["request", "answer"])
def test_a_put_is_tried_again(driver, faults, fault):
    faults.on(TRANSACT, fault)
    driver.put_campaign(9)
    assert sum(counter.share for counter in driver.counters()) == 9


@pytest.mark.parametrize("fault", [request_lost, answer_lost], ids=["request", "answer"])
def test_a_redemption_is_tried_again_and_counted_once(driver, faults, fault):
    driver.put_campaign(100)
    faults.on(TRANSACT, fault)
    outcome = driver.redeem()
    assert (outcome.entry.amount, outcome.replayed, driver.redeemed()) == (5, False, 1)


# --- With a purchase


def test_a_promo_code_comes_with_a_purchase_as_an_entry_of_its_own(driver, succeeds, faults):
    driver.put_campaign(100)
    with faults.measured() as cost:
        bought = driver.buy(40, succeeds, promo="SPRING")
    assert (bought.entry.amount, bought.promo.amount) == (40, 5)
    assert bought.promo.reference == {
        "type": "promo",
        "code": "SPRING",
        "purchase_id": bought.purchase.purchase_id,
    }
    assert (purchases(driver), promos(driver), driver.redeemed()) == ([40], [5], 1)
    assert cost.calls.count(TRANSACT) == 1, "together or not at all"


def test_a_purchase_with_a_promo_code_is_read_and_repeated_as_it_was_answered(driver, succeeds):
    driver.put_campaign(100)
    bought = driver.buy(40, succeeds, promo="SPRING")
    again = driver.buy(40, succeeds, promo="SPRING")
    read = read_purchase(driver.ledger, "ann", bought.purchase.purchase_id)
    assert (again.entry, again.promo, again.replayed) == (bought.entry, bought.promo, True)
    assert (read.entry, read.promo) == (bought.entry, bought.promo)


def used(driver):
    driver.put_campaign(100)
    driver.redeem()


def over(driver):
    driver.put_campaign(100, ends_at=driver.clock.at)


@pytest.mark.parametrize(
    ("before", "refusal"),
    [
        (lambda _: None, PromoNotFoundError),
        (over, PromoNotActiveError),
        (used, PromoUsedError),
        (exhausted_by_others, PromoExhaustedError),
    ],
    ids=["unknown", "over", "used", "exhausted"],
)
def test_a_purchase_with_a_code_that_brings_nothing_is_refused_before_anything_is_charged(
    driver, provider, succeeds, before, refusal
):
    before(driver)
    with pytest.raises(refusal):
        driver.buy(40, succeeds, promo="SPRING")
    assert (provider.charges, purchases(driver)) == ([], [])
    assert driver.buy(40, succeeds).purchase.state is PurchaseState.COMPLETED, "the key is free"


class Meanwhile(Instead):
    """A provider that charges, and meanwhile something else happens."""

    def confirm(self, ref, charge, *, present):
        self.action()
        return self._provider.confirm(ref, charge, present=present)


def exhaust(driver):
    driver.put_campaign(0)


def use(driver):
    driver.redeem()


@pytest.mark.parametrize(
    ("happens", "code", "given"),
    [(exhaust, "promo_exhausted", []), (use, "promo_used", [5])],
    ids=["exhausted", "used"],
)
def test_a_charge_ends_in_its_connects_also_if_the_code_is_gone_by_then(driver, succeeds, happens, code, given):
    driver.put_campaign(100)
    bought = driver.buy(40, Meanwhile(succeeds, action=lambda: happens(driver)), promo="SPRING")
    again = driver.buy(40, succeeds, promo="SPRING")
    read = read_purchase(driver.ledger, "ann", bought.purchase.purchase_id)
    for told in (bought, again, read):
        assert (told.purchase.state, told.purchase.promo_refused, told.promo) == (PurchaseState.COMPLETED, code, None)
        assert told.entry.amount == 40
    assert promos(driver) == given


def test_the_reconciliation_redeems_the_code_of_a_purchase_that_was_left_pending(driver, provider):
    driver.put_campaign(100)
    late = provider.that(Behaviour.LATE)
    pending = driver.buy(40, late, promo="SPRING")
    assert (pending.promo, promos(driver), driver.redeemed()) == (None, [], 0)
    driver.reconcile(pending.purchase.purchase_id, late)
    assert (purchases(driver), promos(driver), driver.redeemed()) == ([40], [5], 1)


def test_a_code_that_was_valid_when_the_purchase_began_is_redeemed_however_late_the_provider(driver, provider):
    driver.put_campaign(100)
    late = provider.that(Behaviour.LATE)
    pending = driver.at(END - TICK).buy(40, late, promo="SPRING")
    driver.at(END + timedelta(days=1)).reconcile(pending.purchase.purchase_id, late)
    assert (purchases(driver), promos(driver)) == ([40], [5])


def test_a_code_that_ran_out_before_the_reconciliation_does_not_keep_the_connects_back(driver, provider):
    driver.put_campaign(100)
    late = provider.that(Behaviour.LATE)
    pending = driver.buy(40, late, promo="SPRING")
    driver.put_campaign(0)
    assert driver.reconcile(pending.purchase.purchase_id, late) is PurchaseState.COMPLETED
    read = read_purchase(driver.ledger, "ann", pending.purchase.purchase_id)
    assert (read.entry.amount, read.promo, read.purchase.promo_refused) == (40, None, "promo_exhausted")


def test_a_repeat_of_a_purchase_that_was_left_pending_says_nothing_of_what_became_of_its_code(driver, provider):
    driver.put_campaign(100)
    late = provider.that(Behaviour.LATE)
    pending = driver.buy(40, late, promo="SPRING")
    driver.put_campaign(0)
    driver.reconcile(pending.purchase.purchase_id, late)
    assert purchase_view(driver.buy(40, late, promo="SPRING")) == purchase_view(pending)


def test_a_declined_purchase_leaves_its_code_to_the_next(driver, provider, succeeds):
    driver.put_campaign(1)
    with pytest.raises(PaymentDeclinedError):
        driver.buy(40, provider.that(Behaviour.DECLINE), promo="SPRING")
    assert driver.buy(40, succeeds, promo="SPRING").promo.amount == 5


def test_a_completion_with_a_promo_whose_answer_was_lost_tells_of_both(driver, succeeds, faults):
    driver.put_campaign(100)
    faults.on(TRANSACT, answer_lost)
    bought = driver.buy(40, succeeds, promo="SPRING")
    assert (bought.entry.amount, bought.promo.amount, driver.redeemed()) == (40, 5, 1)
