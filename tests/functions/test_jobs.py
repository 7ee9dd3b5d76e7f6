"""Jobs over HTTP: prices before anything is spent, proposals at them, and refunds when a job goes away."""

import json

import pytest

from shared.aws.queue import SqsQueue
from tests.functions.conftest import client
from tests.functions.events import STAFF, user

REFUNDS = "job_sweep"


pytestmark = pytest.mark.usefixtures("queue")


@pytest.fixture(autouse=True)
def ann(api):
    api.open()


def test_a_job_answers_with_its_price(api):
    posted = api.post(size="small", scope="complex", budget_cents=50_000)
    boosts = {"closes_at": "2026-11-29T10:00:00.000Z", "slots": []}
    job = {"job_id": "j-1", "price": 6, "status": "open", "version": 1, "boosts": boosts}
    assert (posted.status, posted.body) == (200, job)
    assert api.job().body == posted.body


def test_anybody_with_a_token_sees_a_price_before_anything_is_spent(api):
    api.post(price=7)
    seen = api.call("read_job", claims=user("somebody"), path={"job_id": "j-1"})
    assert (seen.status, seen.body["price"]) == (200, 7)


def test_a_job_that_nobody_heard_of_is_not_found(api):
    assert api.job("j-9").refused == (404, "job_not_found")


def test_an_older_version_is_ignored(api):
    api.post(version=2, price=7)
    assert api.post(version=1, price=3).body == api.job().body
    assert api.job().body["price"] == 7


def test_a_size_or_scope_without_a_price_is_refused_and_changes_nothing(api):
    api.post(price=7)
    for job in ({"size": "small", "scope": "odd"}, {"size": "huge", "scope": "simple"}, {"size": "small"}, {}):
        assert api.post(version=2, **job).refused == (400, "invalid_request")
    assert api.job().body["version"] == 1


def test_a_price_that_changed_is_named_and_nothing_is_spent(api):
    api.post(version=1, price=7)
    api.post(version=2, price=9)
    refused = [api.propose(expected_price=7), api.propose(amount=7)]
    assert [(*answer.refused, answer.body["price"]) for answer in refused] == [(409, "price_changed", 9)] * 2
    assert api.balance() == 50


def test_an_amount_is_needed_where_the_job_is_not_known(api):
    assert api.propose().refused == (400, "invalid_request")
    assert api.propose(amount=5).body["amount"] == -5


def test_an_account_has_one_proposal_on_a_job(api):
    api.post(price=7)
    first = api.propose()
    assert api.propose(key="another").refused == (409, "already_exists")
    again = api.propose()
    assert (again.text, again.replayed) == (first.text, True)
    assert api.balance() == 43


@pytest.mark.parametrize("happened", ["canceled", "removed", "expired", "filled"])
def test_a_job_that_ended_takes_no_proposal_and_a_repeat_is_still_one(api, happened):
    api.post(price=7)
    first = api.propose()
    told = api.tell(happened)
    assert (told.status, told.body["status"]) == (202, happened)
    api.open("bob")
    assert api.propose("bob").refused == (409, "job_not_open")
    assert api.propose().text == first.text


@pytest.mark.parametrize("channel", ["invitation", "offer", "catalogue", "enterprise"])
def test_a_free_proposal_is_a_row_of_0_that_says_why(api, channel):
    api.post(price=7)
    spent = api.propose(reference={"channel": channel})
    assert (spent.status, spent.body["amount"], spent.body["balance_after"]) == (201, 0, 50)
    assert spent.body["reference"]["channel"] == channel
    assert "free" in api.entries()[0]["reason"]


def test_a_channel_that_nobody_knows_is_refused(api):
    assert api.propose(reference={"channel": "pigeon"}, amount=1).refused == (400, "invalid_request")


def test_the_usual_channel_written_out_is_the_same_request(api):
    api.post(price=7)
    first = api.propose()
    assert api.propose(reference={"channel": "search"}).text == first.text


# --- Refunds


@pytest.mark.parametrize("happened", ["canceled", "removed"])
def test_an_end_that_gives_back_starts_at_once(api, received, happened):
    api.post(price=7)
    api.propose()
    assert api.tell(happened).status == 202
    bodies = received()
    assert [json.loads(body) for body in bodies] == [{"look_at": "j-1"}]
    assert api.deliver(REFUNDS, *bodies) == []
    assert api.deliver(REFUNDS, *received()) == []
    assert api.balance() == 50
    assert api.entries()[0]["reference"]["why"] == f"job_{happened}"


