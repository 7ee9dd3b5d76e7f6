"""Boosts: bids that are held, places won and lost, and every hold ended once, whatever happens in what order."""

from datetime import timedelta
from itertools import permutations

import pytest

from shared.ledger.calendar import midnight
from shared.ledger.errors import (
    AccountFrozenError,
    AccountNotFoundError,
    AuctionClosedError,
    BidTooLowError,
    IdempotencyKeyReusedError,
    InsufficientConnectsError,
    InvalidRequestError,
    JobNotFoundError,
    SpendNotFoundError,
)
from shared.ledger.jobs import JobEvent
from shared.ledger.model import EntryType, Kind, Plan
from shared.store.jobs import Jobs
from tests.faults import BATCH_GET, TRANSACT, UPDATE, KilledError, answer_lost, dies, passes

NAMES = ("ann", "bob", "cem", "dan", "eve")
ENDS = sorted(set(JobEvent) - {JobEvent.HIRED})
HOLD, CAPTURE, RELEASE, REFUND = EntryType.HOLD, EntryType.CAPTURE, EntryType.RELEASE, EntryType.REFUND


@pytest.fixture
def driver(driver):
    """With a job, and five accounts of 50 Connects."""
    for name in NAMES:
        driver.open(name)
        driver.credit(50, account=name)
    driver.post(price=7)
    return driver


def fill(driver, *bids):
    """One bid of each account, in their order."""
    for name, bid in zip(NAMES, bids, strict=False):
        driver.boost(bid, account=name)


def of_boosts(driver, account="ann"):
    return [(entry.type, entry.amount) for entry in driver.journal(account) if entry.reference["type"] == "boost"]


def bids(driver):
    return [boost.bid for boost in driver.auction().places]


def holdings(driver):
    return [(driver.balance(name), driver.stored(name).held) for name in NAMES]


def later(driver, **by):
    driver.clock.at += timedelta(**by)
    return driver


# --- Bidding


def test_a_bid_is_held_at_once(driver):
    entry = driver.boost(12).entry
    assert (entry.type, entry.amount, entry.balance_after, entry.reason) == (HOLD, -12, 38, "Boost")
    assert entry.reference == {
        "type": "boost",
        "job_id": "j1",
        "proposal_id": "p-ann",
        "hold_id": entry.entry_id,
        "bid": "12",
        "rank": "1",
    }
    assert (driver.balance(), driver.stored().held) == (38, 12)


def test_a_raise_holds_what_it_adds_and_no_more(driver):
    first = driver.boost(12).entry
    raised = driver.boost(20, "raise").entry
    assert (raised.amount, raised.reason, raised.reference["hold_id"]) == (-8, "Boost raised", first.entry_id)
    assert (driver.balance(), driver.stored().held, bids(driver)) == (30, 20, [20])


@pytest.mark.parametrize("bid", [1, 12])
def test_a_bid_is_never_lowered_nor_repeated_under_another_key(driver, bid):
    driver.boost(12)
    with pytest.raises(BidTooLowError) as refusal:
        driver.boost(bid, "lower")
    assert refusal.value.details == {"required": 13}
    assert (driver.balance(), bids(driver)) == (38, [12])


def test_places_go_by_bid_and_of_equal_ones_the_earlier_wins(driver):
    fill(driver, 10, 20, 10, 30)
    assert [boost.account_id for boost in driver.auction().places] == ["dan", "bob", "ann", "cem"]
    driver.boost(20, "raise")
    assert [boost.account_id for boost in driver.auction().places] == ["dan", "bob", "ann", "cem"]


def test_a_bid_tells_its_rank(driver):
    assert [
        driver.boost(bid, account=name).entry.reference["rank"]
        for name, bid in zip(NAMES, (10, 20, 15, 20), strict=False)
    ] == [
        "1",
        "1",
        "2",
        "2",
    ]


@pytest.mark.parametrize("bid", [1, 9, 10])
def test_a_bid_without_a_place_is_refused_and_holds_nothing(driver, bid):
    fill(driver, 10, 20, 30, 40)
    with pytest.raises(BidTooLowError) as refusal:
        driver.boost(bid, account="eve")
    assert refusal.value.details == {"required": 11}
    assert (driver.balance("eve"), of_boosts(driver, "eve")) == (50, [])


