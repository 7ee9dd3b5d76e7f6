"""Money that goes back: what is taken, what is owed, what is excused, and how all of it comes again."""

from dataclasses import replace

import pytest

from shared.ledger.auction import Bid, Boost, Ending, Verdict
from shared.ledger.auction import Why as Ended
from shared.ledger.chargebacks import MOST_DEBTS, JournalMovedError, Why
from shared.ledger.commands import Settle, decide
from shared.ledger.errors import InsufficientConnectsError
from shared.ledger.holds import BOOST, EndHold, Hold, hold_reference
from shared.ledger.model import Debt, EntryType, Plan, Status, entry_id
from shared.ledger.policy import Policy
from shared.ledger.purchases import LOOK_AGAIN, PurchaseState
from shared.ledger.settling import SETTLED_WHILE_OWING
from tests.core.builders import QUIET, Book, free, noon, paid
from tests.core.payments import Payments, debts, lost

DAY = "2026-01-15"
ITS_LOT = paid("2027-01-16")
"""The bucket of what was bought on that day."""
A_TRANSACTION_TAKES = 100


@pytest.fixture
def payments():
    payments = Payments(Book.opened(DAY, policy=QUIET))
    yield payments
    assert payments.problems() == []


def lots(payments):
    return dict(payments.book.account.lots)


def facts(entry):
    return {name: entry.reference[name] for name in ("owed", "lost", "owed_after") if name in entry.reference}


# --- Taking back ---


def test_what_is_unspent_is_taken_back_and_what_was_used_is_owed(payments):
    bought = payments.buy(40)
    payments.book.spend(10)
    entry = payments.goes_back(bought)
    assert (entry.type, entry.amount, entry.slices) == (EntryType.CHARGEBACK, -30, {ITS_LOT: -30})
    assert (entry.balance_after, payments.book.account.owed) == (0, (Debt(bought, 10),))
    assert entry.reference == {
        "type": "chargeback",
        "purchase_id": bought,
        "why": "dispute",
        "owed": "10",
        "owed_after": "10",
    }
    assert entry.reason == "Payment disputed: 30 Connects taken back, 10 owed"


def test_if_all_was_used_an_entry_of_0_explains_the_debt(payments):
    bought = payments.buy(40)
    payments.book.spend(40)
    entry = payments.goes_back(bought, why=Why.REFUND)
    assert (entry.amount, entry.slices, facts(entry)) == (0, {}, {"owed": "40", "owed_after": "40"})
    assert entry.reason == "Payment refunded: 40 Connects owed"


def test_a_part_of_the_payment_takes_that_part_of_the_connects(payments):
    bought = payments.buy(40)
    assert payments.goes_back(bought, 300).amount == -20
    assert payments.book.account.balance == 20


def test_partial_refunds_add_up_to_exactly_all(payments):
    """Of 600 cents for 40 Connects."""
    bought, back = payments.buy(40), 0
    taken = []
    for cents in (7, 100, 93, 400):
        back += cents
        entry = payments.goes_back(bought, back, Why.REFUND)
        taken.append(entry.amount if entry else 0)
    assert taken == [0, -7, -6, -27]
    assert payments.purchases[bought].reclaimed == 40
    assert lots(payments) == {}


def test_a_dispute_and_a_refund_of_the_same_money_count_once(payments):
    bought = payments.buy(40)
    payments.goes_back(bought, 600)
    assert payments.goes_back(bought, 1200, Why.REFUND) is None
    assert payments.purchases[bought].reclaimed == 40


def test_other_lots_are_not_touched(payments):
    payments.book.credit(7)
    other = payments.buy(20)
    payments.book.at("2026-01-16")
    bought = payments.buy(40)
    payments.book.spend(27 + 10)
    payments.goes_back(bought)
    assert (lots(payments), payments.book.account.total_owed) == ({}, 10)
    assert payments.purchases[other].reclaimed == 0


def test_of_two_purchases_of_one_day_either_may_be_disputed_first(payments):
    """Their Connects are interchangeable: 30 of the 80 are left, and the first dispute takes them."""
    first, second = payments.buy(40), payments.buy(40)
    payments.book.spend(50)
    in_order, reversed_ = payments, payments.copy()
    for story, order in ((in_order, (first, second)), (reversed_, (second, first))):
        taken, owing = (story.goes_back(purchase) for purchase in order)
        assert (taken.amount, facts(taken)) == (-30, {"owed": "10", "owed_after": "10"})
        assert (owing.amount, facts(owing)) == (0, {"owed": "40", "owed_after": "50"})
        assert story.book.account.owed == (Debt(order[0], 10), Debt(order[1], 40))


