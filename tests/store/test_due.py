"""What falls due is sent to its queue once, however many there are, whoever dies half-way, and whatever runs meet."""

import json
from collections import Counter
from datetime import date, timedelta

import pytest

from shared.sandbox.payments import Behaviour
from shared.services.batches import OutOfTimeError
from shared.services.due import BADGES, EXPIRIES, GRANTS, NOTICES, settle_accounts
from shared.services.job_sweep import JOBS
from shared.services.purchases import PURCHASES
from shared.store.errors import ContentionError
from shared.store.rows import shard_of
from shared.store.walks import Walks, WalkTakenError
from tests.core.builders import noon
from tests.driver import RecordingQueue, deadline, steps
from tests.faults import QUERY, UPDATE, KilledError, answer_lost, dies, passes, refused
from tests.store.fixtures import SHARDS

NAMES = [f"a{number:02}" for number in range(16)]
DUE_ON = date(2026, 2, 15)
PAGE = 2
THROTTLED = refused("ProvisionedThroughputExceededException")


@pytest.fixture
def driver(driver, monkeypatch):
    """With sixteen accounts that are due their grant, of which a page holds two."""
    monkeypatch.setattr("shared.store.table.DUE_PAGE", PAGE)
    driver.open_many(*NAMES)
    return driver.at(DUE_ON)


def sent(*queues, what="accounts"):
    return [name for queue in queues for body in queue.bodies for name in json.loads(body)[what]]


def in_shard(shard):
    return [name for name in NAMES if shard_of(name, SHARDS) == shard]


def later(driver, **by):
    driver.clock.at += timedelta(**by)
    return driver


def settle(driver, *queues):
    settle_accounts(driver.ledger, sent(*queues), deadline)


def counts(*queues):
    """How often accounts were sent: by number of times, how many."""
    return dict(Counter(Counter(sent(*queues)).values()))


# --- Each is sent once


def test_a_run_sends_every_account_that_is_due_and_no_other(driver):
    driver.open_many("early", "later")
    assert driver.dispatch(GRANTS, queue := RecordingQueue()) == len(NAMES)
    assert sorted(sent(queue)) == NAMES


def test_what_was_sent_and_is_not_done_yet_is_not_sent_again(driver):
    queues = [RecordingQueue() for _ in range(5)]
    assert [later(driver, minutes=5).dispatch(GRANTS, queue) for queue in queues] == [len(NAMES), 0, 0, 0, 0]


def test_what_falls_due_meanwhile_is_sent_though_what_was_sent_is_still_there(driver):
    driver.at("2026-01-16").open_many("new")
    driver.at(DUE_ON).dispatch(GRANTS)
    later(driver, hours=23).dispatch(GRANTS, queue := RecordingQueue(holds=1_000))
    assert sent(queue) == ["new"]


def test_a_run_that_is_days_late_sends_all_of_them_once(driver):
    driver.at("2026-02-20").open_many("b")
    driver.at("2026-04-01")
    assert [driver.dispatch(GRANTS, queue := RecordingQueue()), driver.dispatch(GRANTS)] == [len(NAMES) + 1, 0]
    assert sorted(sent(queue)) == [*NAMES, "b"]


def test_accounts_that_are_settled_as_they_are_sent_take_the_mark_along(driver):
    """The account at the mark is no longer in the index."""
    queue = RecordingQueue()
    queue.on_send = lambda body: settle_accounts(driver.ledger, json.loads(body)["accounts"], deadline)
    assert driver.dispatch(GRANTS, queue, by=steps(SHARDS + 6)) < len(NAMES)
    while driver.dispatch(GRANTS, queue):
        pass
    assert counts(queue) == {1: len(NAMES)}
    assert list(driver.table.due_grants(DUE_ON)) == []


def test_the_shard_whose_work_waits_longest_comes_first(driver):
    driver.open_many(*(f"b{number}" for number in range(8)))  # a month later
    settle_accounts(driver.at(DUE_ON).ledger, [name for name in NAMES if name not in in_shard("2")], deadline)
    driver.at("2026-03-20").dispatch(GRANTS, queue := RecordingQueue())
    assert set(sent(queue)[:PAGE]) < set(in_shard("2"))


