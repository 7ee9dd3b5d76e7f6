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
from tests.desk import Letters, deadline, steps
from tests.store.fixtures import SHARDS
from tests.wire import QUERY, UPDATE, KilledError, answer_lost, dies, passes, refused

NAMES = [f"a{number:02}" for number in range(16)]
DUE_ON = date(2026, 2, 15)
PAGE = 2
THROTTLED = refused("ProvisionedThroughputExceededException")


@pytest.fixture
def desk(desk, monkeypatch):
    """With sixteen accounts that are due their grant, of which a page holds two."""
    monkeypatch.setattr("shared.store.table.DUE_PAGE", PAGE)
    desk.open_many(*NAMES)
    return desk.at(DUE_ON)


def sent(*queues, what="accounts"):
    return [name for queue in queues for body in queue.bodies for name in json.loads(body)[what]]


def in_shard(shard):
    return [name for name in NAMES if shard_of(name, SHARDS) == shard]


def later(desk, **by):
    desk.clock.at += timedelta(**by)
    return desk


def settle(desk, *queues):
    settle_accounts(desk.ledger, sent(*queues), deadline)


def counts(*queues):
    """How often accounts were sent: by number of times, how many."""
    return dict(Counter(Counter(sent(*queues)).values()))


# --- Each is sent once


def test_a_run_sends_every_account_that_is_due_and_no_other(desk):
    desk.open_many("early", "later")
    assert desk.dispatch(GRANTS, queue := Letters()) == len(NAMES)
    assert sorted(sent(queue)) == NAMES


def test_what_was_sent_and_is_not_done_yet_is_not_sent_again(desk):
    queues = [Letters() for _ in range(5)]
    assert [later(desk, minutes=5).dispatch(GRANTS, queue) for queue in queues] == [len(NAMES), 0, 0, 0, 0]


def test_what_falls_due_meanwhile_is_sent_though_what_was_sent_is_still_there(desk):
    desk.at("2026-01-16").open_many("new")
    desk.at(DUE_ON).dispatch(GRANTS)
    later(desk, hours=23).dispatch(GRANTS, queue := Letters(holds=1_000))
    assert sent(queue) == ["new"]


def test_a_run_that_is_days_late_sends_all_of_them_once(desk):
    desk.at("2026-02-20").open_many("b")
    desk.at("2026-04-01")
    assert [desk.dispatch(GRANTS, queue := Letters()), desk.dispatch(GRANTS)] == [len(NAMES) + 1, 0]
    assert sorted(sent(queue)) == [*NAMES, "b"]


def test_accounts_that_are_settled_as_they_are_sent_take_the_mark_along(desk):
    """The account at the mark is no longer in the index."""
    queue = Letters()
    queue.on_send = lambda body: settle_accounts(desk.ledger, json.loads(body)["accounts"], deadline)
    assert desk.dispatch(GRANTS, queue, by=steps(SHARDS + 6)) < len(NAMES)
    while desk.dispatch(GRANTS, queue):
        pass
    assert counts(queue) == {1: len(NAMES)}
    assert list(desk.table.due_grants(DUE_ON)) == []


def test_the_shard_whose_work_waits_longest_comes_first(desk):
    desk.open_many(*(f"b{number}" for number in range(8)))  # a month later
    settle_accounts(desk.at(DUE_ON).ledger, [name for name in NAMES if name not in in_shard("2")], deadline)
    desk.at("2026-03-20").dispatch(GRANTS, queue := Letters())
    assert set(sent(queue)[:PAGE]) < set(in_shard("2"))


def test_shards_take_turns_so_that_no_index_partition_gets_all_the_writes(desk):
    desk.dispatch(GRANTS, queue := Letters())
    order = [shard_of(name, SHARDS) for name in sent(queue)]
    assert [len(set(order[start : start + SHARDS * PAGE])) for start in (0, SHARDS * PAGE)] == [SHARDS, SHARDS]


def test_what_is_found_is_what_each_kind_of_work_is_asked_for_by(desk, provider):
    desk.open()
    desk.credit(20)
    desk.badge()
    desk.post(price=4)
    desk.propose()
    desk.end()
    bought = desk.buy(40, provider.that(Behaviour.LATE)).purchase.purchase_id
    later(desk, days=400)
    found = {work.what: Letters() for work in (PURCHASES, JOBS)}
    for work in (PURCHASES, JOBS):
        desk.dispatch(work, found[work.what])
    assert sent(found["purchases"], what="purchases") == [["ann", bought]]
    assert sent(found["jobs"], what="jobs") == ["j1"]
    for work in (BADGES, EXPIRIES, NOTICES):
        desk.dispatch(work, queue := Letters())
        assert sent(queue) == ["ann"]


def test_badges_are_due_at_their_instant_and_the_mark_stands_between_two(desk):
    for number, name in enumerate(("b1", "b2", "b3")):
        desk.at(noon("2026-02-16") + timedelta(minutes=number)).open(name)
        desk.credit(20, account=name)
        desk.badge(account=name)
    desk.at(noon("2026-02-23"))
    runs = []
    for _ in range(4):
        desk.dispatch(BADGES, queue := Letters())
        runs.append(sent(queue))
        later(desk, minutes=1)
    assert runs == [["b1"], ["b2"], ["b3"], []]


