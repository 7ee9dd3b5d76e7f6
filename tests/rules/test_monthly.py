"""Sign-up and monthly Connects: how many, when, and that no cycle is forgotten or given twice."""

import pytest


def monthly(account):
    """What was written, by a schedule or a command."""
    return [(entry["at"][:10], entry["amount"]) for entry in account.written("grant") if entry["amount"] != 40]


def test_sign_up_brings_a_freelancer_40_connects_once(freelancer, at):
    ann = freelancer()
    assert ann.entries()[0]["reference"] == {"type": "sign_up"}
    assert ann.rows()[0] == ("2026-11-22", 40)
    at("2030-01-01")
    ann.spends(1)
    assert [entry["amount"] for entry in ann.entries() if entry["reference"]["type"] == "sign_up"] == [40]


def test_an_account_signs_up_once(api, freelancer):
    ann = freelancer()
    body = {"account_id": "ann", "kind": "freelancer", "plan": "basic"}
    assert api.call("open_account", key="open-ann", body=body).replayed
    assert api.call("open_account", key="again", body=body).refused == (409, "already_exists")
    assert ann.balance == 40 + 10


@pytest.mark.parametrize(("plan", "amount"), [("basic", 10), ("plus", 100)])
def test_basic_brings_10_and_plus_100_on_the_first_day_of_each_cycle(freelancer, at, scheduled, plan, amount):
    ann = freelancer(plan=plan)
    at("2027-01-23")
    scheduled("monthly_grant")
    assert monthly(ann) == [("2026-11-22", amount), ("2026-12-22", amount), ("2027-01-22", amount)]


def test_of_the_100_of_plus_10_are_free(freelancer):
    ann = freelancer(plan="plus")
    assert [(lot["paid"], lot["amount"]) for lot in ann.entries("grant")[1]["lots"]] == [(False, 10), (True, 90)]


@pytest.mark.parametrize(
    "runs",
    [["2027-02-25"], ["2027-02-25"] * 2, ["2026-12-22", "2027-02-22", "2027-02-25"]],
    ids=["late", "twice", "after missed cycles"],
)
def test_runs_that_come_late_twice_or_after_missed_cycles_give_each_cycle_once_issued_on_its_first_day(
    freelancer, at, scheduled, runs
):
    ann = freelancer()
    for day in runs:
        at(day)
        scheduled("monthly_grant")
    assert monthly(ann) == [(day, 10) for day in ("2026-11-22", "2026-12-22", "2027-01-22", "2027-02-22")]


def test_the_expiry_of_a_late_grant_counts_from_its_cycles_first_day(freelancer, at, scheduled):
    ann = freelancer()
    at("2027-02-10")
    scheduled("monthly_grant")
    assert ann.lots[1:] == [("2027-12-23", 10), ("2028-01-23", 10)]


def test_no_run_is_needed_for_the_monthly_connects_to_be_there(freelancer, at):
    ann = freelancer()
    at("2026-12-22")
    assert ann.spends(60).status == 201
