"""Accounts: who may have one, and what each kind may do. What is not said elsewhere is stated by the marketplace."""

from itertools import product

import pytest


def test_an_account_is_a_freelancer_or_an_agency_on_basic_or_plus(api):
    for kind, plan in product(("freelancer", "agency"), ("basic", "plus")):
        account = api.open(f"{kind}-{plan}", kind=kind, plan=plan).body
        assert (account["kind"], account["plan"], account["status"]) == (kind, plan, "active")


def test_there_is_no_other_kind_and_no_other_plan(api):
    for kind, plan in (("client", "basic"), ("freelancer", "gold")):
        opened = api.call("open_account", key="k", body={"account_id": "ann", "kind": kind, "plan": plan})
        assert opened.refused == (400, "invalid_request")


@pytest.mark.parametrize("plan", ["basic", "plus"])
def test_an_agency_gets_no_free_connects(agency, at, scheduled, plan):
    acme = agency(plan=plan)
    assert acme.rewarded("rising_talent").refused == (400, "invalid_request")
    assert acme.rewarded("certification", certificate="python").refused == (400, "invalid_request")
    at("2027-11-22")
    scheduled("monthly_grant")
    assert (acme.balance, acme.entries()) == (0, [])


def test_an_agency_may_buy_on_plus_only(agency):
    acme = agency(plan="basic")
    assert acme.buys(40).refused == (403, "plan_required")
    acme.changes_plan("plus")
    assert acme.buys(40).status == 201


def test_a_freelancer_may_buy_on_any_plan(freelancer):
    ann, bob = freelancer("ann", plan="basic"), freelancer("bob", plan="plus")
    assert (ann.buys(40).status, bob.buys(40).status) == (201, 201)


def test_an_agency_that_falls_back_to_basic_is_frozen_keeps_its_connects_and_cannot_spend_or_buy(agency):
    acme = agency()
    acme.buys(40)
    acme.falls_back()
    assert (acme.shown["status"], acme.balance) == ("frozen", 40)
    assert acme.spends(1).refused == (403, "account_frozen")
    assert acme.buys(10).refused == (403, "account_frozen")
    assert acme.badge().refused == (403, "account_frozen")
    assert acme.balance == 40


def test_a_frozen_agency_is_usable_again_on_plus(agency):
    acme = agency()
    acme.buys(40)
    acme.falls_back()
    acme.changes_plan("plus")
    assert (acme.shown["status"], acme.balance) == ("active", 40)
    assert acme.spends(1).status == 201
    assert acme.buys(10).status == 201


def test_expiry_runs_on_while_an_agency_is_frozen(agency, at):
    acme = agency()
    acme.buys(40)
    acme.falls_back()
    at("2027-11-23")
    assert acme.balance == 0
    acme.changes_plan("plus")
    assert (acme.balance, acme.rows("expiry")) == (0, [("2027-11-23", -40)])


def test_there_is_no_limit_on_holdings(agency):
    acme = agency()
    for _ in range(3):
        assert acme.buys(1_000_000).status == 201
    assert acme.balance == 3_000_000


def test_unused_connects_roll_over_from_cycle_to_cycle_until_they_expire(freelancer, at):
    ann = freelancer()
    for day, balance in [("2026-12-21", 50), ("2026-12-22", 60), ("2027-01-22", 70), ("2027-11-22", 170)]:
        at(day)
        assert ann.balance == balance
    at("2027-11-23")
    assert ann.balance == 170 - 50
