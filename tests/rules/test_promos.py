"""Promo codes: how they are written, when they are valid, for how many accounts, once each."""

import pytest


@pytest.fixture(autouse=True)
def spring(api, tables):  # noqa: ARG001
    """5 Connects for each of 2, in December."""
    api.put_promo(
        "SPRING", connects=5, max_redemptions=2, **{"from": "2026-12-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    )


@pytest.fixture(autouse=True)
def december(at, clock):  # noqa: ARG001
    at("2026-12-01")


def test_case_and_outer_spaces_of_a_code_are_ignored(freelancer):
    assert freelancer("ann").redeems("  spring\t").body["amount"] == 5
    assert freelancer("bob").redeems("\nSpRiNg ").body["amount"] == 5


def test_inner_spaces_are_not(freelancer):
    assert freelancer().redeems("SPR ING").refused == (400, "invalid_request")


@pytest.mark.parametrize(
    ("instant", "status"),
    [
        ("2026-11-30T23:59:59.999Z", 409),
        ("2026-12-01T00:00:00.000Z", 201),
        ("2026-12-31T23:59:59.999Z", 201),
        ("2027-01-01T00:00:00.000Z", 409),
    ],
)
def test_a_code_is_valid_from_its_start_on_and_no_longer_at_its_end(freelancer, at, instant, status):
    at(instant)
    redeemed = freelancer().redeems("SPRING")
    assert redeemed.status == status
    assert status == 201 or redeemed.code == "promo_not_active"


def test_a_code_is_capped_over_all_accounts(freelancer):
    first, second, third = map(freelancer, ("ann", "bob", "carol"))
    assert [first.redeems("SPRING").status, second.redeems("SPRING").status] == [201, 201]
    assert third.redeems("SPRING").refused == (409, "promo_exhausted")


def test_an_account_redeems_a_code_once(freelancer):
    ann = freelancer()
    ann.redeems("SPRING")
    assert ann.redeems("spring").refused == (409, "promo_used")
    assert ann.buys(10, body={"promo_code": "SPRING"}).refused == (409, "promo_used")
    assert ann.rows("promo") == [("2026-12-01", 5)]


def test_a_code_brings_what_is_configured_for_its_campaign(api, freelancer):
    api.put_promo("WELCOME", connects=25)
    api.put_promo("WELCOME", connects=30, to="2027-02-01T00:00:00Z")
    assert freelancer().redeems("WELCOME").body["amount"] == 30


def test_a_code_is_given_without_a_purchase(freelancer):
    ann = freelancer()
    ann.redeems("SPRING")
    assert ann.rows("purchase", "promo") == [("2026-12-01", 5)]


def test_a_code_is_given_with_a_purchase(freelancer):
    ann = freelancer()
    ann.buys(10, body={"promo_code": "spring"})
    assert ann.rows("purchase", "promo") == [("2026-12-01", 10), ("2026-12-01", 5)]
