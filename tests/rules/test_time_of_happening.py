"""Time of happening: what is reported late, twice or out of order does what it would have done then.

With freelancers with 50 Connects each and a job posted at 2026-11-22T10:00:00Z, by call and by event alike.
"""

import json
from typing import Any

import pytest

from tests.functions.events import event

NAMES = ("ann", "bob", "carol", "dora", "eve")
EVENTS = "marketplace_events"


@pytest.fixture(autouse=True)
def job(api, queue):  # noqa: ARG001
    api.post(price=6)


@pytest.fixture
def ann(freelancer):
    return freelancer()


@pytest.fixture
def five(freelancer):
    return [freelancer(name) for name in NAMES]


@pytest.fixture(params=["call", "event", "both"])
def report(request, api):
    """Reports what happened to the job at `at`, now."""

    def send(kind, at, **named):
        if request.param != "event":
            assert api.tell(kind, at=at, **named).status == 202
        if request.param != "call":
            detail = {"job_id": "j-1", "at": at, **named}
            assert deliver(api, {"detail-type": f"job.{kind}", "detail": detail}) == []

    return send


def deliver(api, *events):
    (record,) = event(EVENTS)["Records"]
    envelope = json.loads(record["body"])
    bodies = [record | {"messageId": f"m{n}", "body": json.dumps(envelope | each)} for n, each in enumerate(events)]
    return api.invoke(EVENTS, {"Records": bodies})["batchItemFailures"]


def ends(account):
    return [(entry["type"], entry["amount"]) for entry in account.entries("capture", "release", "refund")]


def slots(api):
    return [slot["bid"] for slot in api.job().body["boosts"]["slots"]]


def test_an_interaction_that_is_reported_late_captures_the_bid_as_it_was_then(ann, at, report, api):
    at("2026-11-23T08:00:00Z")
    ann.boosts(10)
    at("2026-11-23T09:01:00Z")
    ann.boosts(40)
    at("2026-11-23T09:02:00Z")
    report("interaction", "2026-11-23T09:00:00Z", account_id="ann")
    assert (ends(ann), ann.balance, ann.held, slots(api)) == ([("release", 30), ("capture", 0)], 40, 0, [10])
    assert ann.entries("release")[0]["reason"] == "Boost: raised after the client had interacted with the proposal"


def test_an_event_that_names_no_time_happened_at_the_time_of_its_envelope(ann, at, api):
    at("2026-11-23T09:01:00Z")
    ann.boosts(50)
    interaction = {"detail-type": "job.interaction", "detail": {"job_id": "j-1", "account_id": "ann"}}
    assert deliver(api, interaction | {"time": "2026-11-23T09:00:00Z"}) == []
    assert (ends(ann), ann.held) == ([], 50)
    assert deliver(api, interaction | {"time": "2026-11-23T09:01:00Z"}) == []
    assert (ends(ann), ann.held) == ([("capture", 0)], 0)


def test_an_interaction_that_is_reported_twice_captures_nothing_that_was_bid_in_between(five, at, report):
    ann, *others = five
    at("2026-11-23T08:00:00Z")
    ann.boosts(5)
    for account in others:
        account.boosts(6)
    report("interaction", "2026-11-23T07:59:00Z", account_id="ann")
    at("2026-11-23T09:00:00Z")
    ann.boosts(10)
    for _ in range(2):
        report("interaction", "2026-11-23T08:30:00Z", account_id="ann")
    assert (ends(ann)[-1], ann.held) == (("release", 5), 10)


def test_a_hire_that_is_reported_late_closes_the_auction_as_of_then(five, at, report):
    ann, bob, carol, dora, eve = five
    at("2026-11-23T08:00:00Z")
    for account, bid in ((ann, 5), (bob, 6), (carol, 7), (dora, 8)):
        account.boosts(bid)
    at("2026-11-23T09:05:00Z")
    eve.boosts(9)
    carol.boosts(20)
    at("2026-11-23T09:10:00Z")
    report("hired", "2026-11-23T09:00:00Z")
    assert ends(eve) == [("release", 9)]
    assert ends(carol) == [("release", 13), ("capture", 0)]
    assert [account.balance for account in five] == [50, 44, 43, 42, 50]  # what was released stays released
    assert [account.held for account in five] == [0] * 5


