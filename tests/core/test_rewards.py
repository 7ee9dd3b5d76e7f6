"""Rewards and adjustments: an interview brings so much in all, so often; staff give and take with a reason."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.commands import (
    Adjust,
    Credit,
    Interview,
    Refund,
    decide,
    interview_claim,
    refund_claim,
)
from shared.ledger.errors import (
    AlreadyRefundedError,
    InsufficientConnectsError,
    InvalidRequestError,
    RewardCapReachedError,
)
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
def test_interview_brings_10_in_all_of_which_the_proposal_s_own_connects_come_back(spent, refunded, rewarded):
    book = bidder()
    brought = book.interview(book.spend(spent))
    expected = [(EntryType.REFUND, refunded), (EntryType.REWARD, rewarded)]
    assert typed(brought) == [each for each in expected if each[1]]


@pytest.mark.parametrize(("spent", "rewarded"), [(1, 9), (8, 2), (9, 1)])
def test_interview_brings_only_what_is_missing_to_10_if_the_proposal_s_connects_had_come_back(spent, rewarded):
    book = bidder()
    spend = book.spend(spent)
    book.refund(spend)
    assert typed(book.interview(spend, came_back=spent)) == [(EntryType.REWARD, rewarded)]


@pytest.mark.parametrize("spent", [10, 12])
def test_interview_brings_nothing_if_10_or_more_had_come_back(spent):
    book = bidder()
    spend = book.spend(spent)
    book.refund(spend)
    with pytest.raises(AlreadyRefundedError):
        book.interview(spend, came_back=spent)


def test_interview_gives_back_to_the_lots_and_rewards_with_a_free_lot_of_today():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(3)
    book.credit(3, paid=True)
    book.at("2024-02-10").credit(4, paid=True)
    refund, reward = book.at("2024-03-10").interview(book.spend(8))
    assert refund.slices == {free("2025-01-11"): 3, paid("2025-01-11"): 3, paid("2025-02-11"): 2}
    assert reward.slices == {free("2025-03-11"): 2}


def test_interview_gives_back_first_what_lasts_longest_where_not_all_comes_back():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(4)
    book.at("2024-02-10").credit(8, paid=True)
    [refund] = book.interview(book.spend(12))
    assert refund.slices == {free("2025-01-11"): 2, paid("2025-02-11"): 8}


def test_interview_gives_what_has_expired_since_back_for_the_days_of_grace():
    book = bidder()
    spend = book.spend(8)
    refund, reward = book.at("2025-04-01").interview(spend)
    assert refund.slices == {free("2025-05-01"): 8}
    assert reward.slices == {free("2026-04-02"): 2}


def test_interview_without_grace_gives_back_expires_at_once_and_still_rewards():
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


def test_interview_claims_the_proposal_s_interview_and_its_refund():
    book = bidder()
    spend = book.spend(8)
    decision = decide(book.account, Interview(spend, 0, REQUEST), book.now, QUIET)
    assert decision.claims == (interview_claim(spend), refund_claim(spend))
    decision = decide(book.account, Interview(spend, 8, REQUEST), book.now, QUIET)
    assert decision.claims == (interview_claim(spend),)


def test_refund_claims_the_same_as_the_refund_of_an_interview():
    book = bidder()
    spend = book.spend(8)
    decision = decide(book.account, Refund(spend, "fraud", REQUEST), book.now, QUIET)
    assert decision.claims == (refund_claim(spend),)


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


def test_interviews_count_with_all_that_they_brought_be_it_refund_or_reward():
    book = bidder()
    for spent in (12, 10, 8, 1):
        book.interview(book.spend(spent))
    refunded = book.spend(7)
    book.refund(refunded)
    book.interview(refunded, came_back=7)  # brings 3, so 43 in all
    with pytest.raises(RewardCapReachedError) as refusal:
        book.interview(book.spend(8))
    assert refusal.value.details["awarded"] == 43
    refunded = book.spend(3)
    book.refund(refunded)
    assert typed(book.interview(refunded, came_back=3)) == [(EntryType.REWARD, 7)]


def test_interview_over_the_cap_changes_nothing_and_may_come_again_later():
    book = bidder()
    for _ in range(5):
        book.interview(book.spend(8))
    spend = book.spend(8)
    before = book.copy()
    with pytest.raises(RewardCapReachedError):
        book.interview(spend)
    assert (book.account, book.entries) == (before.account, before.entries)
    book.at(book.now + timedelta(days=7)).interview(spend)


def test_only_interviews_of_the_window_are_remembered():
    book = bidder()
    for _ in range(30):
        book.at(book.now + timedelta(days=2)).interview(book.spend(1))
    assert len(book.account.interviews) == 4
    assert max(book.account.interviews) - min(book.account.interviews) < timedelta(days=7)


def test_interviews_of_one_instant_add_up():
    book = bidder()
    for _ in range(3):
        book.interview(book.spend(1))
    assert book.account.interviews == {book.now: 30}


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
            entries = book.interview(spend, came_back=spent if came_back else 0)
        except (RewardCapReachedError, AlreadyRefundedError):
            continue
        brought.append((book.now, sum(entry.amount for entry in entries)))
    for end, _ in brought:
        assert sum(amount for at, amount in brought if end - timedelta(days=7) < at <= end) <= 50


# --- What is given once for ever ---


def test_a_reward_is_free_lasts_a_year_and_claims_what_it_is_given_for_once():
    book = Book.opened("2024-01-10", policy=QUIET)
    credit = Credit(EntryType.REWARD, 30, False, "Rising Talent", {"type": "rising_talent"}, REQUEST, "rising_talent")
    decision = decide(book.account, credit, book.now, QUIET)
    assert decision.entries[-1].slices == {free("2025-01-11"): 30}
    assert decision.claims == ("rising_talent",)


def test_a_command_that_has_to_wait_for_years_to_be_settled_claims_nothing_yet():
    book = Book.opened("2014-01-10")
    credit = Credit(EntryType.REWARD, 30, False, "Rising Talent", {}, REQUEST, "rising_talent")
    decision = decide(book.account, credit, start_of("2024-01-10"), Policy())
    assert (decision.complete, decision.claims) == (False, ())


@pytest.mark.parametrize("numbers", [{"rising_talent": 0}, {"interview": 0}])
def test_a_reward_of_nothing_cannot_be_configured(numbers):
    with pytest.raises(ValueError, match="1 or more"):
        Policy(**numbers)


def test_a_policy_with_certificates_is_still_a_key_of_caches():
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
