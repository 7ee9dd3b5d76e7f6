"""Promo codes over HTTP: who puts them, how they are written, what they answer alone and with a purchase."""

from datetime import timedelta

import pytest

from tests.functions.conftest import START, charges
from tests.functions.events import SERVICE

TERMS = {
    "code": "SPRING",
    "connects": 5,
    "max_redemptions": 100,
    "from": "2026-11-01T00:00:00.000Z",
    "to": "2026-12-01T00:00:00.000Z",
    "redeemed": 0,
}


@pytest.fixture(autouse=True)
def opened(api, tables):  # noqa: ARG001
    api.open()


def promo_order(code, quantity=40):
    return {"quantity": quantity, "payment": {"source": "billing_method"}, "promo_code": code}


def test_a_campaign_is_answered_with_its_terms_and_how_often_it_was_redeemed(api):
    put = api.put_promo()
    assert (put.status, put.body) == (200, TERMS)
    api.redeem()
    assert api.put_promo().body == TERMS | {"redeemed": 1}
    assert api.put_promo(connects=9, max_redemptions=0).body == TERMS | {
        "connects": 9,
        "max_redemptions": 0,
        "redeemed": 1,
    }


def test_the_same_instants_written_another_way_are_the_same_terms(api):
    api.put_promo()
    again = api.put_promo(**{"from": "2026-11-01T02:00:00.0000004+02:00", "to": "2026-11-30T23:00:00-01:00"})
    assert (again.status, again.body) == (200, TERMS)


@pytest.mark.parametrize(
    ("changes", "loc"),
    [
        ({"connects": 0}, "body.connects"),
        ({"connects": 2.5}, "body.connects"),
        ({"max_redemptions": -1}, "body.max_redemptions"),
        ({"max_redemptions": "9"}, "body.max_redemptions"),
        ({"from": 1795341600}, "body.from"),
        ({"from": "2026-11-01T00:00:00"}, "body.from"),
        ({"to": "0001-01-01T00:00:00+14:00"}, "body.to"),
        ({"to": "9999-12-31T23:59:59-14:00"}, "body.to"),
        ({"to": "2026-11-01T00:00:00Z"}, "body"),
        ({"more": 1}, "body.more"),
    ],
)
def test_terms_that_make_no_sense_are_refused(api, changes, loc):
    refused = api.put_promo(**changes)
    assert refused.refused == (400, "invalid_request")
    assert [error["loc"] for error in refused.body["errors"]] == [loc]


def test_a_redemption_answers_its_entry(api):
    api.put_promo()
    redeemed = api.redeem()
    assert redeemed.status == 201
    assert redeemed.body == api.entries()[0]
    assert (redeemed.body["type"], redeemed.body["amount"], redeemed.body["balance_after"]) == ("promo", 5, 55)
    assert redeemed.body["reference"] == {"type": "promo", "code": "SPRING"}
    again = api.redeem()
    assert (again.status, again.body, again.replayed) == (201, redeemed.body, True)


@pytest.mark.parametrize("written", ["spring", " SPRING ", "Spring\n"])
def test_a_code_is_the_same_in_any_case_and_with_spaces_around_it(api, written):
    api.put_promo("sPring")
    assert api.redeem(written).status == 201
    assert api.redeem("SPRING").replayed, "the same request"
    assert api.redeem(written, key="another").refused == (409, "promo_used")


@pytest.mark.parametrize("code", ["", "   ", "two words", "a" * 65, "spring#1", 7, None])
def test_what_cannot_be_a_code_is_refused_as_it_stands(api, code):
    assert api.redeem(code).refused == (400, "invalid_request")


@pytest.mark.parametrize(
    ("terms", "code", "refusal"),
    [
        ({}, "AUTUMN", (404, "promo_not_found")),
        ({"to": "2026-11-22T10:00:00Z"}, "SPRING", (409, "promo_not_active")),
        ({"from": "2026-11-22T10:00:00.001Z"}, "SPRING", (409, "promo_not_active")),
        ({"max_redemptions": 0}, "SPRING", (409, "promo_exhausted")),
    ],
    ids=["unknown", "over", "not yet", "exhausted"],
)
def test_a_code_that_brings_nothing_is_refused_alone_and_before_a_purchase_is_charged(api, terms, code, refusal):
    api.put_promo(**terms)
    assert api.redeem(code).refused == refusal
    assert api.buy(body=promo_order(code)).refused == refusal
    assert (charges(), api.balance()) == ({}, 50)


def test_a_redemption_needs_a_key_and_its_key_serves_no_other(api):
    api.put_promo()
    api.put_promo("SUMMER")
    assert api.redeem(headers={"idempotency-key": None}, key=None).refused == (400, "idempotency_key_missing")
    api.redeem()
    assert api.redeem("SUMMER").refused == (422, "idempotency_key_reused")


def test_a_service_redeems_for_an_account_and_a_member_for_its_agency(api):
    api.put_promo()
    api.open("acme", kind="agency", plan="basic")
    assert api.redeem(claims=SERVICE).status == 201
    assert api.redeem(account="acme").status == 201
    assert api.redeem(account="bob").refused == (403, "forbidden")


def test_a_purchase_with_a_promo_code_answers_both_entries_every_time(api):
    api.put_promo()
    bought = api.buy(body=promo_order(" spring"))
    assert bought.status == 201
    assert bought.body["promo"]["entry"]["amount"] == 5
    assert [entry["type"] for entry in api.entries()][:2] == ["promo", "purchase"]
    assert bought.body["promo"]["entry"] == api.entries()[0]
    again = api.buy(body=promo_order("SPRING"))
    read = api.call("read_purchase", path={"purchase_id": bought.body["purchase_id"]})
    assert (again.body, again.replayed, read.body) == (bought.body, True, bought.body)
    assert api.balance() == 50 + 40 + 5


def test_a_purchase_whose_code_ran_out_meanwhile_completes_and_says_so(api, clock, scheduled):
    api.put_promo()
    pending = api.buy(body=promo_order("SPRING"), sandbox="late")
    assert (pending.status, "promo" in pending.body) == (202, False)
    api.put_promo(max_redemptions=0)
    clock.go(minutes=2)
    scheduled("purchase_reconcile")
    read = api.call("read_purchase", path={"purchase_id": pending.body["purchase_id"]}).body
    assert (read["status"], read["entry"]["amount"], read["promo"]) == ("completed", 40, {"code": "promo_exhausted"})
    assert api.balance() == 50 + 40


def test_a_purchase_without_a_code_says_nothing_of_promos(api):
    assert "promo" not in api.buy().body


def test_a_campaign_begins_and_ends_at_the_first_millisecond_that_is_not_before_its_times(api, clock):
    terms = {"from": "2026-11-22T10:00:00.000001Z", "to": "2026-11-22T10:00:00.002001Z"}
    shown = api.put_promo(**terms).body
    assert (shown["from"], shown["to"]) == ("2026-11-22T10:00:00.001Z", "2026-11-22T10:00:00.003Z")
    assert api.put_promo(**terms).body == shown
    for ms, refused in ((0, True), (3, True), (2, False)):
        clock.at = START + timedelta(milliseconds=ms)
        answer = api.redeem(key=str(ms))
        assert (answer.status == 409) == refused, answer.text
