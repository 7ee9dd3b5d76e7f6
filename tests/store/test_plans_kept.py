"""How news of plan and status lies in the table: short, whole, and beside what an older release left there."""

from datetime import timedelta

import pytest

from shared.ledger.model import Granted, Plan, Status
from shared.ledger.policy import Policy
from shared.ledger.timeline import MOST_CHANGES, REMEMBERED_CYCLES
from shared.store.rows import ACCOUNT_SK
from tests.core.builders import noon
from tests.faults import GET, TRANSACT

LARGEST_BILLED_AS_1_KB = 1024


def item(driver, admin, account="ann"):
    key = {"pk": {"S": account}, "sk": {"S": ACCOUNT_SK}}
    return admin.get_item(TableName=driver.table.name, Key=key, ConsistentRead=True)["Item"]


def size(value):
    """By the rules that DynamoDB publishes for the size of items."""
    ((kind, of),) = value.items()
    if kind == "M":
        return 3 + sum(len(name) + 1 + size(part) for name, part in of.items())
    return {"S": len(str(of)), "N": (len(str(of)) + 1) // 2 + 1, "BOOL": 1}[kind]


@pytest.fixture(autouse=True)
def ann(driver):
    driver.policy = Policy()
    driver.at("2026-01-01").open()


def test_an_account_that_never_changed_plan_or_status_keeps_nothing_of_either(driver, admin):
    driver.at("2026-06-15").settle()
    assert not {"plans", "statuses"} & item(driver, admin).keys()
    assert item(driver, admin)["granted"] == {"M": {"2026-01": {"S": "basic/0/10"}}}


def test_a_usual_account_stays_below_1_kb_with_a_dozen_changes_a_year(driver, admin):
    for number in range(12):
        driver.at(noon("2026-01-02") + timedelta(days=30 * number))
        driver.credit(5, f"k{number}", paid=bool(number % 2))
        if number % 2:
            driver.change_plan(Plan.BASIC if number % 4 == 1 else Plan.PLUS)
        else:
            driver.change_status(Status.ACTIVE if number % 4 == 0 else Status.SUSPENDED)
    assert len(driver.stored().lots) >= 15
    assert size({"M": item(driver, admin)}) < LARGEST_BILLED_AS_1_KB


def test_all_the_news_that_an_account_can_have_is_bounded(driver, admin):
    for number in range(60):
        driver.at(noon("2026-01-02") + timedelta(days=20 * number))
        driver.change_plan(Plan.BASIC if number % 2 else Plan.PLUS)
        driver.change_status(Status.ACTIVE if number % 2 else Status.SUSPENDED)
    stored, kept = driver.stored(), item(driver, admin)
    assert (len(stored.plans), len(stored.statuses)) == (MOST_CHANGES, MOST_CHANGES)
    assert len(stored.granted) <= REMEMBERED_CYCLES
    assert sum(size(kept[name]) for name in ("plans", "statuses", "granted")) < 650


def test_what_was_told_is_read_as_it_was_written(driver):
    driver.at("2026-01-10").change_plan(Plan.BASIC, at_once=True)
    driver.at("2026-01-15").change_status(Status.SUSPENDED)
    driver.at("2026-01-20").change_plan(Plan.PLUS, at=noon("2026-01-12"))
    again = driver.change_status(Status.ACTIVE)
    assert driver.stored() == again


def test_a_change_takes_two_calls_and_the_account_s_item(driver, faults):
    with faults.measured() as cost:
        driver.change_status(Status.SUSPENDED)
    assert cost.calls == [GET, TRANSACT]


def test_an_account_of_an_older_release_is_made_up_for_in_its_newest_cycle_alone(driver, admin):
    """It has the best plan of its newest cycle in the place of what came, and the time of its last change."""
    driver.at("2026-03-01").settle()
    admin.update_item(
        TableName=driver.table.name,
        Key={"pk": {"S": "ann"}, "sk": {"S": ACCOUNT_SK}},
        UpdateExpression="REMOVE granted, plan_as_of SET granted_plan = :basic",
        ExpressionAttributeValues={":basic": {"S": "basic"}},
    )
    assert driver.stored().granted == {driver.stored().granted_month: Granted(Plan.BASIC)}
    before = driver.balance()
    driver.at("2026-03-20").change_plan(Plan.PLUS, at=noon("2026-02-10"))
    assert driver.balance() == before + 90
    assert driver.change_plan(Plan.PLUS).plan is Plan.PLUS
    assert driver.balance() == before + 90
