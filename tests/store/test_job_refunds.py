"""What comes back when a job is canceled or removed: every proposal on it, each once, whoever dies half-way."""

import json
from datetime import timedelta

import pytest

from shared.ledger.errors import AlreadyRefundedError, JobNotOpenError
from shared.ledger.jobs import Channel, JobEvent, JobStatus
from shared.ledger.model import EntryType
from shared.store.jobs import Jobs
from tests.desk import Letters
from tests.wire import TRANSACT, UPDATE, KilledError, dies, passes

MANY = 35


@pytest.fixture
def desk(desk):
    """With a job at 7, and Ann, Bob and Cem with 20 Connects each."""
    for name in ("ann", "bob", "cem"):
        desk.open(name)
        desk.credit(20, account=name)
    desk.post(price=7)
    return desk


def everybody_proposes(desk):
    for name in ("ann", "bob", "cem"):
        desk.propose(account=name)


def balances(desk):
    return [desk.balance(name) for name in ("ann", "bob", "cem")]


def later(desk, **by):
    desk.clock.at += timedelta(**by)
    return desk


def many_propose(desk, number=MANY):
    names = [f"a{each}" for each in range(number)]
    desk.proposed_by(names, holding=7)
    return names


@pytest.mark.parametrize(("how", "reason"), [(JobEvent.CANCELED, "Job canceled"), (JobEvent.REMOVED, "Job removed")])
def test_every_proposal_on_a_canceled_or_removed_job_comes_back(desk, how, reason):
    everybody_proposes(desk)
    desk.end(how=how)
    assert desk.sweep() == 3
    assert balances(desk) == [20, 20, 20]
    refund = desk.journal()[-1]
    assert (refund.type, refund.amount, refund.reason) == (EntryType.REFUND, 7, reason)


@pytest.mark.parametrize("how", [JobEvent.EXPIRED, JobEvent.FILLED])
def test_no_proposal_on_an_expired_or_filled_job_comes_back(desk, how):
    everybody_proposes(desk)
    desk.end(how=how)
    desk.end()
    assert desk.sweep() == later(desk, days=1).sweep() == 0
    assert balances(desk) == [13, 13, 13]


def test_what_comes_back_goes_into_the_lots_it_came_from(desk):
    desk.propose()
    desk.at("2026-03-01").end()
    desk.sweep()
    assert list(desk.stored().lots.values()) == [20]


def test_a_cancellation_told_twice_gives_back_once(desk):
    everybody_proposes(desk)
    for how in (JobEvent.CANCELED, JobEvent.CANCELED, JobEvent.REMOVED):
        desk.end(how=how)
        later(desk, hours=1).sweep()
    assert balances(desk) == [20, 20, 20]
    assert desk.job().status is JobStatus.CANCELED


def test_a_job_whose_refunds_are_done_is_no_longer_due(desk):
    everybody_proposes(desk)
    desk.end()
    assert [desk.sweep(), later(desk, minutes=2).sweep()] == [3, 0]
    assert desk.job().refunds_due is None
    assert list(Jobs(desk.table).due(desk.clock.at + timedelta(days=9))) == []


def test_a_job_without_proposals_is_done_a_minute_after_its_end(desk):
    desk.end()
    assert desk.sweep() == 0
    assert desk.job().refunds_due
    later(desk, minutes=2).sweep()
    assert desk.job().refunds_due is None


def test_proposals_on_a_job_that_was_never_posted_come_back_too(desk):
    desk.propose("j2", amount=4)
    desk.end("j2")
    desk.sweep()
    assert desk.balance() == 20


def test_other_jobs_proposals_do_not_come_back(desk):
    desk.propose("j2", amount=4)
    desk.end("j1")
    desk.sweep()
    assert desk.balance() == 16


def test_what_came_back_before_does_not_come_back_again(desk):
    desk.refund(desk.propose().entry.entry_id)
    desk.end()
    assert desk.sweep() == 1
    assert desk.balance() == 20
    assert later(desk, minutes=2).sweep() == 0


@pytest.mark.parametrize(("price", "back"), [(8, []), (10, []), (12, [2]), (16, [6])])
def test_of_a_proposal_that_had_its_interview_the_rest_comes_back(desk, price, back):
    desk.post("j2", price=price)
    desk.interview(desk.propose("j2").entry.entry_id)
    desk.end("j2")
    assert desk.sweep() == 1
    assert [entry.amount for entry in desk.journal() if entry.reference.get("why")] == back
    assert desk.balance() == 20 + max(0, 10 - price)
    assert later(desk, minutes=2).sweep() == 0


def test_an_interview_after_the_end_of_its_job_brings_only_what_is_missing_to_10(desk):
    spend_id = desk.propose().entry.entry_id
    desk.end()
    desk.sweep()
    assert [entry.amount for entry in desk.interview(spend_id)[0]] == [3]


def test_an_interview_that_overtakes_the_refund_with_the_job_leaves_it_the_rest(desk, wire):
    desk.post("j2", price=12)
    spend_id = desk.propose("j2").entry.entry_id
    desk.end("j2")
    wire.on(TRANSACT, wire.before(lambda: desk.interview(spend_id)))
    desk.sweep()
    assert desk.balance() == 20
    assert later(desk, minutes=2).sweep() == 0


