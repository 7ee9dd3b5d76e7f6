"""Work that falls due: a schedule's run looks and sends, the queue's messages settle, whatever comes twice or late."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from shared.aws.queue import SendError, SqsQueue
from shared.store.errors import ContentionError
from shared.store.table import Table
from tests.functions.conftest import client

GRANT, SWEEP, RENEWALS = "monthly_grant", "expiry_sweep", "badge_renewals"


pytestmark = pytest.mark.usefixtures("queue")


def page(*accounts):
    return json.dumps({"accounts": list(accounts)})


def accounts_in(bodies):
    return sorted(account for body in bodies for account in json.loads(body)["accounts"])


def grants_of(api, account="ann"):
    return [(entry["at"][:10], entry["amount"]) for entry in api.written(account, "grant")][::-1]


MONTHS = ["2026-12", *(f"2027-{month:02}" for month in range(1, 13))]
FIRST = [("2026-11-22", 40), ("2026-11-22", 10)]


# --- A schedule's run


def test_a_run_sends_the_accounts_that_are_due_and_no_other(api, clock, received):
    api.open("early", joined_on="2026-10-25")
    api.open("late", joined_on="2026-10-28")
    api.open("acme", kind="agency", plan="plus")
    clock.at = datetime(2026, 11, 26, tzinfo=UTC)
    assert api.run(GRANT) == {"accounts": 1}
    assert accounts_in(received()) == ["early"]


def test_a_run_changes_no_account_itself(api, clock, received):
    api.open()
    clock.go(days=31)
    api.run(GRANT)
    assert grants_of(api) == FIRST
    assert api.deliver(GRANT, *received()) == []
    assert grants_of(api) == [*FIRST, ("2026-12-22", 10)]


def test_a_run_of_which_nothing_is_due_sends_nothing(api, received):
    api.open()
    assert [api.run(GRANT), api.run(SWEEP), api.run(RENEWALS)] == [{"accounts": 0}] * 3
    assert received() == []


def test_an_agency_is_never_due_a_grant(api, clock):
    api.open("acme", kind="agency", plan="plus")
    clock.go(days=100)
    assert api.run(GRANT) == {"accounts": 0}


def test_a_backlog_is_fanned_out_in_pages(api, clock, received):
    names = [f"a-{number:02}" for number in range(30)]
    for name in names:
        api.open(name)
    clock.go(days=31)
    assert api.run(GRANT) == {"accounts": 30}
    bodies = received()
    assert accounts_in(bodies) == names
    assert max(len(json.loads(body)["accounts"]) for body in bodies) <= 25


def test_a_run_that_the_queue_takes_nothing_of_fails(api, clock, queue):
    api.open()
    clock.go(days=31)
    client("sqs").delete_queue(QueueUrl=queue)
    with pytest.raises(ExceptionGroup) as failed:
        api.run(GRANT)
    assert failed.group_contains(client("sqs").exceptions.QueueDoesNotExist)
    client("sqs").create_queue(QueueName="due")
    assert api.run(GRANT) == {"accounts": 1}


def test_a_run_that_the_queue_takes_only_part_of_fails(api, clock, monkeypatch):
    api.open()
    clock.go(days=31)

    def refuses(**_):
        return {"Successful": [], "Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]}

    monkeypatch.setattr("shared.aws.queue._queue", SqsQueue)  # one whose client is not yet made
    monkeypatch.setattr("boto3.client", lambda *_, **__: type("Sqs", (), {"send_message_batch": refuses}))
    with pytest.raises(ExceptionGroup) as failed:
        api.run(GRANT)
    assert failed.group_contains(SendError, match="InternalError")


@pytest.mark.parametrize("function", [GRANT, SWEEP, RENEWALS, "job_sweep", "purchase_reconcile"])
def test_a_function_without_its_queue_says_so(api, restart, function):
    restart(DUE_QUEUE_URL=None)
    with pytest.raises(Exception, match="DUE_QUEUE_URL is not set"):
        api.run(function)


# --- What a queue's messages settle


def test_a_grant_that_comes_twice_late_or_after_missed_cycles_is_given_once_a_cycle(api, clock):
    api.open(joined_on="2026-10-31")
    clock.at = datetime(2027, 3, 5, 3, tzinfo=UTC)
    for _ in range(2):
        assert api.deliver(GRANT, page("ann"), page("ann", "ann")) == []
    missed = [("2026-11-30", 10), ("2026-12-31", 10), ("2027-01-31", 10), ("2027-02-28", 10)]
    assert grants_of(api)[2:] == missed
    assert [lot["expires_on"] for lot in api.read()["lots"]] == [
        "2027-11-01",
        "2027-11-23",
        "2027-12-01",
        "2028-01-01",
        "2028-02-01",
        "2028-02-29",
    ]


@pytest.mark.parametrize("order", [(GRANT, SWEEP), (SWEEP, GRANT)])
def test_both_functions_at_one_account_leave_the_same_in_either_order(api, clock, order):
    api.open()
    clock.go(days=400)
    for function in order:
        assert api.deliver(function, page("ann")) == []
    journal = [(entry["at"], entry["type"], entry["amount"]) for entry in api.written()]
    assert sorted(journal) == sorted(
        [
            ("2026-11-22T10:00:00.000Z", "grant", 40),
            ("2026-11-22T10:00:00.000Z", "grant", 10),
            *((f"{month}-22T00:00:00.000Z", "grant", 10) for month in MONTHS),
            ("2027-11-23T00:00:00.000Z", "expiry", -50),
            ("2027-12-23T00:00:00.000Z", "expiry", -10),
        ]
    )
    assert api.balance() == len(MONTHS) * 10 - 10


def test_a_run_alongside_another_settles_once(api, clock, monkeypatch):
    """The second settles the account between the first's reading it and its writing."""
    api.open()
    clock.go(days=31)
    commit = Table.commit

    def commit_second(*args, **kwargs):
        monkeypatch.setattr(Table, "commit", commit)
        assert api.deliver(GRANT, page("ann")) == []
        return commit(*args, **kwargs)

    monkeypatch.setattr(Table, "commit", commit_second)
    assert api.deliver(GRANT, page("ann")) == []
    assert grants_of(api) == [*FIRST, ("2026-12-22", 10)]


