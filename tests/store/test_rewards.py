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
from shared.ledger.refunds import BACK
from shared.store.rows import ACCOUNT_SK, AccountRow, RefundRow
from tests.core.builders import free, paid
from tests.wire import CONFLICT, GET, THROTTLED, TRANSACT, answer_lost, passes

REFUND, REWARD = EntryType.REFUND, EntryType.REWARD


@pytest.fixture
def desk(desk):
    """Ann's, with 200 Connects, and two certificates that bring some."""
    desk.open()
    desk.credit(200)
    return desk.under(certifications={"python": 10, "design": 5})


@pytest.fixture
def spend_id(desk):
    return desk.spend(8).entry.entry_id


def typed(entries):
    return [(entry.type, entry.amount) for entry in entries]


def rewards(desk, account="ann"):
    """What interviews, talents and certificates brought, by the journal."""
    kinds = {"rising_talent", "certification", "interview"}
    return typed(entry for entry in desk.journal(account) if entry.reference["type"] in kinds)


def interviewed_often(desk, times=5):
    """Proposals of 8, each with its interview, in one instant."""
    for number in range(times):
        desk.interview(desk.spend(8, f"often-{number}").entry.entry_id, f"often-{number}")


# --- Rising Talent ---


def test_rising_talent_brings_30_free_connects_for_a_year(desk):
    entry = desk.rising_talent().entry
    assert (entry.type, entry.amount, entry.reason) == (REWARD, 30, "Rising Talent")
    assert entry.slices == {free("2027-01-16"): 30}
    assert entry.reference == {"type": "rising_talent"}


def test_rising_talent_comes_once_for_ever(desk):
    desk.rising_talent()
    for day in ("2026-01-15", "2027-01-15", "2046-01-15"):
        with pytest.raises(AlreadyAwardedError):
            desk.at(day).rising_talent(f"again {day}")
    assert rewards(desk) == [(REWARD, 30)]


def test_the_same_rising_talent_sent_again_is_answered_as_the_first_time(desk):
    first = desk.rising_talent()
    again = desk.at("2026-06-01").rising_talent()
    assert (again.entry, again.replayed) == (first.entry, True)
    assert rewards(desk) == [(REWARD, 30)]


def test_each_account_has_its_own_rising_talent(desk):
    desk.open("bob")
    desk.rising_talent()
    assert not desk.rising_talent(account="bob").replayed


def test_talent_and_certificates_bring_an_agency_nothing(desk):
    desk.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    with pytest.raises(InvalidRequestError, match="agencies get no free Connects"):
        desk.rising_talent(account="acme")
    with pytest.raises(InvalidRequestError, match="agencies get no free Connects"):
        desk.certification("python", account="acme")
    assert desk.journal("acme") == []


def test_a_rising_talent_that_another_overtakes_is_refused(desk, wire):
    wire.on(TRANSACT, wire.before(lambda: desk.rising_talent("faster")))
    with pytest.raises(AlreadyAwardedError):
        desk.rising_talent()
    assert rewards(desk) == [(REWARD, 30)]


def test_a_rising_talent_that_its_own_repeat_overtakes_is_answered_by_it(desk, wire):
    faster = []
    wire.on(TRANSACT, wire.before(lambda: faster.append(desk.rising_talent())))
    assert desk.rising_talent().entry == faster[0].entry
    assert rewards(desk) == [(REWARD, 30)]


def test_a_rising_talent_whose_answer_was_lost_is_given_once(desk, wire):
    wire.on(TRANSACT, answer_lost, answer_lost)
    assert desk.rising_talent().entry.amount == 30
    assert rewards(desk) == [(REWARD, 30)]


def test_an_account_that_never_was_is_not_rewarded(desk):
    with pytest.raises(AccountNotFoundError):
        desk.rising_talent(account="bob")


# --- Certificates ---


def test_each_certificate_brings_what_is_configured_for_it(desk):
    assert desk.certification("python", "one").entry.amount == 10
    assert desk.certification("design", "two").entry.amount == 5
    assert desk.journal()[-1].reference == {"type": "certification", "certificate": "design"}


def test_a_certificate_brings_something_once(desk):
    desk.certification("python")
    with pytest.raises(AlreadyAwardedError):
        desk.certification("python", "another")
    assert rewards(desk) == [(REWARD, 10)]


def test_the_same_certificate_sent_again_is_answered_as_the_first_time_whatever_it_brings_now(desk):
    first = desk.certification("python")
    for certifications in ({"python": 99}, {"python": 0}, {}):
        again = desk.under(certifications=certifications).certification("python")
        assert (again.entry, again.replayed) == (first.entry, True)
    assert rewards(desk) == [(REWARD, 10)]