def test_no_more_is_taken_of_a_bucket_than_the_purchase_put_into_it(payments):
    bought = payments.buy(20)
    payments.buy(50)
    payments.goes_back(bought)
    assert lots(payments) == {ITS_LOT: 50}


def hold(payments, amount):
    """A boost, and its entry."""
    book = payments.book
    request = book.request(BOOST)
    hold_id = entry_id("ann", BOOST, request.key)
    boost = Boost("ann", "p", hold_id, hold_id, (Bid(book.now, amount),))
    (entry,) = book.do(Hold(amount, "Boost", hold_reference("j", boost, 1, None), request))
    return boost, entry


def end_of(payments, held, pays, why):
    boost, entry = held
    ending = Ending(boost, Verdict(pays, why, payments.book.now))
    return payments.book.do(EndHold("j", ending, () if pays else (entry,)))


def test_what_is_held_for_a_boost_counts_as_used_and_pays_when_it_is_released(payments):
    bought = payments.buy(40)
    held = hold(payments, 15)
    assert facts(payments.goes_back(bought)) == {"owed": "15", "owed_after": "15"}
    released, paid_back = end_of(payments, held, 0, Ended.OUTBID)
    assert (released.amount, paid_back.amount, paid_back.slices) == (15, -15, {ITS_LOT: -15})
    assert (payments.book.account.held, payments.book.account.owed) == (0, ())


def test_what_is_held_for_a_boost_and_captured_stays_owed(payments):
    bought = payments.buy(40)
    held = hold(payments, 15)
    payments.goes_back(bought)
    end_of(payments, held, 15, Ended.CLOSED)
    assert (payments.book.account.held, payments.book.account.owed) == (0, (Debt(bought, 15),))


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.CLOSED])
def test_it_is_taken_and_given_back_whatever_the_status_of_the_account(payments, status):
    bought = payments.buy(40)
    payments.book.change_status(status)
    assert payments.goes_back(bought).amount == -40
    assert payments.comes_again(bought).amount == 40


# --- Expired unused ---


def test_what_expired_unused_is_neither_there_nor_owed(payments):
    bought = payments.buy(40)
    payments.book.spend(10)
    payments.book.at("2027-01-16").settle()
    entry = payments.goes_back(bought)
    assert (entry.amount, facts(entry)) == (0, {"owed": "10", "lost": "30", "owed_after": "10"})
    assert entry.reason == "Payment disputed: 10 Connects owed, 30 had expired"


def test_it_is_the_same_while_no_schedule_has_settled_the_expiry(payments):
    bought = payments.buy(40)
    payments.book.spend(10)
    payments.book.at("2027-03-01")
    entry = payments.goes_back(bought)
    assert facts(entry) == {"owed": "10", "lost": "30", "owed_after": "10"}


def test_each_connect_that_expired_is_excused_once(payments):
    """80 were bought in one day and 50 spent, so 30 expired: of both disputes together these are excused."""
    first, second = payments.buy(40), payments.buy(40)
    payments.book.spend(50)
    payments.book.at("2027-01-16").settle()
    assert facts(payments.goes_back(first)) == {"owed": "10", "lost": "30", "owed_after": "10"}
    assert facts(payments.goes_back(second)) == {"owed": "40", "owed_after": "50"}
    payments.comes_again(first)
    payments.comes_again(second)
    assert facts(payments.goes_back(second, 300)) == {"lost": "20", "owed_after": "0"}
    assert facts(payments.goes_back(first)) == {"owed": "30", "lost": "10", "owed_after": "30"}


def test_a_dispute_that_is_won_after_the_expiry_excuses_no_more(payments):
    bought = payments.buy(40)
    payments.book.at("2027-01-16").settle()
    payments.goes_back(bought)
    entry = payments.comes_again(bought)
    assert (entry.amount, facts(entry)) == (0, {"lost": "-40", "owed_after": "0"})
    assert entry.reason == "Dispute won: 40 Connects not given back, as they were not taken"
    assert lots(payments) == {}