def test_who_is_pushed_out_has_all_of_it_back_in_its_lots_at_once_and_is_told(driver):
    driver.boost(10)
    driver.boost(12, "raise")
    lots = driver.stored().lots
    for name, bid in zip(NAMES[1:], (20, 30, 40, 50), strict=True):
        driver.boost(bid, account=name)
    assert of_boosts(driver) == [(HOLD, -10), (HOLD, -2), (RELEASE, 12)]
    assert (driver.balance(), driver.stored().held, bids(driver)) == (50, 0, [50, 40, 30, 20])
    assert driver.stored().lots.keys() == lots.keys()
    release = driver.journal()[-1]
    assert (release.reason, release.reference["why"]) == ("Boost outbid", "outbid")
    [notice] = driver.notices()
    assert (notice.kind, notice.facts) == (
        "outbid",
        {"job_id": "j1", "proposal_id": "p-ann", "bid": 12, "balance": 50},
    )


def test_who_was_pushed_out_may_bid_again_with_what_came_back(driver):
    fill(driver, 30, 31, 32, 33, 34)
    driver.boost(50, "again")
    assert of_boosts(driver) == [(HOLD, -30), (RELEASE, 30), (HOLD, -50)]
    assert driver.balance("bob") == 50


def test_a_lot_that_expired_while_it_was_held_comes_back_for_the_days_of_grace(driver):
    driver.at("2027-01-13").post("j2", price=7)
    driver.boost(12, job="j2")
    driver.at("2027-01-17").end("j2")
    [(bucket, amount)] = driver.stored().lots.items()
    assert (bucket.expires_on, amount) == (driver.clock.at.date() + timedelta(30), 12)


def test_more_than_is_there_cannot_be_held(driver):
    driver.boost(45)
    with pytest.raises(InsufficientConnectsError) as refusal:
        driver.boost(51, "raise")
    assert refusal.value.details == {"balance": 5, "required": 6}
    assert bids(driver) == [45]


def test_what_is_held_cannot_be_spent(driver):
    driver.boost(45)
    with pytest.raises(InsufficientConnectsError):
        driver.spend(6)


def test_a_frozen_agency_may_not_bid_and_what_it_holds_ends_as_any(driver):
    driver.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    driver.credit(20, account="acme")
    driver.boost(10, account="acme")
    driver.change_plan(Plan.BASIC, account="acme", at_once=True)
    with pytest.raises(AccountFrozenError):
        driver.boost(12, "raise", account="acme")
    driver.end()
    assert (driver.balance("acme"), driver.stored("acme").held) == (20, 0)


def test_a_bid_on_a_job_or_of_an_account_that_nobody_knows_is_refused(driver):
    with pytest.raises(JobNotFoundError):
        driver.boost(5, job="j9")
    with pytest.raises(AccountNotFoundError):
        driver.boost(5, account="nobody")


def test_an_account_boosts_one_proposal_on_a_job(driver):
    driver.boost(5)
    with pytest.raises(InvalidRequestError, match="proposal_id"):
        driver.boost(6, "other", proposal="p-other")
    assert bids(driver) == [5]


# --- Repeats


def test_a_bid_sent_again_is_answered_as_the_first_time_whatever_has_become_of_it(driver):
    first = driver.boost(10)
    assert (driver.boost(10).entry, driver.boost(10).replayed) == (first.entry, True)
    fill(driver, 10, 20, 30, 40, 50)
    assert driver.boost(10).entry == first.entry
    driver.end()
    assert driver.boost(10).entry == first.entry
    assert of_boosts(driver) == [(HOLD, -10), (RELEASE, 10)]


def test_a_key_is_for_one_bid(driver):
    driver.boost(10)
    with pytest.raises(IdempotencyKeyReusedError):
        driver.boost(11)


def test_a_refused_bid_does_not_use_its_key_up(driver):
    fill(driver, 10, 20, 30, 40)
    with pytest.raises(BidTooLowError):
        driver.boost(10, account="eve")
    driver.interact("ann")
    driver.boost(50, "raise", account="bob")
    driver.under(boost_places=5)
    assert driver.boost(10, account="eve").entry.amount == -10


