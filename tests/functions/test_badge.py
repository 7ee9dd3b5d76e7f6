"""The availability badge over HTTP: who switches it, what it answers, and what is refused."""

import pytest

from tests.functions.events import SERVICE, user

ON = {
    "enabled": True,
    "max_per_week": 6,
    "renews_at": "2026-11-29T10:00:00.000Z",
    "paid_until": "2026-11-29T10:00:00.000Z",
}
OFF = ON | {"enabled": False, "renews_at": None}
NEVER = {"enabled": False, "max_per_week": None, "renews_at": None, "paid_until": None}


@pytest.fixture(autouse=True)
def opened(api, tables):  # noqa: ARG001
    api.open()


def test_a_badge_that_is_switched_on_is_answered_and_shown_and_is_a_row_of_the_history(api):
    switched = api.badge()
    assert (switched.status, switched.body) == (200, ON | {"price": 4})
    assert api.read()["badge"] == ON
    (spend,) = api.entries(type="spend")
    assert (spend["amount"], spend["balance_after"], spend["reason"]) == (-4, 46, "Availability badge for a week")
    assert spend["reference"] == {
        "type": "badge",
        "starts_at": "2026-11-22T10:00:00.000Z",
        "ends_at": "2026-11-29T10:00:00.000Z",
    }


def test_the_same_request_again_is_answered_the_same_and_charged_once(api):
    assert [api.badge().body for _ in range(3)] == [ON | {"price": 4}] * 3
    assert api.balance() == 46


def test_off_is_answered_without_a_renewal_and_keeps_what_was_paid(api, clock):
    api.badge()
    assert api.badge(False).body == OFF | {"price": 4}
    assert api.read()["badge"] == OFF
    clock.go(days=6)
    assert api.badge().body == ON | {"price": 4}
    assert api.balance() == 46


def test_off_needs_no_maximum(api):
    assert api.badge(body={"enabled": False}).body == NEVER | {"price": 4}
    api.badge()
    assert api.badge(body={"enabled": False}).body == OFF | {"price": 4}


def test_an_account_without_a_badge_shows_so(api):
    assert api.read()["badge"] == NEVER


def test_a_balance_that_is_too_small_is_refused_and_the_price_named(api):
    api.spend(47)
    refused = api.badge()
    assert refused.refused == (409, "insufficient_connects")
    assert (refused.body["balance"], refused.body["required"]) == (3, 4)
    assert api.read()["badge"] == NEVER


def test_a_frozen_agency_may_not_switch_it_on(api):
    api.open("acme", kind="agency", plan="plus")
    api.buy(40, account="acme")
    api.change("acme", plan="basic", effective="now")
    assert api.badge(account="acme").refused == (403, "account_frozen")
    assert api.badge(False, account="acme").status == 200


def test_a_member_switches_its_agencys_and_a_service_anybodys_and_a_stranger_nobodys(api):
    api.open("acme", kind="agency", plan="plus")
    api.buy(40, account="acme")
    assert api.badge(account="acme").status == 200
    assert api.badge(claims=SERVICE).status == 200
    assert api.badge(claims=user("bob")).refused == (403, "forbidden")
    assert api.badge(account="nobody", claims=SERVICE).refused == (404, "account_not_found")


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"enabled": True}, "body.max_per_week"),
        ({"enabled": True, "max_per_week": None}, "body.max_per_week"),
        ({"enabled": True, "max_per_week": 0}, "body.max_per_week"),
        ({"enabled": False, "max_per_week": -1}, "body.max_per_week"),
        ({"enabled": True, "max_per_week": 1_000_001}, "body.max_per_week"),
        ({"enabled": True, "max_per_week": "6"}, "body.max_per_week"),
        ({"enabled": True, "max_per_week": 6.5}, "body.max_per_week"),
        ({"enabled": True, "max_per_week": True}, "body.max_per_week"),
        ({"enabled": 1, "max_per_week": 6}, "body.enabled"),
        ({"enabled": "true", "max_per_week": 6}, "body.enabled"),
        ({"max_per_week": 6}, "body.enabled"),
        ({"enabled": True, "max_per_week": 6, "price": 4}, "body.price"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(api, body, loc):
    refused = api.badge(body=body)
    assert refused.refused == (400, "invalid_request")
    assert refused.body["errors"][0]["loc"] == loc
    assert api.read()["badge"] == NEVER
