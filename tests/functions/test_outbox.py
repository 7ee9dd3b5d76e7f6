"""The outbox: each entry is an event, in its account's order, at least once and never lost, whatever the bus does."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.functions.conftest import SETTINGS, client
from tests.functions.events import event
from tests.functions.stream import NO_ANSWER, SCHEMAS, THROTTLED, items, position, stream

OUTBOX = "outbox"
ENTRY = "entry.posted"


@pytest.fixture
def aside(aws):  # noqa: ARG001
    """Takes the bodies of what was put aside."""
    url = client("sqs").create_queue(QueueName="aside")["QueueUrl"]
    assert url == SETTINGS["OUTBOX_DEAD_LETTERS_URL"]

    def take():
        messages = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    yield take
    client("sqs").delete_queue(QueueUrl=url)


def published(api, *changes):
    """Hand a batch over; tells from which of its records (counted from 1) it has to come again."""
    sent = stream(*changes)
    failed = [each["itemIdentifier"] for each in api.invoke(OUTBOX, sent)["batchItemFailures"]]
    return [number for number in range(1, len(changes) + 1) if position(number) in failed]


def seqs(listener, account="ann"):
    return [each["entry"]["seq"] for each in listener.of_type(ENTRY, account)]


def test_an_entry_is_published_as_the_history_shows_it(api, listener):
    api.open()
    spent = api.spend().body
    assert published(api, *items("ENTRY#")) == []
    heard = listener.of_type(ENTRY)
    assert [each["entry"] for each in heard] == api.entries()[::-1]
    assert (heard[-1]["id"], heard[-1]["version"]) == (spent["id"], 1)


def test_rows_that_are_not_of_the_journal_tell_nothing(api, listener):
    api.open()
    api.buy(sandbox="late")
    others = [item for item in items() if not item["sk"]["S"].startswith("ENTRY#")]
    assert {item["sk"]["S"].partition("#")[0] for item in others} == {"ACCOUNT", "CLAIM", "PURCHASE"}
    assert published(api, *others) == []
    assert listener.calls == 0


def test_an_entry_that_is_touched_later_is_no_new_event(api, listener):
    api.open()
    (entry, *_) = items("ENTRY#")
    assert published(api, (entry, entry)) == []
    assert listener.heard == []


def test_what_comes_twice_has_the_same_id(api, listener):
    api.open()
    for _ in range(2):
        published(api, *items("ENTRY#"))
    ids = [each["id"] for each in listener.of_type(ENTRY)]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2


def test_the_rows_of_a_transaction_are_put_in_order_however_the_stream_has_them(api, clock, listener):
    api.open()
    clock.go(days=100)
    api.spend()
    assert published(api, *reversed(items("ENTRY#"))) == []
    assert seqs(listener) == [1, 2, 3, 4, 5, 6]


def test_no_two_entries_of_an_account_go_in_one_call(api, listener):
    """A call may be taken in part: the second, and not the first."""
    api.open()
    api.open("bob")
    published(api, *items("ENTRY#"))
    assert listener.calls == 2
    entries = [each for each in listener.heard if each["type"] == ENTRY]
    assert [(each["account_id"], each["entry"]["seq"]) for each in entries] == [
        ("ann", 1),
        ("bob", 1),
        ("ann", 2),
        ("bob", 2),
    ]


def test_ten_events_go_in_one_call(api, listener):
    for number in range(12):
        api.open(f"a-{number:02}")
        api.spend(1, account=f"a-{number:02}")
    published(api, *(item for item in items("ENTRY#") if item["type"] == {"S": "spend"}))
    assert (listener.calls, len(listener.heard)) == (2, 12)


def test_a_call_is_no_larger_than_the_bus_takes(api, listener):
    """An entry of an account that holds a lot of every day is some 40 KB."""
    lots = {f"2027{month:02}{day:02}{of}": {"N": "-1"} for month in range(1, 13) for day in range(1, 29) for of in "fp"}
    for name in ("ann", "bob", "carol", "dave", "eve", "fay", "gil", "hal"):
        api.open(name)
    entries = [item | {"slices": {"M": lots}} for item in items("ENTRY#") if item["seq"] == {"N": "1"}]
    assert published(api, *entries) == []
    assert len([each for each in listener.heard if each["type"] == ENTRY]) == 8
    assert listener.calls > 2


@pytest.mark.parametrize("fault", [[0], [0, 1], THROTTLED, NO_ANSWER], ids=["one", "all", "throttled", "no answer"])
def test_what_the_bus_does_not_take_comes_again_from_there(api, listener, fault):
    api.open()
    api.open("bob")
    everything = items("ENTRY#")  # ann 1, ann 2, bob 1, bob 2
    listener.faults = [None, fault]
    assert published(api, *everything) == [2]
    assert published(api, *everything[1:]) == []
    assert (sorted(set(seqs(listener))), sorted(set(seqs(listener, "bob")))) == ([1, 2], [1, 2])


def test_nothing_of_an_account_is_published_before_what_was_refused(api, clock, listener):
    api.open()
    clock.go(days=100)
    api.spend()
    listener.faults = [None, None, [0]]
    assert published(api, *items("ENTRY#")) == [3]
    assert seqs(listener) == [1, 2]


def test_where_nothing_was_taken_everything_comes_again(api, listener):
    api.open()
    listener.faults = [THROTTLED]
    assert published(api, *items("ENTRY#")) == [1]


def test_what_there_is_no_time_to_publish_comes_again(api, listener, monkeypatch):
    api.open()
    entries = items("ENTRY#")
    put = listener.put_events

    def slowly(**call):
        api.context.left_ms = 5_000
        return put(**call)

    monkeypatch.setattr(listener, "put_events", slowly)
    assert published(api, *entries) == [2]  # no two entries of an account go in one call
    monkeypatch.setattr(api, "left_ms", 5_000)
    assert published(api, *entries) == [1]


def test_the_place_to_try_again_from_is_the_earliest_in_the_stream(api, listener):
    """Not the first in the order of publishing."""
    api.open()
    listener.faults = [[0]]
    assert published(api, *reversed(items("ENTRY#"))) == [1]


BROKEN: list[dict[str, Any]] = [{"amount": {"S": "six"}}, {"slices": {"M": {"soon": {"N": "1"}}}}, {"seq": {"N": "?"}}]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_record_that_cannot_be_understood_goes_aside_and_keeps_no_other(api, listener, aside, broken):
    api.open()
    first, second = items("ENTRY#")
    poison = first | broken
    assert published(api, poison, second) == []
    assert seqs(listener) == [2]
    (dead,) = aside()
    assert dead["record"]["dynamodb"]["NewImage"] == poison
    assert dead["error"]


def test_what_cannot_be_understood_goes_aside_once_however_often_its_batch_comes(api, listener, aside):
    api.open()
    api.open("bob")
    entries = items("ENTRY#")
    poison = [item | BROKEN[0] for item in entries if item["pk"] == {"S": "ann"}]
    good = [item for item in entries if item["pk"] == {"S": "bob"}]
    batch = [poison[0], good[0], poison[1], good[1]]
    listener.faults = [[0], [0]]
    assert published(api, *batch) == [2]
    assert len(aside()) == 1, "the one before what was refused"
    assert published(api, *batch[1:]) == [1]
    assert aside() == [], "the other comes again, and would go aside again"
    assert published(api, *batch[1:]) == []
    assert len(aside()) == 1
    assert sorted(set(seqs(listener, "bob"))) == [1, 2]


def test_what_cannot_even_be_put_aside_is_not_passed_over(api, listener, log):
    """It comes again, and nothing before it does."""
    api.open()
    first, second = items("ENTRY#")
    assert published(api, first, second | BROKEN[0]) == [2]
    assert seqs(listener) == [1]
    assert "QueueDoesNotExist" in log.text


def test_what_is_too_long_for_a_message_is_put_aside_by_its_key(api, listener, aside):
    api.open()
    first, _ = items("ENTRY#")
    assert published(api, first | BROKEN[0] | {"reason": {"S": "x" * 300_000}}) == []
    (dead,) = aside()
    assert dead["record"]["dynamodb"]["Keys"] == {"pk": first["pk"], "sk": first["sk"]}
    assert listener.heard == []


# --- Events that are too large ---


def lots_of(days):
    """A lot of each class on each of so many days."""
    first = date(2027, 1, 1)
    return {f"{first + timedelta(days=day):%Y%m%d}{of}": {"N": "1000000"} for day in range(days) for of in "fp"}


@pytest.mark.parametrize("lots", [3000, 3002, 7300])
def test_an_event_tells_as_many_lots_as_it_has_room_for_and_how_many_more_there_are(api, listener, aside, lots):
    """An account with lots of 120 months has 7,300 at the most; who wants them all reads the history."""
    api.open()
    first, second = items("ENTRY#")
    assert published(api, first | {"slices": {"M": lots_of(lots // 2)}}, second) == []
    (posted,) = [each for each in listener.of_type(ENTRY) if each["entry"]["seq"] == 1]
    (came,) = [each for each in listener.of_type("notice.came") if each["entry_id"] == posted["id"]]
    for told in (posted["entry"], came):
        assert len(told["lots"]) == 3000
        assert told["lots"][0]["expires_on"] == "2027-01-01"
        assert told.get("lots_left_out", 0) == lots - 3000
    assert seqs(listener) == [1, 2]
    assert aside() == []


def test_an_event_that_no_call_would_take_goes_aside_and_blocks_nothing(api, listener, aside):
    api.open()
    first, second = items("ENTRY#")
    assert published(api, first | {"reason": {"S": "x" * 240_000}}, second) == []
    assert seqs(listener) == [2]
    (dead,) = aside()
    assert "TooLarge" in dead["error"]


def test_the_event_file_works(api, listener):
    assert api.invoke(OUTBOX, event(OUTBOX)) == {"batchItemFailures": []}
    assert [each["type"] for each in listener.heard] == [ENTRY, "notice.came"]


def test_it_publishes_through_the_bus_that_the_environment_names(api, monkeypatch):
    """With EventBridge's own client: what it is given is what PutEvents takes."""
    client("events").create_event_bus(Name="connects")
    monkeypatch.setattr("functions.outbox.app._bus", new_bus())
    assert api.invoke(OUTBOX, event(OUTBOX)) == {"batchItemFailures": []}
    client("events").delete_event_bus(Name="connects")


def new_bus():
    from shared.aws.event_bus import EventBus  # noqa: PLC0415 - after Powertools' settings are there

    return lambda: EventBus("connects")


def test_there_is_a_schema_for_every_type_of_event_and_it_is_one():
    for file in SCHEMAS.glob("*.json"):
        schema = json.loads(file.read_text())
        Draft202012Validator.check_schema(schema)
        assert schema["title"] == file.stem
        assert schema["properties"]["version"] == {"const": 1}
        assert {"version", "id", "account_id"} <= set(schema["required"])