def test_a_certificate_that_was_given_is_not_given_again_once_it_brings_more(desk):
    desk.certification("python")
    with pytest.raises(AlreadyAwardedError):
        desk.under(certifications={"python": 99}).certification("python", "another")


def test_a_certificate_that_is_not_configured_brings_nothing(desk):
    with pytest.raises(InvalidRequestError):
        desk.certification("juggling")
    desk.certification("python")
    with pytest.raises(IdempotencyKeyReusedError):
        desk.certification("juggling")
    assert rewards(desk) == [(REWARD, 10)]


def test_one_key_serves_one_reward(desk, spend_id):
    desk.rising_talent("k")
    with pytest.raises(IdempotencyKeyReusedError):
        desk.certification("python", "k")
    with pytest.raises(IdempotencyKeyReusedError):
        desk.interview(spend_id, "k")
    assert rewards(desk) == [(REWARD, 30)]


# --- An interview: 10 in all ---


def test_an_interview_gives_the_proposal_s_connects_back_and_fills_up_to_10(desk, spend_id):
    entries, replayed = desk.interview(spend_id)
    assert (typed(entries), replayed) == ([(REFUND, 8), (REWARD, 2)], False)
    assert desk.journal()[-2:] == entries
    assert desk.balance() == 202


@pytest.mark.parametrize(("spent", "brought"), [(3, [(REFUND, 3), (REWARD, 7)]), (12, [(REFUND, 10)])])
def test_an_interview_brings_10_whatever_the_proposal_cost(desk, spent, brought):
    entries, _ = desk.interview(desk.spend(spent).entry.entry_id)
    assert typed(entries) == brought
    assert desk.balance() == 200 - spent + 10


def test_an_interview_gives_back_to_the_lots_that_the_proposal_took_from(desk):
    desk.adjust(-195)
    desk.at("2026-02-15").credit(10, "second", paid=True)
    spend_id = desk.spend(8).entry.entry_id
    (refund, reward), _ = desk.at("2026-03-01").interview(spend_id)
    assert refund.slices == {free("2027-01-16"): 5, paid("2027-02-16"): 3}
    assert reward.slices == {free("2027-03-02"): 2}


def test_an_interview_gives_what_has_expired_back_for_the_days_of_grace(desk, spend_id):
    (refund, _), _ = desk.at("2027-02-01").interview(spend_id)
    assert refund.slices == {free("2027-03-03"): 8}


def test_an_interview_after_a_refund_brings_only_what_is_missing_to_10(desk, spend_id):
    desk.refund(spend_id)
    entries, _ = desk.interview(spend_id)
    assert typed(entries) == [(REWARD, 2)]


def test_an_interview_after_10_came_back_brings_nothing_and_uses_no_key_up(desk, spend_id):
    dear = desk.spend(12, "dear").entry.entry_id
    desk.refund(dear)
    with pytest.raises(AlreadyRefundedError):
        desk.interview(dear)
    assert not desk.interview(spend_id)[1]


@pytest.mark.parametrize("spent", [3, 8, 10])
def test_after_an_interview_that_gave_all_of_it_back_nothing_comes_back(desk, spent):
    proposal = desk.spend(spent).entry.entry_id
    desk.interview(proposal)
    for reason in BACK:
        with pytest.raises(AlreadyRefundedError):
            desk.refund(proposal, reason, reason=reason)
    assert desk.balance() == 200 - spent + 10


@pytest.mark.parametrize("reason", BACK)
def test_after_an_interview_that_gave_10_of_12_back_the_other_2_come_back_once(desk, reason):
    dear = desk.spend(12).entry.entry_id
    desk.interview(dear)
    rest = desk.refund(dear, reason=reason)
    assert (typed([rest.entry]), rest.replayed) == ([(REFUND, 2)], False)
    assert desk.refund(dear, reason=reason).replayed
    for again in BACK:
        with pytest.raises(AlreadyRefundedError):
            desk.refund(dear, f"again {again}", reason=again)
    with pytest.raises(AlreadyAwardedError):
        desk.interview(dear, "again")
    assert desk.balance() == 200


def test_the_parts_that_come_back_go_to_the_lots_that_they_came_from(desk):
    desk.adjust(-195)
    desk.at("2026-02-15").credit(10, "second", paid=True)
    spend_id = desk.spend(15).entry.entry_id
    [first], _ = desk.interview(spend_id)
    assert first.slices == {paid("2027-02-16"): 10}
    assert desk.at("2027-02-01").refund(spend_id).entry.slices == {free("2027-03-03"): 5}


