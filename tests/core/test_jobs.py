"""Jobs: prices, versions in any order, ends that are final, and what a proposal costs."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from shared.ledger.errors import InvalidRequestError, JobNotOpenError, PriceChangedError
from shared.ledger.job import WHY, Channel, Job, JobStatus, Posting, end, looked, post, price_of, quote
from shared.ledger.policy import JOB_PRICES, Policy
from tests.core.builders import QUIET, noon

NOW = noon("2026-01-15")
SMALL, LARGE = Posting(1, "small", "simple"), Posting(2, "large", "complex")
CANCELED, REMOVED, EXPIRED, FILLED = JobStatus.CANCELED, JobStatus.REMOVED, JobStatus.EXPIRED, JobStatus.FILLED
FREE = [channel for channel in Channel if channel is not Channel.SEARCH]


def posted(*postings):
    job = None
    for posting in postings:
        job = post(job, "j1", posting, NOW, QUIET)
    return job


def ended(*ends, job=None):
    for how in ends:
        job = end(job, "j1", how, NOW, QUIET)
    return job


def price(job, *, channel=Channel.SEARCH, amount=None, expected_price=None):
    return quote(job, channel, amount=amount, expected_price=expected_price)


# --- Prices


def test_a_price_follows_size_and_scope():
    assert [price_of(posting, QUIET) for posting in (SMALL, LARGE)] == [2, 16]


def test_prices_are_within_what_users_saw():
    assert all(1 <= price <= 16 for price in JOB_PRICES.values())


def test_prices_are_configuration():
    policy = replace(QUIET, job_prices={"tiny/odd": 1})
    assert price_of(Posting(1, "tiny", "odd"), policy) == 1


@pytest.mark.parametrize("price", [0, -1, 1_000_001])
def test_a_table_of_prices_that_nobody_can_pay_is_refused(price):
    with pytest.raises(ValueError, match="job_prices"):
        Policy(job_prices={"small/simple": price})


def test_a_price_of_its_own_overrides_size_and_scope():
    assert price_of(replace(SMALL, price=7), QUIET) == 7
    assert price_of(Posting(1, "unheard of", price=7), QUIET) == 7


@pytest.mark.parametrize(("size", "scope"), [("huge", "simple"), ("small", "odd"), ("", ""), ("small/simple", "")])
def test_a_size_or_scope_that_has_no_price_is_refused(size, scope):
    with pytest.raises(InvalidRequestError):
        post(None, "j1", Posting(1, size, scope), NOW, QUIET)


@pytest.mark.parametrize("posting", [Posting(1), Posting(1, "small"), Posting(1, scope="simple")])
def test_a_posting_without_anything_to_price_it_by_is_refused(posting):
    with pytest.raises(InvalidRequestError):
        post(None, "j1", posting, NOW, QUIET)


def test_the_price_is_recomputed_when_the_job_changes():
    assert posted(SMALL, LARGE).price == 16


# --- Versions


def test_an_older_version_is_ignored():
    assert posted(LARGE, SMALL) == posted(LARGE)


def test_the_same_version_again_changes_nothing():
    assert posted(LARGE, replace(LARGE, price=1)) == posted(LARGE)


def test_versions_in_any_order_and_number_leave_the_newest():
    postings = [Posting(version, price=version + 1) for version in range(4)]
    assert {posted(*order, *order[:2]) for order in permutations(postings)} == {posted(postings[3])}


def test_a_job_was_posted_when_it_says_or_when_it_was_first_heard_of():
    yesterday = NOW - timedelta(days=1)
    assert posted(SMALL).posting.posted_at == NOW
    said = posted(replace(SMALL, posted_at=yesterday), LARGE)
    assert said.posting.posted_at == yesterday


# --- Ends


@pytest.mark.parametrize("how", [CANCELED, REMOVED])
def test_a_canceled_or_removed_job_is_due_refunds_at_once(how):
    job = ended(how, job=posted(SMALL))
    assert (job.status, job.ended_at, job.refunds_due) == (how, NOW, NOW)


@pytest.mark.parametrize("how", [EXPIRED, FILLED])
def test_an_expired_or_filled_job_is_due_none(how):
    job = ended(how, job=posted(SMALL))
    assert (job.status, job.refunds_due) == (how, None)


@pytest.mark.parametrize("first", [CANCELED, REMOVED, EXPIRED, FILLED])
@pytest.mark.parametrize("second", [CANCELED, EXPIRED, FILLED])
def test_the_first_end_is_the_end(first, second):
    assert ended(first, second) == ended(first)


@pytest.mark.parametrize("first", [EXPIRED, FILLED])
def test_a_post_that_broke_the_terms_gives_back_however_it_ended(first):
    job = ended(first, REMOVED)
    assert (job.status, job.refunds_due) == (REMOVED, NOW)


def test_a_removal_after_a_cancellation_starts_nothing_anew():
    refunded = looked(ended(CANCELED), 0, NOW + timedelta(hours=1))
    assert end(refunded, "j1", REMOVED, NOW, QUIET) == refunded


def test_no_version_opens_a_job_again():
    job = post(ended(CANCELED, job=posted(SMALL)), "j1", LARGE, NOW, QUIET)
    assert (job.status, job.price, job.refunds_due) == (CANCELED, 16, NOW)


def test_a_job_may_end_before_anything_else_is_heard_of_it():
    job = ended(CANCELED)
    assert (job.status, job.posting, job.price) == (CANCELED, None, None)
    assert post(job, "j1", SMALL, NOW, QUIET).status is CANCELED


# --- Looking for refunds


def test_a_job_is_looked_at_again_later_and_later_while_anything_is_left():
    job, at, waits = ended(CANCELED), NOW, []
    for _ in range(8):
        job = looked(job, 5, at)
        waits.append((job.refunds_due - at) / timedelta(minutes=1))
        at = job.refunds_due
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_job_rests_once_nothing_is_left():
    assert looked(looked(ended(CANCELED), 5, NOW), 0, NOW + timedelta(minutes=2)).refunds_due is None


def test_a_job_is_looked_at_once_more_after_its_end():
    """What was written just before the end may be seen just after the first look."""
    assert looked(ended(CANCELED), 0, NOW + timedelta(seconds=1)).refunds_due


# --- What a proposal costs


def test_a_proposal_on_a_known_job_costs_its_price():
    assert price(posted(SMALL)) == price(posted(SMALL), amount=2, expected_price=2) == 2


@pytest.mark.parametrize("seen", [{"amount": 3}, {"expected_price": 3}, {"amount": 2, "expected_price": 3}])
def test_a_sender_who_saw_another_price_is_told_the_price(seen):
    with pytest.raises(PriceChangedError) as refusal:
        price(posted(SMALL), **seen)
    assert refusal.value.details == {"price": 2}


@pytest.mark.parametrize("how", [CANCELED, REMOVED, EXPIRED, FILLED])
@pytest.mark.parametrize("channel", Channel)
def test_a_job_that_ended_takes_no_proposals(how, channel):
    with pytest.raises(JobNotOpenError):
        price(ended(how, job=posted(SMALL)), channel=channel)


def test_a_proposal_on_a_job_that_is_not_known_costs_what_its_sender_says():
    assert price(None, amount=6) == 6


def test_a_price_that_nobody_names_is_refused():
    with pytest.raises(InvalidRequestError):
        price(None)
    with pytest.raises(InvalidRequestError):
        price(None, expected_price=6)


@pytest.mark.parametrize("channel", FREE)
@pytest.mark.parametrize("job", [None, posted(SMALL)], ids=["unknown", "known"])
def test_a_proposal_through_a_free_channel_costs_nothing(job, channel):
    assert price(job, channel=channel) == price(job, channel=channel, expected_price=0) == 0


@pytest.mark.parametrize("seen", [{"amount": 2}, {"expected_price": 2}])
def test_who_would_pay_for_what_is_free_is_told_so(seen):
    with pytest.raises(PriceChangedError) as refusal:
        price(posted(SMALL), channel=Channel.INVITATION, **seen)
    assert refusal.value.details == {"price": 0}


def test_every_channel_has_a_reason_for_the_history():
    assert set(WHY) == set(Channel)
    assert all("free" in WHY[channel] for channel in FREE)


def test_a_job_is_open_until_it_ends():
    assert Job("j1").status is JobStatus.OPEN
    assert [status.refunds for status in JobStatus] == [False, True, True, False, False]
