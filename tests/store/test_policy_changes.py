"""Numbers that change over a table with accounts, purchases and jobs in it, which were written under the old ones."""

import json
from copy import copy
from dataclasses import replace
from datetime import date, timedelta

import pytest

from shared.ledger.badges import ONE_WEEK
from shared.ledger.calendar import AnchorPolicy
from shared.ledger.errors import PaymentDeclinedError, PriceChangedError
from shared.ledger.purchases import PurchaseState
from shared.sandbox.payments import Behaviour
from shared.services.badges import set_price, week_price
from shared.services.due import dispatch
from shared.services.due_dates import ALL, day_to_look_until, dispatch_notices
from shared.services.purchase_outcomes import read_purchase
from shared.store.jobs import Jobs
from shared.store.purchases import Purchases
from shared.store.rows import shard_of
from shared.store.walks import Walks
from tests.core.builders import noon, start_of
from tests.driver import Driver, RecordingQueue, deadline, steps
from tests.faults import GET, QUERY, UPDATE
from tests.providers import Instead
from tests.store.fixtures import SHARDS

OPENED = date(2026, 1, 15)
GONE = date(2027, 1, 16)


@pytest.fixture
def driver(driver):
    driver.at(OPENED).open()
    driver.credit(10)
    return driver


def run_notices(driver: Driver, by=deadline) -> list[str]:
    """A run of the schedule of notices, and what is sent done; tells whom it looked at."""
    queue = RecordingQueue()
    marks, now = Walks(driver.table), driver.clock.at
    dispatch_notices(driver.ledger, lambda work: dispatch(driver.table, marks, queue, work, now=now, deadline=by))
    found = sorted(account for body in queue.bodies for account in json.loads(body)["accounts"])
    for account in found:
        driver.notify_expiring(account)
    return found


def told(driver, account="ann"):
    return [int(notice.facts["days_ahead"]) for notice in driver.notices(account)]


# --- Due dates


def grants_due(driver):
    return [(due.account_id, due.since) for due in driver.table.due_grants(date(2026, 3, 1))]


def test_owners_are_told_on_a_day_that_is_configured_later_also_where_nobody_touches_the_account(driver):
    driver.open("bob")
    driver.credit(5, account="bob")
    run_notices(driver)
    driver.under(expiry_notice_days=(60, 30, 7, 1))
    assert run_notices(driver) == ["ann", "bob"]
    driver.at(GONE - timedelta(61))
    assert run_notices(driver) == []
    driver.at(GONE - timedelta(60))
    assert run_notices(driver) == ["ann", "bob"]
    assert told(driver) == told(driver, "bob") == [60]


def test_a_change_is_looked_for_once_and_costs_a_read_a_run(driver, faults):
    run_notices(driver)
    with faults.measured() as cost:
        assert run_notices(driver) == []
    assert cost.calls == [GET, *[QUERY] * SHARDS]
    driver.under(expiry_notice_days=(60,))
    assert run_notices(driver) == ["ann"]
    with faults.measured() as cost:
        assert run_notices(driver) == []
    assert cost.calls == [GET, *[QUERY] * SHARDS]


def test_a_look_at_every_account_for_which_there_is_no_time_is_gone_on_with_by_the_next_run(driver, monkeypatch):
    monkeypatch.setattr("shared.store.table.DUE_PAGE", 1)
    names = [f"a{number}" for number in range(8)]
    driver.open_many(*names)
    for name in names:
        driver.credit(5, account=name)
    run_notices(driver)
    driver.under(expiry_notice_days=(60, 30, 7, 1))
    first = run_notices(driver, by=steps(SHARDS + 5))
    assert 0 < len(first) <= len(names)
    driver.at(driver.clock.at + timedelta(3))
    assert sorted(first + run_notices(driver)) == sorted(["ann", *names])
    assert run_notices(driver) == []


@pytest.mark.parametrize("back", [(30, 7, 1), (90, 7)])
def test_every_change_has_a_look_of_its_own(driver, back):
    run_notices(driver)
    for days in ((60,), back, (60,)):
        driver.under(expiry_notice_days=days)
        assert [run_notices(driver), run_notices(driver)] == [["ann"], []]


