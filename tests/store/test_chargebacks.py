"""Money that goes back: level, entry and account in one transaction, whatever the order, the repeats, the crashes."""

import time
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from shared.ledger.errors import BusyError, PurchaseNotFoundError
from shared.ledger.model import Debt, EntryType, Request
from shared.ledger.purchases import LOOK_AGAIN, Order, PaymentSource, PurchaseState, new_attempt
from shared.store.purchases import Purchases
from tests.core.builders import free, paid
from tests.faults import CONFLICT, GET, TRANSACT, UPDATE, KilledError, answer_lost, dies, passes, request_lost

ITS_LOT = paid("2027-01-16")
A_MINUTE = timedelta(minutes=1)


@pytest.fixture
def driver(driver):
    driver.open()
    return driver


@pytest.fixture
def bought(driver):
    """40 Connects for 600 cents."""
    return driver.bought(40)


def due(driver):
    return [found.purchase_id for found in Purchases(driver.table).due(driver.clock.at + A_MINUTE)]


def later(driver, by=A_MINUTE):
    return driver.at(driver.clock.at + by)


# --- A level ---


def test_a_disputed_payment_takes_back_what_is_unspent_and_the_rest_is_owed(driver, bought):
    driver.spend(10)
    after = driver.goes_back(bought, 600)
    assert after == driver.purchase(bought)
    assert (after.returned_cents, after.reclaimed, after.reclaims, after.dispute) == (600, 40, 1, "needs_response")
    assert (after.state, after.status) == (PurchaseState.COMPLETED, PurchaseState.REFUNDED_TO_CARD)
    assert (driver.balance(), driver.stored().owed) == (0, (Debt(bought, 10),))
    entry = driver.table.entry("ann", after.reclaim_id(1))
    assert (entry.type, entry.slices) == (EntryType.CHARGEBACK, {ITS_LOT: -30})


def test_said_again_it_changes_nothing(driver, bought):
    driver.goes_back(bought, 600)
    rows, stored = driver.journal(), driver.stored()
    first = driver.purchase(bought)
    assert driver.goes_back(bought, 600) == first == driver.purchase(bought)
    assert (driver.journal(), driver.stored()) == (rows, stored)


@pytest.mark.parametrize(
    ("cents", "dispute", "why"),
    [
        (600, "needs_response", "dispute"),
        (600, "lost", "dispute"),
        (600, None, "refund"),
        (600, "warning_closed", "refund"),
        (600, "prevented", "refund"),
        (600, "won", "refund"),
    ],
)
def test_the_entry_says_why_the_payment_went_back(driver, bought, cents, dispute, why):
    purchase = driver.goes_back(bought, cents, dispute)
    assert driver.table.entry("ann", purchase.reclaim_id(1)).reference["why"] == why


@pytest.mark.parametrize(
    ("dispute", "why"),
    [("won", "won"), ("under_review", "won"), (None, "refund_failed"), ("warning_x", "refund_failed")],
)
def test_the_entry_says_why_it_came_again(driver, bought, dispute, why):
    driver.goes_back(bought, 600)
    purchase = driver.goes_back(bought, 0, dispute)
    entry = driver.table.entry("ann", purchase.reclaim_id(2))
    assert (entry.amount, entry.reference["why"]) == (40, why)
    assert (purchase.status, driver.balance()) == (PurchaseState.COMPLETED, 40)


def test_a_payment_from_the_earnings_balance_is_reversed(driver):
    order, purchases = Order(40, PaymentSource.EARNINGS_BALANCE), Purchases(driver.table)
    request = Request("purchase", "earned", "f", "ann")
    begun = new_attempt("ann", order, request, None, now=driver.clock.at, policy=driver.policy)
    driver.bought(40, "earned")
    read = driver.purchase(begun.purchase_id)
    earned = purchases.save(read, replace(read, source=PaymentSource.EARNINGS_BALANCE))
    purchase = driver.goes_back(earned.purchase_id, 600, None)
    assert driver.table.entry("ann", purchase.reclaim_id(1)).reference["why"] == "reversal"


def test_cents_that_are_worth_no_connect_are_noted_without_an_entry(driver, bought):
    after = driver.goes_back(bought, 7, None)
    assert (after.returned_cents, after.reclaims, driver.chargebacks()) == (7, 0, [])
    assert after == driver.purchase(bought)


def test_the_status_of_a_dispute_alone_is_noted_without_an_entry(driver, bought):
    driver.goes_back(bought, 0, "warning_needs_response")
    assert (driver.purchase(bought).dispute, driver.chargebacks()) == ("warning_needs_response", [])