@pytest.mark.parametrize("spent", [3, 8, 10, 12])
def test_the_same_interview_sent_again_is_answered_with_the_same_entries(desk, spent):
    spend_id = desk.spend(spent).entry.entry_id
    first, _ = desk.interview(spend_id)
    again = desk.at("2026-06-01").interview(spend_id)
    assert again == (first, True)
    assert desk.balance() == 200 - spent + 10


def test_the_same_interview_after_a_refund_sent_again_is_answered_with_the_same_entry(desk, spend_id):
    desk.refund(spend_id)
    first, _ = desk.interview(spend_id)
    assert desk.interview(spend_id) == (first, True)


@pytest.mark.parametrize("spent", [3, 8, 10, 12])
def test_a_proposal_has_one_interview_whatever_the_key(desk, spent):
    spend_id = desk.spend(spent).entry.entry_id
    desk.interview(spend_id)
    with pytest.raises(AlreadyAwardedError):
        desk.interview(spend_id, "another")
    assert desk.balance() == 200 - spent + 10


def test_a_proposal_that_was_refunded_has_one_interview_whatever_the_key(desk, spend_id):
    desk.refund(spend_id)
    desk.interview(spend_id)
    with pytest.raises(AlreadyAwardedError):
        desk.interview(spend_id, "another")
    assert rewards(desk) == [(REWARD, 2)]


def test_the_key_of_an_interview_serves_no_other(desk, spend_id):
    other = desk.spend(3, "other").entry.entry_id
    gone = desk.spend(12, "gone").entry.entry_id
    desk.refund(gone)
    desk.interview(spend_id)
    for proposal in (other, gone):
        with pytest.raises(IdempotencyKeyReusedError):
            desk.interview(proposal)
    assert not desk.interview(other, "another")[1]


def test_there_is_no_interview_without_a_proposal(desk, spend_id):
    desk.open("bob")
    refund = desk.refund(spend_id).entry.entry_id
    for nothing in ("a" * 26, refund, desk.journal()[0].entry_id):
        with pytest.raises(SpendNotFoundError):
            desk.interview(nothing)
    with pytest.raises(SpendNotFoundError):
        desk.interview(spend_id, account="bob")


@pytest.mark.parametrize("plan", Plan)
def test_an_agency_has_its_interview_even_while_it_is_frozen(desk, plan):
    desk.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    desk.credit(10, account="acme")
    spend_id = desk.spend(8, account="acme").entry.entry_id
    desk.change_plan(plan, account="acme", at_once=True)
    entries, _ = desk.interview(spend_id, account="acme")
    assert typed(entries) == [(REFUND, 8), (REWARD, 2)]
    assert rewards(desk, "ann") == []


def test_an_interview_is_told_with_what_fell_due_before_it(desk, spend_id):
    desk.adjust(-192)
    desk.at("2026-02-15").credit(5, "later")
    entries, _ = desk.at("2027-02-17").interview(spend_id)
    assert desk.journal()[-3].type is EntryType.EXPIRY
    assert desk.journal()[-2:] == entries


# --- Overtaken, unanswered ---


def test_an_interview_that_a_refund_overtakes_brings_only_what_is_missing(desk, spend_id, wire):
    wire.on(TRANSACT, wire.before(lambda: desk.refund(spend_id)))
    entries, replayed = desk.interview(spend_id)
    assert (typed(entries), replayed) == ([(REWARD, 2)], False)
    assert desk.balance() == 202


def test_a_refund_that_an_interview_overtakes_is_refused_where_nothing_is_left(desk, spend_id, wire):
    wire.on(TRANSACT, wire.before(lambda: desk.interview(spend_id)))
    with pytest.raises(AlreadyRefundedError):
        desk.refund(spend_id)
    assert desk.balance() == 202


def test_a_refund_that_an_interview_overtakes_gives_back_what_it_left(desk, wire):
    dear = desk.spend(12).entry.entry_id
    wire.on(TRANSACT, wire.before(lambda: desk.interview(dear)))
    assert desk.refund(dear).entry.amount == 2
    assert desk.balance() == 200


def test_a_second_part_that_another_overtakes_is_refused(desk, wire):
    """The item that says how much came back moves between the read and the write."""
    dear = desk.spend(12).entry.entry_id
    desk.interview(dear)
    wire.on(TRANSACT, passes, wire.before(lambda: desk.refund(dear, "faster")))
    with pytest.raises(AlreadyRefundedError):
        desk.refund(dear)
    assert desk.balance() == 200


