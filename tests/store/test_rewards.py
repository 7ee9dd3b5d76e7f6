"""Rewards: each once for ever, whatever key it comes under; an interview in two entries of one transaction."""

from datetime import timedelta

import pytest

from shared.ledger.errors import (
    AccountNotFoundError,
    AlreadyAwardedError,
    AlreadyRefundedError,
    BusyError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    RewardCapReachedError,
    SpendNotFoundError,
)
from shared.ledger.model import EntryType, Kind, Plan
from shared.store.rows import ACCOUNT_SK, AccountRow, RefundRow
from tests.core.builders import BACK, free, paid
from tests.faults import CONFLICT, GET, THROTTLED, TRANSACT, answer_lost, passes

REFUND, REWARD = EntryType.REFUND, EntryType.REWARD


@pytest.fixture
def driver(driver):
    """Ann's, with 200 Connects, and two certificates that bring some."""
    driver.open()
    driver.credit(200)
    return driver.under(certifications={"python": 10, "design": 5})


@pytest.fixture
def spend_id(driver):
    return driver.spend(8).entry.entry_id


def typed(entries):
    return [(entry.type, entry.amount) for entry in entries]


def rewards(driver, account="ann"):
    """What interviews, talents and certificates brought, by the journal."""
    kinds = {"rising_talent", "certification", "interview"}
    return typed(entry for entry in driver.journal(account) if entry.reference["type"] in kinds)


def interviewed_often(driver, times=5):
    """Proposals of 8, each with its interview, in one instant."""
    for number in range(times):
        driver.interview(driver.spend(8, f"often-{number}").entry.entry_id, f"often-{number}")


# --- Rising Talent ---


def test_rising_talent_brings_30_free_connects_for_a_year(driver):
    entry = driver.rising_talent().entry
    assert (entry.type, entry.amount, entry.reason) == (REWARD, 30, "Rising Talent")
    assert entry.slices == {free("2027-01-16"): 30}
    assert entry.reference == {"type": "rising_talent"}


def test_rising_talent_comes_once_for_ever(driver):
    driver.rising_talent()
    for day in ("2026-01-15", "2027-01-15", "2046-01-15"):
        with pytest.raises(AlreadyAwardedError):
            driver.at(day).rising_talent(f"again {day}")
    assert rewards(driver) == [(REWARD, 30)]


def test_the_same_rising_talent_sent_again_is_answered_as_the_first_time(driver):
    first = driver.rising_talent()
    again = driver.at("2026-06-01").rising_talent()
    assert (again.entry, again.replayed) == (first.entry, True)
    assert rewards(driver) == [(REWARD, 30)]


def test_each_account_has_its_own_rising_talent(driver):
    driver.open("bob")
    driver.rising_talent()
    assert not driver.rising_talent(account="bob").replayed


def test_talent_and_certificates_bring_an_agency_nothing(driver):
    driver.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    with pytest.raises(InvalidRequestError, match="agencies get no free Connects"):
        driver.rising_talent(account="acme")
    with pytest.raises(InvalidRequestError, match="agencies get no free Connects"):
        driver.certification("python", account="acme")
    assert driver.journal("acme") == []


def test_a_rising_talent_that_another_overtakes_is_refused(driver, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.rising_talent("faster")))
    with pytest.raises(AlreadyAwardedError):
        driver.rising_talent()
    assert rewards(driver) == [(REWARD, 30)]


def test_a_rising_talent_that_its_own_repeat_overtakes_is_answered_by_it(driver, faults):
    faster = []
    faults.on(TRANSACT, faults.before(lambda: faster.append(driver.rising_talent())))
    assert driver.rising_talent().entry == faster[0].entry
    assert rewards(driver) == [(REWARD, 30)]


def test_a_rising_talent_whose_answer_was_lost_is_given_once(driver, faults):
    faults.on(TRANSACT, answer_lost, answer_lost)
    assert driver.rising_talent().entry.amount == 30
    assert rewards(driver) == [(REWARD, 30)]