def test_a_step_of_the_clock_that_fails_leaves_the_look_to_the_next(driver):
    with pytest.raises(ConnectionError), day_to_look_until(driver.ledger, OPENED):
        raise ConnectionError
    with day_to_look_until(driver.ledger, OPENED) as until:
        assert until == ALL


def test_an_account_whose_dates_stand_is_looked_at_and_not_written(driver, faults):
    run_notices(driver)
    driver.under(expiry_notice_days=(7, 1))
    with faults.measured() as cost:
        assert run_notices(driver) == ["ann"]
    took, sent, left, kept = UPDATE, QUERY, UPDATE, UPDATE
    assert cost.calls == [GET, *[QUERY] * SHARDS, took, sent, left, kept, GET]


def test_a_cycle_that_begins_sooner_by_the_new_anchor_policy_is_found_on_its_day(driver):
    driver.under(monthly_basic=10, monthly_plus=10, anchor_policy=AnchorPolicy.FIRST_OF_NEXT)
    driver.at("2026-01-31").open("bob")
    driver.at("2026-02-10")
    run_notices(driver)
    assert ("bob", date(2026, 3, 1)) in grants_due(driver)
    driver.under(anchor_policy=AnchorPolicy.CLAMP)
    run_notices(driver)
    assert ("bob", date(2026, 2, 28)) in grants_due(driver)
    driver.at(start_of("2026-02-28")).settle("bob")
    assert [(entry.at, entry.amount) for entry in driver.journal("bob")][-1] == (start_of("2026-02-28"), 10)


def test_a_cycle_that_begins_sooner_is_seen_on_its_day_before_any_run(driver):
    driver.under(monthly_basic=10, monthly_plus=10, anchor_policy=AnchorPolicy.FIRST_OF_NEXT)
    driver.at("2026-01-31").open("bob")
    driver.under(anchor_policy=AnchorPolicy.CLAMP).at(start_of("2026-02-28"))
    assert driver.balance("bob") == 20


def test_a_lot_that_lives_shorter_than_those_before_is_found_when_it_expires(driver):
    driver.under(lot_lifetime_months=1).credit(5, "short")
    expires = date(2026, 2, 16)
    assert list(driver.table.due_expiries(expires - timedelta(1))) == []
    assert [due.since for due in driver.table.due_expiries(expires)] == [expires]
    assert [due.since for due in driver.table.due_notices(expires)] == [expires - timedelta(30)]
    driver.at(expires).settle()
    assert driver.balance() == 10


# --- Shards


def wider(driver: Driver, shards: int) -> Driver:
    table = copy(driver.table)
    table.shards = shards
    return replace(driver, table=table)


def test_with_more_shards_all_that_was_there_is_found_and_keeps_the_shard_it_was_given(driver, provider):
    names = [f"a{number}" for number in range(12)]
    for name in names:
        driver.open(name)
        driver.credit(10, account=name)
        driver.post(f"j-{name}", price=2, posted_at=driver.clock.at)
        driver.boost(3, account=name, job=f"j-{name}")
        driver.buy(10, provider.that(Behaviour.LATE), account=name)
    more = wider(driver, 16)
    moved = [name for name in names if shard_of(name, SHARDS) != shard_of(name, 16)]
    assert moved
    for name in names:
        more.spend(1, account=name)
    more.open("new")
    more.credit(1, account="new")
    rows = {name: more.table._account.get(name, "ACCOUNT", consistent_read=True).shard for name in [*names, "new"]}
    assert rows == {name: shard_of(name, SHARDS) for name in names} | {"new": shard_of("new", 16)}
    more.at(GONE)
    assert {due.account_id for due in more.table.due_expiries(GONE)} == {*names, "ann", "new"}
    assert {due.account_id for due in Purchases(more.table).due(more.clock.at)} == set(names)
    assert {due.job_id for due in Jobs(more.table).due(more.clock.at)} == {f"j-{name}" for name in names}
    for due in list(Purchases(more.table).due(more.clock.at)):
        more.reconcile(due.purchase_id, provider.that(Behaviour.SUCCEED), account=due.account_id)
    more.sweep()
    assert list(Purchases(more.table).due(more.clock.at)) == list(Jobs(more.table).due(more.clock.at)) == []


