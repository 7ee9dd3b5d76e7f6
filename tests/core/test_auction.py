"""The auction alone: whatever is bid and reported, in whatever order, each hold is judged by when things happened."""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ledger.auction import (
    BIDS_KEPT,
    CAPTURED_KEPT,
    Auction,
    Bid,
    Boost,
    Close,
    Interaction,
    Why,
    close,
    close_at,
    close_by_clock,
    ended,
    interact,
    place,
    withdraw,
)
from shared.ledger.errors import AuctionClosedError, BidTooLowError
from shared.ledger.jobs import CLOSES, JobEvent
from tests.core.builders import QUIET, noon

START = noon("2026-01-15")
CLOSES_AT = START + timedelta(minutes=100)
GRACE = timedelta(seconds=QUIET.auction_grace_seconds)
RELEASED = {Why.OUTBID, Why.CANCELED, Why.REMOVED, Why.TOO_LATE, Why.ACCOUNT_CLOSED}


class Model:
    """Runs an auction at minutes from its start, and keeps its own record of what was bid and reported."""

    def __init__(self, places=4):
        self.policy = replace(QUIET, boost_places=places)
        self.auction = Auction(closes_at=CLOSES_AT)
        self.bids = defaultdict(list)
        self.owner = {}
        self.seen = []
        self.closed = []
        self.kept = {}
        self.came_back = defaultdict(int)
        self.number = 0
        self.now = START

    def at(self, minute):
        self.now = START + timedelta(minutes=minute)
        return self

    def bid(self, who, amount):
        """Returns whether it was accepted."""
        self.number += 1
        own, entry = self.auction.place_of(who), f"{who}{self.number}"
        bid = Bid(self.now, amount)
        boost = own.raised(bid, entry) if own else Boost(who, f"p-{who}", entry, entry, (bid,))
        others = [other.bid for other in self.auction.places if other is not own]
        try:
            after, rank = place(self.auction, boost, self.now, self.policy)
        except BidTooLowError:
            assert (own and amount <= own.bid) or (len(others) >= self.policy.boost_places and amount <= min(others))
            return False
        except AuctionClosedError:
            assert self.auction.closed or self.now >= CLOSES_AT or (own and own.captured)
            return False
        assert after.places[rank - 1].hold_id == boost.hold_id
        self.bids[boost.hold_id].append(bid)
        self.owner[boost.hold_id] = who
        self.becomes(after)
        return True

    def interacts(self, who, minute):
        at = START + timedelta(minutes=minute)
        self.seen.append((who, at, {hold for hold, owner in self.owner.items() if owner == who}))
        self.becomes(interact(self.auction, Interaction(who, None, at), self.now, self.policy))

    def happens(self, event, minute):
        closed = Close(START + timedelta(minutes=minute), CLOSES[event])
        self.closed.append(closed)
        self.becomes(close(self.auction, closed, self.now, self.policy))

    def tick(self):
        if self.now >= CLOSES_AT + GRACE:
            self.closed.append(Close(CLOSES_AT, Why.CLOSED))
        self.becomes(close_by_clock(self.auction, self.now, self.policy))

    def becomes(self, after):
        """Takes each ending as written at once."""
        for ending in after.endings:
            boost, pays = ending.boost, ending.verdict.pays
            held = self.kept.get(boost.hold_id, self.bids[boost.hold_id][-1].amount)
            assert boost.bid == held
            assert (boost.hold_id in self.kept) == boost.captured
            assert pays < held or not boost.captured
            self.came_back[boost.hold_id] += held - pays
            self.kept[boost.hold_id] = pays
        keys = [ending.key for ending in after.endings]
        assert len(set(keys)) == len(keys)
        self.auction = ended(after, keys, self.now, self.policy)
        self.check()

    def check(self):
        places = self.auction.places
        assert [boost.bid for boost in places] == sorted((boost.bid for boost in places), reverse=True)
        assert len({boost.account_id for boost in places}) == len(places) <= self.policy.boost_places
        open_ = {boost.hold_id for boost in places if not boost.captured}
        assert open_ == self.bids.keys() - self.kept.keys()
        assert (self.auction.due is not None) == bool(open_)
        for boost in places:
            assert self.kept.get(boost.hold_id, boost.bid) == boost.bid
        for hold, pays in self.kept.items():
            assert pays + self.came_back[hold] == self.bids[hold][-1].amount

    def verdict(self, hold):
        """What a hold has to pay by all reports, computed from their times alone; None while it is held."""
        bids = self.bids[hold]
        closings = [end for end in self.closed if end.at < CLOSES_AT or end == Close(CLOSES_AT, Why.CLOSED)]
        first = min(closings, key=lambda end: (end.at, not end.why.captures), default=None)
        over = first.at if first else CLOSES_AT
        seen = [at for who, at, holds in self.seen if hold in holds and bids[0].at <= at <= over]
        if not seen and not first:
            return None
        then = min(seen) if seen else first.at
        if not seen and not first.why.captures:
            return 0
        return max((bid.amount for bid in bids if bid.at <= then), default=0)