def test_an_account_that_never_was_is_not_rewarded(driver):
    with pytest.raises(AccountNotFoundError):
        driver.rising_talent(account="bob")


# --- Certificates ---


def test_each_certificate_brings_what_is_configured_for_it(driver):
    assert driver.certification("python", "one").entry.amount == 10
    assert driver.certification("design", "two").entry.amount == 5
    assert driver.journal()[-1].reference == {"type": "certification", "certificate": "design"}


def test_a_certificate_brings_something_once(driver):
    driver.certification("python")
    with pytest.raises(AlreadyAwardedError):
        driver.certification("python", "another")
    assert rewards(driver) == [(REWARD, 10)]


def test_the_same_certificate_sent_again_is_answered_as_the_first_time_whatever_it_brings_now(driver):
    first = driver.certification("python")
    for certifications in ({"python": 99}, {"python": 0}, {}):
        again = driver.under(certifications=certifications).certification("python")
        assert (again.entry, again.replayed) == (first.entry, True)
    assert rewards(driver) == [(REWARD, 10)]


def test_a_certificate_that_was_given_is_not_given_again_once_it_brings_more(driver):
    driver.certification("python")
    with pytest.raises(AlreadyAwardedError):
        driver.under(certifications={"python": 99}).certification("python", "another")


def test_a_certificate_that_is_not_configured_brings_nothing(driver):
    with pytest.raises(InvalidRequestError):
        driver.certification("juggling")
    driver.certification("python")
    with pytest.raises(IdempotencyKeyReusedError):
        driver.certification("juggling")
    assert rewards(driver) == [(REWARD, 10)]


def test_one_key_serves_one_reward(driver, spend_id):
    driver.rising_talent("k")
    with pytest.raises(IdempotencyKeyReusedError):
        driver.certification("python", "k")
    with pytest.raises(IdempotencyKeyReusedError):
        driver.interview(spend_id, "k")
    assert rewards(driver) == [(REWARD, 30)]


# --- An interview: 10 in all ---


def test_an_interview_gives_the_proposal_s_connects_back_and_fills_up_to_10(driver, spend_id):
    entries, replayed = driver.interview(spend_id)
    assert (typed(entries), replayed) == ([(REFUND, 8), (REWARD, 2)], False)
    assert driver.journal()[-2:] == entries
    assert driver.balance() == 202


@pytest.mark.parametrize(("spent", "brought"), [(3, [(REFUND, 3), (REWARD, 7)]), (12, [(REFUND, 10)])])
def test_an_interview_brings_10_whatever_the_proposal_cost(driver, spent, brought):
    entries, _ = driver.interview(driver.spend(spent).entry.entry_id)
    assert typed(entries) == brought
    assert driver.balance() == 200 - spent + 10


def test_an_interview_gives_back_to_the_lots_that_the_proposal_took_from(driver):
    driver.adjust(-195)
    driver.at("2026-02-15").credit(10, "second", paid=True)
    spend_id = driver.spend(8).entry.entry_id
    (refund, reward), _ = driver.at("2026-03-01").interview(spend_id)
    assert refund.slices == {free("2027-01-16"): 5, paid("2027-02-16"): 3}
    assert reward.slices == {free("2027-03-02"): 2}


def test_an_interview_gives_what_has_expired_back_for_the_days_of_grace(driver, spend_id):
    (refund, _), _ = driver.at("2027-02-01").interview(spend_id)
    assert refund.slices == {free("2027-03-03"): 8}


def test_an_interview_after_a_refund_brings_only_what_is_missing_to_10(driver, spend_id):
    driver.refund(spend_id)
    entries, _ = driver.interview(spend_id)
    assert typed(entries) == [(REWARD, 2)]