def test_a_spend_alongside_the_grant_loses_neither(api, clock, monkeypatch):
    api.open()
    clock.go(days=31)
    commit = Table.commit

    def commit_second(*args, **kwargs):
        monkeypatch.setattr(Table, "commit", commit)
        assert api.spend(60).status == 201
        return commit(*args, **kwargs)

    monkeypatch.setattr(Table, "commit", commit_second)
    assert api.deliver(GRANT, page("ann")) == []
    assert grants_of(api) == [*FIRST, ("2026-12-22", 10)]
    assert api.balance() == 0


def test_a_spend_sees_the_grant_that_no_schedule_has_brought_yet(api, clock):
    api.open()
    clock.go(days=31)
    assert api.spend(60).status == 201
    assert api.deliver(GRANT, page("ann")) == []
    assert grants_of(api) == [*FIRST, ("2026-12-22", 10)]


# --- Renewals of badges


def weeks_of(api, account="ann"):
    spends = api.entries(account, type="spend")
    return [(spend["reference"]["starts_at"], -spend["amount"]) for spend in spends][::-1]


def test_a_badge_is_renewed_on_its_instant_by_way_of_the_queue(api, clock, received):
    api.open()
    api.open("bob")
    api.badge()
    clock.go(days=7, milliseconds=-1)
    assert api.run(RENEWALS) == {"accounts": 0}
    clock.go(milliseconds=1)
    assert api.run(RENEWALS) == {"accounts": 1}
    bodies = received()
    assert accounts_in(bodies) == ["ann"]
    for _ in range(2):
        assert api.deliver(RENEWALS, *bodies) == []
    assert weeks_of(api) == [("2026-11-22T10:00:00.000Z", 4), ("2026-11-29T10:00:00.000Z", 4)]
    assert api.read()["badge"]["renews_at"] == "2026-12-06T10:00:00.000Z"


def test_a_renewal_weeks_late_charges_the_week_it_falls_into_alone(api, clock):
    api.open()
    api.badge()
    clock.go(days=25)
    assert api.deliver(RENEWALS, page("ann"), page("ann")) == []
    assert [start for start, _ in weeks_of(api)] == ["2026-11-22T10:00:00.000Z", "2026-12-13T10:00:00.000Z"]


