"""Refunds: back into the very lots, with their dates; what has expired since comes back for the days of grace."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.errors import AlreadyRefundedError, InsufficientConnectsError, NotRefundableError
from shared.ledger.jobs import JobStatus
from shared.ledger.model import EntryType
from shared.ledger.policy import Policy
from shared.ledger.refunds import REASONS, reason_of_end, refund_text
from tests.core.builders import BACK, INSTANT, NOT_BACK, QUIET, Book, free, noon, paid, start_of

NO_GRACE = Policy(sign_up=0, monthly_basic=0, monthly_plus=0, monthly_plus_free=0, refund_grace_days=0)


def spent(*, policy: Policy = QUIET) -> Book:
    """Six free and six purchased Connects of 10 January 2024 and eight of 10 March, all spent in one proposal."""
    book = Book.opened("2024-01-10", policy=policy)
    book.credit(6, paid=False)
    book.credit(6, paid=True)
    book.at("2024-03-10").credit(8, paid=True)
    book.spend(20)
    return book


def test_refund_goes_into_the_lots_of_the_spend_with_their_dates():
    book = spent()
    spend = book.entries[-1]
    refund = book.at("2024-06-01").refund(spend)
    assert refund.slices == {free("2025-01-11"): 6, paid("2025-01-11"): 6, paid("2025-03-11"): 8}
    assert book.account.lots == refund.slices


def test_refund_of_part_of_a_lot_joins_what_is_left_of_it():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(10)
    spend = book.spend(4)
    book.refund(spend)
    assert book.account.lots == {free("2025-01-11"): 10}


def test_refund_names_the_spend_and_why():
    book = spent()
    spend = book.entries[-1]
    refund = book.refund(spend, "job_removed")
    assert refund.reason == "Job removed"
    assert refund.reference == {"type": "spend", "spend_id": spend.entry_id, "why": "job_removed"}


def test_refund_of_an_expired_lot_lasts_30_days():
    book = spent()
    spend = book.entries[-1]
    refund = book.at("2025-04-01").refund(spend)
    assert refund.slices == {free("2025-05-01"): 6, paid("2025-05-01"): 14}

    assert book.at(start_of("2025-05-01") - INSTANT).shown.balance == 20
    assert book.at(start_of("2025-05-01")).shown.balance == 0


def test_refund_keeps_what_has_not_expired_in_its_lot_and_gives_grace_to_the_rest():
    book = spent()
    spend = book.entries[-1]
    refund = book.at("2025-02-01").refund(spend)
    assert refund.slices == {free("2025-03-03"): 6, paid("2025-03-03"): 6, paid("2025-03-11"): 8}


@pytest.mark.parametrize(
    ("now", "goes_to"),
    [
        (start_of("2025-01-11") - INSTANT, free("2025-01-11")),  # usable through the 10th
        (start_of("2025-01-11"), free("2025-02-10")),
    ],
)
def test_refund_gives_grace_from_the_instant_of_expiry_on(now, goes_to):
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(6)
    spend = book.spend(6)
    assert book.at(now).refund(spend).slices == {goes_to: 6}


def test_refund_keeps_the_class_so_that_free_connects_burn_first_again():
    book = spent()
    spend = book.entries[-1]
    book.at("2025-04-01").refund(spend)
    assert book.spend(7).slices == {free("2025-05-01"): -6, paid("2025-05-01"): -1}


def test_refund_without_grace_returns_and_expires_as_two_rows():
    book = spent(policy=NO_GRACE)
    spend = book.entries[-1]
    refund = book.at("2025-04-01").refund(spend)
    *_, returned, expired = book.entries
    assert returned == refund
    assert (returned.type, returned.amount, returned.balance_after) == (EntryType.REFUND, 20, 20)
    assert (expired.type, expired.amount, expired.balance_after) == (EntryType.EXPIRY, -20, 0)
    assert returned.at == expired.at == noon("2025-04-01")
    with pytest.raises(InsufficientConnectsError):
        book.spend(1)


def test_refund_without_grace_keeps_the_slices_that_have_not_expired():
    book = spent(policy=NO_GRACE)
    spend = book.entries[-1]
    book.at("2025-02-01").refund(spend)
    assert [entry.amount for entry in book.entries[-2:]] == [20, -12]
    assert book.account.lots == {paid("2025-03-11"): 8}


def test_refunds_without_grace_on_one_day_each_return_and_expire():
    book = Book.opened("2024-01-10", policy=NO_GRACE)
    book.credit(6)
    spends = [book.spend(2) for _ in range(3)]
    book.at("2025-04-01")
    for spend in spends:
        book.refund(spend)
    assert [entry.amount for entry in book.entries[-6:]] == [2, -2, 2, -2, 2, -2]
    assert len({entry.entry_id for entry in book.entries}) == len(book.entries)


def test_refunds_of_one_day_share_a_grace_lot():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(6)
    spends = [book.spend(2), book.spend(4)]
    book.at("2025-04-01")
    for spend in spends:
        book.refund(spend)
    assert book.account.lots == {free("2025-05-01"): 6}


def test_refunds_join_a_lot_that_happens_to_expire_when_the_grace_ends():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(3)
    book.at("2024-02-10").credit(5)
    spend = book.spend(8)
    refund = book.at("2025-01-12").refund(spend)  # its grace ends on 11 February, like the second lot
    assert refund.slices == {free("2025-02-11"): 8}


def test_refund_of_a_spend_from_a_grace_lot_has_grace_again_once_that_expired():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(6)
    first = book.spend(6)
    book.at("2025-04-01").refund(first)
    second = book.spend(6)
    assert book.at("2025-06-01").refund(second).slices == {free("2025-07-01"): 6}


def test_refund_is_usable_at_once_and_burns_in_its_lot_s_turn():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(6)
    spend = book.spend(6)
    book.at("2024-02-10").credit(5)
    book.refund(spend)
    assert book.spend(7).slices == {free("2025-01-11"): -6, free("2025-02-11"): -1}


@pytest.mark.parametrize("reason", sorted(NOT_BACK))
def test_nothing_is_refunded_for_what_is_the_freelancer_s_risk(reason):
    book = spent()
    with pytest.raises(NotRefundableError):
        book.refund(book.entries[-1], reason)
    with pytest.raises(NotRefundableError):
        refund_text(reason)
    assert book.account.balance == 0


def test_only_a_canceled_or_removed_job_and_fraud_are_refunded():
    assert {reason for reason, text in REASONS.items() if text} == {"job_canceled", "job_removed", "fraud"}
    assert {reason_of_end(status) for status in JobStatus if status is not JobStatus.OPEN} <= REASONS.keys()


# --- In parts


def test_the_end_of_a_job_refunds_what_an_interview_left():
    book = Book.opened("2024-01-10", policy=QUIET)
    book.credit(12)
    spend = book.spend(12)
    book.interview(spend)
    assert book.refund(spend).amount == 2
    assert book.account.lots == {free("2025-01-11"): 12}


def test_the_parts_of_a_spend_go_into_its_lots_each_connect_once():
    """An interview gives back the 10 that last longest: the purchased 8 of March, and 2 of the 6 of January."""
    book = spent()
    spend = book.entries[-1]
    [first] = book.at("2024-06-01").interview(spend)
    assert first.slices == {paid("2025-03-11"): 8, paid("2025-01-11"): 2}
    rest = book.refund(spend)
    assert rest.slices == {paid("2025-01-11"): 4, free("2025-01-11"): 6}


def test_the_expired_part_of_the_rest_has_days_of_grace():
    book = spent()
    spend = book.entries[-1]
    book.at("2024-06-01").interview(spend)
    rest = book.at("2025-02-01").refund(spend)
    assert rest.slices == {paid("2025-03-03"): 4, free("2025-03-03"): 6}


def test_a_part_that_was_refunded_with_days_of_grace_is_no_part_of_the_rest():
    book = spent()
    spend = book.entries[-1]
    [first] = book.at("2025-04-01").interview(spend)
    assert first.slices == {paid("2025-05-01"): 10}
    assert book.at("2025-04-15").refund(spend).slices == {paid("2025-05-15"): 4, free("2025-05-15"): 6}


@pytest.mark.parametrize("reason", sorted(BACK))
def test_a_spend_that_was_refunded_whole_is_refunded_for_no_other_reason(reason):
    book = spent()
    spend = book.entries[-1]
    book.refund(spend, reason)
    for again in BACK:
        with pytest.raises(AlreadyRefundedError):
            book.refund(spend, again)


def test_a_free_proposal_is_refunded_once_as_a_row_of_0():
    book = Book.opened("2024-01-10", policy=QUIET)
    spend = book.spend(0, channel="invitation")
    assert book.refund(spend).amount == 0
    with pytest.raises(AlreadyRefundedError):
        book.refund(spend, "fraud")


@given(
    lots=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9), st.booleans()), min_size=1, max_size=10),
    cap=st.integers(1, 30),
    expired=st.booleans(),
    data=st.data(),
)
def test_two_parts_refund_as_much_of_each_class_as_one(lots, cap, expired, data):
    policy = replace(QUIET, interview=30, interview_cap=cap, lot_lifetime_months=13)
    book = Book.opened("2024-01-01", policy=policy)
    for month, amount, is_paid in sorted(lots):
        book.at(f"2024-{month:02}-15").credit(amount, paid=is_paid)
    spend = book.spend(data.draw(st.integers(1, book.account.balance)))
    book.at("2026-06-01" if expired else "2024-12-31")
    whole, parts = book.copy(), [entry for entry in book.interview(spend) if entry.type is EntryType.REFUND]
    if sum(entry.amount for entry in parts) < -spend.amount:
        parts.append(book.refund(spend))
    back = Counter()
    for part in parts:
        back.update(part.slices)
    assert back == whole.refund(spend).slices
    with pytest.raises(AlreadyRefundedError):
        book.refund(spend)


@given(
    lots=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9), st.booleans()), min_size=1, max_size=10),
    months_later=st.integers(0, 26),
    grace_days=st.integers(0, 40),
    data=st.data(),
)
def test_refund_gives_back_what_each_class_gave_and_nothing_that_has_expired(lots, months_later, grace_days, data):
    policy = Policy(sign_up=0, monthly_basic=0, monthly_plus=0, monthly_plus_free=0, refund_grace_days=grace_days)
    book = Book.opened("2024-01-01", policy=policy)
    for month, amount, is_paid in sorted(lots):
        book.at(f"2024-{month:02}-15").credit(amount, paid=is_paid)
    spend = book.spend(data.draw(st.integers(1, book.account.balance)))
    refund = book.at(f"{2025 + months_later // 12}-{months_later % 12 + 1:02}-16").refund(spend)

    assert refund.amount == -spend.amount
    for is_paid in (False, True):
        assert _of_class(refund.slices, is_paid=is_paid) == -_of_class(spend.slices, is_paid=is_paid)
    assert not any(bucket.expired(book.now.date()) for bucket in book.account.lots)
    for bucket, taken in spend.slices.items():
        if not bucket.expired(book.now.date()):
            assert refund.slices[bucket] >= -taken


def _of_class(slices, *, is_paid):
    return sum(amount for bucket, amount in slices.items() if bucket.paid is is_paid)