def test_a_bid_whose_answer_was_lost_is_held_once(driver, faults):
    faults.on(TRANSACT, answer_lost)
    assert driver.boost(10).replayed is False
    assert of_boosts(driver) == [(HOLD, -10)]


# --- How holds end


@pytest.mark.parametrize("named", [("ann", None), (None, "p-ann"), ("ann", "p-ann")])
def test_an_interaction_with_a_boosted_proposal_captures_it_at_once(driver, named):
    fill(driver, 10, 20)
    account, proposal = named
    driver.interact(account, proposal=proposal)
    assert of_boosts(driver) == [(HOLD, -10), (CAPTURE, 0)]
    assert holdings(driver)[:2] == [(40, 0), (30, 20)]
    assert driver.journal()[-1].reference["why"] == "interaction"


@pytest.mark.parametrize("named", [("eve", None), (None, "p-eve"), ("ann", "p-bob")])
def test_an_interaction_with_what_is_not_boosted_ends_nothing(driver, faults, named):
    fill(driver, 10, 20)
    account, proposal = named
    with faults.measured() as cost:
        driver.interact(account, proposal=proposal)
    assert cost.calls == [BATCH_GET]
    assert holdings(driver)[:2] == [(40, 10), (30, 20)]


def test_an_interaction_that_is_told_late_captures_no_boost_that_came_after_it(driver):
    before = driver.clock.at
    later(driver, minutes=1).boost(10)
    later(driver, minutes=1).boost(12, "raise")
    driver.interact(at=before)
    assert holdings(driver)[0] == (38, 12)
    driver.interact(at=before + timedelta(minutes=1))
    assert of_boosts(driver) == [(HOLD, -10), (HOLD, -2), (RELEASE, 2), (CAPTURE, 0)]
    assert holdings(driver)[0] == (40, 0)


def test_what_comes_back_of_a_boost_goes_to_the_lots_that_its_raises_took(driver):
    driver.adjust(-50, "nothing left")
    for month in ("2026-01-16", "2026-02-16", "2026-03-16"):
        driver.at(month).credit(10, f"credit {month}")
    posted = driver.at("2026-03-17").clock.at
    driver.post("j2", price=7)
    for minute, bid in enumerate((10, 20, 30)):
        driver.at(posted + timedelta(minutes=minute)).boost(bid, f"bid {bid}", job="j2")
    later(driver, minutes=1).interact(job="j2", at=posted + timedelta(minutes=1))
    assert {bucket.expires_on.month: amount for bucket, amount in driver.stored().lots.items()} == {3: 10}
    driver.interact(job="j2", at=posted)
    assert {bucket.expires_on.month: amount for bucket, amount in driver.stored().lots.items()} == {2: 10, 3: 10}
    driver.report(JobEvent.CANCELED, "j2", at=posted - timedelta(minutes=1))
    assert {bucket.expires_on.month: amount for bucket, amount in driver.stored().lots.items()} == {1: 10, 2: 10, 3: 10}


def test_who_dies_giving_back_what_was_captured_is_finished_by_the_next_run(driver, faults):
    fill(driver, 10)
    canceled = driver.clock.at
    later(driver, minutes=1).interact()
    faults.on(TRANSACT, passes, dies)
    with pytest.raises(KilledError):
        driver.report(JobEvent.CANCELED, at=canceled)
    assert holdings(driver)[0] == (40, 0)
    later(driver, minutes=1).sweep()
    assert of_boosts(driver) == [(HOLD, -10), (CAPTURE, 0), (REFUND, 10)]
    assert holdings(driver)[0] == (50, 0)


def test_news_of_what_happened_before_meets_the_end_that_it_changes(driver, faults):
    """Two who tell at once: the one that is slower judges by what the other told."""
    fill(driver, 10)
    start = driver.clock.at
    later(driver, minutes=2).boost(30, "raise")
    faults.on(UPDATE, faults.before(lambda: driver.interact(at=start + timedelta(minutes=1))))
    driver.interact(at=start + timedelta(minutes=2))
    assert holdings(driver)[0] == (40, 0)
    assert of_boosts(driver)[-2:] == [(RELEASE, 20), (CAPTURE, 0)]


