"""Many at once on one account: whoever wins, the outcome is the same. On engines whose transactions are isolated."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from shared.ledger.errors import (
    AlreadyExistsError,
    AlreadyRefundedError,
    InsufficientConnectsError,
    JobNotOpenError,
    LedgerError,
)
from shared.ledger.jobs import JobEvent, JobStatus
from shared.ledger.model import EntryType, Kind, Plan
from shared.ledger.policy import Policy
from shared.ledger.purchases import PurchaseState
from shared.sandbox.payments import Behaviour
from shared.services.badges import renew_badges, set_price, week_price
from shared.store.purchases import Purchases
from tests.driver import RecordingQueue, deadline

CROWD = 32


def at_once(*actions):
    """Do all of them in the same moment; what each returned, or its refusal. Anything else fails the test."""
    barrier = Barrier(len(actions))

    def act(action):
        barrier.wait()
        return outcome(action)

    with ThreadPoolExecutor(len(actions)) as crowd:
        return list(crowd.map(act, actions))


def outcome(action):
    try:
        return action()
    except LedgerError as refusal:
        return refusal


def crowd(action):
    """`CROWD` callers of `action`, each with a number of its own."""
    return [lambda number=number: action(number) for number in range(CROWD)]


def kinds(results):
    return Counter(type(result).__name__ for result in results)


def count(driver, entry_type):
    return sum(entry.type is entry_type for entry in driver.journal())


def test_of_32_who_spend_1_of_20_exactly_20_succeed(driver):
    driver.open()
    driver.credit(20)
    results = at_once(*crowd(lambda number: driver.spend(1, str(number))))
    assert kinds(results) == {"Outcome": 20, "InsufficientConnectsError": 12}
    assert {result.details["balance"] for result in results if isinstance(result, InsufficientConnectsError)} == {0}
    assert (driver.balance(), count(driver, EntryType.SPEND)) == (0, 20)


def test_64_at_once_on_one_account_all_succeed(driver):
    """How long that takes is in `make bench`."""
    driver.open()
    driver.credit(64)
    results = at_once(*[lambda key=key: driver.spend(1, str(key)) for key in range(64)])
    assert kinds(results) == {"Outcome": 64}
    assert (driver.balance(), count(driver, EntryType.SPEND)) == (0, 64)


def test_32_times_the_same_spend_at_once_is_one_spend(driver):
    driver.open()
    driver.credit(20)
    results = at_once(*crowd(lambda _: driver.spend(15)))
    assert len({result.entry.entry_id for result in results}) == 1
    assert len({result.entry.seq for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    assert (driver.balance(), count(driver, EntryType.SPEND)) == (5, 1)


def test_of_32_who_open_one_account_under_keys_of_their_own_one_succeeds(driver):
    driver.policy = Policy()
    results = at_once(*crowd(lambda number: driver.open(key=str(number))))
    assert kinds(results) == {"Opened": 1, "AlreadyExistsError": CROWD - 1}
    assert driver.balance() == 50


def test_32_times_the_same_opening_at_once_is_one_opening(driver):
    driver.policy = Policy()
    results = at_once(*crowd(lambda _: driver.open()))
    assert sum(not result.replayed for result in results) == 1
    assert all(result.account == results[0].account for result in results)
    assert driver.balance() == 50


def test_two_first_ever_grants_on_an_account_that_does_not_exist_are_one(driver):
    driver.policy = Policy()
    results = at_once(lambda: driver.open(key="one"), lambda: driver.open(key="other"))
    assert kinds(results) == {"Opened": 1, "AlreadyExistsError": 1}
    assert [entry.amount for entry in driver.journal()] == [40, 10]


def test_grant_and_sweep_settling_at_once_write_everything_once(driver):
    driver.policy = Policy()
    driver.at("2024-01-31").open()
    driver.at("2025-04-30")
    at_once(*crowd(lambda _: driver.settle()))
    assert (count(driver, EntryType.GRANT), count(driver, EntryType.EXPIRY)) == (2 + 15, 3)
    assert driver.stored().balance == driver.balance() == 130


def test_years_of_catching_up_by_many_at_once_are_written_once(driver):
    driver.policy = Policy()
    driver.at("2024-01-31").open()
    driver.at("2030-01-31")
    at_once(*crowd(lambda _: driver.settle())[:8])
    cycles = [entry.reference["cycle"] for entry in driver.journal() if entry.reference["type"] == "cycle"]
    assert (len(cycles), len(set(cycles)), driver.stored().balance) == (73, 73, 130)


def test_of_32_who_refund_one_spend_under_keys_of_their_own_one_succeeds(driver):
    driver.open()
    driver.credit(20)
    spend_id = driver.spend(15).entry.entry_id
    results = at_once(*crowd(lambda number: driver.refund(spend_id, str(number))))
    assert kinds(results) == {"Outcome": 1, "AlreadyRefundedError": CROWD - 1}
    assert (driver.balance(), count(driver, EntryType.REFUND)) == (20, 1)


def test_32_times_the_same_refund_at_once_is_one_refund(driver):
    driver.open()
    driver.credit(20)
    spend_id = driver.spend(15).entry.entry_id
    results = at_once(*crowd(lambda _: driver.refund(spend_id)))
    assert len({result.entry.entry_id for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    assert (driver.balance(), count(driver, EntryType.REFUND)) == (20, 1)


def test_of_32_who_report_one_rising_talent_under_keys_of_their_own_one_succeeds(driver):
    driver.open()
    results = at_once(*crowd(lambda number: driver.rising_talent(str(number))))
    assert kinds(results) == {"Outcome": 1, "AlreadyAwardedError": CROWD - 1}
    assert (driver.balance(), count(driver, EntryType.REWARD)) == (30, 1)


def test_32_times_the_same_rising_talent_at_once_is_one(driver):
    driver.open()
    results = at_once(*crowd(lambda _: driver.rising_talent()))
    assert len({result.entry.seq for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    assert (driver.balance(), count(driver, EntryType.REWARD)) == (30, 1)


def test_of_32_who_report_one_certificate_under_keys_of_their_own_one_succeeds(driver):
    driver.under(certifications={"python": 10}).open()
    results = at_once(*crowd(lambda number: driver.certification("python", str(number))))
    assert kinds(results) == {"Outcome": 1, "AlreadyAwardedError": CROWD - 1}
    assert driver.balance() == 10


def proposals(driver, *costs):
    """That cost so much each, and all that there was."""
    driver.credit(sum(costs))
    return [driver.spend(cost, f"proposal-{number}").entry.entry_id for number, cost in enumerate(costs)]


def brought(driver):
    return sum(each.amount for each in driver.stored().interviews)


def test_of_16_interviews_at_once_5_fit_under_the_cap(driver):
    driver.open()
    interviews = [lambda won=won: driver.interview(won, won) for won in proposals(driver, *range(1, 17))]
    results = at_once(*interviews)
    assert kinds(results) == {"tuple": 5, "RewardCapReachedError": 11}
    assert driver.balance() == brought(driver) == 50


def test_of_12_interviews_of_an_agency_at_once_5_fit_under_the_cap(driver):
    driver.open(kind=Kind.AGENCY, plan=Plan.PLUS)
    interviews = [lambda won=won: driver.interview(won, won) for won in proposals(driver, *[8] * 12)]
    assert kinds(at_once(*interviews)) == {"tuple": 5, "RewardCapReachedError": 7}
    assert driver.balance() == 50


def test_interviews_at_once_fill_up_what_the_window_has_left(driver):
    """Two of a week ago to the instant count no more, and yesterday's do, with 26: two fit whole, and 4 of another."""
    driver.open()
    *won, came_back = proposals(driver, *[8] * 12, 4)
    for proposal in won[:2]:
        driver.at("2026-01-15").interview(proposal, proposal)
    driver.at("2026-01-21").refund(came_back)
    for proposal in [*won[2:4], came_back]:
        driver.interview(proposal, proposal)
    driver.at("2026-01-22")
    results = at_once(*[lambda proposal=proposal: driver.interview(proposal, proposal) for proposal in won[4:]])
    assert kinds(results) == {"tuple": 3, "RewardCapReachedError": 5}
    fitted = [sum(entry.amount for entry in result[0]) for result in results if isinstance(result, tuple)]
    assert sorted(fitted) == [4, 10, 10]
    assert brought(driver) == 70


