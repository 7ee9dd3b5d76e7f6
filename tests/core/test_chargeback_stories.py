"""Whatever happens beside it, the Connects of a purchase follow its payment, and every debt is explained by its rows.

Two accounts get the same commands, one settled by its commands alone and one at each midnight that brings anything.
After each step: the audit finds nothing, the debts follow from the rows alone, and of each purchase as much is taken
back as went back of its payment.
"""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_stories

from shared.ledger.auction import Bid, Boost, Ending, Verdict
from shared.ledger.auction import Why as Ended
from shared.ledger.calendar import ONE_DAY, midnight
from shared.ledger.chargebacks import Why
from shared.ledger.commands import Settle
from shared.ledger.credits import Adjust, Credit
from shared.ledger.holds import BOOST, EndHold, Hold, hold_reference
from shared.ledger.model import Entry, EntryType, Plan, PlanChange, entry_id
from shared.ledger.plans import ChangeAccount
from shared.ledger.policy import Policy
from shared.ledger.proposals import Spend
from shared.ledger.refunds import Refund
from tests.core.builders import QUIET, Book, content
from tests.core.payments import Payments, debts

POLICIES = [
    QUIET,
    Policy(sign_up=5, monthly_basic=3, monthly_plus=20, monthly_plus_free=5),
    Policy(sign_up=0, monthly_basic=0, monthly_plus=10, lot_lifetime_months=2, refund_grace_days=10),
    Policy(sign_up=0, monthly_basic=2, monthly_plus=9, monthly_plus_free=3, lot_lifetime_months=1, refund_grace_days=0),
]
UP, DOWN = [Why.DISPUTE, Why.REFUND, Why.REVERSAL], [Why.WON, Why.REFUND_FAILED]
amounts = st.integers(1, 60)
shares = st.sampled_from([0, 1, 50, 99, 100, 100, 200])
"""In percent of the payment: what is back with the buyer."""


class Stories(RuleBasedStateMachine):
    late: Payments
    nightly: Payments

    @initialize(policy=st.sampled_from(POLICIES), plan=st.sampled_from(Plan))
    def open(self, policy, plan):
        self.late = Payments(Book.opened("2023-01-31", policy=policy, plan=plan))
        self.nightly = self.late.copy()
        self.spends: list[Entry] = []
        self.holds: list[tuple[Boost, Entry]] = []
        for quantity in (40, 20, 40):
            self.buy(quantity)

    @rule(quantity=st.sampled_from([10, 20, 40]))
    def buy(self, quantity):
        assert self.late.buy(quantity) == self.nightly.buy(quantity)

    @rule(newest=st.integers(0, 2), share=shares, why=st.integers(0, 5))
    def money_goes_back_or_comes_again(self, newest, share, why):
        purchase_id = list(self.late.purchases)[-1 - newest]
        purchase = self.late.purchases[purchase_id]
        cents = purchase.amount_cents * share // 100
        reasons = UP if cents > purchase.returned_cents else DOWN
        for payments in (self.late, self.nightly):
            payments.goes_back(purchase_id, cents, reasons[why % len(reasons)])

    @precondition(lambda self: self.nightly.book.shown.balance)
    @rule(share=shares)
    def all_is_spent_and_money_goes_back(self, share):
        self.spend(100)
        self.money_goes_back_or_comes_again(newest=0, share=share, why=0)

    @rule(amount=amounts)
    def credit(self, amount):
        request = self.request("credit")
        self.both(Credit(EntryType.REWARD, amount, False, "Credit", {"type": "test"}, request))

    @rule(amount=amounts, sign=st.sampled_from([1, -1]))
    def correct(self, amount, sign):
        amount = sign * amount if sign > 0 else -min(amount, self.nightly.book.shown.balance)
        if amount:
            self.both(Adjust(amount, "Correction", self.request("adjustment")))

    @precondition(lambda self: self.nightly.book.shown.balance)
    @rule(share=st.sampled_from([10, 50, 100]))
    def spend(self, share):
        amount = max(self.nightly.book.shown.balance * share // 100, 1)
        entry = self.both(Spend(amount, "Proposal", {"type": "proposal"}, self.request("spend")))[-1]
        self.spends.append(entry)

    @precondition(lambda self: self.spends)
    @rule(data=st.data())
    def refund(self, data):
        spend = self.spends.pop(data.draw(st.integers(0, len(self.spends) - 1)))
        self.both(Refund(spend, "job_canceled", self.request("refund")))

    @precondition(lambda self: self.nightly.book.shown.balance)
    @rule(share=st.sampled_from([30, 100]))
    def hold(self, share):
        amount = max(self.nightly.book.shown.balance * share // 100, 1)
        request = self.request(BOOST)
        hold_id = entry_id("ann", BOOST, request.key)
        boost = Boost("ann", "p", hold_id, hold_id, (Bid(self.now, amount),))
        entry = self.both(Hold(amount, "Boost", hold_reference("j", boost, 1, None), request))[-1]
        self.holds.append((boost, entry))

    @precondition(lambda self: self.holds)
    @rule(captured=st.booleans())
    def end_a_hold(self, captured):
        boost, entry = self.holds.pop(0)
        pays, why = (boost.bid, Ended.CLOSED) if captured else (0, Ended.OUTBID)
        self.both(EndHold("j", Ending(boost, Verdict(pays, why, self.now)), () if captured else (entry,)))

    @rule(change=st.sampled_from(PlanChange), late_by=st.sampled_from([0, 0, 20, 100]))
    def change_plan(self, change, late_by):
        at = self.now - timedelta(late_by)
        self.both(ChangeAccount(self.request("change"), plan=change, at=at))

    @rule(days=st.sampled_from([0, 1, 9, 31, 70, 370]))
    def time_passes(self, days):
        now = self.now + timedelta(days, seconds=1)
        day = self.now.date()
        while day < now.date():
            day += ONE_DAY
            account = self.nightly.book.account
            if any(due and due <= day for due in (account.expiry_due, account.grant_due)):
                self.nightly.book.at(midnight(day)).run(Settle())
        self.late.book.at(now)
        self.nightly.book.at(now)

    @invariant()
    def the_connects_follow_the_payments_and_both_tell_the_same_story(self):
        late, nightly = self.late.copy(), self.nightly.copy()
        late.book.run(Settle())
        nightly.book.run(Settle())
        book = late.book
        assert late.problems() == []
        assert debts(book.entries) == {debt.purchase_id: debt.left for debt in book.account.owed}
        for purchase in late.purchases.values():
            back = min(purchase.returned_cents, purchase.amount_cents)
            assert purchase.reclaimed == purchase.quantity * back // purchase.amount_cents
            assert self.taken_of(purchase.purchase_id, book.entries) == purchase.reclaimed
        assert book.account == nightly.book.account
        assert [content(entry) for entry in book.entries] == [content(entry) for entry in nightly.book.entries]

    def taken_of(self, purchase_id, entries):
        """What was taken, is owed or is excused of a purchase."""
        return sum(
            int(entry.reference.get("owed", "0")) + int(entry.reference.get("lost", "0")) - entry.amount
            for entry in entries
            if entry.type is EntryType.CHARGEBACK and entry.reference["purchase_id"] == purchase_id
        )

    @property
    def now(self):
        return self.late.book.now

    def request(self, operation):
        self.nightly.book.keys += 1
        return self.late.book.request(operation)

    def both(self, command):
        self.nightly.book.run(command)
        return self.late.book.run(command)


def test_the_connects_of_a_purchase_follow_its_payment_whatever_happens_beside_it():
    run_stories(Stories, settings=settings(max_examples=50, stateful_step_count=25))


@st.composite
def without_time(draw):
    """Steps that use nothing: what came before decides what is owed."""
    return draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("credit"), amounts),
                st.tuples(st.just("buy"), st.sampled_from([10, 30])),
                st.tuples(st.just("refund"), st.integers(0, 2)),
            ),
            max_size=6,
        )
    )