def test_a_second_part_whose_answer_was_lost_comes_back_once(desk, wire):
    dear = desk.spend(12).entry.entry_id
    desk.interview(dear)
    wire.on(TRANSACT, passes, answer_lost, answer_lost)
    assert desk.refund(dear).entry.amount == 2
    assert desk.balance() == 200


def test_an_interview_that_a_refund_of_it_all_overtakes_brings_nothing(desk, wire):
    dear = desk.spend(12).entry.entry_id
    wire.on(TRANSACT, wire.before(lambda: desk.refund(dear)))
    with pytest.raises(AlreadyRefundedError):
        desk.interview(dear)
    assert desk.balance() == 200


@pytest.mark.parametrize("spent", [8, 12])
def test_an_interview_that_another_overtakes_is_refused(desk, spent, wire):
    spend_id = desk.spend(spent).entry.entry_id
    wire.on(TRANSACT, wire.before(lambda: desk.interview(spend_id, "faster")))
    with pytest.raises(AlreadyAwardedError):
        desk.interview(spend_id)
    assert desk.balance() == 200 - spent + 10


@pytest.mark.parametrize("spent", [8, 12])
def test_an_interview_that_its_own_repeat_overtakes_is_answered_by_it(desk, spent, wire):
    spend_id = desk.spend(spent).entry.entry_id
    faster = []
    wire.on(TRANSACT, wire.before(lambda: faster.append(desk.interview(spend_id))))
    assert desk.interview(spend_id) == (faster[0][0], True)
    assert desk.balance() == 200 - spent + 10


def test_an_interview_that_a_conflict_met_is_tried_again(desk, spend_id, wire):
    wire.on(TRANSACT, CONFLICT)
    entries, _ = desk.interview(spend_id)
    assert typed(entries) == [(REFUND, 8), (REWARD, 2)]


def test_an_interview_whose_answer_was_lost_is_told_with_both_entries(desk, spend_id, wire):
    wire.on(TRANSACT, answer_lost, answer_lost)
    entries, replayed = desk.interview(spend_id)
    assert (typed(entries), replayed) == ([(REFUND, 8), (REWARD, 2)], False)
    assert rewards(desk) == typed(entries)


def test_an_interview_is_told_without_a_read_that_could_fail_after_it(desk, spend_id, wire):
    wire.on(GET, passes, passes, THROTTLED)
    assert len(desk.interview(spend_id)[0]) == 2


def test_a_repeat_of_an_interview_that_cannot_be_read_is_busy(desk, spend_id, wire):
    desk.interview(spend_id)
    wire.on(GET, passes, passes, THROTTLED, THROTTLED)
    with pytest.raises(BusyError):
        desk.interview(spend_id)


# --- At most 50 in any 7 days ---


def test_interviews_bring_at_most_50_in_7_days(desk, spend_id):
    interviewed_often(desk)
    before, journal = desk.stored(), desk.journal()
    with pytest.raises(RewardCapReachedError) as refusal:
        desk.interview(spend_id)
    assert refusal.value.details == {"cap": 50, "awarded": 50}
    assert (desk.stored(), desk.journal()) == (before, journal)


def test_an_interview_over_the_cap_uses_no_key_up_and_one_of_7_days_later_may_have_it(desk, spend_id):
    interviewed_often(desk)
    first = desk.clock.at
    desk.at(first + timedelta(days=7) - timedelta(milliseconds=1))
    with pytest.raises(RewardCapReachedError):
        desk.interview(spend_id)
    entries, replayed = desk.at(first + timedelta(days=7)).interview(spend_id)
    assert (typed(entries), replayed) == ([(REFUND, 8), (REWARD, 2)], False)


def test_an_interview_near_the_cap_is_answered_with_what_fits(desk, spend_id):
    interviewed_often(desk, 4)
    gone = desk.spend(5, "gone").entry.entry_id
    desk.refund(gone)
    desk.interview(gone, "gone")
    entries, _ = first = desk.interview(spend_id)
    assert typed(entries) == [(REFUND, 5)]
    assert desk.interview(spend_id) == (first[0], True)
    assert desk.refund(spend_id, "rest").entry.amount == 3


def test_interviews_that_are_told_late_count_when_they_were(desk):
    """Six, 8 days apart, told together and in another order."""
    first = desk.clock.at
    desk.at(first + timedelta(days=60))
    for week in (3, 0, 5, 1, 4, 2):
        spend_id = desk.spend(8, str(week)).entry.entry_id
        entries, _ = desk.interview(spend_id, str(week), at=first + timedelta(days=8 * week))
        assert typed(entries) == [(REFUND, 8), (REWARD, 2)]
    assert desk.balance() == 200 + 6 * 2


