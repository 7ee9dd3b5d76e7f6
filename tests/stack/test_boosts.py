"""Boosts on the whole stack: bids that race for a job's places, and every hold ended once, by whatever comes first."""

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from shared.store.rows import instant
from tests.stack.machinery import Machinery, eventually
from tests.stack.marketplace import REPLAYED, Marketplace, at_once, refusal, unique
from tests.stack.test_events import Heard, heard, notices_in  # noqa: F401 - a fixture

Bid = Callable[..., httpx.Response]


@pytest.fixture
def job(marketplace: Marketplace) -> str:
    job = unique("j")
    assert marketplace.service("PUT", f"/jobs/{job}", {"version": 1, "price": 2}).status_code == 200
    return job


@pytest.fixture
def bid(marketplace: Marketplace, job: str) -> Bid:
    def bid(account: str, connects: int) -> httpx.Response:
        body = {"job_id": job, "proposal_id": f"p-{account}", "bid": connects}
        return marketplace.service("POST", f"/accounts/{account}/boosts", body, key=f"bid-{connects}")

    return bid


def state(marketplace: Marketplace, account: str) -> tuple[int, int]:
    read = marketplace.read(account)
    return read["balance"], read["held"]


def tell(marketplace: Marketplace, job: str, happened: str, **more: str) -> None:
    told = marketplace.service("POST", f"/jobs/{job}/events", {"type": happened, **more})
    assert told.status_code == 202, told.text


def slots(marketplace: Marketplace, job: str) -> list[dict[str, Any]]:
    return marketplace.service("GET", f"/jobs/{job}").json()["boosts"]["slots"]


def test_a_bid_is_held_raised_and_shown_without_a_name(marketplace: Marketplace, job: str, bid: Bid):
    account = marketplace.open()

    first, again, raised = bid(account, 5), bid(account, 5), bid(account, 8)

    assert (first.status_code, first.json()["rank"], first.json()["boosted"]) == (201, 1, True)
    assert (again.json(), again.headers[REPLAYED]) == (first.json(), "true")
    assert (raised.json()["entry"]["type"], raised.json()["entry"]["amount"]) == ("hold", -3)
    assert state(marketplace, account) == (42, 8)
    owner = marketplace.call(marketplace.token_of(account), "GET", f"/jobs/{job}")
    assert owner.json()["boosts"]["slots"] == [{"rank": 1, "bid": 8}]
    assert refusal(bid(account, 7)) == (409, "bid_too_low")


def test_of_bids_that_race_the_4_highest_are_held_and_the_others_have_all_of_it(
    marketplace: Marketplace, job: str, bid: Bid
):
    accounts = [marketplace.open() for _ in range(6)]

    answers = at_once([partial(bid, account, connects) for connects, account in enumerate(accounts, 1)])

    assert {refusal(answer) for answer in answers if answer.is_error} <= {(409, "bid_too_low")}
    assert [slot["bid"] for slot in slots(marketplace, job)] == [6, 5, 4, 3]
    held = [(50, 0), (50, 0), (47, 3), (46, 4), (45, 5), (44, 6)]
    eventually(lambda: [state(marketplace, account) for account in accounts] == held)


def test_who_is_outbid_hears_of_it(marketplace: Marketplace, bid: Bid, heard: Heard):  # noqa: F811 - a fixture
    accounts = [marketplace.open() for _ in range(5)]
    for connects, account in enumerate(accounts, 1):
        bid(account, connects)

    eventually(lambda: notices_in(heard(accounts[0]), "outbid"))

    [notice] = notices_in(heard(accounts[0]), "outbid")
    assert (notice["bid"], notice["balance"], notice["proposal_id"]) == (1, 50, f"p-{accounts[0]}")


@pytest.mark.parametrize(
    ("happened", "balance"), [("canceled", 50), ("removed", 50), ("filled", 45), ("expired", 45), ("hired", 45)]
)
def test_the_end_of_a_job_ends_its_holds(marketplace: Marketplace, job: str, bid: Bid, happened: str, balance: int):
    account = marketplace.open()
    bid(account, 5)

    tell(marketplace, job, happened)

    assert state(marketplace, account) == (balance, 0)
    assert refusal(bid(account, 6)) == (409, "auction_closed")


def test_an_interaction_captures_at_once_and_a_cancellation_after_it_gives_nothing_back(
    marketplace: Marketplace, job: str, bid: Bid
):
    seen, unseen = marketplace.open(), marketplace.open()
    bid(seen, 5), bid(unseen, 6)

    at_once([partial(tell, marketplace, job, "interaction", account_id=seen)] * 3)
    tell(marketplace, job, "canceled")

    assert (state(marketplace, seen), state(marketplace, unseen)) == ((45, 0), (50, 0))
    assert [entry["type"] for entry in marketplace.entries(seen)[:2]] == ["capture", "hold"]


def test_news_that_comes_late_is_judged_by_its_own_time(
    marketplace: Marketplace, machinery: Machinery, job: str, bid: Bid
):
    account = marketplace.open()
    before_any = instant(machinery.now())
    bid(account, 5)
    before_the_raise = instant(machinery.now())
    bid(account, 9)

    tell(marketplace, job, "interaction", account_id=account)
    assert state(marketplace, account) == (41, 0)

    tell(marketplace, job, "interaction", account_id=account, at=before_the_raise)
    assert state(marketplace, account) == (45, 0)

    for _ in range(2):
        tell(marketplace, job, "canceled", at=before_any)
    assert state(marketplace, account) == (50, 0)
    assert marketplace.of_type(account, "refund") == [4, 5]


def test_an_auction_closes_by_the_clock(marketplace: Marketplace, machinery: Machinery, bid: Bid):
    account = marketplace.open()
    bid(account, 5)

    machinery.let_pass(days=7)
    assert refusal(bid(account, 6)) == (409, "auction_closed")
    assert state(marketplace, account) == (45, 5)  # news of what happened before has five minutes to come

    machinery.let_pass(minutes=5)
    machinery.run("JobSweepFunction")
    eventually(lambda: state(marketplace, account)[1] == 0)
    assert marketplace.of_type(account, "capture") == [0]
