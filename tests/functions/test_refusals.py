"""Every refusal of the contract, with its status, its code, the numbers that matter, and nothing done."""

from typing import get_args, get_type_hints

import pytest

from functions.refund.app import RefundBody
from shared.ledger.refunds import REASONS
from tests.functions.events import SERVICE, STAFF, http


@pytest.fixture(autouse=True)
def ann(api):
    api.open()


def test_a_spend_of_more_than_there_is_names_balance_and_requirement(api):
    refused = api.spend(51)
    assert refused.refused == (409, "insufficient_connects")
    assert (refused.body["balance"], refused.body["required"]) == (50, 51)
    assert api.balance() == 50


def test_a_spend_at_a_price_that_is_no_longer_the_price_names_the_price(api):
    refused = api.spend(6, expected_price=4)
    assert refused.refused == (409, "price_changed")
    assert refused.body["price"] == 6
    assert api.balance() == 50


def test_a_spend_is_refunded_once_whatever_the_reason(api):
    spend_id = api.spend(6).body["id"]
    assert api.refund(spend_id).status == 201
    assert api.refund(spend_id, "another").refused == (409, "already_refunded")
    assert api.refund(spend_id, "third", reason="fraud").refused == (409, "already_refunded")
    assert api.balance() == 50


@pytest.mark.parametrize("reason", ["job_expired", "job_filled", "not_chosen", "withdrawn"])
def test_connects_do_not_come_back_for_what_the_market_did(api, reason):
    spend_id = api.spend(6).body["id"]
    assert api.refund(spend_id, reason=reason).refused == (422, "not_refundable")
    assert api.balance() == 44


def test_a_refund_takes_each_reason_that_the_core_decides_on():
    assert get_args(get_type_hints(RefundBody)["reason"]) == tuple(REASONS)


def test_only_a_spend_of_the_account_is_refunded(api):
    api.open("bob")
    of_bob = api.spend(6, account="bob").body["id"]
    grant = api.entries()[-1]["id"]
    refund = api.refund(api.spend(6).body["id"]).body["id"]
    for entry_id in (of_bob, grant, refund, "made-up"):
        assert api.refund(entry_id, f"key-{entry_id}").refused == (404, "spend_not_found")


@pytest.mark.parametrize(
    "name", ["read_account", "change_account", "history", "audit", "purchase", "spend", "boost", "reward", "adjustment"]
)
def test_an_account_that_was_never_opened_is_not_found(api, name):
    sent = http(name, claims=STAFF, path={"account_id": "nobody"}, key="k")
    assert api.send(name, sent).refused == (404, "account_not_found")


def test_nothing_of_an_account_that_was_never_opened_is_refunded(api):
    assert api.refund("made-up", account="nobody").refused == (404, "account_not_found")
    assert api.reward("interview", account="nobody", spend_id="made-up").refused == (404, "account_not_found")


def test_a_purchase_that_was_never_made_is_not_found(api):
    sent = http("read_purchase", claims=SERVICE)
    assert api.send("read_purchase", sent).refused == (404, "purchase_not_found")


def test_a_purchase_is_read_at_its_own_account_only(api):
    api.open("bob")
    purchase_id = api.buy().body["purchase_id"]
    path = {"account_id": "bob", "purchase_id": purchase_id}
    assert api.call("read_purchase", path=path).refused == (404, "purchase_not_found")


def test_an_account_is_opened_once(api):
    body = {"account_id": "ann", "kind": "freelancer", "plan": "basic"}
    assert api.call("open_account", key="another", body=body).refused == (409, "already_exists")
    assert api.balance() == 50


def test_an_agency_on_basic_has_to_go_plus_before_it_buys(api):
    api.open("acme", kind="agency")
    assert api.buy(account="acme").refused == (403, "plan_required")
    assert api.balance("acme") == 0


def test_an_agency_that_fell_back_to_basic_is_frozen_until_it_is_plus_again(api):
    api.open("acme", kind="agency", plan="plus")
    api.buy(40, account="acme")
    assert _set_plan(api, "basic").body["status"] == "frozen"
    assert api.spend(6, account="acme").refused == (403, "account_frozen")
    assert api.buy(40, "again", account="acme").refused == (403, "account_frozen")
    assert api.balance("acme") == 40
    assert _set_plan(api, "plus").body["status"] == "active"
    assert api.spend(6, account="acme").status == 201


def test_a_declined_payment_charges_and_credits_nothing(api):
    assert api.buy(sandbox="decline").refused == (402, "payment_declined")
    assert api.balance() == 50


def test_a_refusal_says_what_the_kind_of_problem_is_called(api):
    body = api.spend(51).body
    assert body["type"].endswith(":insufficient_connects")
    assert body["title"] == "Conflict"
    assert "51" in body["detail"]


def _set_plan(api, plan):
    return api.change("acme", plan=plan, effective="now")