def test_the_item_of_an_auction_is_bounded_however_much_is_bid_from_however_many_lots(driver):
    driver.under(boost_places=20)
    names = [f"{'w' * 60}{number}" for number in range(20)]
    driver.open_many(*names)
    for name in names:
        driver.credit(300, account=name)
    for bid in range(1, 13):
        for number, name in enumerate(names):
            driver.boost(20 * bid - number if bid > 1 else 1, f"bid {bid}", account=name, proposal=f"p{name}")
    table = driver.table
    item = table.get_together(("JOB#j1", "AUCTION"))[0]
    assert len(item["auction"]["S"]) < 20_000


def test_who_was_pushed_out_and_bids_again_is_not_captured_for_what_came_between(driver):
    fill(driver, 10, 20, 30, 40, 50)
    between = driver.clock.at
    later(driver, minutes=1).boost(25, "again")
    driver.interact(at=between)
    assert holdings(driver)[0] == (25, 25)


def test_an_interaction_with_nobody_or_on_no_job_is_refused(driver):
    with pytest.raises(InvalidRequestError):
        driver.interact(None)
    with pytest.raises(JobNotFoundError):
        driver.interact(job="j9")


def test_who_paid_keeps_the_place_until_pushed_out_and_has_nothing_back(driver):
    driver.boost(10)
    driver.interact()
    assert bids(driver) == [10]
    for name, bid in zip(NAMES[1:], (20, 30, 40, 50), strict=True):
        driver.boost(bid, account=name)
    assert bids(driver) == [50, 40, 30, 20]
    assert of_boosts(driver) == [(HOLD, -10), (CAPTURE, 0)]


def test_who_paid_cannot_raise(driver):
    driver.boost(10)
    driver.interact()
    with pytest.raises(AuctionClosedError):
        driver.boost(20, "raise")


@pytest.mark.parametrize("how", [JobEvent.FILLED, JobEvent.EXPIRED])
def test_at_the_first_hire_whoever_has_a_place_pays_its_own_bid(driver, how):
    fill(driver, 10, 20, 30, 40, 50)
    driver.end(how=how)
    assert holdings(driver) == [(50, 0), (30, 0), (20, 0), (10, 0), (0, 0)]
    assert [of_boosts(driver, name)[-1][0] for name in NAMES] == [RELEASE, *[CAPTURE] * 4]


@pytest.mark.parametrize("how", [JobEvent.CANCELED, JobEvent.REMOVED])
def test_a_job_that_goes_away_releases_open_holds_and_not_what_was_captured(driver, how):
    fill(driver, 10, 20)
    driver.interact("bob")
    driver.end(how=how)
    driver.sweep()
    assert holdings(driver)[:2] == [(50, 0), (30, 0)]
    assert driver.journal()[-1].reference["why"] == f"job_{how}"


def test_a_job_removed_after_its_hire_gives_no_boost_back(driver):
    fill(driver, 10)
    driver.end(how=JobEvent.FILLED)
    driver.end(how=JobEvent.REMOVED)
    driver.sweep()
    assert of_boosts(driver) == [(HOLD, -10), (CAPTURE, 0)]


@pytest.mark.parametrize("how", ENDS)
def test_no_bid_is_taken_once_the_job_has_ended(driver, how):
    fill(driver, 10)
    driver.end(how=how)
    for name, bid in (("ann", 20), ("bob", 20)):
        with pytest.raises(AuctionClosedError):
            driver.boost(bid, "late", account=name)


def test_an_auction_closes_seven_days_after_the_posting_to_the_instant(driver):
    fill(driver, 10, 20)
    opened = driver.clock.at
    driver.at(opened + timedelta(days=7) - timedelta(milliseconds=1)).boost(11, "just in time")
    driver.at(opened + timedelta(days=7))
    with pytest.raises(AuctionClosedError):
        driver.boost(12, "too late")
    assert holdings(driver)[:2] == [(39, 11), (30, 20)]


