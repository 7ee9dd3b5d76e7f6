"""Boosts over HTTP: bids and their refusals, places without names, and how holds end."""

import json

import pytest

from tests.functions.events import STAFF
from tests.functions.stream import items
from tests.functions.test_notices import facts, publish, told

SWEEP = "job_sweep"

pytestmark = pytest.mark.usefixtures("queue")


@pytest.fixture(autouse=True)
def job(api):
    """With five who have 50 Connects each."""
    for name in ("ann", "bob", "cem", "dan", "eve"):
        api.open(name)
    api.post(price=7)


def fill(api, *bids):
    for name, bid in zip(("ann", "bob", "cem", "dan", "eve"), bids, strict=False):
        assert api.boost(bid, name).status == 201


def slots(api):
    return [(slot["rank"], slot["bid"]) for slot in api.job().body["boosts"]["slots"]]


def test_a_bid_answers_with_its_rank_and_its_entry(api):
    fill(api, 20)
    answer = api.boost(12, "bob")
    assert (answer.status, answer.body["rank"], answer.body["boosted"]) == (201, 2, True)
    entry = answer.body["entry"]
    assert (entry["type"], entry["amount"], entry["balance_after"]) == ("hold", -12, 38)
    assert entry["reference"] == {
        "type": "boost",
        "job_id": "j-1",
        "proposal_id": "p-bob",
        "hold_id": entry["id"],
        "bid": "12",
        "rank": "2",
    }


def test_an_account_shows_what_is_held_beside_its_balance(api):
    api.boost(12)
    assert (api.read()["balance"], api.read()["held"]) == (38, 12)


def test_a_job_shows_its_places_without_names_and_when_its_auction_closes(api):
    fill(api, 10, 20)
    assert api.job().body["boosts"] == {
        "closes_at": "2026-11-29T10:00:00.000Z",
        "slots": [{"rank": 1, "bid": 20}, {"rank": 2, "bid": 10}],
    }


def test_a_job_that_was_never_posted_has_no_auction(api):
    api.tell("canceled", job="j-9")
    assert api.job("j-9").body["boosts"]["slots"] == []
    assert api.boost(5, job="j-9").refused == (409, "auction_closed")


def test_a_bid_sent_again_is_answered_with_the_first_body(api):
    first = api.boost(12)
    again = api.boost(12)
    assert (again.text, again.status, again.replayed, first.replayed) == (first.text, 201, True, False)
    assert api.boost(13).refused == (422, "idempotency_key_reused")


def test_a_bid_without_a_place_is_told_what_would_have_one(api):
    fill(api, 10, 20, 30, 40)
    refused = api.boost(10, "eve")
    assert (*refused.refused, refused.body["required"]) == (409, "bid_too_low", 11)
    refused = api.boost(20, "bob", key="again")
    assert (*refused.refused, refused.body["required"]) == (409, "bid_too_low", 21)
    assert (api.balance("eve"), api.balance("bob")) == (50, 30)


def test_a_bid_at_the_close_is_refused(api, clock):
    clock.go(days=7)
    assert api.boost(10).refused == (409, "auction_closed")


def test_a_bid_that_is_more_than_is_there_is_refused_with_the_numbers(api):
    refused = api.boost(51)
    assert (*refused.refused, refused.body["balance"], refused.body["required"]) == (
        409,
        "insufficient_connects",
        50,
        51,
    )


def test_a_bid_on_a_job_that_nobody_heard_of_is_refused(api):
    assert api.boost(5, job="j-9").refused == (404, "job_not_found")
    assert api.boost(5, "nobody").refused == (404, "account_not_found")


def test_another_proposal_of_the_same_account_is_refused(api):
    api.boost(5)
    refused = api.boost(6, key="other", proposal_id="p-2")
    assert (refused.refused, refused.body["errors"][0]["loc"]) == ((400, "invalid_request"), "body.proposal_id")


@pytest.mark.parametrize("happened", ["canceled", "removed"])
def test_who_has_a_boost_back_because_the_job_went_away_is_told(api, listener, happened):
    fill(api, 10)
    for _ in range(2):
        api.tell(happened)
    publish(api, *items("NOTICE#"))
    assert facts(told(listener, "boost_released")) == [
        {
            "at": "2026-11-22T10:00:00.000Z",
            "job_id": "j-1",
            "proposal_id": "p-ann",
            "bid": 10,
            "why": f"job_{happened}",
            "reason": f"Boost: job {happened}",
            "balance": 50,
        }
    ]


def test_who_is_outbid_has_it_back_at_once_and_is_told(api, listener):
    fill(api, 10, 20, 30, 40, 50)
    assert (api.balance(), api.read()["held"], slots(api)) == (50, 0, [(1, 50), (2, 40), (3, 30), (4, 20)])
    assert [(entry["type"], entry["amount"]) for entry in api.entries()[:2]] == [("release", 10), ("hold", -10)]
    publish(api, *items("NOTICE#"))
    assert facts(told(listener, "outbid")) == [
        {"at": "2026-11-22T10:00:00.000Z", "job_id": "j-1", "proposal_id": "p-ann", "bid": 10, "balance": 50}
    ]


