"""Notices: what owners are told without having asked."""

import pytest


def amounts(notices):
    return [notice["amount"] for notice in notices]


def test_an_owner_is_told_that_monthly_connects_came(freelancer, at, scheduled, told):
    freelancer()
    at("2026-12-22")
    scheduled("monthly_grant")
    assert (amounts(told("came")), told("came")[-1]["balance"]) == ([40, 10, 10], 60)


def test_an_owner_is_told_that_a_reward_came(freelancer, told):
    freelancer().rewarded("rising_talent")
    assert amounts(told("came")) == [40, 10, 30]


def test_an_owner_is_told_that_a_refund_came(freelancer, told):
    ann = freelancer()
    ann.refunded(ann.spends(6))
    assert amounts(told("came")) == [40, 10, 6]


@pytest.fixture
def look(at, scheduled):
    """Have the schedule look at the beginning of each of these days."""

    def look(*days):
        for day in days:
            at(day)
            scheduled("expiry_notices")

    return look


# What these tell of was bought on 2026-11-22, and expires on 2027-11-23.


def test_an_owner_is_told_30_7_and_1_days_ahead_that_connects_are_about_to_expire(agency, look, told):
    agency().buys(10)
    look("2027-10-23", "2027-10-24", "2027-10-25", "2027-11-15", "2027-11-16", "2027-11-21", "2027-11-22", "2027-11-23")
    notices = told("expiring")
    assert [(notice["at"][:10], notice["days_ahead"]) for notice in notices] == [
        ("2027-10-24", 30),
        ("2027-11-16", 7),
        ("2027-11-22", 1),
    ]
    assert {(notice["expires_on"], notice["amount"]) for notice in notices} == {("2027-11-23", 10)}


def test_each_is_told_once_however_often_the_schedule_looks(agency, look, told):
    agency().buys(10)
    look("2027-10-24", "2027-10-24", "2027-10-25", "2027-11-16", "2027-11-16")
    assert [notice["days_ahead"] for notice in told("expiring")] == [30, 7]


def test_the_connects_of_each_day_of_expiry_have_notices_of_their_own(agency, at, look, told):
    acme = agency()
    acme.buys(10)
    at("2026-11-23")
    acme.buys(20)
    look("2027-10-24", "2027-10-25")
    assert [(notice["expires_on"], notice["amount"]) for notice in told("expiring")] == [
        ("2027-11-23", 10),
        ("2027-11-24", 20),
    ]


def test_nothing_is_told_of_connects_that_were_spent_meanwhile_and_of_the_others_what_is_left(agency, look, told):
    acme, bcme = agency(), agency("bcme")
    for each in (acme, bcme):
        each.buys(10)
    acme.spends(10)
    bcme.spends(4)
    look("2027-10-24")
    assert [(notice["account_id"], notice["amount"]) for notice in told("expiring")] == [("bcme", 6)]


@pytest.mark.parametrize(
    ("day", "told_of"),
    [("2027-11-10", (30, 13)), ("2027-11-20", (7, 3)), ("2027-11-22", (1, 1))],
    ids=["13 days ahead", "3 days ahead", "1 day ahead"],
)
def test_a_late_run_tells_the_most_urgent_alone_and_never_three_at_once(agency, look, told, day, told_of):
    agency().buys(10)
    look(day)
    assert [(notice["days_ahead"], notice["days_left"]) for notice in told("expiring")] == [told_of]


def test_a_run_after_the_expiry_tells_nothing_more_ahead(agency, look, told):
    agency().buys(10)
    look("2027-11-23")
    assert told("expiring") == []


def test_an_owner_is_told_that_connects_expired(agency, at, scheduled, told):
    agency().buys(10)
    at("2027-12-01")
    scheduled("expiry_sweep")
    (notice,) = told("expired")
    assert (notice["at"], notice["amount"], notice["balance"]) == ("2027-11-23T00:00:00.000Z", 10, 0)


def test_an_owner_is_told_that_a_boost_was_outbid(api, freelancer, queue, told):  # noqa: ARG001
    api.post(price=6)
    for name, bid in [("ann", 5), ("bob", 6), ("carol", 7), ("dora", 8), ("eve", 9)]:
        freelancer(name).boosts(bid)
    (notice,) = told("outbid")
    assert (notice["account_id"], notice["bid"], notice["balance"]) == ("ann", 5, 50)


def test_an_owner_is_told_that_the_badge_was_switched_off_and_why(freelancer, at, scheduled, told):
    ann = freelancer()
    ann.badge()
    ann.spends(46)
    at("2026-11-29T10:00:00Z")
    scheduled("badge_renewals")
    (notice,) = told("badge_off")
    assert (notice["why"], notice["price"], notice["balance"]) == ("insufficient_connects", 4, 0)


def test_an_owner_is_told_that_a_purchase_is_done(freelancer, told):
    freelancer().buys(40)
    (notice,) = told("purchase_completed")
    assert (notice["quantity"], notice["amount_cents"]) == (40, 600)


def test_an_owner_is_told_that_a_purchase_failed(freelancer, told):
    freelancer().buys(40, sandbox="decline")
    (notice,) = told("purchase_declined")
    assert (notice["quantity"], notice["declined_because"]) == (40, "the card was declined")
