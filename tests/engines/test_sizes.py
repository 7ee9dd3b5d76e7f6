"""How large things become at the longest life of a lot: judged by DynamoDB Local, which refuses what DynamoDB would.

Ann has two lots on every day of five years: 3,654 of them. Whatever is done to that account has to fit an item, a
transaction, an event and an answer.
"""

import json
from datetime import date, timedelta

import pytest

from shared.config import MOST_COUNTERS
from shared.ledger.model import Plan
from shared.ledger.policy import LIMITS, MAX_AMOUNT
from shared.sandbox.payments import Behaviour
from shared.services.views import account_view
from tests.core.builders import problems
from tests.sizes import A_TRANSACTION, AN_ANSWER, AN_EVENT, AN_ITEM, event_bytes, item_bytes

pytestmark = pytest.mark.parametrize("engine", ["dynamodb-local"], indirect=True, scope="session")

FILLED = date(2026, 1, 15)
A_PLACE_IN = 50
MONTHS = LIMITS["lot_lifetime_months"][1]
TEN_AHEAD = tuple(range(300, 0, -30))
SEVERAL_PORTIONS = 3


@pytest.fixture
def transactions(table):
    """How many items each transaction has, since the test began."""
    sizes: list[int] = []

    def count(params, **_):
        sizes.append(len(params["TransactItems"]))

    events, name = table.client.meta.events, "before-parameter-build.dynamodb.TransactWriteItems"
    events.register_first(name, count)
    yield sizes
    events.unregister(name, count)
    assert max(sizes) <= A_TRANSACTION


@pytest.fixture
def driver(driver, transactions):  # noqa: ARG001 - counted in every test
    driver.at(FILLED).under(lot_lifetime_months=MONTHS, expiry_notice_days=TEN_AHEAD).open()
    driver.fill()
    assert len(driver.stored().lots) == 2 * (date(2031, 1, 16) - FILLED).days
    yield driver
    for row in driver.table.client.scan(TableName=driver.table.name, ConsistentRead=True)["Items"]:
        assert item_bytes(row) <= AN_ITEM
    assert all(event_bytes(entry) <= AN_EVENT for entry in driver.journal())
    assert problems(driver.stored(), driver.journal()) == []


def everything(driver):
    return min(driver.balance(), MAX_AMOUNT)


def test_a_spend_of_everything_and_its_refund(driver):
    spent = driver.spend(everything(driver)).posted
    assert driver.balance() == 0
    driver.refund(spent.entry_id)
    assert driver.balance() == -spent.amount


def test_an_interview_after_a_proposal_that_took_everything(driver):
    driver.under(interview=MAX_AMOUNT, interview_cap=MAX_AMOUNT)
    spent = driver.spend(everything(driver)).posted
    entries, _ = driver.interview(spent.entry_id)
    assert sum(entry.amount for entry in entries) == MAX_AMOUNT


def test_a_bid_of_everything_that_is_raised_and_released(driver):
    driver.post(price=1, posted_at=driver.clock.at)
    before = driver.balance()
    driver.boost(before - A_PLACE_IN)
    driver.boost(before, "raise")
    driver.end()
    assert driver.balance() == before


def test_everything_taken_by_staff_and_bought_with_a_promo_code_of_the_most_counters(driver, provider):
    driver.put_campaign(1_000, counters=MOST_COUNTERS)
    driver.adjust(-everything(driver))
    driver.buy(MAX_AMOUNT, provider.that(Behaviour.SUCCEED), promo="SPRING")
    assert driver.balance() == MAX_AMOUNT + 5


def test_a_change_of_plan_and_a_badge(driver):
    driver.change_plan(Plan.PLUS)
    assert driver.badge().badge


def test_notices_that_fell_due_while_the_schedule_was_dead_come_in_portions_each_once(driver, transactions):
    driver.at(FILLED + timedelta(29))
    before = len(transactions)
    driver.notify_expiring()
    assert len(driver.notices()) == 29 * len(TEN_AHEAD)
    assert len(transactions) - before >= SEVERAL_PORTIONS
    driver.notify_expiring()
    assert len(driver.notices()) == 29 * len(TEN_AHEAD)


def test_a_year_without_any_schedule(driver):
    driver.at(FILLED + timedelta(366)).notify_expiring()
    assert driver.balance() == 2 * ((date(2031, 1, 16) - FILLED).days - 366)


def test_the_account_fits_an_answer(driver):
    assert len(json.dumps(account_view(driver.stored(), FILLED, driver.policy))) <= AN_ANSWER / 20
