"""Jobs: prices, versions in any order, ends that are final, and what a proposal costs."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from shared.ledger.errors import InvalidRequestError, JobNotOpenError, PriceChangedError
from shared.ledger.jobs import (
    WHY,
    Channel,
    Job,
    JobAndAuction,
    JobEvent,
    JobStatus,
    Posting,
    after_sweep,
    price_of,
    quote,
    with_event,
    with_posting,
)
from shared.ledger.policy import JOB_PRICES, Policy
from tests.core.builders import QUIET, noon

NOW = noon("2026-01-15")
SMALL, LARGE = Posting(1, "small", "simple"), Posting(2, "large", "complex")
HIRED, CANCELED, REMOVED, EXPIRED, FILLED = JobEvent
FREE = [channel for channel in Channel if channel is not Channel.SEARCH]


NOTHING = JobAndAuction(Job("j1"))


def with_postings(known, *postings, at=NOW):
    for posting in postings:
        known = with_posting(known, posting, at, NOW, QUIET)
    return known


def posted(*postings):
    return with_postings(NOTHING, *postings).job


def closes(*postings):
    """When the auction closes, in days from now."""
    return (with_postings(NOTHING, *postings).auction.closes_at - NOW) / timedelta(days=1)


def happened(*events, known=NOTHING):
    """Reported in this order; each is an event, or an event and how many hours ago it was."""
    for event in events:
        kind, ago = event if isinstance(event, tuple) else (event, 0)
        known = with_event(known, kind, NOW - timedelta(hours=ago), NOW, QUIET)
    return known


def ended(*events, job=None):
    return happened(*events, known=JobAndAuction(job) if job else NOTHING).job


def price(job, *, channel=Channel.SEARCH, amount=None, expected_price=None):
    return quote(job, channel, amount=amount, expected_price=expected_price)


# --- Prices


def test_a_price_follows_size_and_scope():
    assert [price_of(posting, QUIET) for posting in (SMALL, LARGE)] == [2, 16]


def test_prices_are_within_those_that_users_reported():
    assert all(1 <= price <= 16 for price in JOB_PRICES.values())


def test_prices_are_configuration():
    policy = replace(QUIET, job_prices={"tiny/odd": 1})
    assert price_of(Posting(1, "tiny", "odd"), policy) == 1


@pytest.mark.parametrize("price", [0, -1, 1_000_001])
def test_a_price_outside_of_the_limits_is_refused(price):
    with pytest.raises(ValueError, match="job_prices"):
        Policy(job_prices={"small/simple": price})


def test_a_price_of_its_own_overrides_size_and_scope():
    assert price_of(replace(SMALL, price=7), QUIET) == 7
    assert price_of(Posting(1, "unheard of", price=7), QUIET) == 7


@pytest.mark.parametrize(("size", "scope"), [("huge", "simple"), ("small", "odd"), ("", ""), ("small/simple", "")])
def test_a_size_or_scope_that_has_no_price_is_refused(size, scope):
    with pytest.raises(InvalidRequestError):
        posted(Posting(1, size, scope))


@pytest.mark.parametrize("posting", [Posting(1), Posting(1, "small"), Posting(1, scope="simple")])
def test_a_posting_without_a_price_or_size_and_scope_is_refused(posting):
    with pytest.raises(InvalidRequestError):
        posted(posting)


def test_the_price_is_recomputed_when_the_job_changes():
    assert posted(SMALL, LARGE).price == 16


# --- Versions


def test_an_older_version_is_ignored():
    assert posted(LARGE, SMALL) == posted(LARGE)


def test_the_same_version_again_changes_nothing():
    assert posted(LARGE, replace(LARGE, price=1)) == posted(LARGE)


def test_versions_in_any_order_and_number_leave_the_newest():
    postings = [Posting(version, price=version + 1) for version in range(4)]
    for order in permutations(postings):
        assert posted(*order, *order[:2]) == posted(postings[3])


def test_an_older_version_without_a_price_is_ignored_and_not_refused():
    assert posted(LARGE, Posting(1)) == posted(LARGE)


# --- When its auction closes


def test_an_auction_closes_seven_days_after_the_job_was_posted_or_first_reported():
    assert closes(replace(SMALL, posted_at=NOW - timedelta(days=1))) == 6
    assert closes(SMALL) == 7


def test_the_first_version_that_names_the_time_of_posting_sets_the_close_in_whatever_order_they_arrive():
    versions = [
        Posting(1, price=1),
        Posting(2, price=1, posted_at=NOW - timedelta(days=2)),
        Posting(3, price=1, posted_at=NOW - timedelta(days=6)),
        Posting(4, price=1, posted_at=NOW + timedelta(days=30)),
    ]
    assert {closes(*order) for order in permutations(versions)} == {5}


def test_a_version_that_overtakes_the_one_with_the_time_of_posting_loses_nothing():
    early = replace(SMALL, posted_at=NOW - timedelta(days=3))
    job = posted(LARGE, early)
    assert (job.price, closes(LARGE, early), closes(early, LARGE)) == (16, 4, 4)


def test_of_versions_that_name_no_time_of_posting_the_earliest_counts():
    hour = timedelta(hours=1)
    later = with_postings(NOTHING, LARGE, at=NOW)
    assert with_postings(later, SMALL, at=NOW - hour).auction.closes_at == NOW - hour + timedelta(days=7)
    assert with_postings(
        with_postings(NOTHING, SMALL, at=NOW - hour), LARGE, at=NOW
    ).auction.closes_at == NOW - hour + timedelta(days=7)


# --- Ends


@pytest.mark.parametrize("how", [CANCELED, REMOVED])
def test_a_canceled_or_removed_job_is_due_refunds_at_once(how):
    job = ended(how, job=posted(SMALL))
    assert (job.status, job.refunds_since, job.refunds_due) == (how, NOW, NOW)


@pytest.mark.parametrize("how", [EXPIRED, FILLED])
def test_an_expired_or_filled_job_is_due_no_refunds(how):
    job = ended(how, job=posted(SMALL))
    assert (job.status, job.refunds_due) == (how, None)


@pytest.mark.parametrize("first", [CANCELED, EXPIRED, FILLED])
@pytest.mark.parametrize("second", [CANCELED, EXPIRED, FILLED])
def test_the_first_end_counts_in_whatever_order_ends_are_reported(first, second):
    for told_in in permutations([(first, 2), (second, 1)]):
        job = ended(*told_in)
        assert (job.status, job.refunds) == (first, first is CANCELED)


@pytest.mark.parametrize("end", [EXPIRED, FILLED, CANCELED])
def test_a_job_that_was_removed_before_stays_removed(end):
    for told_in in permutations([(REMOVED, 2), (end, 1)]):
        assert ended(*told_in).status is JobStatus.REMOVED


@pytest.mark.parametrize(("hired", "canceled", "back"), [(2, 1, False), (1, 2, True), (1, 1, False)])
def test_a_cancellation_before_a_hire_refunds_in_whatever_order_they_are_reported(hired, canceled, back):
    for told_in in permutations([(HIRED, hired), (CANCELED, canceled)]):
        job = ended(*told_in)
        assert (job.status, job.refunds, job.refunds_due) == (CANCELED, back, NOW if back else None)


def test_a_job_still_takes_proposals_after_the_first_hire():
    job = ended(HIRED, job=posted(SMALL))
    assert (job.status, price(job), job.refunds_due) == (JobStatus.OPEN, 2, None)


def test_a_job_removed_after_a_hire_and_a_cancellation_refunds():
    for told_in in permutations([(HIRED, 3), (CANCELED, 2), (REMOVED, 1)]):
        job = ended(*told_in)
        assert (job.status, job.refunds, job.refunds_due) == (REMOVED, True, NOW)


def test_the_same_event_again_or_of_a_later_time_changes_nothing():
    for event in JobEvent:
        assert happened((event, 2), (event, 2), (event, 1)) == happened((event, 2))


@pytest.mark.parametrize("first", [EXPIRED, FILLED])
def test_a_post_that_broke_the_terms_refunds_however_it_ended(first):
    job = ended(first, REMOVED)
    assert (job.status, job.refunds_due) == (REMOVED, NOW)


def test_a_removal_after_a_cancellation_starts_nothing_anew():
    refunded = after_sweep(ended((CANCELED, 2)), 0, NOW + timedelta(hours=1))
    after = ended((REMOVED, 1), job=refunded)
    assert (after.status, after.refunds_due) == (CANCELED, None)


def test_no_version_opens_a_job_again():
    job = with_postings(JobAndAuction(ended(CANCELED, job=posted(SMALL))), LARGE).job
    assert (job.status, job.price, job.refunds_due) == (CANCELED, 16, NOW)


def test_a_job_may_end_before_any_version_of_it_arrives():
    job = ended(CANCELED)
    assert (job.status, job.posting, job.price) == (CANCELED, None, None)
    assert with_postings(JobAndAuction(job), SMALL).job.status == CANCELED


# --- Looking for refunds


def test_a_job_is_swept_again_at_growing_intervals_while_anything_is_left():
    job, at, waits = ended(CANCELED), NOW, []
    for _ in range(8):
        job = after_sweep(job, 5, at)
        waits.append((job.refunds_due - at) / timedelta(minutes=1))
        at = job.refunds_due
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_job_is_not_due_once_nothing_is_left():
    assert after_sweep(after_sweep(ended(CANCELED), 5, NOW), 0, NOW + timedelta(minutes=2)).refunds_due is None


def test_a_job_is_swept_once_more_after_its_end():
    """A proposal written just before the end may be visible only after the first sweep."""
    assert after_sweep(ended(CANCELED), 0, NOW + timedelta(seconds=1)).refunds_due


# --- What a proposal costs


def test_a_proposal_on_a_known_job_costs_its_price():
    assert price(posted(SMALL)) == price(posted(SMALL), amount=2, expected_price=2) == 2


@pytest.mark.parametrize("seen", [{"amount": 3}, {"expected_price": 3}, {"amount": 2, "expected_price": 3}])
def test_a_refusal_of_another_price_names_the_price(seen):
    with pytest.raises(PriceChangedError) as refusal:
        price(posted(SMALL), **seen)
    assert refusal.value.details == {"price": 2}


@pytest.mark.parametrize("how", [CANCELED, REMOVED, EXPIRED, FILLED])
@pytest.mark.parametrize("channel", Channel)
def test_a_job_that_ended_takes_no_proposals(how, channel):
    with pytest.raises(JobNotOpenError):
        price(ended(how, job=posted(SMALL)), channel=channel)


def test_a_proposal_on_an_unknown_job_costs_what_the_request_says():
    assert price(None, amount=6) == 6


def test_a_proposal_without_any_price_is_refused():
    with pytest.raises(InvalidRequestError):
        price(None)
    with pytest.raises(InvalidRequestError):
        price(None, expected_price=6)


@pytest.mark.parametrize("channel", FREE)
@pytest.mark.parametrize("job", [None, posted(SMALL)], ids=["unknown", "known"])
def test_a_proposal_through_a_free_channel_costs_nothing(job, channel):
    assert price(job, channel=channel) == price(job, channel=channel, expected_price=0) == 0


@pytest.mark.parametrize("seen", [{"amount": 2}, {"expected_price": 2}])
def test_a_price_for_a_free_proposal_is_refused(seen):
    with pytest.raises(PriceChangedError) as refusal:
        price(posted(SMALL), channel=Channel.INVITATION, **seen)
    assert refusal.value.details == {"price": 0}


def test_every_channel_has_a_reason_for_the_history():
    assert set(WHY) == set(Channel)
    assert all("free" in WHY[channel] for channel in FREE)


def test_a_job_is_open_until_it_ends():
    assert Job("j1").status is JobStatus.OPEN