@pytest.mark.parametrize("spent", [0, 15, 40])
@settings(max_examples=50)
@given(levels=st.lists(st.integers(0, 700), min_size=1, max_size=4), steps=without_time(), data=st.data())
def test_a_dispute_that_is_won_leaves_the_lots_as_if_it_had_not_been(spent, levels, steps, data):
    """A twin gets the same credits, purchases and refunds, and never had the dispute."""
    disputed = Payments(Book.opened("2026-01-15", policy=QUIET))
    disputed.book.credit(5)
    bought = disputed.buy(40)
    parts = [spent // 3, spent // 3, spent - spent // 3 * 2]
    spends = [disputed.book.spend(part) for part in parts if part]
    twin = disputed.copy()
    moments = [*[("level", level) for level in levels], *steps]
    for kind, number in data.draw(st.permutations(moments)):
        if kind == "level":
            disputed.goes_back(bought, number)
            continue
        spend = spends.pop() if kind == "refund" and spends else None
        for payments in (disputed, twin):
            if kind == "credit":
                payments.book.credit(number)
            elif kind == "buy":
                payments.buy(number)
            elif spend:
                payments.book.refund(spend)
    disputed.comes_again(bought)
    assert disputed.book.account.owed == ()
    assert disputed.book.account.lots == twin.book.account.lots


@settings(max_examples=50)
@given(levels=st.permutations([7, 107, 200, 600, 0, 450]), often=st.integers(1, 3))
def test_any_order_and_repetition_of_news_ends_the_same(levels, often):
    """What the provider says last is what counts, and said again it changes nothing."""
    payments = Payments(Book.opened("2026-01-15", policy=QUIET))
    bought = payments.buy(40)
    payments.book.spend(25)
    for cents in levels:
        for _ in range(often):
            payments.goes_back(bought, cents)
    rows = len(payments.book.entries)
    assert payments.goes_back(bought, levels[-1]) is None
    assert len(payments.book.entries) == rows
    reclaimed = 40 * levels[-1] // 600
    assert payments.book.account.balance == max(15 - reclaimed, 0)
    assert payments.book.account.total_owed == max(reclaimed - 15, 0)
