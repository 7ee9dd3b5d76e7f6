"""Plans and statuses count from their day: reported late, twice or out of order, by call, by event or by both."""

import json
from itertools import permutations

import pytest

from tests.functions.events import event

EVENTS = "marketplace_events"
INVALID = (400, "invalid_request")


def deliver(api, *events):
    (record,) = event(EVENTS)["Records"]
    envelope = json.loads(record["body"])
    bodies = [record | {"messageId": f"m{n}", "body": json.dumps(envelope | each)} for n, each in enumerate(events)]
    return api.invoke(EVENTS, {"Records": bodies})["batchItemFailures"]


def happened(account, what, **detail):
    return {"detail-type": f"account.{what}_changed", "detail": {"account_id": account, **detail}}


@pytest.fixture(params=["call", "event", "both"])
def report(request, api):
    """Reports a change of an account, now."""

    def send(account, **changes):
        if request.param != "event":
            assert api.change(account.name, **changes).status == 200
        if request.param != "call":
            what = "plan" if "plan" in changes else "status"
            assert deliver(api, happened(account.name, what, **changes)) == []

    return send


@pytest.fixture
def ann(freelancer, at):
    """She joined on 1 January 2027: 40 for signing up and 10 for the cycle."""
    at("2027-01-01T09:00:00Z")
    return freelancer()


def test_an_upgrade_that_is_reported_in_the_next_cycle_brings_the_rest_of_its_own_and_all_of_the_next(ann, at, report):
    at("2027-02-02T10:00:00Z")
    report(ann, plan="plus", at="2027-01-30T10:00:00Z")
    assert ann.balance == 40 + 10 + 90 * 2 // 31 + 100 == 155


def test_an_upgrade_that_is_reported_two_days_late_brings_what_it_would_have_brought(ann, at, report):
    at("2027-01-12T10:00:00Z")
    report(ann, plan="plus", at="2027-01-10T10:00:00Z")
    assert ann.rows("grant")[-1] == ("2027-01-12", 63)
    assert (ann.balance, ann.lots[-1]) == (113, ("2028-01-11", 63))


@pytest.mark.parametrize(
    "order", [*permutations([("plus", "2027-01-10T10:00:00Z"), ("basic", "2027-01-20T10:00:00Z")])]
)
def test_an_upgrade_and_a_downgrade_bring_the_same_in_either_order(ann, at, report, order):
    at("2027-01-21T10:00:00Z")
    for plan, when in order:
        report(ann, plan=plan, at=when)
    assert (ann.balance, ann.shown["plan"], ann.shown["next_plan"]) == (113, "plus", "basic")
    at("2027-02-01")
    assert (ann.balance, ann.shown["plan"], ann.shown["next_plan"]) == (123, "basic", None)


def test_an_upgrade_that_is_reported_months_late_brings_what_every_cycle_since_lacks(ann, at, report, scheduled):
    at("2027-03-01T10:00:00Z")
    scheduled("monthly_grant")
    at("2027-04-05T10:00:00Z")
    report(ann, plan="plus", at="2027-01-10T10:00:00Z")
    assert ann.balance == 40 + 73 + 3 * 100
    assert [entry["reason"] for entry in ann.entries("grant") if entry["at"].startswith("2027-04-05")] == [
        "Upgrade to plus, 22 of 31 days left",
        *(f"Monthly Connects, plus plan, for the cycle from 2027-{month}-01 on" for month in ("02", "03", "04")),
    ]


def test_an_agency_that_was_opened_on_plus_stays_so_whatever_is_reported_of_before(agency, at, report):
    at("2027-01-01T10:00:00Z")
    acme = agency(plan="plus")
    at("2027-01-01T11:00:00Z")
    report(acme, plan="basic", effective="now", at="2027-01-01T09:00:00Z")
    assert (acme.shown["status"], acme.shown["plan"], acme.shown["next_plan"]) == ("active", "plus", None)


@pytest.mark.parametrize("plan", ["basic", "plus"])
def test_an_agency_that_was_set_to_plus_stays_so_whatever_is_reported_of_before(agency, at, report, plan):
    at("2027-01-01T08:00:00Z")
    acme = agency(plan=plan)
    at("2027-01-01T10:00:00Z")
    acme.changes_plan("plus")
    at("2027-01-01T11:00:00Z")
    for more in ({}, {"effective": "now"}):
        report(acme, plan="basic", at="2027-01-01T09:00:00Z", **more)
    assert (acme.shown["status"], acme.shown["plan"], acme.shown["next_plan"]) == ("active", "plus", None)


def test_an_account_that_is_opened_late_gets_what_has_fallen_due_since(api, at):
    at("2027-02-03T10:00:00Z")
    account = api.open(at="2027-01-30T10:00:00Z", joined_on="2027-01-01").body
    assert [(lot["expires_on"], lot["amount"]) for lot in account["lots"]] == [
        ("2028-01-02", 10),
        ("2028-01-31", 40),
        ("2028-02-02", 10),
    ]
    assert account == api.read()


def test_a_suspension_that_ended_before_a_cycle_began_takes_nothing_from_it_however_late_that_is_reported(
    ann, at, report
):
    at("2027-01-28T10:00:00Z")
    report(ann, status="suspended", at="2027-01-28T09:00:00Z")
    at("2027-02-01T10:00:00Z")
    assert ann.balance == 50
    report(ann, status="active", at="2027-01-31T10:00:00Z")
    assert ann.balance == 60


def test_an_older_status_never_undoes_a_newer_one(ann, at, report):
    at("2027-01-10T10:00:00Z")
    report(ann, status="active", at="2027-01-10T09:00:00Z")
    report(ann, status="suspended", at="2027-01-10T08:00:00Z")
    assert ann.shown["status"] == "active"


def test_closed_is_for_ever_also_for_changes_of_later_instants(ann, at, api, report):
    at("2027-01-10T10:00:00Z")
    report(ann, status="active", at="2027-01-10T09:00:00Z")
    report(ann, status="closed", at="2027-01-10T08:00:00Z")
    assert ann.becomes("active").refused == (403, "account_closed")
    assert deliver(api, happened("ann", "status", status="active", at="2027-01-10T10:00:00Z")) == []
    assert deliver(api, happened("ann", "plan", plan="plus", at="2027-01-05T10:00:00Z")) == []
    assert (ann.shown["status"], ann.balance) == ("closed", 50)


def test_the_holds_of_a_closed_account_are_released_however_it_is_reported(ann, at, api, report):
    api.post(price=7)
    ann.boosts(10)
    at("2027-01-01T09:30:00Z")
    report(ann, status="closed", at="2027-01-01T09:20:00Z")
    assert (ann.balance, ann.held, ann.rows("release")) == (50, 0, [("2027-01-01", 10)])


@pytest.mark.parametrize("change", [{"plan": "plus"}, {"status": "suspended"}])
def test_a_change_more_than_five_minutes_ahead_is_refused(ann, at, api, change):
    at("2027-01-10T10:00:00Z")
    ahead = change | {"at": "2027-01-10T10:05:00.001Z"}
    assert api.change(**ahead).refused == INVALID
    (what,) = change
    assert len(deliver(api, happened("ann", what, **ahead))) == 1
    assert (ann.shown["plan"], ann.shown["status"]) == ("basic", "active")
    assert api.change(**change | {"at": "2027-01-10T10:05:00Z"}).status == 200