def test_of_a_purchase_that_is_in_two_lots_each_has_only_its_own_share(payments):
    """20 of 40 expired beside another purchase's 40, and 20 had come back for the days of grace."""
    bought = payments.buy(40)
    payments.buy(40)
    payments.goes_back(bought, 300)
    payments.book.at("2027-02-01")
    payments.comes_again(bought)
    first, second = payments.goes_back(bought, 450), payments.goes_back(bought, 600)
    assert (first.slices, facts(first)) == ({paid("2027-03-03"): -10}, {"lost": "20", "owed_after": "0"})
    assert (second.slices, facts(second)) == ({paid("2027-03-03"): -10}, {"owed_after": "0"})


def test_what_was_excused_last_is_the_first_that_is_excused_no_more(payments):
    """20 expired in the lot of the purchase and 20 in that of the days of grace."""
    bought = payments.buy(40)
    payments.goes_back(bought, 300)
    payments.book.at("2027-02-01")
    payments.comes_again(bought)
    payments.book.at("2027-04-01")
    steps = [payments.goes_back(bought, cents, Why.WON if cents < 600 else Why.DISPUTE) for cents in (600, 300, 0)]
    assert [entry.reference["lost_lots"] for entry in steps] == [
        "2027-01-16/paid:20 2027-03-03/paid:20",
        "2027-03-03/paid:-20",
        "2027-01-16/paid:-20",
    ]


# --- Paying what is owed ---


def owing(payments, *amounts):
    """Purchases of so many Connects, all spent and then all disputed."""
    bought = [payments.buy(amount) for amount in amounts]
    payments.book.spend(sum(amounts))
    for purchase in bought:
        payments.goes_back(purchase)
    return bought


def test_what_comes_pays_the_oldest_debt_first_out_of_the_very_lots_that_came(payments):
    first, second = owing(payments, 10, 40)
    came = payments.book.do_credit(25)
    [credit, *paid_back] = came
    assert [entry.amount for entry in came] == [25, -10, -15]
    assert [entry.slices for entry in paid_back] == [{free("2027-01-16"): -10}, {free("2027-01-16"): -15}]
    assert [entry.reference for entry in paid_back] == [
        {"type": "debt", "purchase_id": first, "of": credit.entry_id, "owed": "-10", "owed_after": "40"},
        {"type": "debt", "purchase_id": second, "of": credit.entry_id, "owed": "-15", "owed_after": "25"},
    ]
    assert paid_back[0].reason == "10 owed Connects paid back"
    assert payments.book.account.owed == (Debt(second, 25),)


def test_what_is_left_when_all_is_paid_stays(payments):
    owing(payments, 10)
    assert [entry.amount for entry in payments.book.do_credit(25)] == [25, -10]
    assert (lots(payments), payments.book.account.owed) == ({free("2027-01-16"): 15}, ())


def test_a_new_purchase_pays_too_and_so_does_a_promo_code(payments):
    owing(payments, 45)
    payments.buy(40)
    assert (payments.book.account.balance, payments.book.account.total_owed) == (0, 5)


def test_a_refund_pays_out_of_the_lot_that_it_went_back_to(payments):
    bought = payments.buy(40)
    spend = payments.book.spend(10)
    payments.book.spend(30)
    payments.goes_back(bought)
    payments.book.refund(spend)
    last = payments.book.entries[-1]
    assert (last.slices, last.reference["type"]) == ({ITS_LOT: -10}, "debt")
    assert payments.book.account.owed == (Debt(bought, 30),)


def test_monthly_connects_pay_on_their_day_however_late_the_schedule_is():
    payments = Payments(Book.opened(DAY, policy=replace(QUIET, monthly_basic=10, monthly_plus=100)))
    payments.book.spend(payments.book.account.balance)
    owing(payments, 35)
    payments.book.at("2026-06-01").settle()
    rows = [entry for entry in payments.book.entries if entry.at >= noon("2026-02-01")]
    assert [entry.amount for entry in rows] == [10, -10, 10, -10, 10, -10, 10, -5]
    assert [entry.at for entry in rows[::2]] == [entry.at for entry in rows[1::2]]
    assert payments.book.account.balance == 5


