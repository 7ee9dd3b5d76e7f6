"""Rewards and adjustments: an interview brings so much in all, so often; staff give and take with a reason."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.commands import decide
from shared.ledger.credits import Adjust, Credit
from shared.ledger.errors import (
    AlreadyRefundedError,
    InsufficientConnectsError,
    InvalidRequestError,
    NoInterviewRewardError,
    RewardCapReachedError,
)
from shared.ledger.interviews import REMEMBERED, Interview, InterviewAward, awarded_around, interview_claim, remember
from shared.ledger.jobs import Channel
from shared.ledger.model import EntryType, Kind, Plan, Request
from shared.ledger.policy import Policy
from tests.core.builders import QUIET, Book, free, paid, start_of

REQUEST = Request("reward", "k", "f", "service")
NO_GRACE = replace(QUIET, refund_grace_days=0)
SOME_TIME = st.integers(0, 14 * 24 * 3600 * 1000).map(lambda ms: timedelta(milliseconds=ms))


def bidder(*, policy: Policy = QUIET, kind: Kind = Kind.FREELANCER) -> Book:
    """With 200 Connects to spend on proposals, issued on 10 January 2024."""
    book = Book.opened("2024-01-10", policy=policy, kind=kind, plan=Plan.PLUS)
    book.credit(200)
    return book


def typed(entries):
    return [(entry.type, entry.amount) for entry in entries]


# --- An interview: 10 in all ---


@pytest.mark.parametrize(
    ("spent", "refunded", "rewarded"), [(1, 1, 9), (3, 3, 7), (8, 8, 2), (9, 9, 1), (10, 10, 0), (12, 10, 0)]
)
def test_interview_brings_10_in_all_including_the_refund_of_the_proposal(spent, refunded, rewarded):
    book = bidder()
    brought = book.interview(book.spend(spent))
    expected = [(EntryType.REFUND, refunded), (EntryType.REWARD, rewarded)]
    assert typed(brought) == [each for each in expected if each[1]]


@pytest.mark.parametrize(("spent", "rewarded"), [(1, 9), (8, 2), (9, 1)])
def test_interview_brings_only_what_is_missing_to_10_after_a_refund_of_the_proposal(spent, rewarded):
    book = bidder()
    spend = book.spend(spent)
    book.refund(spend)
    assert typed(book.interview(spend)) == [(EntryType.REWARD, rewarded)]


@pytest.mark.parametrize("spent", [10, 12])
def test_interview_brings_nothing_after_a_refund_of_10_or_more(spent):
    book = bidder()
    spend = book.spend(spent)
    book.refund(spend)
    with pytest.raises(AlreadyRefundedError):
        book.interview(spend)


def test_interview_refunds_into_the_lots_and_rewards_with_a_free_lot_of_today():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(3)
    book.credit(3, paid=True)
    book.at("2024-02-10").credit(4, paid=True)
    refund, reward = book.at("2024-03-10").interview(book.spend(8))
    assert refund.slices == {free("2025-01-11"): 3, paid("2025-01-11"): 3, paid("2025-02-11"): 2}
    assert reward.slices == {free("2025-03-11"): 2}


def test_interview_refunds_first_what_lasts_longest_if_not_all_is_refunded():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(4)
    book.at("2024-02-10").credit(8, paid=True)
    [refund] = book.interview(book.spend(12))
    assert refund.slices == {free("2025-01-11"): 2, paid("2025-02-11"): 8}


def test_interview_refunds_expired_lots_for_the_days_of_grace():
    book = bidder()
    spend = book.spend(8)
    refund, reward = book.at("2025-04-01").interview(spend)
    assert refund.slices == {free("2025-05-01"): 8}
    assert reward.slices == {free("2026-04-02"): 2}


def test_interview_without_grace_refunds_expires_at_once_and_still_rewards():
    book = bidder(policy=NO_GRACE)
    spend = book.spend(8)
    book.at("2025-04-01").interview(spend)
    expected = [(EntryType.REFUND, 8), (EntryType.REWARD, 2), (EntryType.EXPIRY, -8)]
    assert typed(book.entries[-3:]) == expected
    assert book.account.balance == 2


def test_interview_names_the_proposal_s_spend_in_both_entries():
    book = bidder()
    spend = book.spend(8)
    refund, reward = book.interview(spend)
    assert refund.reference == reward.reference == {"type": "interview", "spend_id": spend.entry_id}
    assert (refund.reason, reward.reason) == ("Interview: the proposal's Connects", "Interview")
    assert refund.entry_id != reward.entry_id


def test_interview_claims_that_it_is_the_proposal_s_only_one():
    book = bidder()
    spend = book.spend(8)
    for came_back in (None, 8):
        decision = decide(book.account, Interview(spend, REQUEST, came_back), book.now, QUIET)
        assert decision.claims == (interview_claim(spend),)


@pytest.mark.parametrize("channel", [channel for channel in Channel if channel is not Channel.SEARCH])
def test_interview_brings_nothing_of_a_free_channel(channel):
    book = bidder()
    spend = book.spend(0, channel=channel.value)
    with pytest.raises(NoInterviewRewardError, match=channel.value):
        book.interview(spend)


def test_interview_rewards_an_agency_even_while_it_is_frozen():
    book = bidder(kind=Kind.AGENCY)
    spend = book.spend(8)
    book.change_plan(Plan.BASIC, at_once=True)
    assert book.account.frozen
    assert typed(book.interview(spend)) == [(EntryType.REFUND, 8), (EntryType.REWARD, 2)]


def test_interview_brings_what_is_configured():
    book = bidder(policy=replace(QUIET, interview=15))
    assert typed(book.interview(book.spend(8))) == [(EntryType.REFUND, 8), (EntryType.REWARD, 7)]


# --- At most 50 in any 7 days ---


def test_interviews_bring_at_most_50_in_7_days():
    book = bidder()
    for _ in range(5):
        book.interview(book.spend(8))
    with pytest.raises(RewardCapReachedError) as refusal:
        book.interview(book.spend(8))
    assert refusal.value.details == {"cap": 50, "awarded": 50}


@pytest.mark.parametrize(
    ("later", "refused"),
    [(timedelta(days=7) - timedelta(milliseconds=1), True), (timedelta(days=7), False)],
    ids=["an instant before 7 days", "7 days to the instant"],
)
def test_interviews_count_until_they_are_7_days_old(later, refused):
    book = bidder()
    first = book.now
    for _ in range(5):
        book.interview(book.spend(8))
    book.at(first + later)
    spend = book.spend(8)
    if refused:
        with pytest.raises(RewardCapReachedError):
            book.interview(spend)
    else:
        assert len(book.interview(spend)) == 2


def test_interviews_leave_the_window_one_by_one():
    book = bidder()
    first = book.now
    for day in range(5):
        book.at(first + timedelta(days=day)).interview(book.spend(8))
    book.at(first + timedelta(days=7)).interview(book.spend(8))
    with pytest.raises(RewardCapReachedError):
        book.interview(book.spend(8))
    book.at(first + timedelta(days=8)).interview(book.spend(8))


def test_interviews_count_with_their_refund_and_their_reward():
    book = bidder()
    for spent in (12, 10, 8, 1):
        book.interview(book.spend(spent))
    refunded = book.spend(7)
    book.refund(refunded)
    book.interview(refunded)  # brings 3, so 43 in all
    assert typed(book.interview(book.spend(8))) == [(EntryType.REFUND, 7)]


def filled_up_to(book: Book, awarded: int) -> Book:
    """By interviews of now: 10 each, and the last one what is missing to that."""
    while awarded:
        brings = min(awarded, 10)
        spend = book.spend(10 - brings or 10)
        if brings < 10:
            book.refund(spend)
        book.interview(spend)
        awarded -= brings
    return book


@pytest.mark.parametrize(
    ("awarded", "brought"),
    [
        (40, [(EntryType.REFUND, 8), (EntryType.REWARD, 2)]),
        (41, [(EntryType.REFUND, 8), (EntryType.REWARD, 1)]),
        (42, [(EntryType.REFUND, 8)]),
        (45, [(EntryType.REFUND, 5)]),
        (49, [(EntryType.REFUND, 1)]),
    ],
)
def test_interview_near_the_cap_fills_up_to_it_the_proposal_s_own_connects_first(awarded, brought):
    book = filled_up_to(bidder(), awarded)
    assert typed(book.interview(book.spend(8))) == brought
    assert awarded_around(book.account.interviews, book.now, timedelta(days=7)) == min(awarded + 10, 50)


def test_what_the_cap_kept_of_a_proposal_s_own_connects_is_still_refunded_with_its_job():
    book = filled_up_to(bidder(), 45)
    spend = book.spend(8)
    book.interview(spend)
    assert book.refund(spend).amount == 3


def test_interview_of_which_nothing_fits_changes_nothing():
    book = filled_up_to(bidder(), 50)
    spend = book.spend(8)
    before = book.copy()
    with pytest.raises(RewardCapReachedError):
        book.interview(spend)
    assert (book.account, book.entries) == (before.account, before.entries)


def test_interview_of_which_nothing_fits_is_refused_again_whenever_it_is_reported_again():
    book = filled_up_to(bidder(), 50)
    spend, at = book.spend(8), book.now
    with pytest.raises(RewardCapReachedError):
        book.at(at + timedelta(days=90)).interview(spend, at=at)
    assert len(book.interview(spend, at=at + timedelta(days=7))) == 2


def test_six_interviews_8_days_apart_that_are_reported_together_bring_60():
    book = bidder()
    times = [book.at(book.now + timedelta(days=8)).now for _ in range(6)]
    brought = [book.interview(book.spend(8), at=at) for at in times]
    assert sum(entry.amount for entries in brought for entry in entries) == 60


@given(st.permutations([8 * day for day in range(20)]))
def test_interviews_8_days_apart_bring_10_each_in_whatever_order_they_are_reported(days):
    book = bidder()
    first = book.now
    book.at(first + timedelta(days=200))
    for day in days[:REMEMBERED]:
        assert len(book.interview(book.spend(8), at=first + timedelta(days=day))) == 2


def test_an_interview_reported_late_counts_with_those_after_it_as_with_those_before():
    book = bidder()
    first = book.now
    book.at(first + timedelta(days=60))
    for day in (3, 3, 9, 9):
        book.interview(book.spend(8), at=first + timedelta(days=day))
    # Days 3 to 9 hold 40: one of day 6 fits, and then 10 more on day 1, of which 3 but not 9 is within 7 days.
    book.interview(book.spend(8), at=first + timedelta(days=6))
    with pytest.raises(RewardCapReachedError):
        book.interview(book.spend(8), at=first + timedelta(days=6))
    assert len(book.interview(book.spend(8), at=first + timedelta(days=1))) == 2


def test_interview_reported_late_says_when_it_was_and_its_reward_lives_from_that_day_on():
    book = bidder()
    spend, at = book.spend(8), book.now
    refund, reward = book.at("2024-03-01").interview(spend, at=at)
    assert refund.at == reward.at == book.now
    assert reward.slices == {free("2025-01-11"): 2}
    assert refund.reference == reward.reference
    assert reward.reference["at"] == "2024-01-10T12:00:00.000Z"


def test_interview_is_never_of_later_than_now():
    book = bidder()
    book.interview(book.spend(8), at=book.now + timedelta(minutes=5))
    assert book.account.interviews == (InterviewAward(book.now, book.now, 10),)


def test_interviews_of_one_instant_add_up():
    book = bidder()
    for _ in range(3):
        book.interview(book.spend(1))
    assert book.account.interviews == (InterviewAward(book.now, book.now, 30),)


def test_a_clock_that_is_behind_opens_no_window():
    book = bidder()
    for _ in range(5):
        book.interview(book.spend(8))
    book.at(book.now - timedelta(days=8))
    with pytest.raises(RewardCapReachedError):
        book.interview(book.spend(8))


def test_cap_and_window_are_configuration():
    book = bidder(policy=replace(QUIET, interview_cap=20, interview_window_days=1))
    for _ in range(2):
        book.interview(book.spend(8))
    with pytest.raises(RewardCapReachedError):
        book.interview(book.spend(8))
    book.at(book.now + timedelta(days=1)).interview(book.spend(8))


def test_a_window_that_becomes_longer_still_counts_what_lay_outside_of_the_old_one():
    book = bidder()
    for day in range(5):
        book.at(f"2024-02-{1 + 8 * (day % 3):02}").interview(book.spend(8))
    book.policy = replace(QUIET, interview_window_days=30)
    with pytest.raises(RewardCapReachedError):
        book.at("2024-02-20").interview(book.spend(8))


def test_a_cap_that_becomes_smaller_than_what_was_awarded_awards_nothing():
    book = filled_up_to(bidder(), 50)
    book.policy = replace(QUIET, interview_cap=20)
    with pytest.raises(RewardCapReachedError) as refusal:
        book.interview(book.spend(8))
    assert refusal.value.details == {"cap": 20, "awarded": 50}


# --- What is remembered of them

START = start_of("2024-01-10")
WEEK = timedelta(days=7)


def at_day(day: float) -> InterviewAward:
    return InterviewAward(START + timedelta(days=day), START + timedelta(days=day), 10)


def remembered(days, *, now: float, window: timedelta = WEEK):
    known: tuple[InterviewAward, ...] = ()
    for day in days:
        known = remember(known, START + timedelta(days=day), 10, START + timedelta(days=now), window)
    return known


def test_an_account_remembers_as_many_interviews_as_its_item_has_room_for():
    assert remembered(range(REMEMBERED), now=30) == tuple(map(at_day, range(REMEMBERED)))
    assert len(remembered(range(300), now=300)) == REMEMBERED
    assert sum(each.amount for each in remembered(range(300), now=300)) == 3_000


def test_of_more_interviews_those_closest_for_their_age_become_one_stretch():
    known = remembered([0, 1, *range(20, 20 + REMEMBERED - 1)], now=50)
    assert known[0] == InterviewAward(START, START + timedelta(days=1), 20)


def test_interviews_of_the_last_window_stay_as_they_were_while_there_are_others_to_merge():
    last_week = [94, 95.5, 97, 98.5, 100]
    known = remembered([*range(0, 93, 2), *last_week], now=100)
    assert list(known[-5:]) == list(map(at_day, last_week))


def test_a_stretch_counts_whole_in_every_window_that_touches_it():
    stretch = InterviewAward(START, START + timedelta(days=10), 20)
    for day, awarded in ((-7, 0), (-6, 20), (5, 20), (16, 20), (17, 0)):
        assert awarded_around([stretch], START + timedelta(days=day), WEEK) == awarded


def test_an_interview_within_a_stretch_becomes_part_of_it():
    stretch = InterviewAward(START, START + timedelta(days=10), 20)
    [known] = remember([stretch], START + timedelta(days=5), 10, START + timedelta(days=30), WEEK)
    assert known == replace(stretch, amount=30)


def test_a_freelancer_at_the_cap_for_years_is_awarded_50_each_week_to_the_instant():
    """Five a week, as they come: what is merged is never of the week that counts."""
    book = bidder(policy=replace(QUIET, lot_lifetime_months=60))
    book.credit(10_000)
    start = book.now
    for week in range(60):
        for number in range(5):
            book.at(start + timedelta(days=7 * week, hours=20 * number))
            assert len(book.run(Interview(book.spend(8), book.request("reward")))) == 2
    with pytest.raises(RewardCapReachedError):
        book.interview(book.spend(8))
    assert len(book.account.interviews) == REMEMBERED


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 10)), max_size=60),
    st.integers(1, 30),
    st.sampled_from([5, 20, 50, 1_000_000]),
)
def test_what_is_merged_never_counts_less_than_it_was(awards, days, cap):
    """However many come in whatever order, no window holds more than the cap."""
    window, now, brought = timedelta(days=days), START + timedelta(days=100), []
    known: tuple[InterviewAward, ...] = ()
    for day, amount in awards:
        at = START + timedelta(days=day)
        fits = min(amount, cap - awarded_around(known, at, window))
        if fits > 0:
            known = remember(known, at, fits, now, window)
            brought.append((at, fits))
    assert len(known) <= REMEMBERED
    assert sum(each.amount for each in known) == sum(amount for _, amount in brought)
    for start, _ in brought:
        assert sum(amount for at, amount in brought if start <= at < start + window) <= cap


@given(st.lists(st.tuples(SOME_TIME, st.integers(1, 14), st.booleans()), max_size=25))
def test_no_7_days_ever_hold_more_than_50(proposals):
    book = bidder(policy=replace(QUIET, lot_lifetime_months=30))
    book.credit(500)
    brought = []
    for pause, spent, came_back in proposals:
        spend = book.at(book.now + pause / 10).spend(spent)
        if came_back:
            book.refund(spend)
        try:
            entries = book.interview(spend)
        except (RewardCapReachedError, AlreadyRefundedError):
            continue
        brought.append((book.now, sum(entry.amount for entry in entries)))
    for end, _ in brought:
        assert sum(amount for at, amount in brought if end - timedelta(days=7) < at <= end) <= 50


# --- What is given once for ever ---


@pytest.mark.parametrize(
    ("reported_on", "expires_on"),
    [("2024-01-10", "2025-01-11"), ("2024-03-01", "2025-01-11"), ("2025-01-10", "2025-01-11")],
)
def test_a_reward_that_is_reported_late_lives_from_its_own_day_on_and_is_a_row_of_now(reported_on, expires_on):
    book = Book.opened("2024-01-01", policy=QUIET).at(reported_on)
    credit = Credit(EntryType.REWARD, 30, False, "Rising Talent", {}, REQUEST, at=start_of("2024-01-10"))
    [entry] = book.do(credit)
    assert (entry.slices, entry.at) == ({free(expires_on): 30}, book.now)


def test_a_reward_that_is_reported_more_than_a_year_late_is_granted_and_expires_as_two_rows():
    book = Book.opened("2024-01-01", policy=QUIET).at("2025-01-11")
    book.do(Credit(EntryType.REWARD, 30, False, "Rising Talent", {}, REQUEST, at=start_of("2024-01-10")))
    assert typed(book.entries) == [(EntryType.REWARD, 30), (EntryType.EXPIRY, -30)]


def test_a_reward_is_free_lasts_a_year_and_claims_its_reason_for_ever():
    book = Book.opened("2024-01-10", policy=QUIET)
    credit = Credit(EntryType.REWARD, 30, False, "Rising Talent", {"type": "rising_talent"}, REQUEST, "rising_talent")
    decision = decide(book.account, credit, book.now, QUIET)
    assert decision.entries[-1].slices == {free("2025-01-11"): 30}
    assert decision.claims == ("rising_talent",)


def test_a_command_that_waits_until_years_are_settled_claims_nothing_yet():
    book = Book.opened("2014-01-10")
    credit = Credit(EntryType.REWARD, 30, False, "Rising Talent", {}, REQUEST, "rising_talent")
    decision = decide(book.account, credit, start_of("2024-01-10"), Policy())
    assert (decision.complete, decision.claims) == (False, ())


@pytest.mark.parametrize("numbers", [{"rising_talent": 0}, {"interview": 0}])
def test_a_reward_of_nothing_cannot_be_configured(numbers):
    with pytest.raises(ValueError, match="must be from 1 to"):
        Policy(**numbers)


def test_a_policy_with_certificates_can_be_a_cache_key():
    policies = [Policy(certifications={"python": 10}) for _ in range(2)]
    assert len({*policies, Policy()}) == 2


# --- Adjustments ---


def test_staff_give_free_connects_that_last_a_year():
    book = Book.opened("2024-01-10", policy=QUIET)
    entry = book.adjust(5, "Sorry for the outage")
    assert (entry.type, entry.amount, entry.reason) == (EntryType.ADJUSTMENT, 5, "Sorry for the outage")
    assert entry.slices == {free("2025-01-11"): 5}
    assert entry.reference == {"type": "adjustment"}


def test_staff_take_in_burn_order():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(3, paid=True)
    book.credit(3)
    book.at("2024-02-10").credit(5)
    assert book.adjust(-7).slices == {free("2025-01-11"): -3, paid("2025-01-11"): -3, free("2025-02-11"): -1}


def test_staff_take_no_more_than_there_is():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(5)
    with pytest.raises(InsufficientConnectsError) as refusal:
        book.adjust(-6)
    assert refusal.value.details == {"balance": 5, "required": 6}
    assert book.adjust(-5).balance_after == 0


def test_staff_take_nothing_that_has_expired():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(5)
    book.at("2025-01-11")
    with pytest.raises(InsufficientConnectsError) as refusal:
        book.adjust(-1)
    assert refusal.value.details["balance"] == 0


@pytest.mark.parametrize("amount", [5, -5])
def test_staff_correct_a_frozen_agency_too(amount):
    book = bidder(kind=Kind.AGENCY)
    book.change_plan(Plan.BASIC, at_once=True)
    assert book.account.frozen
    assert book.adjust(amount).balance_after == 200 + amount


@pytest.mark.parametrize("amount", [0, 1_000_001, -1_000_001])
def test_an_adjustment_is_of_1_to_1000000_up_or_down(amount):
    with pytest.raises(InvalidRequestError):
        Adjust(amount, "because", REQUEST)