def test_a_close_that_nobody_announced_happens_by_the_clock_and_is_dated_at_its_instant(driver):
    fill(driver, 10, 20)
    closes_at = driver.clock.at + timedelta(days=7)
    grace = timedelta(minutes=5)
    assert [job.job_id for job in Jobs(driver.table).due(closes_at + grace - timedelta(milliseconds=1))] == []
    assert [job.job_id for job in Jobs(driver.table).due(closes_at + grace)] == ["j1"]
    later(driver, days=9).sweep()
    assert holdings(driver)[:2] == [(40, 0), (30, 0)]
    capture = driver.journal()[-1]
    assert (capture.type, capture.at, capture.reference["why"]) == (CAPTURE, closes_at, "auction_closed")
    assert list(Jobs(driver.table).due(driver.clock.at + timedelta(days=99))) == []
    assert bids(driver) == [20, 10]


def test_an_auction_with_nothing_held_is_never_due(driver):
    fill(driver, 10)
    driver.interact()
    assert list(Jobs(driver.table).due(driver.clock.at + timedelta(days=99))) == []


def test_a_first_version_that_comes_late_moves_the_close_and_a_later_one_does_not(driver):
    fill(driver, 10)
    posted_at, grace = driver.clock.at - timedelta(days=6), timedelta(minutes=5)
    driver.post(version=2, price=7, posted_at=posted_at)
    driver.post(version=3, price=7, posted_at=driver.clock.at - timedelta(days=8))
    assert [job.since for job in Jobs(driver.table).due(driver.clock.at + timedelta(days=2))] == [
        posted_at + timedelta(days=7) + grace
    ]
    assert of_boosts(driver) == [(HOLD, -10)]


def test_a_time_of_posting_that_moves_the_close_before_a_bid_gives_it_back_whole(driver):
    fill(driver, 10)
    driver.post(version=2, price=7, posted_at=driver.clock.at - timedelta(days=8))
    assert of_boosts(driver) == [(HOLD, -10), (RELEASE, 10)]
    assert driver.journal()[-1].reason == "Boost: the auction had closed before the bid"


def test_a_time_of_posting_that_comes_after_the_close_reopens_nothing(driver):
    fill(driver, 10)
    later(driver, days=8).sweep()
    driver.post(version=2, price=7, posted_at=driver.clock.at)
    with pytest.raises(AuctionClosedError):
        driver.boost(11, "reopened", account="bob")


@pytest.mark.parametrize("how", [JobEvent.CANCELED, JobEvent.FILLED])
def test_an_end_that_comes_after_the_close_finds_it_closed_by_the_clock(driver, how):
    fill(driver, 10)
    closes_at = driver.clock.at + timedelta(days=7)
    later(driver, days=8).end(how=how)
    assert of_boosts(driver) == [(HOLD, -10), (CAPTURE, 0)]
    assert driver.auction().closed.at == closes_at


def test_whatever_happens_in_any_order_and_twice_every_hold_ends_once(driver):
    happenings = {
        "interact": lambda job: driver.interact("ann", job=job),
        "hire": lambda job: driver.end(job, JobEvent.FILLED),
        "cancel": lambda job: driver.end(job, JobEvent.CANCELED),
        "sweep": lambda _: driver.sweep(),
    }
    for number, order in enumerate(permutations(happenings)):
        job = f"o{number}"
        driver.post(job, price=7)
        driver.boost(1, f"boost {number}", job=job)
        driver.boost(2, f"raise {number}", job=job)
        later(driver, seconds=1)
        for happening in (*order, *order):
            happenings[happening](job)
        assert driver.stored().held == 0
        driver.adjust(2, f"again {number}")


# --- Deaths half-way


@pytest.mark.parametrize(
    ("how", "left"),
    [(JobEvent.FILLED, (40, 0)), (JobEvent.CANCELED, (50, 0)), (JobEvent.REMOVED, (50, 0))],
)
def test_who_dies_ending_holds_is_finished_by_the_next_run(driver, faults, how, left):
    fill(driver, 10, 10)
    faults.on(TRANSACT, passes, dies)
    with pytest.raises(KilledError):
        driver.end(how=how)
    assert holdings(driver)[:2] == [(40, 10), (40, 10)]
    later(driver, minutes=1).sweep()
    assert holdings(driver)[:2] == [left, left]
    assert driver.auction().endings == ()