minutes = st.integers(0, 110)
bids = st.tuples(st.just("bid"), minutes, st.sampled_from("abcdef"), st.integers(1, 30))
seen = st.tuples(st.just("interaction"), minutes, st.sampled_from("abcdef"))
happens = st.tuples(st.just("happens"), minutes, st.sampled_from(JobEvent))
delays = st.lists(st.integers(0, 60), min_size=1, max_size=3)
"""How many minutes later something is reported, once for each."""


@settings(max_examples=500)
@given(
    st.lists(bids, max_size=25),
    st.lists(st.tuples(seen | happens, delays), max_size=6),
    st.lists(minutes, max_size=3),
)
def test_each_hold_pays_the_same_in_whatever_order_and_however_late_reports_arrive(bid, reports, ticks):
    model = Model()
    arrivals = [(when + late, what) for what, late_by in reports for late in late_by for when in [what[1]]]
    timeline = [(each[1], each) for each in bid] + arrivals + [(tick, ("tick", tick)) for tick in ticks]
    pays = {}
    for minute, what in [*sorted(timeline, key=lambda each: each[0]), (200, ("tick", 200))]:
        model.at(minute)
        before = set(model.kept)
        match what:
            case "bid", _, who, amount:
                model.bid(who, amount)
            case "interaction", at, who:
                model.interacts(who, at)
            case "happens", at, event:
                model.happens(event, at)
            case _:
                model.tick()
        for hold in model.bids:
            verdict = 0 if what[0] == "bid" and hold in set(model.kept) - before else model.verdict(hold)
            if verdict is not None and what[0] != "bid":
                pays[hold] = min(pays.get(hold, verdict), verdict)
            elif hold in set(model.kept) - before:
                pays[hold] = 0  # outbid
    assert model.kept == pays


@given(
    st.lists(seen | happens, max_size=4, unique=True).flatmap(
        lambda reports: st.tuples(*[st.permutations(reports)] * 2)
    )
)
def test_reports_that_arrive_after_all_bids_have_the_same_result_in_any_order(orders):
    def story(reports):
        model = Model(places=6)
        for number, (who, amount) in enumerate([("a", 10), ("b", 20), ("c", 5), ("a", 15), ("b", 30), ("a", 40)]):
            model.at(10 * number).bid(who, amount)
        model.at(99)
        for what, at, which in reports:
            model.interacts(which, at) if what == "interaction" else model.happens(which, at)
        model.at(200).tick()
        return {model.owner[hold]: pays for hold, pays in model.kept.items()}

    first, second = map(story, orders)
    # A hold that came back before it was known that it should not have stays with its owner.
    assert all(first[who] == second[who] or not first[who] or not second[who] for who in first)
    if not any(which in {JobEvent.CANCELED, JobEvent.REMOVED} for _, _, which in orders[0]):
        assert first == second


# --- Stories


@pytest.fixture
def model():
    return Model()


def test_an_interaction_that_is_reported_late_is_paid_by_the_bid_as_it_was_then(model):
    model.at(0).bid("a", 10)
    model.at(11).bid("a", 100)
    model.at(12).interacts("a", 10)
    assert model.kept == {"a1": 10}
    assert [boost.bid for boost in model.auction.places] == [10]


def test_an_interaction_before_the_boost_captures_nothing(model):
    model.at(11).bid("a", 50)
    model.at(11).interacts("a", 10)
    assert model.kept == {}


def test_an_interaction_with_a_boost_that_was_pushed_out_since_captures_no_later_one():
    model = Model(places=1)
    model.at(0).bid("a", 10)
    model.at(2).bid("b", 20)
    model.at(3).bid("a", 30)
    for _ in range(2):
        model.at(4).interacts("a", 1)
    assert model.kept == {"a1": 0, "b2": 0}


def test_a_bid_after_a_hire_that_is_reported_late_is_released_whole_and_no_boost_gets_its_place_back():
    model = Model(places=2)
    model.at(0).bid("a", 10)
    model.at(0).bid("b", 20)
    model.at(6).bid("c", 30)
    model.at(10).happens(JobEvent.HIRED, 5)
    assert model.kept == {"a1": 0, "c3": 0, "b2": 20}


@pytest.mark.parametrize("minutes_after", [0, 1, GRACE.total_seconds() / 60 - 0.01])
def test_a_cancellation_just_before_the_close_releases_although_it_is_reported_after_it(model, minutes_after):
    model.at(0).bid("a", 10)
    model.at(100 + minutes_after).tick()
    model.happens(JobEvent.CANCELED, 100 - 1 / 6)
    assert model.kept == {"a1": 0}