def test_nobody_can_spend_what_paid_a_debt(payments):
    owing(payments, 40)
    payments.book.do_credit(25)
    with pytest.raises(InsufficientConnectsError):
        payments.book.spend(1)


def test_a_correction_pays_if_it_gives_and_not_if_it_takes(payments):
    owing(payments, 40)
    payments.book.adjust(45)
    assert (payments.book.account.balance, payments.book.account.total_owed) == (5, 0)
    payments.book.adjust(-5)
    owing(payments, 10)
    assert (payments.book.account.balance, payments.book.account.total_owed) == (0, 10)


# --- Coming again ---


def test_a_won_dispute_forgives_what_is_still_owed_before_anything_comes_back(payments):
    bought = payments.buy(40)
    payments.book.spend(10)
    payments.goes_back(bought)
    entry = payments.comes_again(bought)
    assert (entry.amount, entry.slices) == (30, {ITS_LOT: 30})
    assert facts(entry) == {"owed": "-10", "owed_after": "0"}
    assert entry.reason == "Dispute won: 30 Connects given back, 10 no longer owed"


def test_a_won_dispute_gives_back_to_the_very_lots(payments):
    """Also what paid the debt: last taken, first back."""
    bought = payments.buy(40)
    payments.book.spend(25)
    payments.goes_back(bought)
    payments.book.at("2026-02-01").do_credit(10)
    steps = [payments.goes_back(bought, cents, Why.WON) for cents in (375, 225, 75, 0)]
    assert [entry.slices for entry in steps] == [
        {},
        {free("2027-02-02"): 10},
        {ITS_LOT: 10},
        {ITS_LOT: 5},
    ]
    assert facts(steps[0]) == {"owed": "-15", "owed_after": "0"}


@pytest.mark.parametrize("stored", [list, reversed])
def test_of_one_entry_the_lot_that_lasts_longest_comes_back_first(stored):
    """In whatever order the store keeps the slices of an entry."""
    plus = replace(QUIET, monthly_plus=40, monthly_plus_free=10)
    payments = Payments(Book.opened(DAY, policy=plus, plan=Plan.PLUS))
    payments.book.spend(40)
    (bought,) = owing(payments, 40)
    payments.book.at("2026-02-20").settle()
    book = payments.book
    assert book.entries[-1].slices == {free("2027-02-16"): -10, paid("2027-02-16"): -30}
    book.entries = [replace(entry, slices=dict(stored([*entry.slices.items()]))) for entry in book.entries]
    assert payments.goes_back(bought, 300, Why.WON).slices == {paid("2027-02-16"): 20}
    assert payments.comes_again(bought).slices == {paid("2027-02-16"): 10, free("2027-02-16"): 10}


def test_a_lot_that_expired_meanwhile_comes_back_for_the_days_of_grace(payments):
    bought = payments.buy(40)
    payments.goes_back(bought)
    payments.book.at("2027-02-01")
    assert payments.comes_again(bought).slices == {paid("2027-03-03"): 40}
    # And is taken from there, if the money goes back after all.
    assert payments.goes_back(bought).slices == {paid("2027-03-03"): -40}


def test_without_days_of_grace_it_comes_back_and_expires_at_once():
    payments = Payments(Book.opened(DAY, policy=replace(QUIET, refund_grace_days=0)))
    bought = payments.buy(40)
    payments.goes_back(bought)
    payments.book.at("2027-02-01")
    payments.comes_again(bought)
    assert [entry.amount for entry in payments.book.entries[-2:]] == [40, -40]
    assert facts(payments.goes_back(bought)) == {"lost": "40", "owed_after": "0"}


def test_what_comes_again_of_one_purchase_pays_what_is_owed_for_another(payments):
    first = payments.buy(40)
    payments.goes_back(first)
    (second,) = owing(payments, 15)
    payments.comes_again(first)
    assert [entry.amount for entry in payments.book.entries[-2:]] == [40, -15]
    assert payments.book.entries[-1].reference["purchase_id"] == second
    assert payments.book.account.owed == ()


def test_going_back_again_takes_what_had_been_given_back(payments):
    """Lost, won by an appeal, lost again: as if it had gone back once."""
    bought = payments.buy(40)
    payments.book.spend(40)
    payments.goes_back(bought)
    payments.book.do_credit(10)
    once = payments.copy()
    payments.comes_again(bought)
    assert payments.book.account.balance == 10
    payments.goes_back(bought)
    assert payments.book.account.lots == once.book.account.lots == {}
    assert payments.book.account.owed == once.book.account.owed == (Debt(bought, 30),)


