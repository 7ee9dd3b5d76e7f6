"""What each operation costs, counted in calls and in capacity units, which never flake.

ministack meters as AWS bills: a transaction writes each item twice per KB and each index once; moving a row in an
index is a removal and a put. It counts every strongly consistent read as one unit whatever it reads, so reads are
judged by size: what one read unit may bring is 4 KB.
"""

import json
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import pytest

from shared.ledger.errors import InsufficientConnectsError, PromoExhaustedError
from shared.ledger.interviews import REMEMBERED
from shared.ledger.jobs import Channel, JobEvent
from shared.ledger.model import EntryType, Request
from shared.ledger.policy import Policy
from shared.ledger.purchases import Order, PaymentSource, new_attempt
from shared.sandbox.payments import Behaviour
from shared.services.badges import renew_badges, set_price
from shared.services.billing import set_billing_method
from shared.services.due import EXPIRIES, GRANTS
from shared.services.history import EntryQuery, history_json
from shared.services.purchase_list import PurchaseQuery, list_purchases
from shared.services.purchases import PURCHASES
from shared.store.purchases import PurchaseRow, Purchases
from tests.driver import RecordingQueue, deadline
from tests.faults import BATCH_GET, GET, PUT, QUERY, TRANSACT, UPDATE, Cost
from tests.sizes import item_bytes
from tests.store.fixtures import SHARDS

pytestmark = pytest.mark.parametrize("engine", ["ministack"], indirect=True, scope="session")

TODAY = date(2026, 1, 15)
READ_UNIT_BYTES = 4096
"""Of one strongly consistent read."""
WRITE_UNIT_BYTES = 1024
"""Of two write units in a transaction."""


def assert_costs(cost: Cost, *, calls: list[str], write_units: float = 0, read_units: float = 0):
    assert cost.calls == calls, f"measured {cost}"
    assert cost.write_units <= write_units, f"measured {cost}; the budget is {write_units} WCU"
    assert cost.read_units <= read_units, f"measured {cost}; the budget is {read_units} RCU"


@pytest.fixture
def driver(driver):
    driver.at(TODAY - timedelta(days=365)).open()
    return driver


def with_buckets(driver, *, days, classes=(False,), each=100):
    """A lot of each class issued on each of the last ``days`` days."""
    lots = [(TODAY - timedelta(days=day), paid) for day in reversed(range(days)) for paid in classes]
    driver.credit_often([(day, each, paid) for day, paid in lots])
    driver.at(TODAY)
    assert len(driver.stored().lots) == days * len(classes)


@pytest.fixture
def usual(driver):
    """An account with 24 buckets."""
    with_buckets(driver, days=12, classes=(False, True))
    return driver


def account_bytes(table):
    """The account's item as DynamoDB weighs it, or a little more: numbers weigh half their digits and one."""
    (item,) = table.get_together(("ann", "ACCOUNT"))
    return item_bytes(item)


def test_a_spend_from_24_buckets_is_2_calls_5_wcu_1_rcu(usual, faults):
    with faults.measured() as cost:
        usual.spend(4)
    assert_costs(cost, calls=[GET, TRANSACT], write_units=5, read_units=1)
    assert account_bytes(usual.table) <= READ_UNIT_BYTES


def test_a_spend_that_empties_buckets_costs_the_same(usual, faults):
    """The due index of expiries keeps its lower bound."""
    with faults.measured() as cost:
        usual.spend(350)
    assert_costs(cost, calls=[GET, TRANSACT], write_units=5, read_units=1)


def test_a_spend_costs_the_same_after_a_long_history(usual, faults):
    usual.credit_often([(TODAY, 1, True)] * 500)
    with faults.measured() as cost:
        usual.spend(4)
    assert len(usual.journal()) == 24 + 500 + 1
    assert_costs(cost, calls=[GET, TRANSACT], write_units=5, read_units=1)