@pytest.mark.parametrize("event_time", ["2026-11-29T10:01:00Z", "2026-11-29T10:04:59Z"])
def test_a_cancellation_just_before_the_close_that_is_reported_after_it_releases(
    ann, at, scheduled, report, event_time
):
    ann.boosts(10)
    at(event_time)
    scheduled("job_sweep")
    report("canceled", "2026-11-29T09:59:50Z")
    assert (ends(ann), ann.balance, ann.held) == ([("release", 10)], 50, 0)


def test_what_was_captured_by_the_clock_is_refunded_once_when_an_earlier_cancellation_is_reported(
    ann, at, scheduled, report
):
    ann.boosts(10)
    at("2026-11-29T10:05:00Z")
    scheduled("job_sweep")
    assert ends(ann) == [("capture", 0)]
    at("2026-11-30")
    for _ in range(2):
        report("canceled", "2026-11-29T09:59:50Z")
    assert (ends(ann), ann.balance, ann.held) == ([("capture", 0), ("refund", 10)], 50, 0)
    refund = ann.entries("refund")[0]
    assert (refund["reason"], refund["reference"]["why"]) == ("Boost: job canceled", "job_canceled")
    assert refund["lots"] == [lot | {"amount": -lot["amount"]} for lot in ann.entries("hold")[0]["lots"]]


def test_what_was_captured_at_a_raised_bid_is_refunded_in_part_when_an_earlier_interaction_is_reported(ann, at, report):
    ann.boosts(10)
    at("2026-11-23T09:01:00Z")
    ann.boosts(40)
    report("interaction", "2026-11-23T09:01:00Z", account_id="ann")
    assert (ends(ann), ann.balance) == ([("capture", 0)], 10)
    report("interaction", "2026-11-23T09:00:00Z", account_id="ann")
    assert (ends(ann), ann.balance) == ([("capture", 0), ("refund", 30)], 40)


def test_a_cancellation_after_the_first_hire_refunds_nothing_in_whatever_order_they_are_reported(
    freelancer, at, scheduled, report
):
    ann = freelancer()
    ann.proposes()
    at("2026-11-24")
    report("hired", "2026-11-23T09:00:00Z")
    report("canceled", "2026-11-23T10:00:00Z")
    scheduled("job_sweep")
    assert (ann.balance, ends(ann)) == (44, [])


def test_a_job_still_takes_proposals_after_the_first_hire_and_no_bids(freelancer, at, report):
    ann, bob = freelancer(), freelancer("bob")
    ann.boosts(5)
    at("2026-11-24")
    report("hired", "2026-11-23T09:00:00Z")
    assert (ends(ann), ann.balance) == ([("capture", 0)], 45)
    assert bob.proposes().status == 201
    assert bob.boosts(6).refused == (409, "auction_closed")
    report("filled", "2026-11-23T12:00:00Z")
    assert ann.proposes().refused == (409, "job_not_open")


def test_the_first_version_that_names_the_time_of_posting_sets_the_close_in_whatever_order_they_arrive(api, at):
    at("2026-11-23")
    first: dict[str, Any] = {"version": 1, "price": 6, "posted_at": "2026-11-20T10:00:00Z"}
    second: dict[str, Any] = {"version": 2, "price": 7}
    third: dict[str, Any] = {"version": 3, "price": 8, "posted_at": "2026-11-10T10:00:00Z"}
    for number, order in enumerate(([first, second, third], [second, first, third], [third, second, first])):
        for version in order:
            assert api.post(f"o-{number}", **version).status == 200
        job = api.job(f"o-{number}").body
        assert (job["price"], job["boosts"]["closes_at"]) == (8, "2026-11-27T10:00:00.000Z")


def test_an_older_version_without_a_price_is_ignored_and_not_refused(api):
    api.post("j-2", version=2, price=7)
    late = api.call("put_job", path={"job_id": "j-2"}, body={"version": 1})
    assert (late.status, late.body["price"], late.body["version"]) == (200, 7, 2)


def test_a_time_of_posting_that_is_reported_after_the_close_reopens_nothing(api, ann, at, scheduled):
    ann.boosts(10)
    at("2026-11-29T10:05:00Z")
    scheduled("job_sweep")
    api.post(version=2, price=6, posted_at="2026-11-28T10:00:00Z")
    assert ann.boosts(20).refused == (409, "auction_closed")
    assert ends(ann) == [("capture", 0)]


def test_a_time_of_posting_that_moves_the_close_before_a_bid_does_not_capture_it(api, ann, at):
    at("2026-11-25")
    ann.boosts(10)
    api.post(version=2, price=6, posted_at="2026-11-15T10:00:00Z")
    assert (ends(ann), ann.balance) == ([("release", 10)], 50)