def test_interviews_told_late_at_once_fit_by_their_own_times(driver):
    """Six that were 8 days apart bring 60; of eight of one week 5 fit."""
    driver.open()
    won = proposals(driver, *[8] * 14)
    now = driver.at("2026-06-01").clock.at
    times = [now - timedelta(days=8 * number) for number in range(6)] + [now - timedelta(days=90)] * 8
    told = zip(won, times, strict=True)
    results = at_once(*[lambda won=won, at=at: driver.interview(won, won, at=at) for won, at in told])
    assert kinds(results[:6]) == {"tuple": 6}
    assert kinds(results[6:]) == {"tuple": 5, "RewardCapReachedError": 3}
    assert brought(driver) == 110


def test_of_16_who_report_one_interview_under_keys_of_their_own_one_succeeds(driver):
    driver.open()
    [won] = proposals(driver, 8)
    results = at_once(*[lambda key=key: driver.interview(won, str(key)) for key in range(16)])
    assert kinds(results) == {"tuple": 1, "AlreadyAwardedError": 15}
    assert driver.balance() == 10


def test_16_times_the_same_interview_at_once_is_one_interview(driver):
    driver.open()
    [won] = proposals(driver, 8)
    results = at_once(*[lambda: driver.interview(won)] * 16)
    assert {tuple(entry.seq for entry in entries) for entries, _ in results} == {(3, 4)}
    assert sum(not replayed for _, replayed in results) == 1
    assert driver.balance() == 10