def test_shards_take_turns_so_that_no_index_partition_gets_all_the_writes(driver):
    driver.dispatch(GRANTS, queue := RecordingQueue())
    order = [shard_of(name, SHARDS) for name in sent(queue)]
    assert [len(set(order[start : start + SHARDS * PAGE])) for start in (0, SHARDS * PAGE)] == [SHARDS, SHARDS]


def test_what_is_found_is_what_each_kind_of_work_is_asked_for_by(driver, provider):
    driver.open()
    driver.credit(20)
    driver.badge()
    driver.post(price=4)
    driver.propose()
    driver.end()
    bought = driver.buy(40, provider.that(Behaviour.LATE)).purchase.purchase_id
    later(driver, days=400)
    found = {work.what: RecordingQueue() for work in (PURCHASES, JOBS)}
    for work in (PURCHASES, JOBS):
        driver.dispatch(work, found[work.what])
    assert sent(found["purchases"], what="purchases") == [["ann", bought]]
    assert sent(found["jobs"], what="jobs") == ["j1"]
    for work in (BADGES, EXPIRIES, NOTICES):
        driver.dispatch(work, queue := RecordingQueue())
        assert sent(queue) == ["ann"]


def test_badges_are_due_at_their_instant_and_the_mark_stands_between_two(driver):
    for number, name in enumerate(("b1", "b2", "b3")):
        driver.at(noon("2026-02-16") + timedelta(minutes=number)).open(name)
        driver.credit(20, account=name)
        driver.badge(account=name)
    driver.at(noon("2026-02-23"))
    runs = []
    for _ in range(4):
        driver.dispatch(BADGES, queue := RecordingQueue())
        runs.append(sent(queue))
        later(driver, minutes=1)
    assert runs == [["b1"], ["b2"], ["b3"], []]


# --- Runs that end, die, and meet


@pytest.mark.parametrize("time", range(SHARDS, 20, 3))
def test_a_run_for_which_there_is_no_time_is_gone_on_with_by_the_next(driver, time):
    queue = RecordingQueue()
    driver.dispatch(GRANTS, queue, by=steps(time))
    before = len(sent(queue))
    driver.dispatch(GRANTS, queue)
    assert counts(queue) == {1: len(NAMES)}
    assert before < len(NAMES) or time > SHARDS + len(NAMES) / PAGE


def test_a_run_without_time_to_find_out_what_is_due_fails(driver):
    with pytest.raises(OutOfTimeError):
        driver.dispatch(GRANTS, by=steps(SHARDS - 1))


@pytest.mark.parametrize(("operation", "after"), [(QUERY, SHARDS + 3), (UPDATE, 0), (UPDATE, 1), (UPDATE, 4)])
def test_a_run_that_dies_is_followed_when_its_lease_ends_and_repeats_a_page_at_most(driver, faults, operation, after):
    queue = RecordingQueue()
    faults.on(operation, *[passes] * after, dies)
    with pytest.raises(KilledError):
        driver.dispatch(GRANTS, queue)
    driver.dispatch(GRANTS, queue)
    later(driver, minutes=2).dispatch(GRANTS, queue)
    assert set(sent(queue)) == set(NAMES)
    assert counts(queue).get(2, 0) <= PAGE


def test_a_run_that_dies_at_every_page_gets_to_the_end(driver, faults):
    queue = RecordingQueue()
    for number in range(40):
        faults.on(UPDATE, *[passes] * (number + 2), dies)
        try:
            later(driver, minutes=2).dispatch(GRANTS, queue)
        except KilledError:
            continue
        finally:
            faults.calm()
        break
    assert set(sent(queue)) == set(NAMES)
    assert len(sent(queue)) <= 2 * len(NAMES)


def test_a_queue_that_breaks_is_sent_the_rest_at_once_by_the_next_run(driver):
    half = RecordingQueue(takes=1)
    with pytest.raises(ExceptionGroup):
        driver.dispatch(GRANTS, half)
    driver.dispatch(GRANTS, rest := RecordingQueue())
    assert set(sent(half, rest)) == set(NAMES)
    assert counts(half, rest).get(2, 0) <= PAGE


