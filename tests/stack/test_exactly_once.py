"""However often a request is sent, and however many are sent together: one effect."""

from collections import Counter
from functools import partial

import pytest

from tests.document import document
from tests.stack.machinery import Machinery
from tests.stack.marketplace import REPLAYED, Marketplace, at_once, refusal, unique

TOGETHER = 16
SOME_TOGETHER = 6
"""Each function under way at once is a process that ministack has to start: enough where `TOGETHER` has been tried."""


def test_a_repeat_answers_as_the_first_time_and_says_so(marketplace: Marketplace):
    account = marketplace.open()
    spend = marketplace.spend(account, 6, "s")
    refund = marketplace.refund(account, spend.json()["id"], "r")
    purchase = marketplace.buy(account, 10, "b")
    won = marketplace.spend(account, 8, "won").json()["id"]
    reward = marketplace.reward(account, "interview", "i", spend_id=won)
    adjustment = marketplace.adjust(account, -2, "a")

    for first, again in [
        (spend, marketplace.spend(account, 6, "s")),
        (refund, marketplace.refund(account, spend.json()["id"], "r")),
        (purchase, marketplace.buy(account, 10, "b")),
        (reward, marketplace.reward(account, "interview", "i", spend_id=won)),
        (adjustment, marketplace.adjust(account, -2, "a")),
    ]:
        assert (again.status_code, again.json()) == (first.status_code, first.json()) == (201, again.json())
        assert again.headers[REPLAYED] == "true"
        assert REPLAYED not in first.headers
    assert marketplace.balance(account) == 60


def test_an_opening_that_is_repeated_answers_as_the_first_time(marketplace: Marketplace):
    account = unique("t")
    body = {"account_id": account, "kind": "freelancer", "plan": "basic"}
    first = marketplace.service("POST", "/accounts", body, key="o")
    marketplace.opened.append(account)
    marketplace.spend(account, 6, "s")

    again = marketplace.service("POST", "/accounts", body, key="o")

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers[REPLAYED] == "true"


def test_a_repeat_of_a_spend_that_emptied_the_account_is_not_insufficient(marketplace: Marketplace):
    account = marketplace.open()
    first = marketplace.spend(account, 50, "s")

    again = marketplace.spend(account, 50, "s")

    assert again.json() == first.json()
    assert refusal(marketplace.spend(account, 1, "t")) == (409, "insufficient_connects")


def test_a_pending_purchase_that_is_repeated_is_charged_once(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()
    first = marketplace.buy(account, 40, "b", sandbox="timeout")

    again = marketplace.buy(account, 40, "b")

    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers[REPLAYED] == "true"
    assert machinery.charges(account) == [("charged", 600)]


def test_a_key_is_for_one_request(marketplace: Marketplace):
    account = marketplace.open()
    marketplace.spend(account, 6, "k")
    marketplace.buy(account, 10, "k")  # another operation, another key

    assert refusal(marketplace.spend(account, 7, "k")) == (422, "idempotency_key_reused")
    assert refusal(marketplace.buy(account, 20, "k")) == (422, "idempotency_key_reused")
    assert marketplace.spend(marketplace.open(), 7, "k").status_code == 201  # another account, too
    assert marketplace.balance(account) == 54


def test_a_refusal_does_not_use_a_key_up(marketplace: Marketplace):
    account = marketplace.open()
    assert refusal(marketplace.spend(account, 60, "s")) == (409, "insufficient_connects")
    marketplace.buy(account, 10, "b")

    answer = marketplace.spend(account, 60, "s")

    assert answer.status_code == 201
    assert REPLAYED not in answer.headers


NEEDS_A_KEY = {
    "/accounts": {"account_id": "ann", "kind": "freelancer", "plan": "basic"},
    "/accounts/{account_id}/spends": {"amount": 1, "reference": {"type": "proposal", "proposal_id": "p"}},
    "/accounts/{account_id}/spends/{spend_id}/refund": {"reason": "fraud"},
    "/accounts/{account_id}/rewards": {"kind": "rising_talent"},
    "/accounts/{account_id}/boosts": {"job_id": "j", "proposal_id": "p", "bid": 5},
    "/accounts/{account_id}/adjustments": {"amount": 1, "reason": "As a courtesy"},
    "/accounts/{account_id}/promo-redemptions": {"code": "SPRING"},
    "/accounts/{account_id}/purchases": {"quantity": 10, "payment": {"source": "earnings_balance"}},
}


@pytest.mark.parametrize("path", NEEDS_A_KEY)
def test_what_changes_a_balance_needs_a_key_of_128_visible_characters_at_most(marketplace: Marketplace, path: str):
    ask = partial(marketplace.staff, "POST", path.format_map({"account_id": "ann", "spend_id": "s"}), NEEDS_A_KEY[path])

    assert refusal(ask()) == (400, "idempotency_key_missing")
    for key in ("k" * 129, "two words"):
        assert refusal(ask(key=key)) == (400, "invalid_request")


def test_these_are_all_calls_that_need_a_key():
    keyed = {"$ref": "#/components/parameters/Idempotency-Key"}
    assert set(NEEDS_A_KEY) == {
        path
        for path, operations in document()["paths"].items()
        for operation in operations.values()
        if keyed in operation["parameters"]
    }


def test_one_key_sent_many_times_together_has_one_effect(marketplace: Marketplace):
    account = marketplace.open()

    answers = at_once([partial(marketplace.spend, account, 6, "s")] * TOGETHER)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum(REPLAYED not in answer.headers for answer in answers) == 1
    assert marketplace.balance(account) == 44


def test_one_purchase_sent_many_times_together_is_charged_once(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()

    answers = at_once([partial(marketplace.buy, account, 40, "b")] * SOME_TOGETHER)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["entry"]["id"] for answer in answers}) == 1
    assert marketplace.of_type(account, "purchase") == [40]
    assert machinery.charges(account) == [("charged", 600)]


def test_spends_that_race_for_the_last_connects_never_overdraw(marketplace: Marketplace):
    account = marketplace.open()

    answers = at_once([partial(marketplace.spend, account, 6, f"s{number}") for number in range(TOGETHER)])

    outcomes = Counter(answer.status_code if answer.is_success else refusal(answer) for answer in answers)
    assert outcomes == {201: 8, (409, "insufficient_connects"): TOGETHER - 8}
    assert marketplace.balance(account) == 2
    assert marketplace.of_type(account, "spend") == [-6] * 8


def test_refunds_of_one_spend_that_race_give_it_back_once(marketplace: Marketplace):
    account = marketplace.open()
    spend_id = marketplace.spend(account, 6, "s").json()["id"]

    answers = at_once([partial(marketplace.refund, account, spend_id, f"r{number}") for number in range(SOME_TOGETHER)])

    outcomes = Counter(answer.status_code if answer.is_success else refusal(answer) for answer in answers)
    assert outcomes == {201: 1, (409, "already_refunded"): SOME_TOGETHER - 1}
    assert marketplace.balance(account) == 50


def test_openings_of_one_account_that_race_open_it_once(marketplace: Marketplace):
    account = unique("t")
    body = {"account_id": account, "kind": "freelancer", "plan": "basic"}
    opening = partial(marketplace.service, "POST", "/accounts", body)

    answers = at_once([partial(opening, key=f"o{number}") for number in range(SOME_TOGETHER)])

    marketplace.opened.append(account)
    outcomes = Counter(answer.status_code if answer.is_success else refusal(answer) for answer in answers)
    assert outcomes == {201: 1, (409, "already_exists"): SOME_TOGETHER - 1}
    assert marketplace.of_type(account, "grant") == [40, 10]
