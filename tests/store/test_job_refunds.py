"""What comes back when a job is canceled or removed: every proposal on it, each once, whoever dies half-way."""

import json
from datetime import timedelta

import pytest

from shared.ledger.errors import AlreadyRefundedError, JobNotOpenError
from shared.ledger.jobs import Channel, JobEvent, JobStatus
from shared.ledger.model import EntryType
from shared.store.jobs import Jobs
from tests.driver import RecordingQueue
from tests.faults import TRANSACT, UPDATE, KilledError, dies, passes

MANY = 35


@pytest.fixture
def driver(driver):
    """With a job at 7, and Ann, Bob and Cem with 20 Connects each."""
    for name in ("ann", "bob", "cem"):
        driver.open(name)
        driver.credit(20, account=name)
    driver.post(price=7)
    return driver


def everybody_proposes(driver):
    for name in ("ann", "bob", "cem"):
        driver.propose(account=name)


def balances(driver):
    return [driver.balance(name) for name in ("ann", "bob", "cem")]


def later(driver, **by):
    driver.clock.at += timedelta(**by)
    return driver


def many_propose(driver, number=MANY):
    names = [f"a{each}" for each in range(number)]
    driver.proposed_by(names, holding=7)
    return names


@pytest.mark.parametrize(("how", "reason"), [(JobEvent.CANCELED, "Job canceled"), (JobEvent.REMOVED, "Job removed")])
def test_every_proposal_on_a_canceled_or_removed_job_comes_back(driver, how, reason):
    everybody_proposes(driver)
    driver.end(how=how)
    assert driver.sweep() == 3
    assert balances(driver) == [20, 20, 20]
    refund = driver.journal()[-1]
    assert (refund.type, refund.amount, refund.reason) == (EntryType.REFUND, 7, reason)


@pytest.mark.parametrize("how", [JobEvent.EXPIRED, JobEvent.FILLED])
def test_no_proposal_on_an_expired_or_filled_job_comes_back(driver, how):
    everybody_proposes(driver)
    driver.end(how=how)
    driver.end()
    assert driver.sweep() == later(driver, days=1).sweep() == 0
    assert balances(driver) == [13, 13, 13]


def test_what_comes_back_goes_into_the_lots_it_came_from(driver):
    driver.propose()
    driver.at("2026-03-01").end()
    driver.sweep()
    assert list(driver.stored().lots.values()) == [20]


def test_a_cancellation_told_twice_gives_back_once(driver):
    everybody_proposes(driver)
    for how in (JobEvent.CANCELED, JobEvent.CANCELED, JobEvent.REMOVED):
        driver.end(how=how)
        later(driver, hours=1).sweep()
    assert balances(driver) == [20, 20, 20]
    assert driver.job().status is JobStatus.CANCELED


def test_a_job_whose_refunds_are_done_is_no_longer_due(driver):
    everybody_proposes(driver)
    driver.end()
    assert [driver.sweep(), later(driver, minutes=2).sweep()] == [3, 0]
    assert driver.job().refunds_due is None
    assert list(Jobs(driver.table).due(driver.clock.at + timedelta(days=9))) == []


def test_a_job_without_proposals_is_done_a_minute_after_its_end(driver):
    driver.end()
    assert driver.sweep() == 0
    assert driver.job().refunds_due
    later(driver, minutes=2).sweep()
    assert driver.job().refunds_due is None


def test_proposals_on_a_job_that_was_never_posted_come_back_too(driver):
    driver.propose("j2", amount=4)
    driver.end("j2")
    driver.sweep()
    assert driver.balance() == 20


def test_other_jobs_proposals_do_not_come_back(driver):
    driver.propose("j2", amount=4)
    driver.end("j1")
    driver.sweep()
    assert driver.balance() == 16


def test_what_came_back_before_does_not_come_back_again(driver):
    driver.refund(driver.propose().entry.entry_id)
    driver.end()
    assert driver.sweep() == 1
    assert driver.balance() == 20
    assert later(driver, minutes=2).sweep() == 0


@pytest.mark.parametrize(("price", "back"), [(8, []), (10, []), (12, [2]), (16, [6])])
def test_of_a_proposal_that_had_its_interview_the_rest_comes_back(driver, price, back):
    driver.post("j2", price=price)
    driver.interview(driver.propose("j2").entry.entry_id)
    driver.end("j2")
    assert driver.sweep() == 1
    assert [entry.amount for entry in driver.journal() if entry.reference.get("why")] == back
    assert driver.balance() == 20 + max(0, 10 - price)
    assert later(driver, minutes=2).sweep() == 0


def test_an_interview_after_the_end_of_its_job_brings_only_what_is_missing_to_10(driver):
    spend_id = driver.propose().entry.entry_id
    driver.end()
    driver.sweep()
    assert [entry.amount for entry in driver.interview(spend_id)[0]] == [3]


def test_an_interview_that_overtakes_the_refund_with_the_job_leaves_it_the_rest(driver, faults):
    driver.post("j2", price=12)
    spend_id = driver.propose("j2").entry.entry_id
    driver.end("j2")
    faults.on(TRANSACT, faults.before(lambda: driver.interview(spend_id)))
    driver.sweep()
    assert driver.balance() == 20
    assert later(driver, minutes=2).sweep() == 0