@pytest.mark.parametrize(("classes", "budget"), [((False,), 13), ((False, True), 21)], ids=["one class", "both"])
def test_a_spend_with_a_bucket_on_every_day_of_a_year(driver, faults, classes, budget):
    with_buckets(driver, days=365, classes=classes)
    with faults.measured() as cost:
        driver.spend(4)
    assert_costs(cost, calls=[GET, TRANSACT], write_units=budget, read_units=2)


def test_a_spend_on_a_known_job_is_2_calls_9_wcu_2_rcu(usual, faults):
    """Beside the account and its entry: the proposal, and a look at the job in the same transaction."""
    usual.post(price=4)
    with faults.measured() as cost:
        usual.propose(expected_price=4)
    assert_costs(cost, calls=[BATCH_GET, TRANSACT], write_units=9, read_units=2)


def test_a_spend_on_a_job_that_is_not_known_costs_the_same(usual, faults):
    with faults.measured() as cost:
        usual.propose(amount=4)
    assert_costs(cost, calls=[BATCH_GET, TRANSACT], write_units=9, read_units=2)


def test_a_free_proposal_costs_the_same(usual, faults):
    with faults.measured() as cost:
        usual.propose(channel=Channel.INVITATION)
    assert_costs(cost, calls=[BATCH_GET, TRANSACT], write_units=9, read_units=2)


def test_a_repeat_of_a_spend_on_a_job_is_2_calls_and_writes_nothing(usual, faults):
    usual.propose(amount=4)
    with faults.measured() as cost:
        assert usual.propose(amount=4).replayed
    assert_costs(cost, calls=[BATCH_GET, TRANSACT], read_units=2)


def test_a_price_is_1_call_2_rcu(usual, faults):
    usual.post(price=4)
    with faults.measured() as cost:
        usual.job()
    assert_costs(cost, calls=[BATCH_GET], read_units=2)


def test_a_jobs_first_version_a_newer_one_and_its_end_are_2_calls_each(usual, faults):
    """The first version puts the job and its auction; an end writes both."""
    with faults.measured() as cost:
        usual.post(price=4)
    assert_costs(cost, calls=[BATCH_GET, TRANSACT], write_units=4, read_units=2)
    with faults.measured() as cost:
        usual.post(version=2, price=5)
    assert_costs(cost, calls=[BATCH_GET, UPDATE], write_units=1, read_units=2)
    with faults.measured() as cost:
        usual.end()
    assert_costs(cost, calls=[BATCH_GET, TRANSACT], write_units=5, read_units=2)


def test_a_bid_is_2_calls_7_wcu_and_8_where_it_is_the_first_that_makes_the_job_due(usual, faults):
    usual.post(price=4)
    for bid, write_units in ((5, 8), (6, 7)):
        with faults.measured() as cost:
            usual.boost(bid, f"bid {bid}")
        assert_costs(cost, calls=[BATCH_GET, TRANSACT], write_units=write_units, read_units=2)


def test_a_repeat_of_a_bid_is_3_calls_and_writes_nothing(usual, faults):
    """It would be too low now, so its entry is looked for."""
    usual.post(price=4)
    usual.boost(5)
    with faults.measured() as cost:
        assert usual.boost(5).replayed
    assert_costs(cost, calls=[BATCH_GET, GET], read_units=3)


def test_a_hold_that_is_captured_is_2_calls_5_wcu_beside_the_jobs_own(usual, faults):
    """What happened is written first, and that the hold has ended is noted last: 2 calls each."""
    usual.post(price=4)
    usual.boost(5)
    with faults.measured() as cost:
        usual.end(how=JobEvent.HIRED)
    happened, noted = 2 + 2 + 3, 3
    assert_costs(
        cost,
        calls=[BATCH_GET, TRANSACT, GET, TRANSACT, BATCH_GET, UPDATE],
        write_units=happened + 5 + noted,
        read_units=5,
    )


