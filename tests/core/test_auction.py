"""The auction alone: whatever is bid and happens in whatever order, each hold ends once, the highest have places."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ledger.auction import Auction, Boost, Ending, Interaction, Why, close, ended, interact, place, with_slices
from shared.ledger.errors import AuctionClosedError, BidTooLowError
from shared.ledger.job import JobStatus
from tests.core.builders import QUIET, free, noon

NOW = noon("2026-01-15")
CLOSES_AT = NOW + timedelta(days=7)
LOT = free("2027-01-16")
RELEASED = {Why.OUTBID, Why.CANCELED, Why.REMOVED}

bids = st.tuples(st.just("bid"), st.sampled_from("abcdefg"), st.integers(1, 12))
seen = st.tuples(st.just("interact"), st.sampled_from("abcdefg"), st.just(0))
noted = st.tuples(st.just("ended"), st.sampled_from("abcdefg"), st.just(0))
closes = st.sampled_from([("close", why, 0) for why in (Why.CLOSED, Why.CANCELED, Why.REMOVED)])


class House:
    """Plays an auction, and keeps books of its own on what was bid, won and lost."""

    def __init__(self) -> None:
        self.auction = Auction()
        self.held: dict[str, int] = {}
        self.ended: dict[str, Ending] = {}
        self.number = 0

    def do(self, what: str, who: str, bid: int) -> None:
        before = self.auction
        match what:
            case "bid":
                self.bid(who, bid)
            case "interact":
                self.auction = interact(before, Interaction(who, None, NOW), CLOSES_AT, NOW)
            case "ended":
                self.auction = ended(before, [end.boost.hold_id for end in before.endings_of(who)], CLOSES_AT, NOW)
            case "close":
                self.auction = close(before, Why(who), NOW, NOW)
        for ending in self.auction.endings:
            if ending not in before.endings:
                assert ending.boost.hold_id not in self.ended
                self.ended[ending.boost.hold_id] = ending
        self.check()

    def bid(self, who: str, bid: int) -> None:
        self.number += 1
        own = self.auction.place_of(who)
        hold_id = own.hold_id if own else str(self.number)
        boost = Boost(who, who, bid, hold_id, NOW, own.slices if own else {})
        closes_at = self.auction.closed_at or CLOSES_AT
        others = [other.bid for other in self.auction.places if other is not own]
        try:
            placed, rank = place(self.auction, boost, closes_at, NOW, QUIET)
        except BidTooLowError:
            assert (own and bid <= own.bid) or (len(others) == 4 and bid <= min(others))
            return
        except AuctionClosedError:
            assert self.auction.closed_at or (own and own.captured)
            return
        assert placed.places[rank - 1].hold_id == hold_id
        taken = bid - (own.bid if own else 0)
        self.auction = with_slices(placed, hold_id, {LOT: -taken})
        self.held[hold_id] = self.held.get(hold_id, 0) + taken

    def check(self) -> None:
        places = self.auction.places
        assert [boost.bid for boost in places] == sorted((boost.bid for boost in places), reverse=True)
        assert len(places) <= QUIET.boost_places
        assert len({boost.account_id for boost in places}) == len(places)
        for boost in (*places, *(ending.boost for ending in self.ended.values())):
            assert boost.slices == {LOT: -boost.bid} == {LOT: -self.held[boost.hold_id]}
        open_ = {boost.hold_id for boost in places if not boost.captured}
        assert open_ == self.held.keys() - self.ended.keys()
        assert (self.auction.due is not None) == bool(open_ or self.auction.endings)


@settings(max_examples=300)
@given(st.lists(bids | bids | bids | seen | noted | closes, max_size=40))
def test_in_any_order_each_hold_ends_once_and_the_highest_bids_have_the_places(happenings):
    house = House()
    for happening in happenings:
        house.do(*happening)
    house.do("close", Why.CLOSED, 0)
    assert house.held.keys() == house.ended.keys()
    paid = {hold_id for hold_id, ending in house.ended.items() if ending.why.captures}
    assert {boost.hold_id for boost in house.auction.places} <= paid


def test_of_equal_bids_the_earlier_keeps_the_place_and_the_latest_of_the_lowest_goes():
    house = House()
    for who in "abcd":
        house.do("bid", who, 5)
    house.do("bid", "e", 6)
    assert [boost.account_id for boost in house.auction.places] == ["e", "a", "b", "c"]
    assert [ending.boost.account_id for ending in house.auction.endings] == ["d"]


def test_fewer_places_than_before_push_out_at_the_next_bid():
    house = House()
    for bid, who in enumerate("abcd", 1):
        house.do("bid", who, bid)
    boost = Boost("e", "e", 9, "new", NOW)
    after, rank = place(house.auction, boost, CLOSES_AT, NOW, replace(QUIET, boost_places=2))
    assert (rank, [boost.bid for boost in after.places]) == (1, [9, 4])
    assert sorted(ending.boost.bid for ending in after.endings) == [1, 2, 3]


def test_a_hold_comes_back_for_every_reason_but_an_interaction_and_a_close():
    assert {why for why in Why if not why.captures} == RELEASED
    assert {f"job_{how}" for how in JobStatus if how.refunds} == RELEASED - {Why.OUTBID}