def test_what_came_back_with_its_job_does_not_come_back_again(desk):
    spend_id = desk.propose().entry.entry_id
    desk.end()
    desk.sweep()
    with pytest.raises(AlreadyRefundedError):
        desk.refund(spend_id)


def test_a_free_proposal_has_nothing_to_give_back(desk):
    desk.propose(channel=Channel.INVITATION)
    desk.end()
    assert desk.sweep() == 0
    assert [entry.type for entry in desk.journal()] == [EntryType.REWARD, EntryType.SPEND]


def test_a_run_that_finds_many_sends_them_in_pages(desk):
    names = many_propose(desk)
    desk.end()
    letters = Letters()
    assert desk.sweep(letters) == MANY
    pages = [json.loads(body)["proposals"] for body in letters.bodies]
    assert [len(page) for page in pages] == [25, 10]
    assert sorted(account for page in pages for account, *_ in page) == sorted(names)
    for body in letters.bodies:
        desk.handle(body)
    assert {desk.balance(name) for name in names} == {7}


def test_messages_that_come_twice_and_in_any_order_give_back_once(desk):
    names = many_propose(desk)
    desk.end()
    letters = Letters()
    desk.sweep(letters)
    for body in [*reversed(letters.bodies), *letters.bodies]:
        desk.handle(body)
    assert {desk.balance(name) for name in names} == {7}


def test_a_run_that_breaks_while_sending_is_finished_by_the_next(desk):
    names = many_propose(desk)
    desk.end()
    half = Letters(takes=1)
    with pytest.raises(ExceptionGroup):
        desk.sweep(half)
    desk.handle(half.bodies[0])
    assert sum(desk.balance(name) for name in names) == 25 * 7
    assert desk.sweep() == MANY - 25
    assert {desk.balance(name) for name in names} == {7}


def test_a_worker_that_dies_half_way_is_finished_by_the_next(desk, wire):
    names = many_propose(desk)
    desk.end()
    wire.on(TRANSACT, *[passes] * 30, dies)
    with pytest.raises(KilledError):
        desk.sweep()
    assert sum(desk.balance(name) for name in names) == 30 * 7
    assert desk.sweep() == MANY - 30
    assert {desk.balance(name) for name in names} == {7}


def test_messages_that_are_lost_are_sent_again_later_and_only_what_is_left(desk):
    names = many_propose(desk)
    desk.end()
    lost = Letters()
    desk.sweep(lost)
    desk.handle(lost.bodies[0])
    assert desk.sweep() == 0  # they may still be under way
    assert later(desk, minutes=2).sweep() == MANY - 25
    assert {desk.balance(name) for name in names} == {7}
    assert later(desk, minutes=4).sweep() == 0
    assert desk.job().refunds_due is None


def test_a_proposal_that_cannot_come_back_does_not_keep_the_others(desk):
    everybody_proposes(desk)
    desk.end()
    letters = Letters()
    desk.sweep(letters)
    poisoned = json.loads(letters.bodies[0])
    poisoned["proposals"].insert(1, ["nobody", "p", "made-up", 7])
    with pytest.raises(ExceptionGroup):
        desk.handle(json.dumps(poisoned))
    assert balances(desk) == [20, 20, 20]


def test_a_job_that_cannot_be_looked_at_does_not_keep_the_others(desk, monkeypatch):
    everybody_proposes(desk)
    desk.end("j0")
    desk.end("j1")
    unrefunded = Jobs.unrefunded
    monkeypatch.setattr(Jobs, "unrefunded", lambda jobs, job: 1 / 0 if job == "j0" else unrefunded(jobs, job))
    with pytest.raises(ExceptionGroup):
        desk.sweep()
    assert balances(desk) == [20, 20, 20]


def test_a_job_that_is_due_is_looked_at_by_a_message_too(desk):
    everybody_proposes(desk)
    desk.end()
    desk.handle(json.dumps({"look_at": "j1"}))
    assert balances(desk) == [20, 20, 20]
    desk.handle(json.dumps({"look_at": "j1"}))
    desk.handle(json.dumps({"look_at": "j2"}))


def test_a_price_that_changes_while_it_is_looked_at_leaves_the_job_due(desk, wire):
    desk.propose()
    desk.end()
    wire.on(UPDATE, wire.before(lambda: desk.post(version=2, price=9)))
    desk.sweep()
    assert (desk.balance(), desk.job().refunds_due, desk.job().looks) == (20, desk.clock.at, 0)


def test_a_proposal_that_meets_its_jobs_end_is_refused_or_comes_back(desk, wire):
    """The end comes right before the proposal, and right after."""
    wire.on(TRANSACT, wire.before(desk.end))
    with pytest.raises(JobNotOpenError):
        desk.propose()
    desk.post("j2", price=7)
    desk.propose("j2", account="bob")
    desk.end("j2")
    desk.sweep()
    assert balances(desk) == [20, 20, 20]