def test_a_hold_that_is_released_is_one_call_more_for_each_of_its_bids(usual, faults):
    usual.post(price=4)
    usual.boost(5)
    usual.boost(6, "raise")
    with faults.measured() as cost:
        usual.end()
    happened, released, noted = 2 + 2 + 3 + 1, 5 + 2, 3
    assert_costs(
        cost,
        calls=[BATCH_GET, TRANSACT, GET, GET, GET, TRANSACT, BATCH_GET, UPDATE],
        write_units=happened + released + noted,
        read_units=7,
    )


def test_a_spend_on_a_job_costs_the_same_whatever_is_boosted_on_it(usual, faults):
    usual.post(price=4)
    usual.open_many(*"abcd")
    for number, name in enumerate("abcd"):
        usual.credit(90, account=name)
        for bid in range(1 + number, 60, 5):
            usual.boost(bid, f"bid {bid}", account=name)
    with faults.measured() as cost:
        usual.propose()
    assert_costs(cost, calls=[BATCH_GET, TRANSACT], write_units=9, read_units=2)


def test_a_release_is_2_wcu_more_for_the_notice_of_who_was_outbid(usual, faults):
    usual.post(price=4)
    usual.boost(1)
    usual.open_many("a", "b", "c", "d")
    for number, name in enumerate("abcd", 2):
        usual.credit(10, account=name)
        if name != "d":
            usual.boost(number, account=name)
    with faults.measured() as cost:
        usual.boost(9, account="d")
    bid, ended, noted = 7 + 2, 7, 3
    assert_costs(
        cost,
        calls=[BATCH_GET, TRANSACT, GET, GET, TRANSACT, BATCH_GET, UPDATE],
        write_units=bid + ended + noted,
        read_units=6,
    )


def test_a_refund_with_its_job_is_3_calls_9_wcu(usual, faults):
    usual.propose(amount=4)
    usual.end()
    usual.sweep(recorded := RecordingQueue())
    (page,) = recorded.bodies
    with faults.measured() as cost:
        usual.handle(page)
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=9, read_units=2)


def test_looking_for_the_refunds_of_a_job_is_a_query_a_page_of_them_and_one_write(usual, faults):
    usual.proposed_by([f"a{number}" for number in range(100)])
    usual.end()
    with faults.measured() as cost:
        assert usual.sweep(RecordingQueue()) == 100
    # The index's shards, the job, its proposals, and when to look again: a row of the index moves.
    assert_costs(cost, calls=[QUERY] * SHARDS + [BATCH_GET, QUERY, UPDATE], write_units=3, read_units=10)


def test_a_sweep_over_jobs_of_which_none_is_due_is_the_empty_index_queries(usual, faults):
    usual.post(price=4)
    usual.propose()
    with faults.measured() as cost:
        assert usual.sweep() == 0
    assert_costs(cost, calls=[QUERY] * SHARDS, read_units=0.5 * SHARDS)


def test_a_repeat_of_a_spend_is_2_calls_and_writes_nothing(usual, faults):
    usual.spend(4)
    with faults.measured() as cost:
        assert usual.spend(4).replayed
    assert_costs(cost, calls=[GET, TRANSACT], write_units=0, read_units=1)


def test_a_repeat_of_a_spend_that_took_everything_is_2_calls(usual, faults):
    usual.spend(2400)
    with faults.measured() as cost:
        assert usual.spend(2400).replayed
    assert_costs(cost, calls=[GET, GET], read_units=2)


def test_a_refusal_for_lack_of_connects_is_2_calls(usual, faults):
    with faults.measured() as cost, pytest.raises(InsufficientConnectsError):
        usual.spend(2401)
    assert_costs(cost, calls=[GET, GET], read_units=2)


def test_a_balance_is_1_call_1_rcu(usual, faults):
    with faults.measured() as cost:
        usual.balance()
    assert_costs(cost, calls=[GET], read_units=1)
    assert cost.read_units == 1, "half a unit would be a read that may miss what was just written"
    assert account_bytes(usual.table) <= READ_UNIT_BYTES


