"""Boosts: bids of extra Connects for one of the top 4 places in a client's list, each held until it is decided.

Told of freelancers with 50 Connects each, and of a job posted at 2026-11-22T10:00:00Z.
"""

import pytest

from tests.document import document

NAMES = ("ann", "bob", "carol", "dora", "eve")
CLOSES = "2026-11-29T10:00:00.000Z"


@pytest.fixture(autouse=True)
def job(api, queue):  # noqa: ARG001
    api.post(price=6)


@pytest.fixture
def five(freelancer):
    return [freelancer(name) for name in NAMES]


def slots(api):
    return [slot["bid"] for slot in api.job().body["boosts"]["slots"]]


def ends(account):
    """How the account's holds ended."""
    return [(entry["type"], entry["amount"]) for entry in account.entries("capture", "release")]


# --- Bidding


def test_a_boost_is_a_bid_for_one_of_the_top_4_places_in_the_clients_list(api, five):
    ranks = [account.boosts(bid).body["rank"] for account, bid in zip(five, (5, 9, 7, 3), strict=False)]
    assert ranks == [1, 1, 2, 4]
    assert slots(api) == [9, 7, 5, 3]


def test_the_places_and_their_bids_are_shown_and_no_names(api, five):
    five[0].boosts(5)
    assert api.job().body["boosts"] == {"closes_at": CLOSES, "slots": [{"rank": 1, "bid": 5}]}


def test_a_bid_is_held_at_once(freelancer):
    ann = freelancer()
    assert ann.boosts(10).body["boosted"] is True
    assert (ann.balance, ann.held, ann.rows("hold")) == (40, 10, [("2026-11-22", -10)])
    assert ann.spends(41).refused == (409, "insufficient_connects")


def test_a_bid_above_the_balance_is_refused(freelancer):
    ann = freelancer()
    assert ann.boosts(51).refused == (409, "insufficient_connects")
    assert (ann.balance, ann.held) == (50, 0)


def test_a_bid_that_gets_no_place_is_refused_with_the_lowest_bid_that_would(five):
    *four, eve = five
    for account in four:
        account.boosts(5)
    for bid in (4, 5):
        refused = eve.boosts(bid)
        assert (refused.refused, refused.body["required"]) == ((409, "bid_too_low"), 6)
    assert (eve.balance, eve.held) == (50, 0)


def test_a_bid_may_be_raised_and_only_the_difference_is_held(freelancer):
    ann, bob = freelancer(), freelancer("bob")
    ann.boosts(5)
    bob.boosts(8)
    assert ann.boosts(9).body["rank"] == 1
    assert (ann.balance, ann.held, ann.rows("hold")) == (41, 9, [("2026-11-22", -5), ("2026-11-22", -4)])


def test_a_bid_is_never_lowered(freelancer):
    ann = freelancer()
    ann.boosts(5)
    for bid in (4, 5):
        assert ann.boosts(bid).refused == (409, "bid_too_low")
    assert ann.held == 5


def test_a_bid_is_never_withdrawn(freelancer):
    ann = freelancer()
    ann.boosts(5)
    assert ann.boosts(0).refused == (400, "invalid_request")
    assert list(document()["paths"]["/accounts/{account_id}/boosts"]) == ["post"]
    assert ann.held == 5


def test_of_equal_bids_the_earlier_wins(five):
    ann, bob, carol, dora, eve = five
    assert [account.boosts(5).body["rank"] for account in (ann, bob, carol, dora)] == [1, 2, 3, 4]
    eve.boosts(6)
    assert [account.held for account in five] == [5, 5, 5, 0, 6]


# --- Pushed out


def test_the_hold_of_a_boost_that_is_pushed_out_is_released_whole_at_once(five):
    *four, eve = five
    for account, bid in zip(four, (9, 8, 3, 7), strict=True):
        account.boosts(bid)
    carol = five[2]
    carol.boosts(5)
    eve.boosts(6)
    assert ends(carol) == [("release", 5)]
    assert (carol.balance, carol.held) == (50, 0)


def test_a_release_goes_into_the_lots_it_was_taken_from_with_their_dates(agency, five, at):
    acme = agency()
    acme.buys(10)
    at("2026-11-23")
    acme.given(10)
    before = acme.shown["lots"]
    acme.boosts(15)
    at("2026-11-24")
    for account in five[:4]:
        account.boosts(16)
    assert (ends(acme), acme.shown["lots"]) == ([("release", 15)], before)


def test_a_release_of_a_lot_that_has_expired_since_lasts_30_days(api, agency, five, at):
    acme = agency()
    acme.buys(10)
    at("2027-11-20")
    api.post("j-2", price=6)
    acme.boosts(10, "j-2")
    at("2027-11-25")
    for account in five[:4]:
        account.boosts(11, "j-2")
    assert acme.lots == [("2027-12-25", 10)]


def test_an_account_that_was_pushed_out_may_bid_again(five):
    for account, bid in zip(five, (5, 6, 7, 8, 9), strict=True):
        account.boosts(bid)
    ann, bob = five[:2]
    assert ann.boosts(10).body["rank"] == 1
    assert (ann.held, bob.held, bob.balance) == (10, 0, 50)


# --- Paid


