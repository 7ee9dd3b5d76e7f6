"""Auditing an account in the table: in pages, as it was read, with its purchases."""

import json
from datetime import timedelta
from math import ceil

import pytest

from shared.sandbox.payments import Behaviour
from shared.services import audits
from shared.services.audits import Finished, Running, UnfinishedError, audit_account, request_audit, run_audit
from shared.store.audits import Audits, Job
from shared.store.errors import AuditMovedError
from tests.core.builders import noon
from tests.driver import RecordingQueue, deadline
from tests.faults import GET, QUERY
from tests.invariants import Contents
from tests.providers import Instead


@pytest.fixture
def pages_of(monkeypatch, table):
    """Lets a page hold so many entries, as 1 MB does of long ones."""
    whole = type(table).list_entries

    def hold(entries):
        def some(table, account_id, when=None, **asked):
            return whole(table, account_id, when, **({"limit": entries} | asked))

        monkeypatch.setattr(type(table), "list_entries", some)

    return hold


def problems(audited):
    return [problem for finding in audited.findings for problem in finding.problems]


@pytest.mark.parametrize("entries", [1, 2, 4, 5, 6])
def test_an_account_is_audited_in_pages_of_any_size(driver, pages_of, faults, entries):
    driver.open()
    driver.credit(20)
    driver.refund(driver.spend(5).entry.entry_id)
    driver.spend(3, "other")
    driver.badge()
    pages_of(entries)
    with faults.measured() as cost:
        audited = driver.audit()
    assert (problems(audited), audited.as_of_seq) == ([], 5)
    first, *queries = cost.calls
    assert (first, set(queries)) == (GET, {QUERY})
    # One more is for purchases; engines differ in whether a page that is just full is the last.
    assert len(queries) - 1 in {ceil(5 / entries), ceil(6 / entries)}


def test_what_an_audit_reads_of_an_entry_is_what_the_journal_holds(driver, table):
    driver.open()
    driver.credit(20)
    driver.credit_often([(noon("2026-01-15").date(), 3, True)])
    driver.spend(22)
    lines, key = Audits(table).lines("ann")
    assert key is None
    looked_at = [{name: getattr(line, name) for name in line.__slots__} for line in lines]
    assert looked_at == [{name: getattr(entry, name) for name in looked_at[0]} for entry in driver.journal()]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_purchases_are_read_in_pages(driver, provider, monkeypatch, count):
    driver.open()
    for number in range(count):
        driver.buy(10 + number, provider.that(Behaviour.SUCCEED), str(number))
    monkeypatch.setattr("shared.store.purchases.PURCHASES_A_PAGE", 2)
    succeeds = provider.that(Behaviour.SUCCEED)
    read = list(audits._purchases(driver.ledger, "ann", deadline()))
    assert read == Contents(driver.table).purchases("ann")
    assert len(read) == count
    assert problems(driver.audit(succeeds)) == []


def test_purchases_in_every_state_match_their_charges(driver, provider):
    driver.open()
    driver.buy(10, provider.that(Behaviour.SUCCEED), "succeeds")
    driver.buy(20, provider.that(Behaviour.TIMEOUT), "times out")
    driver.buy(30, provider.that(Behaviour.LATE), "late")
    with pytest.raises(Exception, match="declined"):
        driver.buy(40, provider.that(Behaviour.DECLINE), "declined")
    with pytest.raises(Exception, match="declined"):
        driver.buy(50, provider.that(Behaviour.DECLINE), "tried again")
    driver.buy(50, provider.that(Behaviour.SUCCEED), "tried again")
    succeeds = provider.that(Behaviour.SUCCEED)
    assert problems(driver.audit(succeeds)) == []
    for purchase in Contents(driver.table).purchases("ann"):
        driver.reconcile(purchase.purchase_id, succeeds)
    audited = driver.audit(succeeds)
    assert (problems(audited), audited.charges_compared) == ([], True)
    assert driver.balance() == 10 + 20 + 30 + 50


def test_a_charge_that_is_audited_before_it_is_confirmed_stays_possible(driver, provider):
    succeeds = provider.that(Behaviour.SUCCEED)
    driver.open()

    def audited_before(ref, charge, *, present):
        assert problems(driver.audit(succeeds)) == []
        return succeeds.confirm(ref, charge, present=present)

    assert driver.buy(10, Instead(succeeds, confirm=audited_before)).entry.amount == 10


def test_entries_that_come_while_the_journal_is_read_are_left_alone(driver, pages_of, faults):
    driver.open()
    driver.credit(20)
    for number in range(5):
        driver.spend(1, str(number))
    pages_of(2)
    faults.on(QUERY, *[faults.before(lambda at=at: driver.spend(1, f"meanwhile {at}")) for at in range(4)])
    audited = driver.audit()
    assert (problems(audited), audited.as_of_seq, driver.stored().seq) == ([], 6, 10)


def test_an_audit_gives_up_at_its_deadline(driver):
    driver.open()
    with pytest.raises(UnfinishedError):
        audit_account(driver.ledger, driver.stored(), None, deadline=0)


# --- Jobs


def a_job(run=1):
    return Job("ann", run, entries=0, beat_at=noon("2026-01-15"))


def test_a_job_that_another_has_taken_the_place_of_is_not_written(table):
    audits = Audits(table)
    audits.begin(None, a_job())
    audits.begin(audits.job("ann"), a_job(run=2))
    for stale in (lambda: audits.begin(None, a_job()), lambda: audits.save(a_job())):
        with pytest.raises(AuditMovedError):
            stale()
    assert audits.job("ann") == a_job(run=2)


def test_a_job_is_asked_for_sent_once_done_and_found(driver, monkeypatch):
    monkeypatch.setattr(audits, "ENTRIES_AT_ONCE", 0)
    driver.open()
    driver.credit(20)
    recorded = RecordingQueue()

    def ask():
        return request_audit(driver.ledger, "ann", None, lambda: recorded, deadline=deadline())

    assert [ask(), ask()] == [Running(0, 1), Running(0, 1)]
    [message] = recorded.bodies
    run_audit(driver.ledger, json.loads(message), None, deadline=deadline())
    found = ask()
    assert isinstance(found, Finished)
    assert (found.view["ok"], found.view["as_of_seq"], found.view["charges_compared"]) == (True, 1, False)
    driver.clock.at += timedelta(hours=2)
    assert (ask(), len(recorded.bodies)) == (Running(0, 1), 2)