def test_saying_with_what_an_account_pays_is_3_calls_1_wcu_and_a_repeat_2_reads(usual, faults):
    put = partial(set_billing_method, usual.ledger, "ann", provider="stripe", customer="cus_1", payment_method="pm_1")
    with faults.measured() as cost:
        put(deadline=deadline())
    assert_costs(cost, calls=[GET, GET, PUT], write_units=1, read_units=2)
    with faults.measured() as cost:
        put(deadline=deadline())
    assert_costs(cost, calls=[GET, GET], read_units=2)


def test_an_audit_is_1_call_a_megabyte_and_1_for_the_purchases(usual, faults):
    usual.credit_often([(TODAY, 1, True)] * 500)
    with faults.measured() as cost:
        usual.audit()
    assert_costs(cost, calls=[GET, QUERY, QUERY], read_units=3)


def test_a_purchase_is_7_calls_11_wcu_4_rcu(usual, faults, provider):
    """Its row is written when it begins, when its payment is named, and with the credit; the account is read thrice."""
    succeeds = provider.that(Behaviour.SUCCEED)
    with faults.measured() as cost:
        usual.buy(40, succeeds)
    calls = [GET, GET, PUT, PUT, GET, GET, TRANSACT]
    assert_costs(cost, calls=calls, write_units=11, read_units=4)


def purchases_of_two_years(driver):
    """One a week, as large as they are with a code and a receipt."""
    bought = new_attempt(
        "ann",
        Order(40, PaymentSource.BILLING_METHOD, "SPRING"),
        Request("purchase", "buy", "f" * 32, "account:ann"),
        None,
        now=driver.clock.at,
        policy=driver.policy,
    )
    for number in range(104):
        ref = f"pi_{number:024}"
        named = bought.named(ref, present=True).charged(f"ch_{number:024}", f"https://pay.invalid/receipts/{ref}" * 2)
        Purchases(driver.table).save(None, replace(named.declined("so long a reason" * 4), purchase_id=f"{number:026}"))


def test_a_list_of_purchases_is_1_call_and_a_read_unit_for_each_five_that_there_are(usual, faults):
    purchases_of_two_years(usual)
    with faults.measured() as cost:
        page = list_purchases(usual.ledger, PurchaseQuery("ann", limit=20))
    assert len(page.purchases) == 20
    assert_costs(cost, calls=[QUERY], read_units=104 / 5)
    rows = [row.serialize() for row in usual.table.rows(PurchaseRow).scan(PurchaseRow.ref.exists())]
    assert (len(rows), max(map(item_bytes, rows)) <= READ_UNIT_BYTES / 5) == (104, True)


def page_of(driver, **asked):
    page = json.loads(
        history_json(driver.ledger, EntryQuery("ann", **{"limit": 50, "days": 90, **asked}), deadline=deadline())
    )
    return page["entries"], page["next_cursor"]


def test_the_newest_page_of_history_is_2_calls_and_each_after_it_1(usual, faults):
    """The account says what fell due and is not written yet; nothing below the newest page can be."""
    usual.credit_often([(TODAY, 1, True)] * 80)
    with faults.measured() as cost:
        entries, cursor = page_of(usual)
    assert len(entries) == 50
    assert_costs(cost, calls=[GET, QUERY], read_units=2)
    assert cost.read_units == 2, "half a unit would be a read that may miss what was just written"
    with faults.measured() as cost:
        entries, _ = page_of(usual, cursor=cursor)
    assert len(entries) == 50
    assert cost.calls == [QUERY], f"measured {cost}"
    assert cost.read_units == 1, "half a unit would be a read that may miss what was just written"


def test_a_page_of_history_that_shows_what_is_pending_is_3_calls_and_each_after_it_1(usual, faults):
    """The account is read again: what is pending is right beside the rows of the same version alone."""
    usual.at(TODAY + timedelta(days=360))
    with faults.measured() as cost:
        entries, cursor = page_of(usual, limit=14, days=400)
    assert_costs(cost, calls=[GET, QUERY, GET], read_units=3)
    assert [entry["type"] for entry in entries] == ["expiry"] * 6 + ["reward"] * 8
    with faults.measured() as cost:
        page_of(usual, limit=14, days=400, cursor=cursor)
    assert_costs(cost, calls=[QUERY], read_units=1)