@pytest.mark.parametrize(
    "named", [{"account_id": "ann"}, {"proposal_id": "p-ann"}, {"account_id": "ann", "proposal_id": "p-ann"}]
)
def test_an_interaction_is_paid_at_once_and_twice_is_once(api, named):
    fill(api, 10, 20)
    for _ in range(2):
        told_ = api.tell("interaction", **named)
        assert (told_.status, told_.body["status"]) == (202, "open")
    assert (api.balance(), api.read()["held"]) == (40, 0)
    assert [entry["type"] for entry in api.entries()[:2]] == ["capture", "hold"]
    assert api.boost(30, key="raise").refused == (409, "auction_closed")


def test_an_interaction_from_before_a_boost_pays_nothing_for_it(api):
    fill(api, 10)
    assert api.tell("interaction", account_id="ann", interacted_at="2026-11-22T09:59:59.999Z").status == 202
    assert (api.balance(), api.read()["held"]) == (40, 10)
    assert api.tell("interaction", account_id="ann", interacted_at="2026-11-22T10:00:00Z").status == 202
    assert (api.balance(), api.read()["held"]) == (40, 0)


@pytest.mark.parametrize("name", ["at", "interacted_at"])
def test_news_of_more_than_five_minutes_ahead_is_refused(api, name):
    fill(api, 10)
    told_ = api.tell("interaction", account_id="ann", **{name: "2026-11-22T10:05:00.001Z"})
    assert (told_.refused, told_.body["errors"][0]["loc"]) == ((400, "invalid_request"), f"body.{name}")
    assert (api.balance(), api.read()["held"]) == (40, 10)
    assert api.tell("interaction", account_id="ann", **{name: "2026-11-22T10:05:00Z"}).status == 202


@pytest.mark.parametrize("at", ["1969-12-31T23:59:59Z", "3000-01-01T00:00:01Z", "2026-11-22T10:00:00", "yesterday"])
def test_an_interaction_at_no_plausible_instant_is_refused(api, at):
    refused = api.tell("interaction", account_id="ann", interacted_at=at)
    assert (refused.refused, refused.body["errors"][0]["loc"]) == ((400, "invalid_request"), "body.interacted_at")


def test_an_interaction_that_names_no_proposal_or_no_job_is_refused(api):
    assert api.tell("interaction").refused == (400, "invalid_request")
    assert api.tell("interaction", job="j-9", account_id="ann").refused == (404, "job_not_found")


@pytest.mark.parametrize(("happened", "balance"), [("canceled", 50), ("removed", 50), ("filled", 40), ("expired", 40)])
def test_the_end_of_a_job_ends_its_holds_at_once(api, happened, balance):
    fill(api, 10)
    api.tell(happened)
    assert (api.balance(), api.read()["held"]) == (balance, 0)
    assert api.boost(20, key="late").refused == (409, "auction_closed")


def test_an_auction_closes_by_the_clock_through_the_queue(api, clock, received):
    fill(api, 10, 20)
    clock.go(days=7, minutes=4)
    assert api.run(SWEEP) == {"found": 0}
    clock.go(minutes=1)
    assert api.run(SWEEP) == {"found": 1}
    assert api.deliver(SWEEP, *received()) == []
    bodies = received()
    assert [json.loads(body) for body in bodies] == [{"end_holds": "j-1"}]
    assert api.deliver(SWEEP, *bodies, *bodies) == []
    assert (api.balance("ann"), api.balance("bob"), api.read()["held"]) == (40, 30, 0)
    assert api.run(SWEEP) == {"found": 0}


def test_a_hold_tells_how_long_ago_it_should_have_ended_and_not_when_it_was_last_looked_at(api, clock, received, log):
    """Who is asked to end it never does."""
    fill(api, 10)
    clock.go(days=7)
    told = []
    for _ in range(3):
        clock.go(minutes=20)
        api.run(SWEEP)
        log.metrics()
        api.deliver(SWEEP, *[body for body in received() if "jobs" in json.loads(body)])
        found = log.metrics()
        told.append((found["OldestHoldPastEndMinutes"], found["OldestDueHours"]))
    assert told == [([20], [20 / 60]), ([40], [40 / 60]), ([60], [1])]


def test_moving_the_sandboxs_clock_closes_auctions(api):
    fill(api, 10)
    moved = api.call("sandbox_clock", claims=STAFF, body={"advance": "P7DT5M"})
    assert (moved.body["closed_auctions"], api.read()["held"]) == (1, 0)
    assert api.entries()[0]["type"] == "capture"


def test_history_shows_a_boosts_rows_by_their_types(api):
    fill(api, 10, 20)
    api.tell("interaction", account_id="ann")
    for entry_type, amounts in (("hold", [-10]), ("capture", [0]), ("release", [])):
        assert [entry["amount"] for entry in api.entries(type=entry_type)] == amounts