# --- Purchases


class Noting(Instead):
    """A provider that keeps what it was asked to charge."""

    def __init__(self, provider):
        super().__init__(provider, charged=[])

    def confirm(self, ref, charge, *, present):
        self.charged.append((charge.amount_cents, charge.currency))
        return self._provider.confirm(ref, charge, present=present)


NEW_PRICE = {"unit_price_cents": 20, "currency": "EUR", "minimum_purchase": 50}


def test_a_pending_purchase_ends_at_the_price_and_in_the_currency_that_it_began_with(driver, provider):
    pending = driver.buy(40, provider.that(Behaviour.LATE)).purchase
    driver.under(**NEW_PRICE).at(driver.clock.at + timedelta(hours=1))
    driver.reconcile(pending.purchase_id, provider.that(Behaviour.SUCCEED))
    after = read_purchase(driver.ledger, "ann", pending.purchase_id).purchase
    assert (after.state, after.amount_cents, after.currency) == (PurchaseState.COMPLETED, 600, "USD")
    assert driver.balance() == 50


def test_a_repeat_of_a_purchase_is_answered_as_the_first_time_and_charged_no_more(driver, provider):
    first = driver.buy(40, provider.that(Behaviour.SUCCEED))
    noting = Noting(provider.that(Behaviour.SUCCEED))
    again = driver.under(**NEW_PRICE).buy(40, noting)
    assert (again.replayed, again.purchase.amount_cents, again.purchase.currency) == (True, 600, "USD")
    assert (again.entry, noting.charged) == (first.entry, [])


def test_a_purchase_that_was_begun_and_never_charged_is_charged_what_it_said(driver, provider):
    def dead(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        driver.buy(40, Instead(None, prepare=dead))
    noting = Noting(provider.that(Behaviour.SUCCEED))
    bought = driver.under(**NEW_PRICE).buy(40, noting)
    assert noting.charged == [(600, "USD")]
    assert (bought.purchase.amount_cents, bought.purchase.currency) == (600, "USD")


def test_another_attempt_at_a_purchase_that_was_declined_is_at_the_new_price(driver, provider):
    with pytest.raises(PaymentDeclinedError):
        driver.buy(60, provider.that(Behaviour.DECLINE))
    noting = Noting(provider.that(Behaviour.SUCCEED))
    bought = driver.under(**NEW_PRICE).buy(60, noting)
    assert noting.charged == [(1200, "EUR")]
    assert (bought.purchase.amount_cents, bought.purchase.currency) == (1200, "EUR")


# --- Campaigns, jobs and badges


def test_with_fewer_counters_a_campaign_keeps_those_it_has_and_can_be_redeemed_to_its_cap(driver):
    driver.put_campaign(12, counters=10)
    names = [f"a{number}" for number in range(12)]
    driver.open_many(*names)
    for name in names[:6]:
        driver.redeem(account=name)
    driver.put_campaign(12, counters=1)
    for name in names[6:]:
        driver.redeem(account=name)
    assert (len(driver.counters()), driver.redeemed()) == (10, 12)


def test_a_job_keeps_the_price_of_its_posting_until_it_is_posted_anew(driver):
    driver.post(size="small", scope="simple")
    driver.under(job_prices={"small/simple": 5})
    with pytest.raises(PriceChangedError):
        driver.propose(expected_price=5)
    driver.post(size="small", scope="simple", version=2)
    assert driver.propose(expected_price=5).posted.amount == -5


def test_a_week_of_the_badge_keeps_its_price_until_the_next_monday(driver):
    set_price(driver.ledger, deadline)
    assert driver.badge().price == 4
    driver.under(badge_min_price=1, badge_max_price=2)
    set_price(driver.ledger, deadline)
    assert week_price(driver.ledger) == 4
    driver.at(noon(OPENED) + ONE_WEEK)
    assert driver.renew_badges() == 1
    assert driver.badge_weeks() == [("2026-01-15", 4), ("2026-01-22", 1)]