def test_a_refund_is_3_calls_7_wcu(usual, faults):
    spend_id = usual.spend(4).entry.entry_id
    with faults.measured() as cost:
        usual.refund(spend_id)
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=7, read_units=2)


def test_a_refund_of_a_spend_from_many_buckets_is_3_calls_7_wcu(usual, faults):
    spend_id = usual.spend(1100).entry.entry_id
    with faults.measured() as cost:
        usual.refund(spend_id)
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=7, read_units=2)


def test_a_reward_is_2_calls_7_wcu(usual, faults):
    usual.under(certifications={"python": 10})
    with faults.measured() as cost:
        usual.rising_talent()
    assert_costs(cost, calls=[GET, TRANSACT], write_units=7, read_units=1)
    with faults.measured() as cost:
        usual.certification("python")
    assert_costs(cost, calls=[GET, TRANSACT], write_units=7, read_units=1)


def test_a_repeat_of_a_reward_is_2_calls_and_writes_nothing(usual, faults):
    usual.rising_talent()
    with faults.measured() as cost:
        assert usual.rising_talent().replayed
    assert_costs(cost, calls=[GET, TRANSACT], write_units=0, read_units=1)


def test_a_refund_of_what_an_interview_left_tries_once_as_if_nothing_had_come_back(usual, faults):
    spend_id = usual.spend(12).entry.entry_id
    usual.interview(spend_id)
    with faults.measured() as cost:
        assert usual.refund(spend_id).entry.amount == 2
    assert_costs(cost, calls=[GET, GET, TRANSACT, GET, TRANSACT], write_units=7, read_units=3)


def test_an_interview_is_3_calls_12_wcu(usual, faults):
    """Its claim, what came back of the spend, both entries and the account in one transaction."""
    spend_id = usual.spend(8).entry.entry_id
    with faults.measured() as cost:
        usual.interview(spend_id)
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=12, read_units=2)


def test_an_interview_without_a_reward_costs_less(usual, faults):
    spend_id = usual.spend(12).entry.entry_id
    with faults.measured() as cost:
        usual.interview(spend_id)
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=9, read_units=2)


def test_an_interview_after_a_refund_tries_once_as_if_nothing_had_come_back(usual, faults):
    spend_id = usual.spend(8).entry.entry_id
    usual.refund(spend_id)
    with faults.measured() as cost:
        usual.interview(spend_id)
    assert_costs(cost, calls=[GET, GET, TRANSACT, GET, TRANSACT], write_units=7, read_units=3)


def test_a_repeat_of_an_interview_is_4_calls_and_writes_nothing(usual, faults):
    spend_id = usual.spend(8).entry.entry_id
    usual.interview(spend_id)
    with faults.measured() as cost:
        usual.interview(spend_id)
    assert_costs(cost, calls=[GET, GET, TRANSACT, GET], read_units=3)


def test_a_spend_costs_the_same_after_interviews_up_to_the_cap_for_months(usual, faults):
    """What they brought is remembered on the account, so it has to stay small. No reward: the lots stay 24."""
    for number in range(30):
        usual.at(usual.clock.at + timedelta(hours=34, milliseconds=1))
        usual.interview(usual.spend(10, str(number)).entry.entry_id, str(number))
    assert len(usual.stored().interviews) == REMEMBERED
    with faults.measured() as cost:
        usual.spend(4)
    assert_costs(cost, calls=[GET, TRANSACT], write_units=5, read_units=1)
    assert account_bytes(usual.table) <= WRITE_UNIT_BYTES