def test_what_came_back_with_its_job_does_not_come_back_again(driver):
    spend_id = driver.propose().entry.entry_id
    driver.end()
    driver.sweep()
    with pytest.raises(AlreadyRefundedError):
        driver.refund(spend_id)


def test_a_free_proposal_has_nothing_to_give_back(driver):
    driver.propose(channel=Channel.INVITATION)
    driver.end()
    assert driver.sweep() == 0
    assert [entry.type for entry in driver.journal()] == [EntryType.REWARD, EntryType.SPEND]


def test_a_run_that_finds_many_sends_them_in_pages(driver):
    names = many_propose(driver)
    driver.end()
    recorded = RecordingQueue()
    assert driver.sweep(recorded) == MANY
    pages = [json.loads(body)["proposals"] for body in recorded.bodies]
    assert [len(page) for page in pages] == [25, 10]
    assert sorted(account for page in pages for account, *_ in page) == sorted(names)
    for body in recorded.bodies:
        driver.handle(body)
    assert {driver.balance(name) for name in names} == {7}


def test_messages_that_come_twice_and_in_any_order_give_back_once(driver):
    names = many_propose(driver)
    driver.end()
    recorded = RecordingQueue()
    driver.sweep(recorded)
    for body in [*reversed(recorded.bodies), *recorded.bodies]:
        driver.handle(body)
    assert {driver.balance(name) for name in names} == {7}


def test_a_run_that_breaks_while_sending_is_finished_by_the_next(driver):
    names = many_propose(driver)
    driver.end()
    half = RecordingQueue(takes=1)
    with pytest.raises(ExceptionGroup):
        driver.sweep(half)
    driver.handle(half.bodies[0])
    assert sum(driver.balance(name) for name in names) == 25 * 7
    assert driver.sweep() == MANY - 25
    assert {driver.balance(name) for name in names} == {7}


def test_a_worker_that_dies_half_way_is_finished_by_the_next(driver, faults):
    names = many_propose(driver)
    driver.end()
    faults.on(TRANSACT, *[passes] * 30, dies)
    with pytest.raises(KilledError):
        driver.sweep()
    assert sum(driver.balance(name) for name in names) == 30 * 7
    assert driver.sweep() == MANY - 30
    assert {driver.balance(name) for name in names} == {7}


def test_messages_that_are_lost_are_sent_again_later_and_only_what_is_left(driver):
    names = many_propose(driver)
    driver.end()
    lost = RecordingQueue()
    driver.sweep(lost)
    driver.handle(lost.bodies[0])
    assert driver.sweep() == 0  # they may still be under way
    assert later(driver, minutes=2).sweep() == MANY - 25
    assert {driver.balance(name) for name in names} == {7}
    assert later(driver, minutes=4).sweep() == 0
    assert driver.job().refunds_due is None


def test_a_proposal_that_cannot_come_back_does_not_keep_the_others(driver):
    everybody_proposes(driver)
    driver.end()
    recorded = RecordingQueue()
    driver.sweep(recorded)
    poisoned = json.loads(recorded.bodies[0])
    poisoned["proposals"].insert(1, ["nobody", "p", "made-up", 7])
    with pytest.raises(ExceptionGroup):
        driver.handle(json.dumps(poisoned))
    assert balances(driver) == [20, 20, 20]


def test_a_job_that_cannot_be_looked_at_does_not_keep_the_others(driver, monkeypatch):
    everybody_proposes(driver)
    driver.end("j0")
    driver.end("j1")
    unrefunded = Jobs.unrefunded
    monkeypatch.setattr(Jobs, "unrefunded", lambda jobs, job: 1 / 0 if job == "j0" else unrefunded(jobs, job))
    with pytest.raises(ExceptionGroup):
        driver.sweep()
    assert balances(driver) == [20, 20, 20]


def test_a_job_that_is_due_is_looked_at_by_a_message_too(driver):
    everybody_proposes(driver)
    driver.end()
    driver.handle(json.dumps({"look_at": "j1"}))
    assert balances(driver) == [20, 20, 20]
    driver.handle(json.dumps({"look_at": "j1"}))
    driver.handle(json.dumps({"look_at": "j2"}))


def test_a_price_that_changes_while_it_is_looked_at_leaves_the_job_due(driver, faults):
    driver.propose()
    driver.end()
    faults.on(UPDATE, faults.before(lambda: driver.post(version=2, price=9)))
    driver.sweep()
    assert (driver.balance(), driver.job().refunds_due, driver.job().looks) == (20, driver.clock.at, 0)


def test_a_proposal_that_meets_its_jobs_end_is_refused_or_comes_back(driver, faults):
    """The end comes right before the proposal, and right after."""
    faults.on(TRANSACT, faults.before(driver.end))
    with pytest.raises(JobNotOpenError):
        driver.propose()
    driver.post("j2", price=7)
    driver.propose("j2", account="bob")
    driver.end("j2")
    driver.sweep()
    assert balances(driver) == [20, 20, 20]
