"""Changing plan inside a cycle: what an upgrade brings, and what a downgrade leaves."""

import pytest


@pytest.mark.parametrize(
    ("upgraded_on", "left_of", "brings"),
    [
        ("2026-12-01", (31, 31), 90),
        ("2026-12-02", (30, 31), 87),
        ("2026-12-31", (1, 31), 2),
        ("2027-02-10", (19, 28), 61),
        ("2027-04-16", (15, 30), 45),
    ],
    ids=["31 of 31", "30 of 31", "1 of 31", "19 of 28", "15 of 30"],
)
def test_an_upgrade_inside_a_cycle_brings_the_difference_for_the_days_left_rounded_down(
    freelancer, at, upgraded_on, left_of, brings
):
    ann = freelancer(joined_on="2026-11-01")
    at(f"{upgraded_on}T10:00:00Z")
    before = ann.balance
    assert ann.changes_plan("plus").body["balance"] == before + brings
    assert ann.rows("grant")[-1] == (upgraded_on, brings)
    left, days = left_of
    assert brings == (100 - 10) * left // days


def test_an_upgrade_leaves_the_anchor_and_the_next_cycle_brings_100(freelancer, at):
    ann = freelancer()
    at("2026-12-10")
    before = ann.shown["cycle"]
    assert ann.changes_plan("plus").body["cycle"] == before
    at("2026-12-22")
    ann.spends(1)
    assert ann.rows("grant")[-1] == ("2026-12-22", 100)


def test_a_downgrade_counts_from_the_next_cycle_and_takes_nothing_back(freelancer, at):
    ann = freelancer(plan="plus")
    at("2026-12-01")
    assert ann.changes_plan("basic").body["balance"] == 40 + 100
    at("2026-12-22")
    assert ann.balance == 40 + 100 + 10


@pytest.mark.parametrize(
    ("plan", "changes", "brought"),
    [
        ("basic", ["plus"], 100),
        ("basic", ["plus", "basic"] * 3, 100),
        ("basic", ["basic", "plus"] * 3, 10 + 87),  # 29 of 30 days are left
        ("plus", ["basic", "plus"] * 3, 100),
    ],
    ids=["up", "up and down", "up on the second day", "down and up"],
)
def test_over_one_cycle_an_account_never_gets_more_than_its_best_plans_monthly_amount(
    freelancer, at, plan, changes, brought
):
    ann = freelancer(plan=plan)
    for day, change in enumerate(changes, start=22):
        at(f"2026-11-{day}T12:00:00Z")
        ann.changes_plan(change)
    assert ann.balance - 40 == brought <= 100


def test_a_second_upgrade_in_one_cycle_brings_nothing_and_one_in_the_next_its_share(freelancer, at):
    ann = freelancer()
    for plan in ("plus", "basic"):
        ann.changes_plan(plan)
    at("2026-11-30")
    assert ann.changes_plan("plus").body["balance"] == 40 + 100
    ann.changes_plan("basic")
    at("2026-12-22")
    assert ann.changes_plan("plus").body["balance"] == 40 + 100 + 10 + 90