@pytest.mark.parametrize("days", [1, 366])
def test_a_spend_costs_the_same_after_interviews_at_the_extremes_of_their_cap(usual, faults, days):
    usual.under(interview_cap=1_000_000, interview_window_days=days)
    for number in range(30):
        usual.at(usual.clock.at + timedelta(hours=1, milliseconds=1))
        usual.interview(usual.spend(10, str(number)).entry.entry_id, str(number))
    with faults.measured() as cost:
        usual.spend(4)
    assert_costs(cost, calls=[GET, TRANSACT], write_units=5, read_units=1)
    assert account_bytes(usual.table) <= WRITE_UNIT_BYTES


@pytest.mark.parametrize("amount", [5, -5])
def test_an_adjustment_is_2_calls_5_wcu(usual, faults, amount):
    with faults.measured() as cost:
        usual.adjust(amount)
    assert_costs(cost, calls=[GET, TRANSACT], write_units=5, read_units=1)


def settled_on_the_eve_of(driver, due):
    """The day comes on which `due` falls due and nothing else does."""
    driver.at(due - timedelta(days=1)).settle()
    driver.at(due)


def test_a_monthly_grant_is_2_calls_7_wcu(usual, faults):
    usual.policy = Policy()
    settled_on_the_eve_of(usual, usual.stored().grant_due)
    with faults.measured() as cost:
        usual.settle()
    assert usual.journal()[-1].type is EntryType.GRANT
    assert_costs(cost, calls=[GET, TRANSACT], write_units=7, read_units=1)


def test_a_monthly_grant_to_an_account_whose_last_lot_expired_costs_no_more(driver, faults):
    """It never left the due index of expiries."""
    driver.credit(1)
    settled_on_the_eve_of(driver, driver.stored().expiry_due)
    driver.settle()
    assert driver.balance() == 0
    driver.policy = Policy()
    settled_on_the_eve_of(driver, driver.stored().grant_due)
    with faults.measured() as cost:
        driver.settle()
    assert_costs(cost, calls=[GET, TRANSACT], write_units=7, read_units=1)


def test_an_expiry_is_2_calls_7_wcu(usual, faults):
    settled_on_the_eve_of(usual, usual.stored().expiry_due)
    with faults.measured() as cost:
        usual.settle()
    assert usual.journal()[-1].type is EntryType.EXPIRY
    assert_costs(cost, calls=[GET, TRANSACT], write_units=7, read_units=1)


def test_moving_a_bound_that_a_spend_left_behind_is_2_calls_4_wcu(usual, faults):
    """The oldest buckets are spent up: the sweep finds nothing to write off, and no entry to write."""
    usual.spend(200)
    settled_on_the_eve_of(usual, usual.stored().expiry_due)
    with faults.measured() as cost:
        usual.settle()
    assert usual.journal()[-1].type is EntryType.SPEND
    assert_costs(cost, calls=[GET, TRANSACT], write_units=4, read_units=1)


def test_a_notice_is_2_calls_6_wcu(usual, faults):
    """The account and its place in the index, and the notice."""
    settled_on_the_eve_of(usual, usual.stored().notice_due)
    with faults.measured() as cost:
        usual.notify_expiring()
    assert len(usual.notices()) == 1
    assert_costs(cost, calls=[GET, TRANSACT], write_units=6, read_units=1)


def test_a_look_at_lots_that_were_spent_is_2_calls_4_wcu(usual, faults):
    usual.spend(2400)
    settled_on_the_eve_of(usual, usual.stored().notice_due)
    with faults.measured() as cost:
        usual.notify_expiring()
    assert usual.notices() == []
    assert_costs(cost, calls=[GET, TRANSACT], write_units=4, read_units=1)


def test_a_look_after_a_change_of_the_days_ahead_is_1_call_and_2_calls_4_wcu_where_a_date_moves(usual, faults):
    usual.under(expiry_notice_days=(7, 1))
    with faults.measured() as cost:
        usual.notify_expiring()
    assert_costs(cost, calls=[GET], read_units=1)
    usual.under(expiry_notice_days=(60, 30, 7, 1))
    with faults.measured() as cost:
        usual.notify_expiring()
    assert_costs(cost, calls=[GET, TRANSACT], write_units=4, read_units=1)