@pytest.mark.parametrize("happened", ["expired", "filled"])
def test_an_end_that_gives_nothing_back_sends_nothing(api, received, happened):
    api.propose(amount=7)
    api.tell(happened)
    assert received() == []
    assert api.run(REFUNDS) == {"found": 0}
    assert api.balance() == 43


def test_where_the_message_is_lost_the_schedule_gives_back(api, queue, scheduled, log):
    api.propose(amount=7)
    client("sqs").delete_queue(QueueUrl=queue)
    assert api.tell().status == 202
    assert "wait for the schedule" in log.text
    client("sqs").create_queue(QueueName="due")
    assert scheduled(REFUNDS) == {"found": 1}
    assert api.balance() == 50


def test_runs_and_messages_that_come_twice_give_back_once(api, clock, received):
    api.propose(amount=7)
    api.tell()
    api.tell()
    bodies = received()
    for _ in range(2):
        api.deliver(REFUNDS, *bodies)
        clock.go(minutes=10)
        api.run(REFUNDS)
        bodies += received()
    api.deliver(REFUNDS, *bodies)
    assert api.balance() == 50
    assert len(api.entries(type="refund")) == 1


def test_a_run_tells_how_long_the_oldest_job_has_waited(api, clock, log):
    api.propose(amount=7)
    api.tell()
    clock.go(hours=3)
    api.run(REFUNDS)
    assert log.metrics()["OldestDueHours"] == [3]


def test_a_job_tells_since_when_it_has_waited_and_not_when_it_was_last_looked_at(api, clock, log, received):
    """Its proposals' messages are lost over and over; each time it is looked at later."""
    api.propose(amount=7)
    api.tell()
    told = []
    for _ in range(3):
        clock.go(hours=1, minutes=30)
        api.run(REFUNDS)
        log.metrics()
        api.deliver(REFUNDS, *[body for body in received() if "jobs" in json.loads(body)])
        told += log.metrics()["OldestDueHours"]
    assert told == [1.5, 3, 4.5]


def test_jobs_that_are_due_are_looked_at_ten_a_message(api, received):
    jobs = [f"j-{number}" for number in range(12)]
    for job in jobs:
        api.post(job, price=7)
        api.tell(job=job)
    received()
    assert api.run(REFUNDS) == {"found": 12}
    pages = [json.loads(body)["jobs"] for body in received()]
    assert sorted(job for page in pages for job in page) == sorted(jobs)
    assert max(map(len, pages)) <= 10


def test_a_job_of_whose_proposals_there_is_no_time_to_send_all_is_looked_at_again(api, received, monkeypatch):
    names = [f"a-{number}" for number in range(12)]
    for name in names:
        api.open(name)
        api.propose(name, amount=7)
    api.tell()
    looks = received()
    monkeypatch.setattr("shared.services.job_sweep.PROPOSALS_PER_MESSAGE", 1)
    send = SqsQueue.send

    def slowly(queue, bodies):
        def taken():
            for number, body in enumerate(bodies):
                api.context.left_ms = 5_000 if number > 9 else 60_000
                yield body

        send(queue, taken())

    with monkeypatch.context() as patch:
        patch.setattr(SqsQueue, "send", slowly)
        assert api.deliver(REFUNDS, *looks) == ["message-0"]
    assert len(bodies := received()) == 10
    assert api.deliver(REFUNDS, *bodies) == []
    assert api.deliver(REFUNDS, *looks) == []
    assert api.deliver(REFUNDS, *received()) == []
    assert {api.balance(name) for name in names} == {50}


POISON = {
    "no JSON": "nonsense",
    "nothing": "",
    "no object": "[]",
    "no page": "{}",
    "an end that gives nothing back": '{"job_id": "j-1", "how": "filled", "proposals": [["ann", "p-1", "s", 7]]}',
    "no proposals": '{"job_id": "j-1", "how": "canceled", "proposals": [7]}',
    "an account that was never opened": '{"job_id": "j-1", "how": "canceled", "proposals": [["eve", "p", "s", 7]]}',
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
def test_a_message_that_cannot_be_handled_comes_back_alone(api, received, poison):
    api.propose(amount=7)
    api.tell()
    api.deliver(REFUNDS, *received())
    [page] = received()
    assert api.deliver(REFUNDS, page, poison) == ["message-1"]
    assert api.balance() == 50


def test_moving_the_sandboxs_clock_gives_back_what_is_due(api):
    api.propose(amount=7)
    api.tell()
    moved = api.call("sandbox_clock", claims=STAFF, body={"advance": "PT1H"})
    assert moved.body["refunded_proposals"] == 1
    assert api.balance() == 50
    moved = api.call("sandbox_clock", claims=STAFF, body={"advance": "PT1H"})
    assert moved.body["refunded_proposals"] == 0