def test_a_shard_that_cannot_be_read_does_not_keep_the_others(driver, faults):
    faults.on(QUERY, *[passes] * SHARDS, *[THROTTLED] * 2)
    with pytest.raises(ExceptionGroup):
        driver.dispatch(GRANTS, queue := RecordingQueue())
    assert 0 < len(sent(queue)) < len(NAMES)
    driver.dispatch(GRANTS, queue)
    assert counts(queue) == {1: len(NAMES)}


def test_a_run_alongside_another_does_the_other_shards(driver):
    """The second comes with every message that the first sends."""
    queue = RecordingQueue()

    def run_again(_):
        queue.on_send = None
        driver.dispatch(GRANTS, queue)
        queue.on_send = run_again

    queue.on_send = run_again
    driver.dispatch(GRANTS, queue)
    assert counts(queue) == {1: len(NAMES)}


def test_a_run_that_outlasts_its_lease_leaves_the_shard_to_who_took_it(driver):
    queue = RecordingQueue()

    def falls_asleep(_):
        queue.on_send = None
        later(driver, minutes=2).dispatch(GRANTS, queue)

    queue.on_send = falls_asleep
    driver.dispatch(GRANTS, queue)
    driver.dispatch(GRANTS, queue)
    assert set(sent(queue)) == set(NAMES)
    assert counts(queue).get(2, 0) <= PAGE


def test_a_lost_answer_at_the_mark_sends_nothing_twice(driver, faults):
    queue = RecordingQueue()
    faults.on(UPDATE, *[answer_lost, passes] * 20)
    driver.dispatch(GRANTS, queue)
    faults.calm()
    later(driver, minutes=2).dispatch(GRANTS, queue)
    assert counts(queue) == {1: len(NAMES)}


def test_a_mark_that_cannot_be_written_fails_the_run_and_not_its_end(driver, faults):
    faults.on(UPDATE, passes, *[THROTTLED] * 4)
    with pytest.raises(ExceptionGroup) as failed:
        driver.dispatch(GRANTS, queue := RecordingQueue())
    assert failed.group_contains(ContentionError)
    later(driver, minutes=2).dispatch(GRANTS, queue)
    assert set(sent(queue)) == set(NAMES)


def test_a_run_whose_clock_is_behind_the_mark_sends_nothing(driver):
    driver.dispatch(GRANTS)
    driver.open_many("b")
    driver.at("2026-03-15").dispatch(GRANTS)
    assert driver.at("2026-03-14").dispatch(GRANTS) == 0


# --- From the beginning again


def test_what_was_sent_and_never_done_is_sent_again_after_an_hour(driver):
    driver.dispatch(GRANTS, queue := RecordingQueue())
    settle_accounts(driver.ledger, [name for name in NAMES if name != "a07"], deadline)
    found = [later(driver, minutes=20).dispatch(GRANTS, queue := RecordingQueue()) for _ in range(3)]
    assert (found, sent(queue)) == ([0, 0, 1], ["a07"])


def test_an_account_that_came_to_stand_behind_the_mark_is_found(driver):
    settle_accounts(driver.ledger, ["a07"], deadline)
    driver.dispatch(GRANTS)
    rows = driver.table._account
    rows(pk="a07", sk="ACCOUNT").update([rows.grant_due.set(DUE_ON - timedelta(days=30))])
    assert later(driver, minutes=30).dispatch(GRANTS) == 0
    later(driver, minutes=30).dispatch(GRANTS, queue := RecordingQueue())
    assert "a07" in sent(queue)


def test_nothing_is_begun_anew_while_the_queue_is_full(driver):
    driver.dispatch(GRANTS)
    full = RecordingQueue(holds=41)
    assert [later(driver, hours=1).dispatch(GRANTS, full) for _ in range(20)] == [0] * 20
    assert later(driver, minutes=1).dispatch(GRANTS, RecordingQueue(holds=40)) == len(NAMES)