def test_an_interview_after_10_came_back_brings_nothing_and_uses_no_key_up(driver, spend_id):
    dear = driver.spend(12, "dear").entry.entry_id
    driver.refund(dear)
    with pytest.raises(AlreadyRefundedError):
        driver.interview(dear)
    assert not driver.interview(spend_id)[1]


@pytest.mark.parametrize("spent", [3, 8, 10])
def test_after_an_interview_that_gave_all_of_it_back_nothing_comes_back(driver, spent):
    proposal = driver.spend(spent).entry.entry_id
    driver.interview(proposal)
    for reason in BACK:
        with pytest.raises(AlreadyRefundedError):
            driver.refund(proposal, reason, reason=reason)
    assert driver.balance() == 200 - spent + 10


@pytest.mark.parametrize("reason", BACK)
def test_after_an_interview_that_gave_10_of_12_back_the_other_2_come_back_once(driver, reason):
    dear = driver.spend(12).entry.entry_id
    driver.interview(dear)
    rest = driver.refund(dear, reason=reason)
    assert (typed([rest.entry]), rest.replayed) == ([(REFUND, 2)], False)
    assert driver.refund(dear, reason=reason).replayed
    for again in BACK:
        with pytest.raises(AlreadyRefundedError):
            driver.refund(dear, f"again {again}", reason=again)
    with pytest.raises(AlreadyAwardedError):
        driver.interview(dear, "again")
    assert driver.balance() == 200


def test_the_parts_that_come_back_go_to_the_lots_that_they_came_from(driver):
    driver.adjust(-195)
    driver.at("2026-02-15").credit(10, "second", paid=True)
    spend_id = driver.spend(15).entry.entry_id
    [first], _ = driver.interview(spend_id)
    assert first.slices == {paid("2027-02-16"): 10}
    assert driver.at("2027-02-01").refund(spend_id).entry.slices == {free("2027-03-03"): 5}


@pytest.mark.parametrize("spent", [3, 8, 10, 12])
def test_the_same_interview_sent_again_is_answered_with_the_same_entries(driver, spent):
    spend_id = driver.spend(spent).entry.entry_id
    first, _ = driver.interview(spend_id)
    again = driver.at("2026-06-01").interview(spend_id)
    assert again == (first, True)
    assert driver.balance() == 200 - spent + 10


def test_the_same_interview_after_a_refund_sent_again_is_answered_with_the_same_entry(driver, spend_id):
    driver.refund(spend_id)
    first, _ = driver.interview(spend_id)
    assert driver.interview(spend_id) == (first, True)


@pytest.mark.parametrize("spent", [3, 8, 10, 12])
def test_a_proposal_has_one_interview_whatever_the_key(driver, spent):
    spend_id = driver.spend(spent).entry.entry_id
    driver.interview(spend_id)
    with pytest.raises(AlreadyAwardedError):
        driver.interview(spend_id, "another")
    assert driver.balance() == 200 - spent + 10


def test_a_proposal_that_was_refunded_has_one_interview_whatever_the_key(driver, spend_id):
    driver.refund(spend_id)
    driver.interview(spend_id)
    with pytest.raises(AlreadyAwardedError):
        driver.interview(spend_id, "another")
    assert rewards(driver) == [(REWARD, 2)]


def test_the_key_of_an_interview_serves_no_other(driver, spend_id):
    other = driver.spend(3, "other").entry.entry_id
    gone = driver.spend(12, "gone").entry.entry_id
    driver.refund(gone)
    driver.interview(spend_id)
    for proposal in (other, gone):
        with pytest.raises(IdempotencyKeyReusedError):
            driver.interview(proposal)
    assert not driver.interview(other, "another")[1]


def test_there_is_no_interview_without_a_proposal(driver, spend_id):
    driver.open("bob")
    refund = driver.refund(spend_id).entry.entry_id
    for nothing in ("a" * 26, refund, driver.journal()[0].entry_id):
        with pytest.raises(SpendNotFoundError):
            driver.interview(nothing)
    with pytest.raises(SpendNotFoundError):
        driver.interview(spend_id, account="bob")


