"""Jobs as the store keeps them, and spending on them: at their price, while they are open, once an account."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.ledger.errors import (
    AccountNotFoundError,
    AlreadyExistsError,
    IdempotencyKeyReusedError,
    InsufficientConnectsError,
    InvalidRequestError,
    JobNotFoundError,
    JobNotOpenError,
    PriceChangedError,
)
from shared.ledger.jobs import Channel, Job, JobAndAuction, JobEvent, JobStatus
from shared.ledger.model import EntryType
from shared.store.errors import JobMovedError
from shared.store.jobs import Jobs
from tests.faults import BATCH_GET, TRANSACT, UPDATE


@pytest.fixture
def driver(driver):
    """Ann's, with 20 Connects."""
    driver.open()
    driver.credit(20)
    return driver


# --- Jobs


def test_what_is_stored_of_a_job_comes_back_as_it_was_written(driver):
    posted_at = driver.clock.at - timedelta(days=2)
    job = driver.post(size="small", scope="simple", budget_cents=5_000, price=7, posted_at=posted_at)
    assert driver.job() == replace(job, revision=1)
    assert (job.price, job.posting.size, job.posting.budget_cents, job.posting.posted_at) == (
        7,
        "small",
        5000,
        posted_at,
    )
    canceled = driver.end()
    assert driver.job() == replace(canceled, revision=2)


def test_a_job_that_nobody_heard_of_is_not_found(driver):
    with pytest.raises(JobNotFoundError):
        driver.job()


def test_a_version_that_comes_late_or_twice_writes_nothing(driver, faults):
    driver.post(version=2, price=7)
    with faults.measured() as cost:
        assert driver.post(version=1, price=3).price == driver.post(version=2, price=3).price == 7
    assert cost.calls == [BATCH_GET, BATCH_GET]


def test_what_a_newer_version_leaves_out_is_gone(driver):
    driver.post(version=1, price=7, budget_cents=100)
    driver.post(version=2, size="large", scope="complex")
    assert (driver.job().price, driver.job().posting.price, driver.job().posting.budget_cents) == (16, None, None)


def test_an_older_version_that_overtakes_does_not_win(driver, faults):
    driver.post(version=1, price=1)
    faults.on(UPDATE, faults.before(lambda: driver.post(version=2, price=2)))
    assert driver.post(version=3, price=3).price == 3
    faults.on(UPDATE, faults.before(lambda: driver.post(version=5, price=5)))
    assert driver.post(version=4, price=4).price == driver.job().price == 5


def test_two_who_first_tell_of_a_job_lose_neither(driver, faults):
    faults.on(TRANSACT, faults.before(driver.end))
    assert driver.post(price=7).status is JobStatus.CANCELED
    assert (driver.job().status, driver.job().price) == (JobStatus.CANCELED, 7)


def test_a_job_that_moved_is_not_written_over(driver):
    driver.post(price=7)
    for read in (None, JobAndAuction(Job("j1", revision=9))):
        with pytest.raises(JobMovedError):
            Jobs(driver.table).save(read, JobAndAuction(Job("j1", price=1)))


# --- Spending on them


def test_a_proposal_costs_what_its_job_does(driver):
    driver.post(size="medium", scope="moderate")
    spent = driver.propose().entry
    assert (spent.type, spent.amount, spent.reason) == (EntryType.SPEND, -8, "Proposal")
    assert spent.reference == {"type": "proposal", "proposal_id": "p-ann", "job_id": "j1"}


def test_a_proposal_at_a_price_that_is_no_longer_the_price_spends_nothing(driver):
    driver.post(version=1, price=7)
    driver.post(version=2, price=9)
    for seen in ({"expected_price": 7}, {"amount": 7}):
        with pytest.raises(PriceChangedError) as refusal:
            driver.propose(**seen)
        assert refusal.value.details == {"price": 9}
    assert driver.balance() == 20
    assert driver.propose(expected_price=9, amount=9).entry.amount == -9


def test_a_price_that_changes_at_the_last_moment_is_not_paid_unseen(driver, faults):
    driver.post(version=1, price=7)
    faults.on(TRANSACT, faults.before(lambda: driver.post(version=2, price=9)))
    with pytest.raises(PriceChangedError) as refusal:
        driver.propose(expected_price=7)
    assert (refusal.value.details, driver.balance()) == ({"price": 9}, 20)


def test_who_named_no_price_pays_what_it_is_by_then(driver, faults):
    driver.post(version=1, price=7)
    faults.on(TRANSACT, faults.before(lambda: driver.post(version=2, price=9)))
    assert driver.propose().entry.amount == -9


def test_a_change_that_is_none_of_the_price_is_in_nobodys_way(driver, faults):
    driver.post(version=1, price=7)
    faults.on(TRANSACT, faults.before(lambda: driver.post(version=2, price=7, budget_cents=9)))
    with faults.measured() as cost:
        assert driver.propose(expected_price=7).entry.amount == -7
    assert cost.calls == [BATCH_GET, TRANSACT]