def test_nothing_is_begun_anew_right_after_much_was_sent(driver):
    """SQS counts late: the queue would look empty."""
    driver.dispatch(GRANTS, by=steps(SHARDS + 2))
    driver.dispatch(GRANTS)
    shard = next(shard for shard in map(str, range(SHARDS)) if len(in_shard(shard)) > PAGE)
    walk = Walks(driver.table).take("grant_due", shard, "somebody", driver.clock.at)
    assert walk.crowded == driver.clock.at


def test_after_a_day_it_is_begun_anew_however_full_the_queue_is(driver):
    driver.dispatch(GRANTS)
    assert later(driver, days=1).dispatch(GRANTS, RecordingQueue(holds=1_000)) == len(NAMES)


def test_what_always_fails_is_sent_after_1_2_4_and_then_every_8_hours(driver):
    settle_accounts(driver.ledger, NAMES[1:], deadline)
    hours = []
    for hour in range(48):
        if driver.dispatch(GRANTS):
            hours.append(hour)
        later(driver, hours=1)
    assert hours == [0, 1, 3, 7, 15, 23, 31, 39, 47]


def test_what_always_fails_does_not_keep_what_falls_due_later(driver):
    settle_accounts(driver.ledger, NAMES[1:], deadline)
    driver.dispatch(GRANTS)
    for _ in range(3):
        later(driver, hours=8).dispatch(GRANTS)
    driver.open_many(*(f"b{number}" for number in range(8)))
    driver.at("2026-03-18").dispatch(GRANTS, queue := RecordingQueue(holds=1_000))
    assert set(sent(queue)) >= {f"b{number}" for number in range(8)}


def test_once_nothing_is_left_the_next_time_comes_after_an_hour_again(driver):
    settle_accounts(driver.ledger, NAMES[1:], deadline)
    for _ in range(3):
        driver.dispatch(GRANTS)
        later(driver, hours=8)
    settle_accounts(driver.ledger, NAMES, deadline)
    driver.at("2026-03-15").dispatch(GRANTS)
    assert later(driver, hours=1).dispatch(GRANTS) == len(NAMES)


@pytest.mark.parametrize("work", [PURCHASES, JOBS], ids=["purchases", "jobs"])
def test_a_purchase_or_a_job_that_always_fails_is_sent_again_every_half_hour(driver, provider, work):
    driver.open()
    driver.buy(40, provider.that(Behaviour.LATE))
    driver.end()
    later(driver, minutes=1)
    minutes = []
    for minute in range(120):
        if driver.dispatch(work):
            minutes.append(minute)
        later(driver, minutes=1)
    assert minutes == [0, 5, 15, 35, 65, 95]


# --- What it costs


def test_where_nothing_is_due_a_run_is_a_query_a_shard(driver, faults):
    settle_accounts(driver.ledger, NAMES, deadline)
    with faults.measured() as cost:
        assert driver.dispatch(GRANTS) == 0
    assert cost.calls == [QUERY] * SHARDS


def test_where_something_is_due_a_run_is_a_query_more_a_page_and_two_writes_a_shard(driver, faults, monkeypatch):
    monkeypatch.setattr("shared.store.table.DUE_PAGE", len(NAMES))
    for _ in range(2):
        with faults.measured() as cost:
            driver.dispatch(GRANTS)
        assert cost.calls == [QUERY] * SHARDS + [UPDATE, QUERY, UPDATE] * SHARDS


def test_a_shard_is_taken_once(driver):
    walks = Walks(driver.table)
    walk = walks.take("grant_due", "0", "one", driver.clock.at)
    assert walks.take("grant_due", "0", "one", driver.clock.at) == walk
    with pytest.raises(WalkTakenError):
        walks.take("grant_due", "0", "another", driver.clock.at)
    walks.take("grant_due", "1", "another", driver.clock.at)
    walks.take("expiry_due", "0", "another", driver.clock.at)
    walks.leave(walk)
    walks.take("grant_due", "0", "another", driver.clock.at)
    with pytest.raises(WalkTakenError):
        walks.save(walk)