def test_a_purchase_that_is_not_completed_is_left_alone(driver):
    request = Request("purchase", "begun", "f", "ann")
    order = Order(40, PaymentSource.BILLING_METHOD)
    begun = new_attempt("ann", order, request, None, now=driver.clock.at, policy=driver.policy)
    begun = Purchases(driver.table).save(None, begun)
    assert driver.goes_back(begun.purchase_id, 600) == begun == driver.purchase(begun.purchase_id)


def test_what_paid_a_debt_comes_back_to_its_lot_when_the_dispute_is_won(driver, bought):
    driver.spend(40)
    driver.goes_back(bought, 600)
    driver.at("2026-02-01").credit(10)
    assert (driver.balance(), driver.stored().owed) == (0, (Debt(bought, 30),))
    driver.goes_back(bought, 0, "won")
    assert (driver.stored().lots, driver.stored().owed) == ({free("2027-02-02"): 10}, ())
    assert driver.chargebacks() == [(0, "40"), (-10, "-10"), (10, "-30")]


def test_what_expired_unused_is_excused_whether_a_schedule_ran_or_not(driver, bought):
    driver.spend(10)
    driver.at("2027-02-01")
    driver.goes_back(bought, 600)
    assert driver.stored().owed == (Debt(bought, 10),)
    entry = driver.journal()[-1]
    assert (entry.reference["lost"], entry.reference["lost_lots"]) == ("30", "2027-01-16/paid:30")


def test_another_dispute_of_that_lot_is_not_excused_for_the_same_connects(driver, bought):
    other = driver.bought(40, "other")
    driver.spend(50)
    driver.at("2027-02-01")
    driver.goes_back(bought, 600)
    driver.goes_back(other, 600)
    assert driver.stored().owed == (Debt(bought, 10), Debt(other, 40))


# --- Due ---


def test_a_level_that_was_written_is_due_in_a_minute_until_a_later_answer_agrees(driver, bought):
    assert due(driver) == []
    driver.goes_back(bought, 600)
    assert driver.purchase(bought).due_at == driver.clock.at + LOOK_AGAIN
    driver.goes_back(bought, 600)
    assert due(driver) == [bought], "an answer before it is due leaves it"
    later(driver).goes_back(bought, 600)
    assert (due(driver), driver.purchase(bought).due_at) == ([], None)


def test_a_look_that_was_planned_for_later_stays(driver, bought):
    purchases, read = Purchases(driver.table), driver.purchase(bought)
    tomorrow = driver.clock.at + timedelta(days=1)
    purchases.save(read, replace(read, due_at=tomorrow))
    assert driver.goes_back(bought, 0, None).due_at == tomorrow
    assert driver.at(tomorrow).goes_back(bought, 0, None).due_at is None


def test_an_answer_to_an_older_question_is_not_written_and_the_provider_is_asked_once_more(driver, bought):
    """A asked before, B after the change; A is the last to write."""
    read_by_a = driver.purchase(bought)
    driver.goes_back(bought, 600)
    later(driver).goes_back(bought, 600)
    assert due(driver) == []
    assert driver.goes_back(bought, 300, None, read=read_by_a).reclaimed == 40
    assert due(driver) == [bought]
    assert driver.chargebacks() == [(-40, None)]


def test_an_older_answer_that_is_written_first_ends_right(driver, bought):
    """A's question came before one of two refunds failed, B's after it; B read the purchase before A wrote."""
    read_by_b = driver.purchase(bought)
    driver.goes_back(bought, 600, None)
    assert driver.goes_back(bought, 300, None, read=read_by_b).reclaimed == 40
    assert due(driver) == [bought]
    later(driver).goes_back(bought, 300, None)
    later(driver).goes_back(bought, 300, None)
    assert (driver.balance(), due(driver)) == (20, [])


def test_an_answer_that_agrees_with_what_was_read_leaves_a_newer_level_to_its_own_look(driver, bought):
    read = driver.purchase(bought)
    newer = driver.goes_back(bought, 600)
    assert driver.goes_back(bought, 0, None, read=read) == read
    assert (driver.purchase(bought), due(driver)) == (newer, [bought])


def test_an_older_answer_that_says_the_same_changes_nothing(driver, bought):
    read = driver.purchase(bought)
    driver.goes_back(bought, 600)
    later(driver).goes_back(bought, 600)
    assert driver.goes_back(bought, 600, read=read) == driver.purchase(bought)
    assert due(driver) == []


# --- Races, lost answers and deaths ---


def test_a_spend_that_is_faster_leaves_more_to_be_owed(driver, bought, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.spend(10)))
    driver.goes_back(bought, 600)
    assert (driver.balance(), driver.stored().owed) == (0, (Debt(bought, 10),))


