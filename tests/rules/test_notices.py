"""Notices: what is sent to owners without a request."""

import pytest


def amounts(sent):
    return [notice["amount"] for notice in sent]


def test_an_owner_gets_a_notice_that_monthly_connects_came(freelancer, at, scheduled, notices):
    freelancer()
    at("2026-12-22")
    scheduled("monthly_grant")
    assert (amounts(notices("came")), notices("came")[-1]["balance"]) == ([40, 10, 10], 60)


def test_an_owner_gets_a_notice_that_a_reward_came(freelancer, notices):
    freelancer().rewarded("rising_talent")
    assert amounts(notices("came")) == [40, 10, 30]


def test_an_owner_gets_a_notice_that_a_refund_came(freelancer, notices):
    ann = freelancer()
    ann.refunded(ann.spends(6))
    assert amounts(notices("came")) == [40, 10, 6]


@pytest.fixture
def run_on(at, scheduled):
    """Run the schedule at the beginning of each of these days."""

    def run_on(*days):
        for day in days:
            at(day)
            scheduled("expiry_notices")

    return run_on


# The Connects of these tests were bought on 2026-11-22, and expire on 2027-11-23.


def test_an_owner_gets_a_notice_30_7_and_1_days_before_connects_expire(agency, run_on, notices):
    agency().buys(10)
    run_on(
        "2027-10-23", "2027-10-24", "2027-10-25", "2027-11-15", "2027-11-16", "2027-11-21", "2027-11-22", "2027-11-23"
    )
    sent = notices("expiring")
    assert [(notice["at"][:10], notice["days_ahead"]) for notice in sent] == [
        ("2027-10-24", 30),
        ("2027-11-16", 7),
        ("2027-11-22", 1),
    ]
    assert {(notice["expires_on"], notice["amount"]) for notice in sent} == {("2027-11-23", 10)}


def test_each_notice_is_sent_once_however_often_the_schedule_runs(agency, run_on, notices):
    agency().buys(10)
    run_on("2027-10-24", "2027-10-24", "2027-10-25", "2027-11-16", "2027-11-16")
    assert [notice["days_ahead"] for notice in notices("expiring")] == [30, 7]


def test_the_connects_of_each_day_of_expiry_have_notices_of_their_own(agency, at, run_on, notices):
    acme = agency()
    acme.buys(10)
    at("2026-11-23")
    acme.buys(20)
    run_on("2027-10-24", "2027-10-25")
    assert [(notice["expires_on"], notice["amount"]) for notice in notices("expiring")] == [
        ("2027-11-23", 10),
        ("2027-11-24", 20),
    ]


def test_there_is_no_notice_of_connects_that_were_spent_meanwhile_and_one_of_what_is_left(agency, run_on, notices):
    acme, bcme = agency(), agency("bcme")
    for each in (acme, bcme):
        each.buys(10)
    acme.spends(10)
    bcme.spends(4)
    run_on("2027-10-24")
    assert [(notice["account_id"], notice["amount"]) for notice in notices("expiring")] == [("bcme", 6)]


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2027-11-10", (30, 13)), ("2027-11-20", (7, 3)), ("2027-11-22", (1, 1))],
    ids=["13 days ahead", "3 days ahead", "1 day ahead"],
)
def test_a_late_run_sends_only_the_most_urgent_notice(agency, run_on, notices, day, expected):
    agency().buys(10)
    run_on(day)
    assert [(notice["days_ahead"], notice["days_left"]) for notice in notices("expiring")] == [expected]


def test_a_run_after_the_expiry_sends_no_notice_ahead(agency, run_on, notices):
    agency().buys(10)
    run_on("2027-11-23")
    assert notices("expiring") == []


def test_an_owner_gets_a_notice_that_connects_expired(agency, at, scheduled, notices):
    agency().buys(10)
    at("2027-12-01")
    scheduled("expiry_sweep")
    (notice,) = notices("expired")
    assert (notice["at"], notice["amount"], notice["balance"]) == ("2027-11-23T00:00:00.000Z", 10, 0)


def test_an_owner_gets_a_notice_that_a_boost_was_outbid(api, freelancer, queue, notices):  # noqa: ARG001
    api.post(price=6)
    for name, bid in [("ann", 5), ("bob", 6), ("carol", 7), ("dora", 8), ("eve", 9)]:
        freelancer(name).boosts(bid)
    (notice,) = notices("outbid")
    assert (notice["account_id"], notice["bid"], notice["balance"]) == ("ann", 5, 50)


def test_an_owner_gets_a_notice_that_the_badge_was_switched_off_and_why(freelancer, at, scheduled, notices):
    ann = freelancer()
    ann.badge()
    ann.spends(46)
    at("2026-11-29T10:00:00Z")
    scheduled("badge_renewals")
    (notice,) = notices("badge_off")
    assert (notice["why"], notice["price"], notice["balance"]) == ("insufficient_connects", 4, 0)


def test_an_owner_gets_a_notice_that_a_purchase_is_completed(freelancer, notices):
    freelancer().buys(40)
    (notice,) = notices("purchase_completed")
    assert (notice["quantity"], notice["amount_cents"]) == (40, 600)


def test_an_owner_gets_a_notice_that_a_purchase_failed(freelancer, notices):
    freelancer().buys(40, sandbox="decline")
    (notice,) = notices("purchase_declined")
    assert (notice["quantity"], notice["declined_because"]) == (40, "the card was declined")