def test_a_sweep_over_accounts_of_which_none_is_due_is_the_empty_index_queries(usual, faults):
    for name in ("bob", "carol", "dave"):
        usual.open(name)
        usual.credit(1, account=name)
    with faults.measured() as cost:
        assert usual.dispatch(EXPIRIES) == 0
        assert usual.dispatch(PURCHASES) == 0
    assert_costs(cost, calls=[QUERY] * SHARDS * 2, read_units=0.5 * SHARDS * 2)


def test_a_run_that_finds_accounts_due_is_a_page_and_2_wcu_more_a_shard(usual, faults):
    """Taking the shard and marking how far it was sent; of more than a page, another each."""
    usual.open_many(*(f"a{number}" for number in range(20)))
    usual.at(TODAY + timedelta(days=40))
    with faults.measured() as cost:
        assert usual.dispatch(GRANTS) >= 20
    calls = [QUERY] * SHARDS + [UPDATE, QUERY, UPDATE] * SHARDS
    assert_costs(cost, calls=calls, write_units=2 * SHARDS, read_units=2 * 0.5 * SHARDS)


def test_a_search_for_due_grants_is_the_index_queries_alone(usual, faults):
    with faults.measured() as cost:
        assert list(usual.table.due_grants(date(2020, 1, 1))) == []
    assert_costs(cost, calls=[QUERY] * SHARDS, read_units=0.5 * SHARDS)


@pytest.fixture
def with_badge(usual):
    """An account with 24 buckets whose badge is to be paid for again."""
    usual.badge()
    return usual.at(TODAY + timedelta(days=7))


def test_a_badge_that_is_switched_on_is_3_calls_6_wcu(usual, faults):
    """The price, the account, and its place in the due index."""
    with faults.measured() as cost:
        usual.badge()
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=6, read_units=2)


def test_a_badge_that_is_as_it_is_asked_to_be_is_2_reads(usual, faults):
    usual.badge()
    with faults.measured() as cost:
        usual.badge()
    assert_costs(cost, calls=[GET, GET], read_units=2)


def test_a_renewal_of_a_badge_is_2_calls_7_wcu_and_a_look_at_the_price(with_badge, faults):
    with faults.measured() as cost:
        renew_badges(with_badge.ledger, ["ann"], deadline)
    assert len(with_badge.badge_weeks()) == 2
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=7, read_units=2)


def test_a_page_of_renewals_looks_at_the_price_once(with_badge, faults):
    with_badge.open("bob")
    with faults.measured() as cost:
        renew_badges(with_badge.ledger, ["ann", "bob"], deadline)
    assert_costs(cost, calls=[GET, GET, TRANSACT, GET], write_units=7, read_units=3)


def test_a_badge_that_goes_off_with_its_notice_is_2_calls_5_wcu_and_a_look_at_the_price(with_badge, faults):
    with_badge.spend(with_badge.balance())
    with faults.measured() as cost:
        renew_badges(with_badge.ledger, ["ann"], deadline)
    assert with_badge.stored().badge.enabled is False
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=5, read_units=2)


def test_a_spend_costs_the_same_with_a_badge(with_badge, faults):
    with faults.measured() as cost:
        with_badge.spend(4)
    assert_costs(cost, calls=[GET, TRANSACT], write_units=5, read_units=1)
    assert account_bytes(with_badge.table) <= READ_UNIT_BYTES


def test_a_look_for_badges_of_which_none_is_due_is_the_index_queries_and_the_price(usual, faults):
    usual.badge()
    set_price(usual.ledger, deadline)
    with faults.measured() as cost:
        assert usual.renew_badges() == 0
    assert_costs(cost, calls=[GET, *[QUERY] * SHARDS, GET], read_units=2 + 0.5 * SHARDS)