def test_going_back_again_takes_no_more_than_had_been_given_back(payments):
    bought = payments.buy(40)
    payments.book.spend(40)
    payments.goes_back(bought)
    payments.book.do_credit(10)
    payments.comes_again(bought)
    payments.book.do_credit(15)
    entry = payments.goes_back(bought)
    assert (entry.slices, facts(entry)) == ({free("2027-01-16"): -10}, {"owed": "30", "owed_after": "30"})
    assert lots(payments) == {free("2027-01-16"): 15}


def test_a_step_is_one_entry_however_often_it_is_tried(payments):
    bought = payments.buy(40)
    before = payments.command(bought, 600).request
    payments.goes_back(bought)
    assert payments.command(bought, 600).request != before
    assert payments.book.run(payments.command(bought, 600)) == []


# --- The purchase ---


def test_a_purchase_whose_whole_payment_went_back_is_shown_as_refunded_and_as_completed_when_it_came_again(payments):
    bought = payments.buy(40)
    states = []
    for cents in (300, 600, 599, 0):
        payments.goes_back(bought, cents)
        states.append(payments.purchases[bought].status)
    completed = PurchaseState.COMPLETED
    assert states == [completed, PurchaseState.REFUNDED_TO_CARD, completed, completed]
    assert payments.purchases[bought].state is completed


def test_every_level_that_is_written_is_asked_after_once_more(payments):
    bought = payments.buy(40)
    payments.goes_back(bought, 1)
    assert payments.purchases[bought].due_at == payments.book.now + LOOK_AGAIN
    assert payments.purchases[bought].reclaims == 0


# --- Bounds ---


def test_an_account_owes_for_so_many_purchases_at_most_and_the_rest_is_excused(payments):
    bought = owing(payments, *[10] * (MOST_DEBTS + 1))
    assert len(payments.book.account.owed) == MOST_DEBTS
    last = payments.book.entries[-1]
    assert facts(last) == {"lost": "10", "owed_after": str(10 * MOST_DEBTS)}
    assert last.reason == "Payment disputed: 10 Connects not charged"
    assert (payments.comes_again(bought[-1]).amount, payments.book.account.balance) == (0, 0)


def test_what_pays_many_debts_fits_into_one_transaction():
    """After years without a schedule, with as many debts as there can be."""
    policy = replace(Policy(), monthly_basic=1, sign_up=0)
    payments = Payments(Book.opened(DAY, policy=policy))
    payments.book.spend(1)
    owing(payments, *[10] * MOST_DEBTS)
    payments.book.at("2032-01-15")
    longest, decided = 0, 0
    while payments.book.pending:
        written = len(payments.book.entries)
        decision = one_decision(payments.book, Settle())
        longest, decided = max(longest, len(decision.entries)), decided + 1
        assert len(payments.book.entries) > written
    assert longest <= SETTLED_WHILE_OWING + MOST_DEBTS + 1
    payments.buy(200)
    assert len(payments.book.account.owed) == 0
    assert longest + 3 * MOST_DEBTS < A_TRANSACTION_TAKES


def one_decision(book, command):
    decision = decide(book.account, command, book.now, book.policy)
    book.account, book.entries = decision.account, [*book.entries, *decision.entries]
    return decision


def test_without_the_journal_nothing_is_decided_that_depends_on_it(payments):
    bought = payments.buy(40)
    payments.goes_back(bought, 300)
    with pytest.raises(JournalMovedError):
        payments.book.copy().run(replace(payments.command(bought, 600), journal=None))
    older = payments.command(bought, 600)
    payments.book.spend(1)
    with pytest.raises(JournalMovedError):
        payments.book.copy().run(older)
    fresh = payments.buy(10)
    payments.book.at("2027-06-01")
    with pytest.raises(JournalMovedError):
        payments.book.copy().run(replace(payments.command(fresh, 150), journal=None))


def test_what_owes_nothing_stores_nothing(payments):
    bought = payments.buy(40)
    payments.goes_back(bought)
    assert payments.book.account.owed == ()
    assert lost(payments.book.entries, bought) == 0
    assert debts(payments.book.entries) == {}