def test_a_cancellation_after_the_clocks_close_waits_for_it_and_changes_nothing(model):
    model.at(0).bid("a", 10)
    model.at(101).happens(JobEvent.CANCELED, 101)
    assert model.kept == {}
    model.at(105).tick()
    assert model.kept == {"a1": 10}


def test_what_was_captured_is_refunded_once_when_an_earlier_cancellation_is_reported(model):
    model.at(0).bid("a", 10)
    model.at(200).tick()
    assert model.kept == {"a1": 10}
    for _ in range(2):
        model.at(300).happens(JobEvent.CANCELED, 50)
    assert (model.kept, model.came_back) == ({"a1": 0}, {"a1": 10})
    assert model.auction.places == ()


def test_what_was_captured_is_refunded_to_the_lowest_amount_that_was_due_in_any_order():
    for order in permutations([10, 20, 30]):
        model = Model()
        for minute in (5, 15, 25):
            model.at(minute).bid("a", minute)
        model.at(40)
        for minute in order:
            model.interacts("a", minute)
        assert model.kept == {"a1": 5}


def test_a_boost_that_was_captured_and_pushed_out_is_judged_again_like_any_other():
    model = Model(places=1)
    model.at(0).bid("a", 10)
    model.at(1).interacts("a", 1)
    model.at(2).bid("b", 20)
    model.at(3).happens(JobEvent.CANCELED, 0.5)
    assert model.kept == {"a1": 0, "b2": 0}


def test_a_hire_and_a_cancellation_at_one_instant_capture_in_either_order():
    for order in permutations([JobEvent.HIRED, JobEvent.CANCELED]):
        model = Model()
        model.at(0).bid("a", 10)
        closed = model.auction
        for event in order:
            closed = close(closed, Close(START + timedelta(minutes=1), CLOSES[event]), START, QUIET)
        assert min(ending.verdict.pays for ending in closed.endings) in {0, 10}
        assert closed.closed.why is Why.CLOSED


def test_an_auction_that_is_closed_can_only_have_closed_earlier(model):
    model.at(0).bid("a", 10)
    model.at(20).bid("b", 20)
    model.at(200).tick()
    model.becomes(close_at(model.auction, CLOSES_AT + timedelta(days=1), model.now, QUIET))
    assert model.auction.closed.at == CLOSES_AT
    model.becomes(close_at(model.auction, START + timedelta(minutes=10), model.now, QUIET))
    assert model.kept == {"a1": 10, "b2": 0}


def test_the_hold_of_an_account_that_is_closed_is_released_and_its_place_is_free(model):
    model.at(0).bid("a", 10)
    model.at(0).bid("b", 10)
    model.at(1).interacts("b", 1)
    for who in "ab":
        model.becomes(withdraw(model.auction, who, model.now, model.now, QUIET))
    assert (model.kept, [boost.account_id for boost in model.auction.places]) == ({"a1": 0, "b2": 10}, ["b"])


def test_of_equal_bids_the_earlier_keeps_the_place_and_the_latest_of_the_lowest_goes(model):
    for who in "abcd":
        model.bid(who, 5)
    model.bid("e", 6)
    assert [boost.account_id for boost in model.auction.places] == ["e", "a", "b", "c"]
    assert model.kept == {"d4": 0}


def test_fewer_places_than_before_push_out_at_the_next_bid(model):
    for amount, who in enumerate("abcd", 1):
        model.bid(who, amount)
    model.policy = replace(QUIET, boost_places=2)
    model.bid("e", 9)
    assert [boost.bid for boost in model.auction.places] == [9, 4]
    assert model.kept == {"a1": 0, "b2": 0, "c3": 0}


def test_a_hold_is_released_for_every_reason_except_an_interaction_and_a_close():
    assert {why for why in Why if not why.captures} == RELEASED


# --- Bounds


def test_of_many_raises_the_oldest_are_merged_and_the_boost_is_still_judged(model):
    for minute in range(30):
        model.at(minute).bid("a", minute + 1)
    assert len(model.auction.places[0].bids) == BIDS_KEPT
    model.at(50).interacts("a", 25)
    assert model.kept == {"a1": 26}
    model.interacts("a", 0)
    assert model.kept == {"a1": 21}  # the bids of the first minutes were merged


def test_of_the_boosts_that_were_captured_and_pushed_out_only_the_newest_are_judged_again():
    model = Model(places=1)
    for number in range(CAPTURED_KEPT + 5):
        who = f"w{number}-"
        model.at(number / 10).bid(who, number + 1)
        model.interacts(who, number / 10)
    assert len(model.auction.pushed_out) == CAPTURED_KEPT
    model.at(50).happens(JobEvent.CANCELED, 0.05)
    kept = [pays for pays in model.kept.values() if pays]
    assert kept == [1, 2, 3, 4]