def test_a_run_sets_the_price_of_its_week_and_renewals_are_charged_it(api, clock):
    """Two badges that are on make it one Connect dearer. The 22nd is a Sunday."""
    for name in ("ann", "bob", "carol"):
        api.open(name)
        api.badge(account=name, most=4 if name == "carol" else 6, claims={"scope": "connects/service"})
    api.run(RENEWALS)
    assert api.badge().body["price"] == 4 + 3 // 2
    api.badge(False, account="bob", claims={"scope": "connects/service"})
    clock.go(days=7)
    api.run(RENEWALS)
    api.deliver(RENEWALS, page("ann", "bob", "carol"))
    assert [price for _, price in weeks_of(api)] == [4, 5]
    assert api.read("carol")["badge"]["enabled"] is False
    assert len(weeks_of(api, "bob")) == len(weeks_of(api, "carol")) == 1
    clock.go(days=1)
    api.run(RENEWALS)
    assert api.badge().body["price"] == 4


def test_a_run_tells_how_long_the_oldest_badge_has_waited_from_its_instant(api, clock, log):
    api.open()
    api.badge()
    clock.go(days=7, hours=3)
    log.metrics()
    api.run(RENEWALS)
    assert (log.metrics()["OldestDueHours"], log.metrics()) == ([3], {})


def test_a_badge_that_cannot_be_paid_for_goes_off_at_its_renewal(api, clock):
    api.open()
    api.badge()
    api.spend(46)
    clock.go(days=7)
    assert api.deliver(RENEWALS, page("ann")) == []
    badge = {"max_per_week": 6, "paid_until": "2026-11-29T10:00:00.000Z"}
    assert api.read()["badge"] == {"enabled": False, "renews_at": None} | badge
    assert api.balance() == 0


def test_a_frozen_agencys_badge_goes_off_at_its_renewal(api, clock):
    api.open("acme", kind="agency", plan="plus")
    api.buy(40, account="acme")
    api.badge(account="acme")
    api.change("acme", plan="basic", effective="now")
    clock.go(days=7)
    assert api.deliver(RENEWALS, page("acme")) == []
    assert (api.read("acme")["badge"]["enabled"], api.balance("acme")) == (False, 36)


def test_moving_the_clock_renews_badges_at_the_price_of_the_week(api):
    for name in ("ann", "bob"):
        api.open(name)
        api.badge(account=name, claims={"scope": "connects/service"})
    moved = api.call("sandbox_clock", claims={"scope": "connects/staff"}, body={"advance": "P7D"})
    assert moved.body["renewed_badges"] == 2
    assert [price for _, price in weeks_of(api)] == [4, 5]


# --- Messages that cannot be settled