@pytest.mark.parametrize("cost", [8, 10, 12, 16])
def test_an_interview_and_refunds_of_one_proposal_at_once_give_it_back_in_full_whoever_is_first(driver, cost):
    """Of 8 come 10 in all, with the reward; of 12 come 12, in one part or two."""
    driver.open()
    [won] = proposals(driver, cost)
    interviews = [lambda key=key: driver.interview(won, key) for key in "ab"]
    refunds = [lambda key=key: driver.refund(won, key) for key in "ab"]
    at_once(*interviews, *refunds, *interviews, *refunds)
    assert driver.balance() == max(cost, 10)
    assert count(driver, EntryType.REFUND) in {1, 2}


@pytest.mark.parametrize("cost", [8, 12])
def test_an_interview_and_the_end_of_its_job_at_once_give_back_in_full_whoever_is_first(driver, cost):
    driver.post(price=cost)
    names = [f"a{number}" for number in range(4)]
    won = {}
    for name in names:
        driver.open(name)
        driver.credit(cost, account=name)
        won[name] = driver.propose(account=name).entry.entry_id
    driver.end(how=JobEvent.CANCELED)
    at_once(*[lambda name=name: driver.interview(won[name], account=name) for name in names], *[driver.sweep] * 4)
    assert [driver.balance(name) for name in names] == [max(cost, 10)] * 4
    driver.clock.at += timedelta(minutes=3)
    assert driver.sweep() == 0


def test_staff_who_take_at_once_never_take_more_than_there_is(driver):
    driver.open()
    driver.credit(20)
    results = at_once(*crowd(lambda number: driver.adjust(-1, str(number))))
    assert kinds(results) == {"Outcome": 20, "InsufficientConnectsError": 12}
    assert driver.balance() == 0