def test_setting_the_price_is_a_count_a_shard_once_a_week(usual, faults):
    usual.badge()
    with faults.measured() as cost:
        set_price(usual.ledger, deadline)
    assert_costs(cost, calls=[GET, *[QUERY] * SHARDS, TRANSACT], write_units=2, read_units=1 + 0.5 * SHARDS)


def test_a_redemption_of_a_promo_code_is_3_calls_9_wcu_2_rcu(usual, faults):
    usual.put_campaign(100)
    with faults.measured() as cost:
        usual.redeem()
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=9, read_units=2)


def test_a_repeat_of_a_redemption_is_3_calls_and_writes_nothing(usual, faults):
    usual.put_campaign(100)
    usual.redeem()
    with faults.measured() as cost:
        assert usual.redeem().replayed
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=0, read_units=2)


def test_a_redemption_whose_counter_is_exhausted_is_7_calls_at_most(usual, faults):
    """All counters are read at once, and one that has some left is tried."""
    usual.put_campaign(4)
    for number in range(3):
        usual.open(f"account-{number}")
        usual.redeem(account=f"account-{number}")
    with faults.measured() as cost:
        usual.redeem()
    assert len(cost.calls) <= 7, f"measured {cost}"
    assert cost.write_units <= 9


def test_a_code_that_is_used_up_costs_who_comes_later_4_reads_and_no_counter_anything(usual, faults):
    usual.put_campaign(4)
    for number in range(5):
        usual.open(f"account-{number}")
    for number in range(4):
        usual.redeem(account=f"account-{number}")
    with pytest.raises(PromoExhaustedError):
        usual.redeem(account="account-4")
    with faults.measured() as cost, pytest.raises(PromoExhaustedError):
        usual.redeem()
    assert_costs(cost, calls=[GET] * 4, read_units=4)


def test_a_payment_that_goes_back_is_3_calls_8_wcu(usual, faults):
    """The account, the entry, and the purchase, which comes due again."""
    bought = usual.bought(40)
    usual.spend(usual.balance() - 10)
    purchase = usual.purchase(bought)
    with faults.measured() as cost:
        usual.goes_back(bought, 600, read=purchase)
    assert usual.chargebacks() == [(-10, "30")]
    assert_costs(cost, calls=[GET, GET, TRANSACT], write_units=8, read_units=2)
    assert account_bytes(usual.table) <= WRITE_UNIT_BYTES


def test_a_payment_that_comes_again_is_1_call_more_for_the_journal(usual, faults):
    """The purchase is due already."""
    bought = usual.bought(40)
    usual.goes_back(bought, 600)
    purchase = usual.purchase(bought)
    with faults.measured() as cost:
        usual.goes_back(bought, 0, "won", read=purchase)
    assert_costs(cost, calls=[GET, GET, QUERY, TRANSACT], write_units=7, read_units=3)


def test_the_same_level_again_is_no_call_until_it_is_due_and_then_1(usual, faults):
    bought = usual.bought(40)
    purchase = usual.goes_back(bought, 600)
    with faults.measured() as cost:
        usual.goes_back(bought, 600, read=purchase)
    assert_costs(cost, calls=[])
    usual.clock.at += timedelta(minutes=1)
    with faults.measured() as cost:
        usual.goes_back(bought, 600, read=purchase)
    assert_costs(cost, calls=[UPDATE], write_units=2)


def test_what_pays_a_debt_is_3_wcu_more(usual, faults):
    """Its entry, and the entry's place in the order of time."""
    bought = usual.bought(40)
    usual.spend(usual.balance())
    usual.goes_back(bought, 600)
    with faults.measured() as cost:
        usual.credit(10, "pays")
    assert usual.stored().total_owed == 30
    assert_costs(cost, calls=[GET, TRANSACT], write_units=8, read_units=1)


def test_an_account_that_owes_nothing_is_as_large_as_before(usual):
    bought = usual.bought(40)
    usual.goes_back(bought, 600)
    usual.goes_back(bought, 0, "won")
    (item,) = usual.table.get_together(("ann", "ACCOUNT"))
    assert "owed" not in item