def test_who_dies_between_a_bid_and_the_release_of_another_is_finished_by_the_next_run(driver, faults):
    fill(driver, 10, 20, 30, 40)
    faults.on(TRANSACT, passes, dies)
    with pytest.raises(KilledError):
        driver.boost(50, account="eve")
    assert holdings(driver)[0] == (40, 10)
    assert holdings(driver)[4] == (0, 50)
    later(driver, minutes=1).sweep()
    assert holdings(driver)[0] == (50, 0)
    assert [notice.kind for notice in driver.notices()] == ["outbid"]


def test_who_was_pushed_out_by_one_that_died_bids_again_with_what_comes_back(driver, faults):
    fill(driver, 40, 41, 42, 43)
    faults.on(TRANSACT, passes, dies)
    with pytest.raises(KilledError):
        driver.boost(44, account="eve")
    driver.boost(50, "again")
    assert of_boosts(driver) == [(HOLD, -40), (RELEASE, 40), (HOLD, -50)]
    assert driver.balance("bob") == 50


def test_a_hold_that_has_ended_is_not_ended_again_by_one_who_did_not_hear_of_it(driver, faults):
    fill(driver, 10)
    faults.on(UPDATE, dies)
    with pytest.raises(KilledError):
        driver.end()
    assert of_boosts(driver) == [(HOLD, -10), (RELEASE, 10)]
    assert len(driver.auction().endings) == 1
    later(driver, minutes=1).sweep()
    assert of_boosts(driver) == [(HOLD, -10), (RELEASE, 10)]
    assert driver.auction().endings == ()


# --- Who is faster


def test_a_bid_that_another_overtakes_is_ranked_anew(driver, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.boost(20, account="bob")))
    assert driver.boost(10).entry.reference["rank"] == "2"
    assert of_boosts(driver) == [(HOLD, -10)]


def test_a_bid_that_meets_the_close_is_refused(driver, faults):
    faults.on(TRANSACT, faults.before(driver.end))
    with pytest.raises(AuctionClosedError):
        driver.boost(10)
    assert holdings(driver)[0] == (50, 0)


def test_a_raise_that_meets_its_own_end_holds_nothing_more(driver, faults):
    driver.boost(10)
    faults.on(TRANSACT, faults.before(driver.interact))
    with pytest.raises(AuctionClosedError):
        driver.boost(20, "raise")
    assert holdings(driver)[0] == (40, 0)


def test_what_an_account_does_meanwhile_is_in_no_bids_way(driver, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.spend(6)))
    driver.boost(10)
    assert holdings(driver)[0] == (34, 10)
    driver.end()
    assert driver.balance() == 44


# --- Besides


def test_a_captured_boost_is_no_spend_and_never_refunded(driver):
    hold = driver.boost(10).entry
    driver.interact()
    with pytest.raises(SpendNotFoundError):
        driver.refund(hold.entry_id)


def test_a_proposal_and_its_boost_are_two_rows(driver):
    driver.propose()
    driver.boost(10)
    assert [(entry.type, entry.amount) for entry in driver.journal()[1:]] == [(EntryType.SPEND, -7), (HOLD, -10)]


def test_what_is_stored_of_an_auction_comes_back_as_it_was_written(driver):
    fill(driver, 10, 20, 30, 40)
    driver.interact("bob")
    [*_, lowest] = driver.auction().places
    assert (lowest.account_id, lowest.bid, lowest.hold_id, lowest.captured) == ("ann", 10, lowest.newest, False)
    assert [boost.captured for boost in driver.auction().places] == [False, False, True, False]
    assert driver.auction().due == driver.clock.at + timedelta(days=7, minutes=5)


def test_a_bid_that_pushes_nobody_out_takes_two_calls(driver, faults):
    with faults.measured() as cost:
        driver.boost(10)
    assert cost.calls == [BATCH_GET, TRANSACT]


def test_holds_and_midnights_do_not_meet(driver):
    """What is held expires not, and is not shown as expiring."""
    driver.boost(50)
    driver.at(midnight(driver.clock.at.date()) + timedelta(days=366))
    driver.sweep()
    assert of_boosts(driver) == [(HOLD, -50), (CAPTURE, 0)]
    assert [entry.type for entry in driver.journal() if entry.type is EntryType.EXPIRY] == []