def test_spends_refunds_and_settlements_at_once_add_up(driver):
    """50 of the opening, of which 30 are spent; 10 more fall due; then all at once 12 spends of 1, the refund, the
    settlement, and each of them repeated."""
    driver.policy = Policy()
    driver.at("2026-01-15").open()
    spend_id = driver.spend(30).entry.entry_id
    driver.at("2026-02-15")
    results = at_once(
        *[lambda key=key: driver.spend(1, key) for key in "abcdefghijkl" * 2],
        *[lambda key=key: driver.refund(spend_id, key) for key in "xyxy"],
        *[driver.settle] * 4,
    )
    refused = [result for result in results if isinstance(result, LedgerError)]
    assert [type(refusal) for refusal in refused] == [AlreadyRefundedError] * 2
    assert driver.balance() == 50 - 12 + 10
    assert [count(driver, kind) for kind in (EntryType.SPEND, EntryType.REFUND, EntryType.GRANT)] == [13, 1, 3]


def test_a_crowd_on_accounts_of_their_own_is_not_in_each_others_way(driver):
    driver.policy = Policy()
    at_once(*crowd(lambda number: driver.open(f"account-{number}")))
    results = at_once(*crowd(lambda number: driver.spend(number, account=f"account-{number}") if number else None))
    assert kinds(results) == {"Outcome": CROWD - 1, "NoneType": 1}
    assert [driver.balance(f"account-{number}") for number in range(CROWD)] == [50 - number for number in range(CROWD)]


def test_16_times_the_same_purchase_and_its_reconciliation_at_once_is_one_purchase(driver, provider):
    driver.open()
    driver.buy(40, late := provider.that(Behaviour.LATE))
    [due] = Purchases(driver.table).due(driver.at("2026-01-16").clock.at)
    results = at_once(*[lambda: driver.reconcile(due.purchase_id, late)] * 8)
    assert set(results) == {PurchaseState.COMPLETED}

    succeeds = provider.that(Behaviour.SUCCEED)
    results = at_once(*[lambda: driver.buy(60, succeeds, "at once")] * 16)
    assert {result.purchase.state for result in results} == {PurchaseState.COMPLETED}
    assert len({result.entry.entry_id for result in results}) == 1
    assert (driver.balance(), count(driver, EntryType.PURCHASE), len(provider.charges)) == (100, 2, 2)


def test_an_audit_of_an_account_that_many_write_finds_nothing_at_any_time(driver, provider):
    succeeds = provider.that(Behaviour.SUCCEED)
    driver.open()
    driver.credit(200)

    def write(number):
        for time in range(5):
            driver.refund(driver.spend(1, f"{number} {time}").entry.entry_id, f"{number} {time}")
            driver.buy(10, succeeds, f"{number} {time}")
            driver.badge(on=time % 2 == 0)

    def audit(_):
        return [driver.audit(succeeds) for _ in range(10)]

    driver.badge()
    results = at_once(*[lambda number=number: write(number) for number in range(4)], *[lambda: audit(0)] * 4)
    audits = [audited for each in results if each for audited in each]
    assert [finding for audited in audits for finding in audited.findings if finding.problems] == []
    assert len({audited.as_of_seq for audited in audits}) > 1, "nothing was written meanwhile"


def test_two_who_open_an_account_that_another_spends_from_leave_one_story(driver):
    """A spend meets no account, or one with its sign-up Connects, and nothing in between."""
    driver.policy = Policy()
    opened, spent = at_once(driver.open, lambda: driver.spend(45))
    assert not isinstance(opened, AlreadyExistsError)
    assert driver.balance() == (50 if isinstance(spent, LedgerError) else 5)


def test_proposals_that_race_with_their_jobs_end_are_refused_or_come_back(driver):
    """Whoever was first: nobody pays for a job that is gone."""
    names = [f"account-{number}" for number in range(CROWD)]
    for name in names:
        driver.open(name)
        driver.credit(20, account=name)
    driver.post(price=7)
    results = at_once(*[lambda name=name: driver.propose(account=name) for name in names], driver.end, driver.end)
    refused = [result for result in results if isinstance(result, LedgerError)]
    assert {type(refusal) for refusal in refused} <= {JobNotOpenError}
    at_once(*[driver.sweep] * 3)
    assert [driver.balance(name) for name in names] == [20] * CROWD


