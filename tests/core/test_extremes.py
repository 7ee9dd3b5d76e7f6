"""Every number at both ends of what the template allows, crossed with an account that is full.

Full is a lot of both classes on every day of a lot's life. Whatever is done to it then, every invariant holds, nothing
is refused except by a rule, and items, transactions and events stay within the limits of AWS.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pytest

from shared.ledger.auction import Bid, Boost, Ending, Verdict, Why
from shared.ledger.badges import price_for
from shared.ledger.calendar import expiry_of_lot
from shared.ledger.commands import decide
from shared.ledger.credits import Credit
from shared.ledger.errors import LedgerError
from shared.ledger.expiry_notices import NotifyExpiring, lower_notice_due
from shared.ledger.holds import EndHold, Hold, hold_reference
from shared.ledger.model import Bucket, Decision, Entry, EntryType, Plan, entry_id
from shared.ledger.policy import LIMITS, MAX_AMOUNT, Policy
from tests.core.builders import Book
from tests.parameters import ENDS, policy_of
from tests.sizes import A_TRANSACTION, AN_EVENT, AN_ITEM, account_bytes, entry_bytes, event_bytes, items_of

FILLED = date(2026, 11, 22)
ADDED_BY_A_SERVICE = 5
"""A purchase with a promo code adds most: the purchase, the code's counter, and a claim on each."""
LONGEST_LIFE = LIMITS["lot_lifetime_months"][1]
A_DEAD_SCHEDULE = timedelta(days=29)


@dataclass
class Watched(Book):
    """A book of which every decision is weighed."""

    most_items: int = 0
    largest_entry: int = 0
    largest_event: int = 0
    largest_account: int = 0
    holds: list[tuple[Boost, Entry]] = field(default_factory=list)

    def run(self, command):
        before = len(self.entries)
        complete = False
        while not complete:
            decision = decide(self.account, command, self.now, self.policy)
            self.weigh(decision)
            self.account, complete = decision.account, decision.complete
            self.entries += decision.entries
            self.notices += decision.notices
        return self.entries[before:]

    def weigh(self, decision):
        self.most_items = max(self.most_items, items_of(decision))
        self.largest_account = max(self.largest_account, account_bytes(decision.account))
        for entry in decision.entries:
            self.largest_entry = max(self.largest_entry, entry_bytes(entry))
            self.largest_event = max(self.largest_event, event_bytes(entry))

    def fill(self, each=1):
        """A lot of both classes for every day on which one of today or before may expire, as one row."""
        today = self.now.date()
        last = expiry_of_lot(today, self.policy.lot_lifetime_months)
        days = [today + timedelta(ahead) for ahead in range(1, (last - today).days + 1)]
        slices = {Bucket(day, paid): each for day in days for paid in (False, True)}
        posted = Decision(self.account).add_entry(
            EntryType.ADJUSTMENT,
            slices,
            self.request("fill"),
            at=self.now,
            now=self.now,
            reason="Filled",
            reference={"type": "test"},
        )
        decision = lower_notice_due(posted, today, self.policy)
        self.weigh(decision)
        self.account = decision.account
        self.entries += decision.entries

    def all_of_it(self):
        return min(self.shown.balance, MAX_AMOUNT)

    def hold(self, amount):
        request = self.request("boost")
        hold_id = entry_id("ann", request.operation, request.key)
        boost = Boost("ann", "p", hold_id, hold_id, (Bid(self.now, amount),))
        held = self.do(Hold(amount, "Boost", hold_reference("j", boost, 1, None), request))[-1]
        self.holds.append((boost, held))

    def end_hold(self, why):
        boost, held = self.holds.pop()
        self.do(EndHold("j", Ending(boost, Verdict(boost.bid if why.captures else 0, why, self.now)), (held,)))


def full(policy, **more) -> Watched:
    book = Watched.opened(FILLED, policy=policy, **more)
    book.fill()
    return book


def refused(action, *args, **named) -> LedgerError | None:
    """What it was refused with, if it was; nothing has changed then."""
    try:
        action(*args, **named)
    except LedgerError as refusal:
        return refusal
    return None


def live(book: Watched) -> None:
    """Everything that may happen to an account, with pauses, and with a schedule that is dead for a while."""
    price = price_for(0, book.policy)
    spent = book.spend(min(8, book.shown.balance))
    refused(book.interview, spent)
    refused(book.switch_badge, most=MAX_AMOUNT, price=price)
    book.hold(5)
    book.hold(7)
    book.at(book.now + A_DEAD_SCHEDULE).do(NotifyExpiring())
    everything = book.spend(book.all_of_it())
    book.refund(everything)
    book.change_plan(Plan.PLUS)
    if amount := book.all_of_it():
        book.hold(amount)
        book.end_hold(Why.OUTBID)
    book.change_plan(Plan.BASIC)
    refused(book.renew_badge, price=price)
    book.end_hold(Why.CLOSED)
    once = Credit(EntryType.PROMO, 3, False, "Promo", {"code": "X"}, book.request("promo"), "promo#X", bonus=None)
    book.do(Credit(EntryType.PURCHASE, MAX_AMOUNT, True, "Bought", {}, book.request("buy"), bonus=once))
    book.adjust(-book.all_of_it())
    book.end_hold(Why.CANCELED)
    book.at(book.now + timedelta(days=400)).do(NotifyExpiring())