@pytest.mark.parametrize("how", sorted(set(JobEvent) - {JobEvent.HIRED}))
def test_a_job_that_ended_takes_no_proposal(driver, how):
    driver.post(price=7)
    driver.end(how=how)
    with pytest.raises(JobNotOpenError):
        driver.propose()
    assert driver.balance() == 20


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_job_that_ends_at_the_last_moment_takes_no_proposal(driver, faults, known):
    if known:
        driver.post(price=7)
    faults.on(TRANSACT, faults.before(driver.end))
    with pytest.raises(JobNotOpenError):
        driver.propose(amount=7)
    assert driver.balance() == 20


def test_a_job_that_becomes_known_at_the_last_moment_names_the_price(driver, faults):
    faults.on(TRANSACT, faults.before(lambda: driver.post(price=9)))
    with pytest.raises(PriceChangedError):
        driver.propose(amount=7)


def test_a_proposal_on_a_job_that_is_not_known_costs_what_its_sender_says(driver):
    assert driver.propose(amount=7).entry.amount == -7
    with pytest.raises(InvalidRequestError):
        driver.propose("j2", "other")


def test_a_proposal_for_no_job_is_not_one_an_account_alone(driver):
    assert [driver.spend(1, key).entry.amount for key in "ab"] == [-1, -1]


# --- Once an account and job


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_an_account_has_one_proposal_on_a_job(driver, known):
    if known:
        driver.post(price=7)
    driver.propose(amount=7)
    with pytest.raises(AlreadyExistsError):
        driver.propose(amount=7, key="another")
    assert driver.balance() == 13


def test_others_have_one_each_and_so_do_other_jobs(driver):
    driver.open("bob")
    driver.credit(20, account="bob")
    driver.propose(amount=7)
    assert driver.propose(amount=7, account="bob").entry.amount == -7
    assert driver.propose("j2", "another", amount=7).entry.amount == -7


def test_a_second_proposal_is_told_so_even_if_it_could_not_be_paid(driver):
    driver.propose(amount=20)
    with pytest.raises(AlreadyExistsError):
        driver.propose(amount=20, key="another")
    with pytest.raises(InsufficientConnectsError):
        driver.propose("j2", "a third", amount=20)


def test_a_refused_proposal_leaves_the_job_to_another(driver):
    with pytest.raises(InsufficientConnectsError):
        driver.propose(amount=21)
    assert driver.propose(amount=20, key="another").entry.amount == -20


def test_a_proposal_that_came_back_does_not_make_room_for_another(driver):
    spent = driver.propose(amount=7).entry
    driver.refund(spent.entry_id)
    with pytest.raises(AlreadyExistsError):
        driver.propose(amount=7, key="another")


def test_a_repeat_is_answered_as_the_first_time_whatever_has_become_of_the_job(driver):
    driver.post(version=1, price=7)
    first = driver.propose(expected_price=7).entry
    assert driver.propose(expected_price=7).entry == first
    driver.post(version=2, price=9)
    assert driver.propose(expected_price=7).entry == first
    driver.end()
    again = driver.propose(expected_price=7)
    assert (again.entry, again.replayed) == (first, True)
    with pytest.raises(IdempotencyKeyReusedError):
        driver.propose(expected_price=9)


def test_a_repeat_is_answered_as_the_first_time_when_the_job_is_known_by_now(driver):
    first = driver.propose(amount=20).entry
    driver.post(price=3)
    assert driver.propose(amount=20).entry == first


def test_a_repeat_that_overtakes_on_a_job_is_the_one_that_counts(driver, faults):
    driver.post(price=7)
    faults.on(TRANSACT, faults.before(driver.propose))
    assert driver.propose().replayed
    assert driver.balance() == 13


def test_who_comes_second_on_an_account_decides_again_and_keeps_the_price(driver, faults):
    driver.post(price=7)
    faults.on(TRANSACT, faults.before(lambda: driver.spend(5, "faster")))
    with faults.measured() as cost:
        assert driver.propose().entry.balance_after == 8
    assert cost.calls == [BATCH_GET, TRANSACT, UPDATE, TRANSACT]


def test_an_account_that_was_never_opened_proposes_nothing(driver):
    driver.post(price=7)
    with pytest.raises(AccountNotFoundError):
        driver.propose(account="nobody")


# --- Free ones


@pytest.mark.parametrize("channel", [channel for channel in Channel if channel is not Channel.SEARCH])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_free_proposal_is_a_row_of_nothing_that_says_why(driver, channel, known):
    if known:
        driver.post(price=7)
    entry = driver.propose(channel=channel).entry
    assert (entry.type, entry.amount, entry.slices, entry.balance_after) == (EntryType.SPEND, 0, {}, 20)
    assert "free" in entry.reason
    assert entry.reference["channel"] == channel
    assert driver.journal()[-1] == entry


def test_a_free_proposal_needs_no_connects(driver):
    driver.spend(20)
    assert driver.propose(channel=Channel.OFFER).entry.balance_after == 0


def test_a_free_proposal_counts_as_the_one_on_its_job(driver):
    driver.propose(channel=Channel.INVITATION)
    with pytest.raises(AlreadyExistsError):
        driver.propose(amount=7, key="another")