POISON = {
    "no JSON": "nonsense",
    "nothing": "",
    "no page": "[]",
    "no accounts": "{}",
    "accounts that are none": '{"accounts": 7}',
    "an account that is no name": '{"accounts": [{"S": "ann"}]}',
    "an account that was never opened": page("nobody"),
    "an empty name": page(""),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
@pytest.mark.parametrize("function", [GRANT, SWEEP, RENEWALS])
def test_a_message_that_cannot_be_settled_comes_back_alone(api, clock, function, poison):
    api.open()
    api.open("bob")
    clock.go(days=31)
    assert api.deliver(function, page("ann"), poison, page("bob")) == ["message-1"]
    assert grants_of(api) == grants_of(api, "bob") == [*FIRST, ("2026-12-22", 10)]


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
def test_the_log_names_the_message_that_cannot_be_settled_and_why(api, log, poison):
    api.open()
    api.deliver(GRANT, page("ann"), poison)
    (line,) = [line for line in log.lines() if line["level"] == "ERROR"]
    assert line["message_id"] == "message-1"
    assert line["exception"]


def test_an_account_that_cannot_be_settled_does_not_keep_the_others_of_its_page(api, clock):
    api.open()
    api.open("bob")
    clock.go(days=31)
    assert api.deliver(GRANT, page("ann", "nobody", "bob"), page()) == ["message-0"]
    assert grants_of(api) == grants_of(api, "bob") == [*FIRST, ("2026-12-22", 10)]


def test_a_batch_of_poison_alone_comes_back_whole(api):
    """However Powertools says it: as an error of the invocation, or by naming each."""
    try:
        failed = api.deliver(GRANT, "nonsense", page("nobody"))
    except Exception as error:  # noqa: BLE001
        assert "All records failed" in str(error)  # noqa: PT017
    else:
        assert failed == ["message-0", "message-1"]


def test_an_account_that_is_busy_is_given_back_and_done_the_next_time(api, clock, monkeypatch):
    api.open()
    api.open("bob")
    clock.go(days=31)
    commit = Table.commit

    def contended(table, before, *args, **kwargs):
        if before.account_id == "ann":
            raise ContentionError("TransactionConflict")
        return commit(table, before, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Table, "commit", contended)
        patch.setattr("shared.aws.timing.A_TRY_S", 0.1)
        assert api.deliver(GRANT, page("ann"), page("bob")) == ["message-0"]
    assert (grants_of(api), len(grants_of(api, "bob"))) == (FIRST, 3)
    assert api.deliver(GRANT, page("ann")) == []
    assert len(grants_of(api)) == 3


def test_messages_in_any_order_any_number_of_times_leave_the_same(api, clock):
    api.open()
    chance = random.Random(7)  # noqa: S311 - the same in every run
    for _ in range(8):
        clock.go(days=chance.randrange(1, 80))
        for function in chance.choices([GRANT, SWEEP], k=3):
            api.deliver(function, *[page("ann")] * chance.randrange(1, 3))
    months = (clock.at.year - 2026) * 12 + clock.at.month - 11 - (clock.at.day < 22)
    assert len(grants_of(api)) == 2 + months


# --- What is told of it


def test_a_run_tells_how_late_it_is_and_how_long_the_oldest_has_waited(api, clock, log):
    api.open()
    api.open("bob")
    clock.at = datetime(2026, 12, 23, 6, tzinfo=UTC)  # due since 2026-12-22
    api.run(GRANT, scheduled_time=(datetime.now(UTC) - timedelta(seconds=90)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    told = log.metrics()
    assert told["Due"] == [2]
    assert told["OldestDueHours"] == [30]
    assert 90 <= told["ScheduleLagSeconds"][0] < 150


@pytest.mark.parametrize("function", [GRANT, SWEEP, RENEWALS, "purchase_reconcile"])
def test_a_run_of_which_nothing_is_due_tells_so(api, log, function):
    api.run(function, scheduled_time="2099-01-01T00:00:00Z")  # a clock that is behind counts as no lag
    told = log.metrics()
    assert (told["Due"], told["OldestDueHours"], told["ScheduleLagSeconds"]) == ([0], [0], [0])


def test_refusals_and_replays_are_counted(api, log):
    api.open()
    log.metrics()
    api.spend(60)
    assert log.metrics() == {"Refusals": [1], "code": "insufficient_connects"}
    api.spend(6)
    assert log.metrics() == {}
    api.spend(6)
    assert log.metrics() == {"Replays": [1]}


# --- The sandbox's clock


def test_moving_the_clock_brings_what_falls_due(api):
    api.open()
    api.buy(sandbox="late")
    moved = api.call("sandbox_clock", claims={"scope": "connects/staff"}, body={"advance": "P31D"})
    assert moved.body == {"now": "2026-12-23T10:00:00.000Z", "settled_accounts": 1, "reconciled_purchases": 1} | {
        "refunded_proposals": 0,
        "closed_auctions": 0,
        "told_accounts": 1,  # the first look is at all of them, as it knows of no settings before
        "renewed_badges": 0,
    }
    assert grants_of(api) == [*FIRST, ("2026-12-22", 10)]
    assert api.balance() == 100


def test_the_clock_moves_on_from_where_it_stands_for_every_function(api, clock):
    api.open()
    staff = {"scope": "connects/staff"}
    api.call("sandbox_clock", claims=staff, body={"advance": "PT1H"})
    api.call("sandbox_clock", claims=staff, body={"now": "2026-12-01T00:00:00+02:00"})
    clock.go(hours=1)
    assert api.spend(6).body["at"] == "2026-11-30T23:00:00.000Z"


def test_outside_the_sandbox_the_sandboxs_clock_is_not_asked(api, restart):
    api.open()
    api.call("sandbox_clock", claims={"scope": "connects/staff"}, body={"advance": "P10D"})
    assert api.spend(1, "ahead").body["at"] == "2026-12-02T10:00:00.000Z"
    api.open("bob")
    restart(STAGE="production")
    assert api.open("eve").body["cycle"]["starts_on"] == "2026-11-22"