def test_what_comes_between_the_journal_and_the_write_is_counted(driver, bought, faults):
    """The second level depends on the journal: it is read again."""
    driver.spend(40)
    driver.goes_back(bought, 600)
    faults.on(TRANSACT, faults.before(lambda: driver.credit(15)))
    driver.goes_back(bought, 0, "won")
    assert driver.stored().lots == {free("2027-01-16"): 15}
    assert driver.chargebacks() == [(0, "40"), (-15, "-15"), (15, "-25")]


def test_another_level_that_is_faster_is_not_written_over(driver, bought, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.goes_back(bought, 300)))
    assert driver.goes_back(bought, 600).reclaimed == 20
    assert (due(driver), driver.chargebacks()) == ([bought], [(-20, None)])


def test_a_transaction_whose_answer_is_lost_is_written_once(driver, bought, faults):
    faults.on(TRANSACT, answer_lost, answer_lost)
    after = driver.goes_back(bought, 600)
    assert after == driver.purchase(bought)
    assert (after.reclaimed, driver.chargebacks()) == (40, [(-40, None)])


def test_a_conflict_is_tried_again(driver, bought, faults):
    faults.on(TRANSACT, CONFLICT, request_lost)
    assert driver.goes_back(bought, 600).reclaimed == 40


def test_an_update_whose_answer_is_lost_is_written_once(driver, bought, faults):
    faults.on(UPDATE, answer_lost, answer_lost)
    after = driver.goes_back(bought, 7, None)
    assert (after.returned_cents, after) == (7, driver.purchase(bought))


@pytest.mark.parametrize("operation", [GET, TRANSACT])
def test_whoever_dies_before_the_write_has_changed_nothing_and_the_next_one_does_it(driver, bought, faults, operation):
    stored = driver.stored()
    faults.on(operation, *([passes] if operation == GET else []), dies)
    with pytest.raises(KilledError):
        driver.goes_back(bought, 600)
    faults.calm()
    assert driver.stored() == stored
    assert driver.goes_back(bought, 600).reclaimed == 40
    assert driver.chargebacks() == [(-40, None)]


def test_whoever_dies_after_the_write_has_done_all_of_it(driver, bought, faults):
    def writes_and_dies(send):
        send()
        raise KilledError

    faults.on(TRANSACT, writes_and_dies)
    with pytest.raises(KilledError):
        driver.goes_back(bought, 600)
    after = driver.purchase(bought)
    assert (after.reclaimed, driver.balance(), due(driver)) == (40, 0, [bought])
    assert driver.goes_back(bought, 600) == after


def test_what_cannot_be_written_in_time_is_busy(driver, bought, faults):
    faults.on(TRANSACT, *[CONFLICT] * 50)
    read = driver.purchase(bought)
    with pytest.raises(BusyError):
        driver.goes_back(bought, 600, read=read, by=time.monotonic())
    faults.calm()
    assert driver.chargebacks() == []


def test_a_purchase_that_is_gone_is_not_found(driver, bought):
    read = replace(driver.purchase(bought), purchase_id="a" * 26)
    with pytest.raises(PurchaseNotFoundError):
        driver.goes_back("a" * 26, 7, None, read=read)


# --- Any order, each twice ---


@pytest.mark.parametrize("spent", [0, 15, 40])
@pytest.mark.parametrize("order", [*permutations([(300, None), (600, "needs_response"), (0, "won")])])
def test_the_last_answer_counts_whatever_came_before_and_each_twice(driver, bought, spent, order):
    if spent:
        driver.spend(spent)
    for cents, dispute in [*order, *order]:
        driver.goes_back(bought, cents, dispute)
        driver.goes_back(bought, cents, dispute)
    cents, dispute = order[-1]
    after = driver.purchase(bought)
    assert (after.returned_cents, after.dispute, after.reclaimed) == (cents, dispute, 40 * cents // 600)
    assert driver.balance() == max(40 - spent - after.reclaimed, 0)
    assert driver.stored().total_owed == max(after.reclaimed - (40 - spent), 0)


# --- What is read of it ---


def test_the_audit_compares_each_purchase_with_its_entries_and_reads_newer_ones(driver, bought):
    driver.spend(10)
    before = driver.stored()
    driver.goes_back(bought, 600)
    assert [each for each in driver.audit().findings if each.problems] == []
    from shared.services.audits import audit_account  # noqa: PLC0415
    from tests.driver import deadline  # noqa: PLC0415

    audited = audit_account(driver.ledger, before, None, deadline=deadline())
    assert (audited.as_of_seq, [each for each in audited.findings if each.problems]) == (before.seq, [])