def test_proposals_that_race_with_the_end_of_a_job_never_heard_of_are_refused_or_come_back(driver):
    names = [f"account-{number}" for number in range(CROWD)]
    for name in names:
        driver.open(name)
        driver.credit(20, account=name)
    results = at_once(*[lambda name=name: driver.propose(account=name, amount=7) for name in names], driver.end)
    assert set(kinds(results)) <= {"Outcome", "JobNotOpenError", "Job"}
    driver.sweep()
    assert [driver.balance(name) for name in names] == [20] * CROWD


def test_of_32_proposals_of_one_account_on_one_job_one_succeeds(driver):
    driver.open()
    driver.credit(40)
    driver.post(price=1)
    results = at_once(*crowd(lambda number: driver.propose(key=str(number))))
    assert kinds(results) == {"Outcome": 1, "AlreadyExistsError": CROWD - 1}
    assert (driver.balance(), count(driver, EntryType.SPEND)) == (39, 1)


def test_32_versions_at_once_leave_the_newest_and_of_ends_of_one_instant_the_same_one_counts_whoever_is_first(driver):
    versions = [version for version in range(CROWD) for _ in range(2)]
    ends = [JobEvent.EXPIRED, JobEvent.FILLED, JobEvent.CANCELED]
    shuffled = random.Random(5).sample(versions, len(versions))  # noqa: S311 - the same in every run
    results = at_once(
        *[lambda version=version: driver.post(version=version, price=version + 1) for version in shuffled],
        *[lambda how=how: driver.end(how=how) for how in ends],
    )
    assert set(kinds(results)) == {"Job"}
    assert driver.job().price == CROWD
    assert driver.job().status is JobStatus.FILLED
    expired, filled, canceled = (result.status for result in results[-3:])
    assert filled is JobStatus.FILLED
    assert expired in {JobStatus.EXPIRED, JobStatus.FILLED}  # as it was when that one was written
    assert canceled in {JobStatus.CANCELED, JobStatus.EXPIRED, JobStatus.FILLED}


def test_a_refund_of_ones_own_that_races_with_the_jobs_gives_back_once(driver):
    names = [f"account-{number}" for number in range(8)]
    spends = {}
    for name in names:
        driver.open(name)
        driver.credit(20, account=name)
        spends[name] = driver.propose(account=name, amount=7).entry.entry_id
    driver.end()
    at_once(
        *[driver.sweep] * 4,
        *[lambda name=name, spend=spend: driver.refund(spend, account=name) for name, spend in spends.items()],
    )
    assert [driver.balance(name) for name in names] == [20] * 8


def test_120_proposals_on_one_job_come_back_once_each_from_runs_that_overlap(driver):
    names = [f"account-{number}" for number in range(120)]
    driver.proposed_by(names)
    driver.end()
    driver.sweep(recorded := RecordingQueue())
    pages = [*recorded.bodies, *recorded.bodies[::7]]
    with ThreadPoolExecutor(8) as workers:
        list(workers.map(driver.handle, pages))
    assert {driver.balance(name) for name in names} == {20}
    assert driver.at(driver.clock.at + timedelta(minutes=2)).sweep() == 0
    assert driver.job().refunds_due is None