# --- Runs that end, die, and meet


@pytest.mark.parametrize("time", range(SHARDS, 20, 3))
def test_a_run_for_which_there_is_no_time_is_gone_on_with_by_the_next(desk, time):
    queue = Letters()
    desk.dispatch(GRANTS, queue, by=steps(time))
    before = len(sent(queue))
    desk.dispatch(GRANTS, queue)
    assert counts(queue) == {1: len(NAMES)}
    assert before < len(NAMES) or time > SHARDS + len(NAMES) / PAGE


def test_a_run_without_time_to_find_out_what_is_due_fails(desk):
    with pytest.raises(OutOfTimeError):
        desk.dispatch(GRANTS, by=steps(SHARDS - 1))


@pytest.mark.parametrize(("operation", "after"), [(QUERY, SHARDS + 3), (UPDATE, 0), (UPDATE, 1), (UPDATE, 4)])
def test_a_run_that_dies_is_followed_when_its_lease_ends_and_repeats_a_page_at_most(desk, wire, operation, after):
    queue = Letters()
    wire.on(operation, *[passes] * after, dies)
    with pytest.raises(KilledError):
        desk.dispatch(GRANTS, queue)
    desk.dispatch(GRANTS, queue)
    later(desk, minutes=2).dispatch(GRANTS, queue)
    assert set(sent(queue)) == set(NAMES)
    assert counts(queue).get(2, 0) <= PAGE


def test_a_run_that_dies_at_every_page_gets_to_the_end(desk, wire):
    queue = Letters()
    for number in range(40):
        wire.on(UPDATE, *[passes] * (number + 2), dies)
        try:
            later(desk, minutes=2).dispatch(GRANTS, queue)
        except KilledError:
            continue
        finally:
            wire.calm()
        break
    assert set(sent(queue)) == set(NAMES)
    assert len(sent(queue)) <= 2 * len(NAMES)


def test_a_queue_that_breaks_is_sent_the_rest_at_once_by_the_next_run(desk):
    half = Letters(takes=1)
    with pytest.raises(ExceptionGroup):
        desk.dispatch(GRANTS, half)
    desk.dispatch(GRANTS, rest := Letters())
    assert set(sent(half, rest)) == set(NAMES)
    assert counts(half, rest).get(2, 0) <= PAGE


def test_a_shard_that_cannot_be_read_does_not_keep_the_others(desk, wire):
    wire.on(QUERY, *[passes] * SHARDS, *[THROTTLED] * 2)
    with pytest.raises(ExceptionGroup):
        desk.dispatch(GRANTS, queue := Letters())
    assert 0 < len(sent(queue)) < len(NAMES)
    desk.dispatch(GRANTS, queue)
    assert counts(queue) == {1: len(NAMES)}


def test_a_run_alongside_another_does_the_other_shards(desk):
    """The second comes with every message that the first sends."""
    queue = Letters()

    def run_again(_):
        queue.on_send = None
        desk.dispatch(GRANTS, queue)
        queue.on_send = run_again

    queue.on_send = run_again
    desk.dispatch(GRANTS, queue)
    assert counts(queue) == {1: len(NAMES)}


def test_a_run_that_outlasts_its_lease_leaves_the_shard_to_who_took_it(desk):
    queue = Letters()

    def falls_asleep(_):
        queue.on_send = None
        later(desk, minutes=2).dispatch(GRANTS, queue)

    queue.on_send = falls_asleep
    desk.dispatch(GRANTS, queue)
    desk.dispatch(GRANTS, queue)
    assert set(sent(queue)) == set(NAMES)
    assert counts(queue).get(2, 0) <= PAGE


def test_a_lost_answer_at_the_mark_sends_nothing_twice(desk, wire):
    queue = Letters()
    wire.on(UPDATE, *[answer_lost, passes] * 20)
    desk.dispatch(GRANTS, queue)
    wire.calm()
    later(desk, minutes=2).dispatch(GRANTS, queue)
    assert counts(queue) == {1: len(NAMES)}


def test_a_mark_that_cannot_be_written_fails_the_run_and_not_its_end(desk, wire):
    wire.on(UPDATE, passes, *[THROTTLED] * 4)
    with pytest.raises(ExceptionGroup) as failed:
        desk.dispatch(GRANTS, queue := Letters())
    assert failed.group_contains(ContentionError)
    later(desk, minutes=2).dispatch(GRANTS, queue)
    assert set(sent(queue)) == set(NAMES)


def test_a_run_whose_clock_is_behind_the_mark_sends_nothing(desk):
    desk.dispatch(GRANTS)
    desk.open_many("b")
    desk.at("2026-03-15").dispatch(GRANTS)
    assert desk.at("2026-03-14").dispatch(GRANTS) == 0


# --- From the beginning again


def test_what_was_sent_and_never_done_is_sent_again_after_an_hour(desk):
    desk.dispatch(GRANTS, queue := Letters())
    settle_accounts(desk.ledger, [name for name in NAMES if name != "a07"], deadline)
    found = [later(desk, minutes=20).dispatch(GRANTS, queue := Letters()) for _ in range(3)]
    assert (found, sent(queue)) == ([0, 0, 1], ["a07"])