def test_a_client_who_interacts_with_a_boosted_proposal_captures_its_bid_at_once(api, five):
    ann, bob = five[:2]
    ann.boosts(5)
    bob.boosts(6)
    api.tell("interaction", account_id="ann", proposal_id="p-ann")
    assert (ends(ann), ann.held, ann.balance) == ([("capture", 0)], 0, 45)
    assert (ends(bob), bob.held) == ([], 6)


def test_a_boost_that_is_pushed_out_after_an_interaction_stays_captured(api, five):
    ann = five[0]
    ann.boosts(5)
    api.tell("interaction", account_id="ann", proposal_id="p-ann")
    for account in five[1:]:
        account.boosts(6)
    assert (ends(ann), ann.balance, slots(api)) == ([("capture", 0)], 45, [6, 6, 6, 6])


def test_an_interaction_with_a_proposal_that_was_pushed_out_captures_nothing(api, five):
    ann = five[0]
    for account, bid in zip(five, (5, 6, 7, 8, 9), strict=True):
        account.boosts(bid)
    api.tell("interaction", account_id="ann", proposal_id="p-ann")
    assert (ends(ann), ann.balance) == ([("release", 5)], 50)


def test_the_top_4_at_the_close_of_the_auction_each_pay_their_own_bid(five, at, scheduled):
    for account, bid in zip(five, (5, 6, 7, 8, 9), strict=True):
        account.boosts(bid)
    at(CLOSES)
    scheduled("job_sweep")
    assert [account.held for account in five] == [0, 6, 7, 8, 9]  # late events have five minutes to arrive
    at("2026-11-29T10:05:00Z")
    scheduled("job_sweep")
    assert [account.balance for account in five] == [50, 44, 43, 42, 41]
    assert [account.held for account in five] == [0] * 5
    assert [ends(account) for account in five] == [[("release", 5)], *[[("capture", 0)]] * 4]


# --- The close


def test_the_auction_closes_7_days_after_posting_and_a_bid_at_or_after_that_is_refused(freelancer, at):
    ann, bob = freelancer(), freelancer("bob")
    at("2026-11-29T09:59:59.999Z")
    assert ann.boosts(5).status == 201
    for instant in (CLOSES, "2026-12-05T00:00:00Z"):
        at(instant)
        assert ann.boosts(6).refused == bob.boosts(6).refused == (409, "auction_closed")
    assert (bob.balance, bob.held) == (50, 0)


def test_an_auction_closes_at_the_first_hire_if_that_is_earlier(api, freelancer, at):
    ann, bob = freelancer(), freelancer("bob")
    ann.boosts(5)
    at("2026-11-25")
    api.tell("filled")
    assert bob.boosts(6).refused == (409, "auction_closed")
    assert (ends(ann), ann.held, ann.balance) == ([("capture", 0)], 0, 45)


def test_an_auction_is_closed_by_the_clock_without_any_event(freelancer, at, scheduled):
    ann = freelancer()
    ann.boosts(5)
    at("2026-11-29T09:59:59.999Z")
    scheduled("job_sweep")
    assert ann.held == 5
    at("2026-11-29T18:00:00Z")
    scheduled("job_sweep")
    (capture,) = ann.entries("capture")
    assert (capture["at"], ann.held) == (CLOSES, 0)


# --- Beside the proposal, and a job that goes away


def test_proposal_and_boost_are_two_rows_of_the_history(freelancer):
    ann = freelancer()
    ann.proposes()
    ann.boosts(5)
    assert [(entry["type"], entry["amount"]) for entry in ann.entries()[-2:]] == [("spend", -6), ("hold", -5)]


@pytest.mark.parametrize("happened", ["canceled", "removed"])
def test_an_open_hold_on_a_job_that_is_canceled_or_removed_is_released(api, freelancer, scheduled, happened):
    ann = freelancer()
    ann.proposes()
    ann.boosts(5)
    api.tell(happened)
    scheduled("job_sweep")
    assert (ends(ann), ann.held, ann.balance) == ([("release", 5)], 0, 50)


@pytest.mark.parametrize("happened", ["canceled", "removed"])
def test_a_boost_that_was_captured_is_not_refunded_while_its_proposal_is(api, freelancer, scheduled, happened):
    ann = freelancer()
    ann.proposes()
    ann.boosts(5)
    api.tell("interaction", account_id="ann", proposal_id="p-ann")
    api.tell(happened)
    scheduled("job_sweep")
    assert (ends(ann), ann.rows("refund"), ann.balance) == ([("capture", 0)], [("2026-11-22", 6)], 45)


def test_a_cancellation_after_the_close_refunds_no_boost_even_if_no_event_closed_it(api, freelancer, at, scheduled):
    ann = freelancer()
    ann.boosts(5)
    at("2026-11-30")
    api.tell("canceled")
    scheduled("job_sweep")
    assert (ends(ann), ann.held, ann.balance) == ([("capture", 0)], 0, 45)


def test_what_is_held_is_never_refunded_as_if_it_were_spent(api, freelancer):
    ann = freelancer()
    held = ann.boosts(5)
    assert api.refund(held.body["entry"]["id"]).refused == (404, "spend_not_found")
    assert ann.held == 5