def test_of_60_accounts_that_try_3_times_each_a_cap_of_20_lets_exactly_20_redeem(driver):
    """Three devices of everybody at once, each with a key of its own: nothing but redemptions and refusals."""
    accounts = [f"account-{number}" for number in range(60)]
    driver.put_campaign(20, counters=10)
    driver.open_many(*accounts)
    with ThreadPoolExecutor(CROWD) as people:
        tries = [(account, key) for account in accounts for key in ("phone", "laptop", "tablet")]
        results = list(people.map(lambda each: outcome(lambda: driver.redeem(each[1], account=each[0])), tries))
    assert kinds(results)["Outcome"] == 20
    assert set(kinds(results)) == {"Outcome", "PromoUsedError", "PromoExhaustedError"}
    assert sum(driver.balance(account) for account in accounts) == 20 * 5
    assert driver.redeemed() == 20
    assert [counter.taken for counter in driver.counters()] == [2] * 10


def test_of_32_who_redeem_the_last_of_a_code_one_succeeds(driver):
    driver.open_many(*(f"account-{number}" for number in range(CROWD)))
    driver.put_campaign(1)
    results = at_once(*crowd(lambda number: driver.redeem(account=f"account-{number}")))
    assert kinds(results) == {"Outcome": 1, "PromoExhaustedError": CROWD - 1}
    assert driver.redeemed() == 1


def test_of_32_who_redeem_a_code_for_one_account_under_keys_of_their_own_one_succeeds(driver):
    driver.open()
    driver.put_campaign(100)
    results = at_once(*crowd(lambda number: driver.redeem(str(number))))
    assert kinds(results) == {"Outcome": 1, "PromoUsedError": CROWD - 1}
    assert (driver.balance(), driver.redeemed()) == (5, 1)