@pytest.mark.parametrize("plan", Plan)
def test_an_agency_has_its_interview_even_while_it_is_frozen(driver, plan):
    driver.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    driver.credit(10, account="acme")
    spend_id = driver.spend(8, account="acme").entry.entry_id
    driver.change_plan(plan, account="acme", at_once=True)
    entries, _ = driver.interview(spend_id, account="acme")
    assert typed(entries) == [(REFUND, 8), (REWARD, 2)]
    assert rewards(driver, "ann") == []


def test_an_interview_is_told_with_what_fell_due_before_it(driver, spend_id):
    driver.adjust(-192)
    driver.at("2026-02-15").credit(5, "later")
    entries, _ = driver.at("2027-02-17").interview(spend_id)
    assert driver.journal()[-3].type is EntryType.EXPIRY
    assert driver.journal()[-2:] == entries


# --- Overtaken, unanswered ---


def test_an_interview_that_a_refund_overtakes_brings_only_what_is_missing(driver, spend_id, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.refund(spend_id)))
    entries, replayed = driver.interview(spend_id)
    assert (typed(entries), replayed) == ([(REWARD, 2)], False)
    assert driver.balance() == 202


def test_a_refund_that_an_interview_overtakes_is_refused_where_nothing_is_left(driver, spend_id, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.interview(spend_id)))
    with pytest.raises(AlreadyRefundedError):
        driver.refund(spend_id)
    assert driver.balance() == 202


def test_a_refund_that_an_interview_overtakes_gives_back_what_it_left(driver, faults):
    dear = driver.spend(12).entry.entry_id
    faults.on(TRANSACT, faults.before(lambda: driver.interview(dear)))
    assert driver.refund(dear).entry.amount == 2
    assert driver.balance() == 200


def test_a_second_part_that_another_overtakes_is_refused(driver, faults):
    """The item that says how much came back moves between the read and the write."""
    dear = driver.spend(12).entry.entry_id
    driver.interview(dear)
    faults.on(TRANSACT, passes, faults.before(lambda: driver.refund(dear, "faster")))
    with pytest.raises(AlreadyRefundedError):
        driver.refund(dear)
    assert driver.balance() == 200


def test_a_second_part_whose_answer_was_lost_comes_back_once(driver, faults):
    dear = driver.spend(12).entry.entry_id
    driver.interview(dear)
    faults.on(TRANSACT, passes, answer_lost, answer_lost)
    assert driver.refund(dear).entry.amount == 2
    assert driver.balance() == 200


def test_an_interview_that_a_refund_of_it_all_overtakes_brings_nothing(driver, faults):
    dear = driver.spend(12).entry.entry_id
    faults.on(TRANSACT, faults.before(lambda: driver.refund(dear)))
    with pytest.raises(AlreadyRefundedError):
        driver.interview(dear)
    assert driver.balance() == 200


@pytest.mark.parametrize("spent", [8, 12])
def test_an_interview_that_another_overtakes_is_refused(driver, spent, faults):
    spend_id = driver.spend(spent).entry.entry_id
    faults.on(TRANSACT, faults.before(lambda: driver.interview(spend_id, "faster")))
    with pytest.raises(AlreadyAwardedError):
        driver.interview(spend_id)
    assert driver.balance() == 200 - spent + 10


@pytest.mark.parametrize("spent", [8, 12])
def test_an_interview_that_its_own_repeat_overtakes_is_answered_by_it(driver, spent, faults):
    spend_id = driver.spend(spent).entry.entry_id
    faster = []
    faults.on(TRANSACT, faults.before(lambda: faster.append(driver.interview(spend_id))))
    assert driver.interview(spend_id) == (faster[0][0], True)
    assert driver.balance() == 200 - spent + 10