def test_an_account_that_came_to_stand_behind_the_mark_is_found(desk):
    settle_accounts(desk.ledger, ["a07"], deadline)
    desk.dispatch(GRANTS)
    rows = desk.table._account
    rows(pk="a07", sk="ACCOUNT").update([rows.grant_due.set(DUE_ON - timedelta(days=30))])
    assert later(desk, minutes=30).dispatch(GRANTS) == 0
    later(desk, minutes=30).dispatch(GRANTS, queue := Letters())
    assert "a07" in sent(queue)


def test_nothing_is_begun_anew_while_the_queue_is_full(desk):
    desk.dispatch(GRANTS)
    full = Letters(holds=41)
    assert [later(desk, hours=1).dispatch(GRANTS, full) for _ in range(20)] == [0] * 20
    assert later(desk, minutes=1).dispatch(GRANTS, Letters(holds=40)) == len(NAMES)


def test_nothing_is_begun_anew_right_after_much_was_sent(desk):
    """SQS counts late: the queue would look empty."""
    desk.dispatch(GRANTS, by=steps(SHARDS + 2))
    desk.dispatch(GRANTS)
    shard = next(shard for shard in map(str, range(SHARDS)) if len(in_shard(shard)) > PAGE)
    walk = Walks(desk.table).take("grant_due", shard, "somebody", desk.clock.at)
    assert walk.crowded == desk.clock.at


def test_after_a_day_it_is_begun_anew_however_full_the_queue_is(desk):
    desk.dispatch(GRANTS)
    assert later(desk, days=1).dispatch(GRANTS, Letters(holds=1_000)) == len(NAMES)


def test_what_always_fails_is_sent_after_1_2_4_and_then_every_8_hours(desk):
    settle_accounts(desk.ledger, NAMES[1:], deadline)
    hours = []
    for hour in range(48):
        if desk.dispatch(GRANTS):
            hours.append(hour)
        later(desk, hours=1)
    assert hours == [0, 1, 3, 7, 15, 23, 31, 39, 47]


def test_what_always_fails_does_not_keep_what_falls_due_later(desk):
    settle_accounts(desk.ledger, NAMES[1:], deadline)
    desk.dispatch(GRANTS)
    for _ in range(3):
        later(desk, hours=8).dispatch(GRANTS)
    desk.open_many(*(f"b{number}" for number in range(8)))
    desk.at("2026-03-18").dispatch(GRANTS, queue := Letters(holds=1_000))
    assert set(sent(queue)) >= {f"b{number}" for number in range(8)}


def test_once_nothing_is_left_the_next_time_comes_after_an_hour_again(desk):
    settle_accounts(desk.ledger, NAMES[1:], deadline)
    for _ in range(3):
        desk.dispatch(GRANTS)
        later(desk, hours=8)
    settle_accounts(desk.ledger, NAMES, deadline)
    desk.at("2026-03-15").dispatch(GRANTS)
    assert later(desk, hours=1).dispatch(GRANTS) == len(NAMES)


@pytest.mark.parametrize("work", [PURCHASES, JOBS], ids=["purchases", "jobs"])
def test_a_purchase_or_a_job_that_always_fails_is_sent_again_every_half_hour(desk, provider, work):
    desk.open()
    desk.buy(40, provider.that(Behaviour.LATE))
    desk.end()
    later(desk, minutes=1)
    minutes = []
    for minute in range(120):
        if desk.dispatch(work):
            minutes.append(minute)
        later(desk, minutes=1)
    assert minutes == [0, 5, 15, 35, 65, 95]


# --- What it costs


def test_where_nothing_is_due_a_run_is_a_query_a_shard(desk, wire):
    settle_accounts(desk.ledger, NAMES, deadline)
    with wire.measured() as cost:
        assert desk.dispatch(GRANTS) == 0
    assert cost.calls == [QUERY] * SHARDS


def test_where_something_is_due_a_run_is_a_query_more_a_page_and_two_writes_a_shard(desk, wire, monkeypatch):
    monkeypatch.setattr("shared.store.table.DUE_PAGE", len(NAMES))
    for _ in range(2):
        with wire.measured() as cost:
            desk.dispatch(GRANTS)
        assert cost.calls == [QUERY] * SHARDS + [UPDATE, QUERY, UPDATE] * SHARDS


def test_a_shard_is_taken_once(desk):
    walks = Walks(desk.table)
    walk = walks.take("grant_due", "0", "one", desk.clock.at)
    assert walks.take("grant_due", "0", "one", desk.clock.at) == walk
    with pytest.raises(WalkTakenError):
        walks.take("grant_due", "0", "another", desk.clock.at)
    walks.take("grant_due", "1", "another", desk.clock.at)
    walks.take("expiry_due", "0", "another", desk.clock.at)
    walks.leave(walk)
    walks.take("grant_due", "0", "another", desk.clock.at)
    with pytest.raises(WalkTakenError):
        walks.save(walk)