def test_32_times_the_same_redemption_at_once_is_one_redemption(driver):
    driver.open()
    driver.put_campaign(100)
    results = at_once(*crowd(lambda _: driver.redeem()))
    assert len({result.entry.entry_id for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    assert (driver.balance(), driver.redeemed()) == (5, 1)


def test_a_cap_that_is_raised_and_lowered_among_redemptions_holds_every_time(driver):
    """Up and down six times while 32 redeem; the last cap, and the highest, bound what was given."""
    driver.open_many(*(f"account-{number}" for number in range(CROWD)))
    driver.put_campaign(4, counters=1)
    caps = [6, 3, 12, 10, 20, 16]
    results = at_once(
        lambda: [driver.put_campaign(cap) for cap in caps],
        *crowd(lambda number: driver.redeem(account=f"account-{number}")),
    )
    given = kinds(results)["Outcome"]
    assert set(kinds(results)) <= {"Outcome", "PromoExhaustedError", "list"}
    assert given == driver.redeemed() <= max(caps)
    assert results[0] == sorted(results[0]), "what was given is never taken back"
    for number in range(CROWD):
        outcome(lambda number=number: driver.redeem("later", account=f"account-{number}"))
    assert driver.redeemed() == max(caps[-1], given)


def test_many_who_put_one_campaign_at_once_leave_the_terms_of_one_of_them(driver):
    results = at_once(*[lambda cap=cap: driver.put_campaign(cap) for cap in range(1, 9)])
    assert results == [0] * 8
    assert sum(counter.share for counter in driver.counters()) in range(1, 9)


def test_a_purchase_and_a_redemption_of_one_code_at_once_redeem_it_once(driver, provider):
    driver.open()
    driver.put_campaign(100)
    succeeds = provider.that(Behaviour.SUCCEED)
    results = at_once(
        *[lambda key=key: driver.buy(40, succeeds, key, promo="SPRING") for key in "aabb"],
        *[lambda key=key: driver.redeem(key) for key in "aabb"],
    )
    assert set(kinds(results)) <= {"Bought", "Outcome", "PromoUsedError"}
    assert count(driver, EntryType.PROMO) == driver.redeemed() == 1


def test_32_times_the_same_badge_switched_on_at_once_is_one_week(driver):
    driver.open()
    driver.credit(20)
    results = at_once(*crowd(lambda _: driver.badge()))
    assert kinds(results) == {"Switched": CROWD}
    assert {result.badge for result in results} == {driver.stored().badge}
    assert (driver.balance(), driver.badge_weeks()) == (16, [("2026-01-15", 4)])


def test_on_and_off_by_many_at_once_is_charged_once(driver):
    driver.open()
    driver.credit(20)
    at_once(*crowd(lambda number: driver.badge(on=number % 2 == 0)))
    assert (driver.balance(), len(driver.badge_weeks())) == (16, 1)


def test_renewals_and_switches_at_once_charge_the_week_once(driver):
    driver.open()
    driver.credit(20)
    driver.badge()
    driver.at("2026-01-24")
    at_once(*[lambda: renew_badges(driver.ledger, ["ann"], deadline)] * 12, *[lambda: driver.badge(most=9)] * 12)
    assert driver.badge_weeks() == [("2026-01-15", 4), ("2026-01-22", 4)]


def test_renewals_among_spends_never_overdraw(driver):
    driver.open()
    driver.credit(14)
    driver.badge()
    driver.at("2026-01-22")
    results = at_once(
        *[lambda: renew_badges(driver.ledger, ["ann"], deadline)] * 4,
        *[lambda key=key: driver.spend(1, str(key)) for key in range(12)],
    )
    spent = kinds(results)["Outcome"]
    renewed = len(driver.badge_weeks()) == 2
    assert (spent, driver.balance()) == ((6, 0) if renewed else (10, 0))
    assert driver.stored().badge.enabled is renewed


def test_many_who_set_a_weeks_price_at_once_set_one(driver):
    driver.open()
    results = at_once(*[lambda: (set_price(driver.ledger, deadline), week_price(driver.ledger))[1]] * 16)
    assert set(results) == {4}


def bidders(driver, number):
    names = [f"bidder-{each}" for each in range(number)]
    driver.open_many(*names)
    for name in names:
        driver.credit(100, account=name)
    driver.post(price=7)
    return names


def boost_rows(driver, name):
    return [entry.type.value for entry in driver.journal(name) if entry.reference["type"] == "boost"]


def test_of_32_bids_at_once_the_4_highest_are_held_and_no_other(driver):
    names = bidders(driver, CROWD)
    results = at_once(
        *[lambda name=name, bid=bid: driver.boost(bid, account=name) for bid, name in enumerate(names, 1)]
    )
    assert set(kinds(results)) <= {"Outcome", "BidTooLowError"}
    assert [boost.bid for boost in driver.auction().places] == [32, 31, 30, 29]
    driver.at(driver.clock.at + timedelta(minutes=1)).sweep()
    assert [driver.stored(name).held for name in names] == [0] * 28 + [29, 30, 31, 32]
    assert all(boost_rows(driver, name) in ([], ["hold", "release"]) for name in names[:-4])


def test_16_raises_of_one_bid_at_once_hold_the_highest_in_all(driver):
    (name,) = bidders(driver, 1)
    results = at_once(*[lambda bid=bid: driver.boost(bid, f"raise {bid}", account=name) for bid in range(1, 17)])
    assert set(kinds(results)) <= {"Outcome", "BidTooLowError"}
    assert (driver.balance(name), driver.stored(name).held) == (84, 16)


def test_16_repeats_of_one_bid_at_once_are_held_once(driver):
    (name,) = bidders(driver, 1)
    results = at_once(*[lambda: driver.boost(10, account=name) for _ in range(16)])
    assert {result.entry.amount for result in results} == {-10}
    assert (driver.stored(name).held, boost_rows(driver, name)) == (10, ["hold"])


@pytest.mark.parametrize("run", range(4))
def test_outbid_interaction_hire_cancellation_and_the_clock_at_once_end_every_hold_once(driver, run):
    names = bidders(driver, 6)
    for bid, name in enumerate(names[:4], 10):
        driver.boost(bid, account=name)
    happenings = [
        lambda: driver.boost(20, account=names[4]),
        lambda: driver.boost(21, account=names[5]),
        lambda: driver.boost(22, "raise", account=names[0]),
        *[lambda name=name: driver.interact(name) for name in names],
        lambda: driver.end(how=JobEvent.FILLED),
        driver.end,
        driver.sweep,
    ]
    random.Random(run).shuffle(happenings)  # noqa: S311 - the same in every run
    results = at_once(*happenings, *happenings)
    assert set(kinds(results)) <= {"Outcome", "Job", "Auction", "int", "BidTooLowError", "AuctionClosedError"}
    driver.at(driver.clock.at + timedelta(minutes=1)).sweep()
    assert [driver.stored(name).held for name in names] == [0] * 6
    rows = [boost_rows(driver, name) for name in names]
    assert all(row.count("hold") >= row.count("capture") + row.count("release") for row in rows)
    captured = [name for name, row in zip(names, rows, strict=True) if "capture" in row]
    assert all(driver.balance(name) < 100 for name in captured)
    assert all(driver.balance(name) == 100 for name in set(names) - set(captured))


# --- Money that goes back ---


def settled_level(driver, purchase_id, cents, dispute):
    """The provider is asked until what it says is written, as whoever is told of it and the reconciliation do."""
    while True:
        purchase = driver.goes_back(purchase_id, cents, dispute)
        if (purchase.returned_cents, purchase.dispute) == (cents, dispute):
            return purchase


def test_a_level_told_32_times_at_once_is_one_entry(driver):
    driver.open()
    bought = driver.bought(40)
    driver.spend(10)
    results = at_once(*crowd(lambda _: driver.goes_back(bought, 600)))
    assert {result.reclaimed for result in results} == {40}
    assert driver.chargebacks() == [(-30, "10")]
    assert driver.purchase(bought).reclaims == 1


def test_levels_beside_spends_and_credits_leave_nothing_that_is_not_owed_or_there(driver):
    """16 spend 1 and 8 credit 2, while the payment goes back in part, in all, and comes again."""
    driver.open()
    bought = driver.bought(40)
    spends = [lambda key=key: driver.spend(1, f"spend {key}") for key in range(16)]
    credits_ = [lambda key=key: driver.credit(2, f"credit {key}") for key in range(8)]
    levels = [
        lambda cents=cents, dispute=dispute: settled_level(driver, bought, cents, dispute)
        for cents, dispute in [(300, None), (600, "lost"), (150, "won")]
    ]
    actions = [*spends, *credits_, *levels]
    random.Random(7).shuffle(actions)  # noqa: S311
    at_once(*actions)
    settled_level(driver, bought, 600, "lost")
    spent = count(driver, EntryType.SPEND)
    account = driver.stored()
    assert account.balance - account.total_owed == 40 + 2 * 8 - 40 - spent
    assert driver.purchase(bought).reclaimed == 40
    settled_level(driver, bought, 0, "won")
    assert (driver.stored().balance, driver.stored().owed) == (40 + 2 * 8 - spent, ())


def test_disputes_of_several_purchases_at_once_beside_what_pays_them(driver):
    driver.open()
    bought = [driver.bought(20, f"buy {number}") for number in range(6)]
    driver.spend(120)
    levels = [lambda purchase=purchase: settled_level(driver, purchase, 300, "lost") for purchase in bought]
    pays = [lambda key=key: driver.credit(5, f"credit {key}") for key in range(10)]
    at_once(*levels, *pays)
    account = driver.stored()
    assert account.total_owed - account.balance == 120 - 50
    at_once(*[lambda purchase=purchase: settled_level(driver, purchase, 0, "won") for purchase in bought])
    assert (driver.stored().balance, driver.stored().owed) == (50, ())


def test_spends_at_once_with_a_dispute_never_spend_what_was_taken_back(driver):
    driver.open()
    bought = driver.bought(40)
    results = at_once(
        lambda: settled_level(driver, bought, 600, "lost"),
        *[lambda key=key: driver.spend(4, str(key)) for key in range(10)],
    )
    spent = 4 * sum(type(result).__name__ == "Outcome" for result in results)
    assert (driver.balance(), driver.stored().total_owed) == (0, spent)
