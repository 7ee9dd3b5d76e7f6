"""The auction alone: whatever is bid, and whatever is told in whatever order, each hold is judged by the times."""

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


class House:
    """Plays an auction at minutes from its start, and keeps books of its own on what was bid and told."""

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
        """Tells whether it was taken."""
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
        """What is decided is written at once."""
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
        """What a hold has to pay by all that was told, worked out from the raw times; None while it is held."""
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
"""How many minutes later something is told, once for each."""


@settings(max_examples=500)
@given(
    st.lists(bids, max_size=25),
    st.lists(st.tuples(seen | happens, delays), max_size=6),
    st.lists(minutes, max_size=3),
)
def test_in_whatever_order_and_however_late_news_comes_each_hold_pays_what_it_would_have(bid, news, ticks):
    house = House()
    told = [(when + late, what) for what, late_by in news for late in late_by for when in [what[1]]]
    timeline = [(each[1], each) for each in bid] + told + [(tick, ("tick", tick)) for tick in ticks]
    pays = {}
    for minute, what in [*sorted(timeline, key=lambda each: each[0]), (200, ("tick", 200))]:
        house.at(minute)
        before = set(house.kept)
        match what:
            case "bid", _, who, amount:
                house.bid(who, amount)
            case "interaction", at, who:
                house.interacts(who, at)
            case "happens", at, event:
                house.happens(event, at)
            case _:
                house.tick()
        for hold in house.bids:
            verdict = 0 if what[0] == "bid" and hold in set(house.kept) - before else house.verdict(hold)
            if verdict is not None and what[0] != "bid":
                pays[hold] = min(pays.get(hold, verdict), verdict)
            elif hold in set(house.kept) - before:
                pays[hold] = 0  # outbid
    assert house.kept == pays


@given(st.lists(seen | happens, max_size=4, unique=True).flatmap(lambda news: st.tuples(*[st.permutations(news)] * 2)))
def test_news_that_comes_after_all_bids_has_the_same_result_in_any_order(orders):
    def story(news):
        house = House(places=6)
        for number, (who, amount) in enumerate([("a", 10), ("b", 20), ("c", 5), ("a", 15), ("b", 30), ("a", 40)]):
            house.at(10 * number).bid(who, amount)
        house.at(99)
        for what, at, which in news:
            house.interacts(which, at) if what == "interaction" else house.happens(which, at)
        house.at(200).tick()
        return {house.owner[hold]: pays for hold, pays in house.kept.items()}

    first, second = map(story, orders)
    # A hold that came back before it was known that it should not have stays with its owner.
    assert all(first[who] == second[who] or not first[who] or not second[who] for who in first)
    if not any(which in {JobEvent.CANCELED, JobEvent.REMOVED} for _, _, which in orders[0]):
        assert first == second


# --- Stories


@pytest.fixture
def house():
    return House()


def test_an_interaction_that_is_told_late_is_paid_by_the_bid_as_it_was_then(house):
    house.at(0).bid("a", 10)
    house.at(11).bid("a", 100)
    house.at(12).interacts("a", 10)
    assert house.kept == {"a1": 10}
    assert [boost.bid for boost in house.auction.places] == [10]


def test_an_interaction_before_the_boost_captures_nothing(house):
    house.at(11).bid("a", 50)
    house.at(11).interacts("a", 10)
    assert house.kept == {}


def test_an_interaction_with_a_boost_that_was_pushed_out_since_captures_no_later_one():
    house = House(places=1)
    house.at(0).bid("a", 10)
    house.at(2).bid("b", 20)
    house.at(3).bid("a", 30)
    for _ in range(2):
        house.at(4).interacts("a", 1)
    assert house.kept == {"a1": 0, "b2": 0}


def test_a_bid_after_a_hire_that_is_told_late_is_released_whole_and_pushes_nobody_back_in():
    house = House(places=2)
    house.at(0).bid("a", 10)
    house.at(0).bid("b", 20)
    house.at(6).bid("c", 30)
    house.at(10).happens(JobEvent.HIRED, 5)
    assert house.kept == {"a1": 0, "c3": 0, "b2": 20}


@pytest.mark.parametrize("told", [0, 1, GRACE.total_seconds() / 60 - 0.01])
def test_a_cancellation_just_before_the_close_releases_though_it_is_told_after_it(house, told):
    house.at(0).bid("a", 10)
    house.at(100 + told).tick()
    house.happens(JobEvent.CANCELED, 100 - 1 / 6)
    assert house.kept == {"a1": 0}