def brought_in(desk):
    return [(each.first, each.last, each.amount) for each in desk.stored().interviews]


def test_what_interviews_brought_is_stored_by_the_millisecond(desk):
    instants = []
    for number in map(str, range(12)):
        spend_id = desk.spend(1, number).entry.entry_id
        instants.append(desk.clock.at + timedelta(milliseconds=1))
        desk.under(interview_cap=1_000).at(instants[-1]).interview(spend_id, number)
    assert brought_in(desk) == [(at, at, 10) for at in instants]


def test_what_was_merged_is_stored_with_both_its_ends(desk):
    instants = []
    for number in map(str, range(20)):
        spend_id = desk.spend(1, number).entry.entry_id
        instants.append(desk.clock.at + timedelta(days=10))
        desk.at(instants[-1]).interview(spend_id, number)
    stored = brought_in(desk)
    assert len(stored) == 16
    assert sum(amount for *_, amount in stored) == 200
    assert (stored[0][0], stored[0][1] > stored[0][0]) == (instants[0], True)
    assert stored[-5:] == [(at, at, 10) for at in instants[-5:]]


def test_a_repeat_of_an_interview_is_answered_also_once_the_cap_is_reached(desk, spend_id):
    first, _ = desk.interview(spend_id)
    interviewed_often(desk, 4)
    assert desk.interview(spend_id) == (first, True)


def test_a_second_interview_is_told_so_also_once_the_cap_is_reached(desk, spend_id):
    desk.interview(spend_id)
    interviewed_often(desk, 4)
    with pytest.raises(AlreadyAwardedError):
        desk.interview(spend_id, "another")


def test_other_rewards_do_not_count_towards_the_cap_of_interviews(desk, spend_id):
    desk.rising_talent()
    desk.certification("python")
    desk.adjust(50)
    interviewed_often(desk, 4)
    desk.interview(spend_id)
    with pytest.raises(RewardCapReachedError):
        desk.interview(desk.spend(8, "one more").entry.entry_id, "one more")
    desk.certification("design", "after")


def test_the_cap_is_an_account_s_own(desk):
    interviewed_often(desk)
    desk.open("bob")
    desk.credit(8, account="bob")
    spend_id = desk.spend(8, account="bob").entry.entry_id
    assert len(desk.interview(spend_id, account="bob")[0]) == 2


def test_an_interview_that_others_overtake_up_to_the_cap_is_refused(desk, spend_id, wire):
    interviewed_often(desk, 4)
    last = desk.spend(8, "last").entry.entry_id
    wire.on(TRANSACT, wire.before(lambda: desk.interview(last, "faster")))
    with pytest.raises(RewardCapReachedError):
        desk.interview(spend_id)
    assert sum(amount for *_, amount in brought_in(desk)) == 50


# --- Rows of the release before, and for it


def as_before(desk, spend_id):
    """The claim of a refund as the release before wrote it, which gave a spend back once."""
    row = desk.table.rows(RefundRow)
    row(pk="ann", sk=f"CLAIM#refund#{spend_id}").update([row.came_back.remove()])


def test_what_an_interview_of_the_release_before_left_comes_back(desk):
    dear = desk.spend(12).entry.entry_id
    desk.interview(dear)
    as_before(desk, dear)
    assert desk.refund(dear).entry.amount == 2
    with pytest.raises(AlreadyRefundedError):
        desk.refund(dear, "another", reason="fraud")


def test_a_refund_of_the_release_before_stands(desk, spend_id):
    desk.refund(spend_id)
    as_before(desk, spend_id)
    with pytest.raises(AlreadyRefundedError):
        desk.refund(spend_id, "another")
    assert typed(desk.interview(spend_id)[0]) == [(REWARD, 2)]


def test_interviews_of_the_release_before_count(desk, spend_id):
    """It kept them all in the one map."""
    rows = desk.table.rows(AccountRow)
    brought = {desk.clock.at - timedelta(days=day): 7 for day in range(7)}
    rows(pk="ann", sk=ACCOUNT_SK).update([rows.interviews.set(brought)])
    assert typed(desk.interview(spend_id)[0]) == [(REFUND, 1)]
    assert sum(amount for *_, amount in brought_in(desk)) == 50


def test_the_release_before_finds_the_newest_interviews_in_the_map_that_it_knows(desk):
    instants = []
    for number in map(str, range(8)):
        instants.append(desk.clock.at + timedelta(days=2))
        desk.at(instants[-1]).interview(desk.spend(1, number).entry.entry_id, number)
    row = desk.table.get(AccountRow, "ann", ACCOUNT_SK)
    assert row.interviews == dict.fromkeys(instants[-5:], 10)
