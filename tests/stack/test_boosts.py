"""Boosts on the stack: bids that are held, places without names, and holds that end at once or by the clock."""

from functools import partial

import pytest

from tests.stack.machinery import Machinery, eventually
from tests.stack.marketplace import REPLAYED, Marketplace, at_once, refusal, unique

AN_AUCTION = {"days": 7}


@pytest.fixture
def job(marketplace: Marketplace) -> str:
    job = unique("j")
    assert marketplace.service("PUT", f"/jobs/{job}", {"version": 1, "price": 7}).status_code == 200
    return job


def bids(marketplace: Marketplace, job: str) -> list[tuple[int, int]]:
    slots = marketplace.service("GET", f"/jobs/{job}").json()["boosts"]["slots"]
    return [(slot["rank"], slot["bid"]) for slot in slots]


def test_a_bid_is_held_and_may_be_raised(marketplace: Marketplace, job: str):
    account = marketplace.open()

    first, again = (marketplace.boost(account, job, 10) for _ in range(2))
    raised = marketplace.boost(account, job, 15, "raise")

    assert first.status_code == 201
    assert (first.json()["rank"], first.json()["boosted"]) == (1, True)
    assert (again.json(), again.headers[REPLAYED]) == (first.json(), "true")
    assert marketplace.entries(account)[:2] == [raised.json()["entry"], first.json()["entry"]]
    assert marketplace.of_type(account, "hold") == [-10, -5]
    assert (marketplace.balance(account), marketplace.read(account)["held"]) == (35, 15)
    assert bids(marketplace, job) == [(1, 15)]
    low = marketplace.boost(account, job, 15, "low")
    assert (refusal(low), low.json()["required"]) == ((409, "bid_too_low"), 16)


def test_who_is_pushed_out_of_the_4_places_has_it_back_and_the_others_pay_their_bids(
    marketplace: Marketplace, job: str
):
    accounts = [marketplace.open() for _ in range(5)]

    for bid, account in enumerate(accounts, 11):
        assert marketplace.boost(account, job, bid).status_code == 201

    assert marketplace.of_type(accounts[0], "release") == [11]
    assert bids(marketplace, job) == [(1, 15), (2, 14), (3, 13), (4, 12)]
    marketplace.service("POST", f"/jobs/{job}/events", {"type": "filled"})
    assert [marketplace.balance(account) for account in accounts] == [50, 38, 37, 36, 35]
    assert [marketplace.of_type(account, "capture") for account in accounts] == [[], *[[0]] * 4]
    assert refusal(marketplace.boost(accounts[0], job, 20, "late")) == (409, "auction_closed")


def test_an_auction_closes_by_the_clock(marketplace: Marketplace, machinery: Machinery, job: str):
    account = marketplace.open()
    marketplace.boost(account, job, 10)
    closes_at = marketplace.service("GET", f"/jobs/{job}").json()["boosts"]["closes_at"]
    machinery.let_pass(**AN_AUCTION)

    machinery.run("JobSweepFunction")

    eventually(lambda: marketplace.of_type(account, "capture") == [0])
    [capture] = marketplace.entries(account, type="capture")
    assert capture["at"] == closes_at
    assert marketplace.read(account)["held"] == 0


def test_bids_that_race_fill_the_places_and_hold_no_more(marketplace: Marketplace, job: str):
    accounts = [marketplace.open() for _ in range(6)]

    answers = at_once([partial(marketplace.boost, account, job, 10) for account in accounts])

    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [409] * 2
    assert {refusal(answer) for answer in answers if answer.is_error} == {(409, "bid_too_low")}
    assert sorted(marketplace.read(account)["held"] for account in accounts) == [0, 0, 10, 10, 10, 10]
    assert bids(marketplace, job) == [(rank, 10) for rank in (1, 2, 3, 4)]