def test_a_cancellation_after_the_clocks_close_waits_for_it_and_changes_nothing(house):
    house.at(0).bid("a", 10)
    house.at(101).happens(JobEvent.CANCELED, 101)
    assert house.kept == {}
    house.at(105).tick()
    assert house.kept == {"a1": 10}


def test_what_was_captured_comes_back_once_when_it_is_told_that_the_job_had_been_canceled(house):
    house.at(0).bid("a", 10)
    house.at(200).tick()
    assert house.kept == {"a1": 10}
    for _ in range(2):
        house.at(300).happens(JobEvent.CANCELED, 50)
    assert (house.kept, house.came_back) == ({"a1": 0}, {"a1": 10})
    assert house.auction.places == ()


def test_what_was_captured_comes_back_to_the_lowest_that_should_have_been_paid_in_any_order():
    for order in permutations([10, 20, 30]):
        house = House()
        for minute in (5, 15, 25):
            house.at(minute).bid("a", minute)
        house.at(40)
        for minute in order:
            house.interacts("a", minute)
        assert house.kept == {"a1": 5}


def test_what_was_captured_and_pushed_out_is_judged_again_like_any():
    house = House(places=1)
    house.at(0).bid("a", 10)
    house.at(1).interacts("a", 1)
    house.at(2).bid("b", 20)
    house.at(3).happens(JobEvent.CANCELED, 0.5)
    assert house.kept == {"a1": 0, "b2": 0}


def test_a_hire_and_a_cancellation_at_one_instant_capture_in_either_order():
    for order in permutations([JobEvent.HIRED, JobEvent.CANCELED]):
        house = House()
        house.at(0).bid("a", 10)
        closed = house.auction
        for event in order:
            closed = close(closed, Close(START + timedelta(minutes=1), CLOSES[event]), START, QUIET)
        assert min(ending.verdict.pays for ending in closed.endings) in {0, 10}
        assert closed.closed.why is Why.CLOSED


def test_an_auction_that_is_closed_can_only_have_closed_earlier(house):
    house.at(0).bid("a", 10)
    house.at(20).bid("b", 20)
    house.at(200).tick()
    house.becomes(close_at(house.auction, CLOSES_AT + timedelta(days=1), house.now, QUIET))
    assert house.auction.closed.at == CLOSES_AT
    house.becomes(close_at(house.auction, START + timedelta(minutes=10), house.now, QUIET))
    assert house.kept == {"a1": 10, "b2": 0}


def test_the_hold_of_an_account_that_is_closed_comes_back_and_its_place_is_free(house):
    house.at(0).bid("a", 10)
    house.at(0).bid("b", 10)
    house.at(1).interacts("b", 1)
    for who in "ab":
        house.becomes(withdraw(house.auction, who, house.now, house.now, QUIET))
    assert (house.kept, [boost.account_id for boost in house.auction.places]) == ({"a1": 0, "b2": 10}, ["b"])


def test_of_equal_bids_the_earlier_keeps_the_place_and_the_latest_of_the_lowest_goes(house):
    for who in "abcd":
        house.bid(who, 5)
    house.bid("e", 6)
    assert [boost.account_id for boost in house.auction.places] == ["e", "a", "b", "c"]
    assert house.kept == {"d4": 0}


def test_fewer_places_than_before_push_out_at_the_next_bid(house):
    for amount, who in enumerate("abcd", 1):
        house.bid(who, amount)
    house.policy = replace(QUIET, boost_places=2)
    house.bid("e", 9)
    assert [boost.bid for boost in house.auction.places] == [9, 4]
    assert house.kept == {"a1": 0, "b2": 0, "c3": 0}


def test_a_hold_comes_back_for_every_reason_but_an_interaction_and_a_close():
    assert {why for why in Why if not why.captures} == RELEASED


# --- Bounds


def test_of_many_raises_the_oldest_are_taken_for_one_and_all_of_it_is_still_judged(house):
    for minute in range(30):
        house.at(minute).bid("a", minute + 1)
    assert len(house.auction.places[0].bids) == BIDS_KEPT
    house.at(50).interacts("a", 25)
    assert house.kept == {"a1": 26}
    house.interacts("a", 0)
    assert house.kept == {"a1": 21}  # what it bid in the first minutes is no longer told apart


def test_of_those_that_were_captured_and_pushed_out_only_the_newest_are_judged_again():
    house = House(places=1)
    for number in range(CAPTURED_KEPT + 5):
        who = f"w{number}-"
        house.at(number / 10).bid(who, number + 1)
        house.interacts(who, number / 10)
    assert len(house.auction.pushed_out) == CAPTURED_KEPT
    house.at(50).happens(JobEvent.CANCELED, 0.05)
    kept = [pays for pays in house.kept.values() if pays]
    assert kept == [1, 2, 3, 4]
