"""The audit over HTTP, and its queue: at once, as a job, as of the account as it was read, and what it finds."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.ledger.audit import INVARIANTS, PURCHASES, SEQUENCE
from shared.payments import NoAnswerError
from shared.sandbox.payments import SandboxProvider
from shared.services.audits import KEPT, PATIENCE
from shared.store.audits import AUDIT_SK
from shared.store.table import Table
from tests.faults import GET, PUT, QUERY, passes
from tests.functions.conftest import client
from tests.functions.events import STAFF
from tests.functions.test_faults import throttled


@pytest.fixture
def long(monkeypatch):
    """Every account has too long a journal for an answer at once."""
    monkeypatch.setattr("shared.services.audits.ENTRIES_AT_ONCE", 0)


@pytest.fixture(autouse=True)
def two_a_page(monkeypatch):
    """So that a short journal has pages."""
    whole = Table.list_entries

    def some(table, account_id, when=None, **asked):
        return whole(table, account_id, when, **({"limit": 2} | asked))

    monkeypatch.setattr(Table, "list_entries", some)


def ask(api, status=200):
    answer = api.call("audit", claims=STAFF)
    assert answer.status == status, answer.text
    return answer.body


def found(body):
    """By invariant, where it is broken."""
    return {each["invariant"]: each["found"] for each in body["invariants"] if not each["ok"]}


def run(api, received):
    """What waits in the queue is worked on; how many messages there were."""
    bodies = received()
    assert api.deliver("audit", *bodies) == []
    return len(bodies)


def busy_account(api):
    api.open()
    for number in range(3):
        api.spend(1, f"s{number}")
    api.refund(api.spend(2, "s3").body["id"])
    api.buy()
    return api.read()


def seq(api):
    return api.entries()[0]["seq"]


# --- At once


def test_the_audit_says_of_which_entry_it_is_and_that_charges_were_compared(api):
    busy_account(api)
    body = ask(api)
    assert (body["status"], body["ok"], body["as_of_seq"]) == ("finished", True, seq(api))
    assert body["charges_compared"] is True
    assert [each["invariant"] for each in body["invariants"]] == list(INVARIANTS)
    assert found(body) == {}


def test_an_account_that_is_written_while_it_is_audited_is_audited_as_it_was_read(api, faults):
    busy_account(api)
    before = seq(api)

    def interfere():
        api.spend(1, "meanwhile")
        api.buy(key="meanwhile")
        api.badge()

    faults.on(QUERY, faults.before(interfere))
    body = ask(api)
    assert (found(body), body["as_of_seq"], seq(api)) == ({}, before, before + 3)


def test_a_purchase_that_completes_between_entries_and_purchases_is_not_missed(api, faults):
    api.open()
    before = seq(api)
    faults.on(QUERY, passes, passes, faults.before(lambda: api.buy(key="meanwhile")))
    body = ask(api)
    assert (found(body), body["as_of_seq"], seq(api)) == ({}, before, before + 1)


def test_a_badge_that_goes_off_while_the_account_is_audited_breaks_nothing(api, faults):
    busy_account(api)
    api.badge()
    faults.on(QUERY, faults.before(lambda: api.badge(on=False)))
    assert found(ask(api)) == {}


def test_a_page_that_is_throttled_is_read_again(api, faults):
    busy_account(api)
    faults.on(QUERY, throttled(QUERY), throttled(QUERY))
    assert ask(api)["ok"]


def test_an_entry_that_the_account_does_not_count_is_found(api, monkeypatch):
    """Nothing can write one; so the account is shown one entry short."""
    busy_account(api)
    whole = Table.account
    monkeypatch.setattr(Table, "account", lambda *args: replace(whole(*args), seq=whole(*args).seq - 1))
    counted = seq(api) - 1
    told = f"there is an entry {counted + 1}, and the account counts {counted}"
    assert told in found(ask(api))[SEQUENCE]


# --- Purchases and charges


def purchase_item():
    rows = client("dynamodb").scan(TableName="ledger")["Items"]
    return next(row for row in rows if row["sk"]["S"].startswith("PURCHASE#"))


def charge_item():
    rows = client("dynamodb").scan(TableName="sandbox")["Items"]
    return next(row for row in rows if "amount_cents" in row)


@pytest.fixture
def put_back():
    """Undoes what a test breaks: in the end every account is sound."""
    broken = []

    def put(table, item, **changes):
        broken.append((table, item))
        client("dynamodb").put_item(TableName=table, Item=item | changes)

    yield put
    for table, item in reversed(broken):
        client("dynamodb").put_item(TableName=table, Item=item)


@pytest.mark.parametrize("state", ["pending", "declined"])
def test_a_purchase_that_was_paid_out_and_is_not_completed_is_found(api, put_back, state):
    busy_account(api)
    put_back("ledger", purchase_item(), state={"S": state})
    assert found(ask(api)).keys() == {PURCHASES}


def test_a_purchase_that_is_completed_and_was_not_charged_is_found(api, put_back):
    busy_account(api)
    put_back("sandbox", charge_item(), state={"S": "declined"})
    (problem,) = found(ask(api))[PURCHASES]
    assert "was never charged" in problem


def test_a_declined_purchase_that_was_charged_is_found(api, put_back):
    api.open()
    assert api.buy(sandbox="decline").status == 402
    assert found(ask(api)) == {}
    put_back("sandbox", charge_item(), state={"S": "charged"})
    (problem,) = found(ask(api))[PURCHASES]
    assert "was charged as" in problem


def test_looking_at_the_charge_of_a_pending_purchase_decides_nothing(api, clock, scheduled):
    """To ask what became of a charge that has not arrived would keep it from ever happening."""
    api.open()
    assert api.buy(sandbox="late").body["status"] == "pending"
    assert ask(api)["ok"]
    clock.go(minutes=5)
    assert scheduled("purchase_reconcile") == {"purchases": 1}
    assert api.balance() == 90
    assert ask(api)["ok"]


def test_without_a_provider_purchases_are_checked_and_the_answer_says_that_charges_were_not(api, restart, put_back):
    busy_account(api)
    restart(STAGE="production")
    body = ask(api)
    assert (body["ok"], body["charges_compared"]) == (True, False)
    put_back("ledger", purchase_item(), state={"S": "declined"})
    assert found(ask(api)).keys() == {PURCHASES}


@pytest.mark.usefixtures("queue")
def test_a_provider_that_does_not_answer_makes_a_job_of_it(api, monkeypatch):
    def silent(*_):
        raise NoAnswerError

    busy_account(api)
    monkeypatch.setattr(api, "left_ms", 4_000)
    monkeypatch.setattr(SandboxProvider, "look", silent)
    assert ask(api, 202) == {"status": "running", "checked": 0, "of": seq(api)}


# --- As a job


@pytest.mark.usefixtures("long")
def test_a_long_audit_is_begun_once_and_answered_when_it_is_done(api, received):
    busy_account(api)
    running = {"status": "running", "checked": 0, "of": seq(api)}
    assert [ask(api, 202) for _ in range(3)] == [running] * 3
    assert run(api, received) == 1
    body = ask(api)
    assert (body["ok"], body["as_of_seq"], body["charges_compared"]) == (True, seq(api), True)


@pytest.mark.usefixtures("long")
def test_what_a_job_found_stays_the_answer_for_an_hour_whatever_is_written(api, received, clock):
    busy_account(api)
    ask(api, 202)
    run(api, received)
    body = ask(api)
    api.spend(1, "later")
    clock.at += KEPT
    assert ask(api) == body
    clock.at += timedelta(milliseconds=1)
    ask(api, 202)
    assert run(api, received) == 1
    assert ask(api)["as_of_seq"] == seq(api) == body["as_of_seq"] + 1


@pytest.mark.usefixtures("long")
def test_a_job_finds_what_is_wrong(api, received, put_back):
    busy_account(api)
    put_back("ledger", purchase_item(), state={"S": "declined"})
    ask(api, 202)
    run(api, received)
    assert found(ask(api)).keys() == {PURCHASES}


@pytest.mark.usefixtures("long")
def test_a_job_that_dies_half_way_is_done_when_its_message_comes_again(api, received, faults):
    busy_account(api)
    ask(api, 202)
    bodies = received()

    def broken(_):
        raise ZeroDivisionError

    faults.on(QUERY, passes, broken)
    assert len(api.deliver("audit", *bodies)) == 1
    ask(api, 202)
    assert api.deliver("audit", *bodies) == []
    assert ask(api)["ok"]


@pytest.mark.usefixtures("long")
def test_a_job_that_is_not_heard_of_is_begun_anew_and_its_own_message_does_nothing(api, received, clock):
    busy_account(api)
    ask(api, 202)
    lost = received()
    clock.at += PATIENCE
    ask(api, 202)
    assert received() == []
    clock.at += timedelta(milliseconds=1)
    ask(api, 202)
    assert api.deliver("audit", *lost) == []
    ask(api, 202)
    assert run(api, received) == 1
    assert ask(api)["ok"]


@pytest.mark.usefixtures("long")
def test_a_message_of_a_job_that_is_done_does_nothing(api, received, faults):
    busy_account(api)
    ask(api, 202)
    bodies = received()
    api.deliver("audit", *bodies)
    with faults.measured() as cost:
        assert api.deliver("audit", *bodies) == []
    assert cost.calls == [GET]


@pytest.mark.usefixtures("long")
def test_a_job_says_how_far_it_is(api, received, monkeypatch, faults):
    monkeypatch.setattr("shared.services.audits.BEAT_S", 0)
    busy_account(api)
    ask(api, 202)
    seen = []
    look = faults.before(lambda: seen.append(ask(api, 202)["checked"]))
    faults.on(QUERY, *[look] * 5)
    run(api, received)
    assert seen == [0, 2, 4, 6, 8]


@pytest.mark.usefixtures("long")
def test_a_job_whose_time_is_up_comes_again(api, received, log, monkeypatch):
    busy_account(api)
    ask(api, 202)
    monkeypatch.setattr(api, "left_ms", 1_000)
    assert len(api.deliver("audit", *received())) == 1
    assert "UnfinishedError" in log.text


@pytest.mark.usefixtures("long")
def test_two_that_ask_at_once_begin_one_job(api, received, faults):
    busy_account(api)
    faults.on(PUT, faults.before(lambda: ask(api, 202)))
    ask(api, 202)
    assert run(api, received) == 1
    assert ask(api)["ok"]


@pytest.mark.usefixtures("long")
def test_how_far_an_audit_got_is_one_item_that_no_listener_hears_of(api, received):
    busy_account(api)
    ask(api, 202)
    run(api, received)
    item = client("dynamodb").get_item(TableName="ledger", Key={"pk": {"S": "ann"}, "sk": {"S": AUDIT_SK}})["Item"]
    assert json.loads(item["answer"]["S"]) == ask(api)
    assert api.balance() == api.read()["balance"]


def test_there_is_no_audit_of_an_account_that_there_is_not(api):
    assert api.call("audit", claims=STAFF).refused == (404, "account_not_found")


def test_only_staff_may_audit(api):
    api.open()
    assert api.call("audit").refused == (403, "forbidden")