def test_an_interview_that_a_conflict_met_is_tried_again(driver, spend_id, faults):
    faults.on(TRANSACT, CONFLICT)
    entries, _ = driver.interview(spend_id)
    assert typed(entries) == [(REFUND, 8), (REWARD, 2)]


def test_an_interview_whose_answer_was_lost_is_told_with_both_entries(driver, spend_id, faults):
    faults.on(TRANSACT, answer_lost, answer_lost)
    entries, replayed = driver.interview(spend_id)
    assert (typed(entries), replayed) == ([(REFUND, 8), (REWARD, 2)], False)
    assert rewards(driver) == typed(entries)


def test_an_interview_is_told_without_a_read_that_could_fail_after_it(driver, spend_id, faults):
    faults.on(GET, passes, passes, THROTTLED)
    assert len(driver.interview(spend_id)[0]) == 2


def test_a_repeat_of_an_interview_that_cannot_be_read_is_busy(driver, spend_id, faults):
    driver.interview(spend_id)
    faults.on(GET, passes, passes, THROTTLED, THROTTLED)
    with pytest.raises(BusyError):
        driver.interview(spend_id)


# --- At most 50 in any 7 days ---


def test_interviews_bring_at_most_50_in_7_days(driver, spend_id):
    interviewed_often(driver)
    before, journal = driver.stored(), driver.journal()
    with pytest.raises(RewardCapReachedError) as refusal:
        driver.interview(spend_id)
    assert refusal.value.details == {"cap": 50, "awarded": 50}
    assert (driver.stored(), driver.journal()) == (before, journal)


def test_an_interview_over_the_cap_uses_no_key_up_and_one_of_7_days_later_may_have_it(driver, spend_id):
    interviewed_often(driver)
    first = driver.clock.at
    driver.at(first + timedelta(days=7) - timedelta(milliseconds=1))
    with pytest.raises(RewardCapReachedError):
        driver.interview(spend_id)
    entries, replayed = driver.at(first + timedelta(days=7)).interview(spend_id)
    assert (typed(entries), replayed) == ([(REFUND, 8), (REWARD, 2)], False)


def test_an_interview_near_the_cap_is_answered_with_what_fits(driver, spend_id):
    interviewed_often(driver, 4)
    gone = driver.spend(5, "gone").entry.entry_id
    driver.refund(gone)
    driver.interview(gone, "gone")
    entries, _ = first = driver.interview(spend_id)
    assert typed(entries) == [(REFUND, 5)]
    assert driver.interview(spend_id) == (first[0], True)
    assert driver.refund(spend_id, "rest").entry.amount == 3


def test_interviews_that_are_told_late_count_when_they_were(driver):
    """Six, 8 days apart, told together and in another order."""
    first = driver.clock.at
    driver.at(first + timedelta(days=60))
    for week in (3, 0, 5, 1, 4, 2):
        spend_id = driver.spend(8, str(week)).entry.entry_id
        entries, _ = driver.interview(spend_id, str(week), at=first + timedelta(days=8 * week))
        assert typed(entries) == [(REFUND, 8), (REWARD, 2)]
    assert driver.balance() == 200 + 6 * 2


def brought_in(driver):
    return [(each.first, each.last, each.amount) for each in driver.stored().interviews]


def test_what_interviews_brought_is_stored_by_the_millisecond(driver):
    instants = []
    for number in map(str, range(12)):
        spend_id = driver.spend(1, number).entry.entry_id
        instants.append(driver.clock.at + timedelta(milliseconds=1))
        driver.under(interview_cap=1_000).at(instants[-1]).interview(spend_id, number)
    assert brought_in(driver) == [(at, at, 10) for at in instants]