@pytest.mark.parametrize(("parameter", "value"), ENDS)
def test_at_each_end_of_a_parameter_a_full_account_keeps_every_invariant_and_every_limit(parameter, value):
    book = full(policy_of(parameter, value))
    live(book)
    assert book.account.held == 0
    assert_within_limits(book)


def assert_within_limits(book: Watched) -> None:
    assert book.most_items + ADDED_BY_A_SERVICE <= A_TRANSACTION
    assert book.largest_account <= AN_ITEM
    assert book.largest_entry <= AN_ITEM
    assert book.largest_event <= AN_EVENT


def test_an_entry_of_every_lot_of_the_longest_lifetime_fits_into_an_event():
    """And not by much: a longer life would need another form of it."""
    book = full(Policy(lot_lifetime_months=LONGEST_LIFE))
    everything = book.spend(book.all_of_it())
    assert len(everything.slices) > 2 * 365 * LONGEST_LIFE / 12
    assert 0.8 * AN_EVENT < event_bytes(everything) <= AN_EVENT
    assert book.largest_account < 0.3 * AN_ITEM


def test_the_largest_amount_out_of_the_most_lots_fits_into_an_event():
    """What an amount adds in digits is bounded with the amount: a request moves only so many."""
    book = Watched.opened(FILLED, policy=Policy(lot_lifetime_months=LONGEST_LIFE))
    book.fill(each=MAX_AMOUNT // (2 * 31 * LONGEST_LIFE))
    everything = book.spend(book.all_of_it())
    assert len(everything.slices) > 2 * 365 * LONGEST_LIFE / 12
    book.refund(everything)
    assert_within_limits(book)


def test_a_lot_whose_grace_is_longer_than_its_lifetime_takes_no_more_space():
    """Connects that come back may last a year where lots last a month: a day more in a bucket of its own."""
    book = full(replace(policy_of("LotLifetimeMonths", "1"), refund_grace_days=366))
    for _ in range(40):
        spent = book.spend(book.all_of_it())
        book.at(book.now + timedelta(days=35))
        book.refund(spent)
    assert len(book.account.lots) <= 2 * (31 + 366)
    assert_within_limits(book)


# --- Notices that fall due all at once ---


DAYS_APART = tuple(range(300, 0, -30))


def waiting_for(book: Watched, days: int, since: date) -> dict[str, int]:
    """The notices that are due after so many days without a run, found one by one: the most urgent of each day."""
    today = since + timedelta(days)
    wanted = {}
    for expires_on in {bucket.expires_on for bucket in book.account.lots}:
        passed = [ahead for ahead in book.policy.expiry_notice_days if since < expires_on - timedelta(ahead) <= today]
        if passed and expires_on > today:
            wanted[f"{expires_on}.{min(passed)}"] = 2
    return wanted


def told_amounts(book: Watched) -> list[tuple[str, int]]:
    return [(notice.about, notice.facts["amount"]) for notice in book.notices]


@pytest.fixture
def crowded():
    """Lots on every day of a life, ten notices ahead of each, and nothing that comes by itself."""
    quiet = Policy(sign_up=0, monthly_basic=0, expiry_notice_days=DAYS_APART)
    return full(quiet)


def test_more_notices_than_a_transaction_takes_are_sent_in_several_each_once(crowded):
    wanted = waiting_for(crowded, 29, FILLED)
    assert len(wanted) == 290
    crowded.at(FILLED + timedelta(29)).do(NotifyExpiring())
    assert sorted(told_amounts(crowded)) == sorted(wanted.items())
    assert_within_limits(crowded)
    crowded.do(NotifyExpiring())
    assert len(crowded.notices) == len(wanted)


def test_a_run_that_dies_between_two_transactions_is_continued_on_another_day(crowded):
    """No notice is sent twice, and of what waits longer the most urgent one is sent."""
    crowded.at(FILLED + timedelta(29))
    first = decide(crowded.account, NotifyExpiring(), crowded.now, crowded.policy)
    assert not first.complete
    crowded.account, crowded.notices = first.account, [*first.notices]
    crowded.entries += first.entries
    crowded.at(FILLED + timedelta(31)).do(NotifyExpiring())
    abouts = [notice.about for notice in crowded.notices]
    assert len(abouts) == len(set(abouts))
    assert set(abouts) >= set(waiting_for(crowded, 31, FILLED)) - {notice.about for notice in first.notices}
    days = [notice.about.partition(".")[0] for notice in crowded.notices]
    again = {day for day in days if days.count(day) > 1}
    assert again <= {notice.about.partition(".")[0] for notice in first.notices}


def test_expiries_and_notices_after_a_dead_schedule_fit_into_a_transaction_together(crowded):
    crowded.at(FILLED + timedelta(39)).do(NotifyExpiring())
    assert crowded.most_items <= A_TRANSACTION
    assert len(crowded.of_type(EntryType.EXPIRY)) == 39


def test_an_account_without_runs_for_a_whole_lifetime_is_settled_and_notified_within_limits():
    book = full(Policy(expiry_notice_days=DAYS_APART))
    book.at(FILLED + timedelta(days=366)).do(NotifyExpiring())
    assert {bucket.expires_on > book.now.date() for bucket in book.account.lots} == {True}
    assert_within_limits(book)