def test_what_was_merged_is_stored_with_both_its_ends(driver):
    instants = []
    for number in map(str, range(20)):
        spend_id = driver.spend(1, number).entry.entry_id
        instants.append(driver.clock.at + timedelta(days=10))
        driver.at(instants[-1]).interview(spend_id, number)
    stored = brought_in(driver)
    assert len(stored) == 16
    assert sum(amount for *_, amount in stored) == 200
    assert (stored[0][0], stored[0][1] > stored[0][0]) == (instants[0], True)
    assert stored[-5:] == [(at, at, 10) for at in instants[-5:]]


def test_a_repeat_of_an_interview_is_answered_also_once_the_cap_is_reached(driver, spend_id):
    first, _ = driver.interview(spend_id)
    interviewed_often(driver, 4)
    assert driver.interview(spend_id) == (first, True)


def test_a_second_interview_is_told_so_also_once_the_cap_is_reached(driver, spend_id):
    driver.interview(spend_id)
    interviewed_often(driver, 4)
    with pytest.raises(AlreadyAwardedError):
        driver.interview(spend_id, "another")


def test_other_rewards_do_not_count_towards_the_cap_of_interviews(driver, spend_id):
    driver.rising_talent()
    driver.certification("python")
    driver.adjust(50)
    interviewed_often(driver, 4)
    driver.interview(spend_id)
    with pytest.raises(RewardCapReachedError):
        driver.interview(driver.spend(8, "one more").entry.entry_id, "one more")
    driver.certification("design", "after")


def test_the_cap_is_an_account_s_own(driver):
    interviewed_often(driver)
    driver.open("bob")
    driver.credit(8, account="bob")
    spend_id = driver.spend(8, account="bob").entry.entry_id
    assert len(driver.interview(spend_id, account="bob")[0]) == 2


def test_an_interview_that_others_overtake_up_to_the_cap_is_refused(driver, spend_id, faults):
    interviewed_often(driver, 4)
    last = driver.spend(8, "last").entry.entry_id
    faults.on(TRANSACT, faults.before(lambda: driver.interview(last, "faster")))
    with pytest.raises(RewardCapReachedError):
        driver.interview(spend_id)
    assert sum(amount for *_, amount in brought_in(driver)) == 50


# --- Rows of the release before, and for it


def as_before(driver, spend_id):
    """The claim of a refund as the release before wrote it, which gave a spend back once."""
    row = driver.table.rows(RefundRow)
    row(pk="ann", sk=f"CLAIM#refund#{spend_id}").update([row.came_back.remove()])


def test_what_an_interview_of_the_release_before_left_comes_back(driver):
    dear = driver.spend(12).entry.entry_id
    driver.interview(dear)
    as_before(driver, dear)
    assert driver.refund(dear).entry.amount == 2
    with pytest.raises(AlreadyRefundedError):
        driver.refund(dear, "another", reason="fraud")


def test_a_refund_of_the_release_before_stands(driver, spend_id):
    driver.refund(spend_id)
    as_before(driver, spend_id)
    with pytest.raises(AlreadyRefundedError):
        driver.refund(spend_id, "another")
    assert typed(driver.interview(spend_id)[0]) == [(REWARD, 2)]


def test_interviews_of_the_release_before_count(driver, spend_id):
    """It kept them all in the one map."""
    rows = driver.table.rows(AccountRow)
    brought = {driver.clock.at - timedelta(days=day): 7 for day in range(7)}
    rows(pk="ann", sk=ACCOUNT_SK).update([rows.newest_interviews.set(brought)])
    assert typed(driver.interview(spend_id)[0]) == [(REFUND, 1)]
    assert sum(amount for *_, amount in brought_in(driver)) == 50


def test_the_release_before_finds_the_newest_interviews_in_the_map_that_it_knows(driver):
    instants = []
    for number in map(str, range(8)):
        instants.append(driver.clock.at + timedelta(days=2))
        driver.at(instants[-1]).interview(driver.spend(1, number).entry.entry_id, number)
    row = driver.table.get(AccountRow, "ann", ACCOUNT_SK)
    assert row.newest_interviews == dict.fromkeys(instants[-5:], 10)
