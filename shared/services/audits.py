"""The audit of an account: at once where it has not long a journal, else as a job that is asked for and looked at.

An account is checked as it was read, and what is written meanwhile changes nothing::

    1  read the account                     seq n: what follows is checked against this
    2  read its entries, oldest first       until the first that is newer than n
    3  read its purchases                   each completed one has its entry by now, which may be newer than n
    4  look at their charges                the provider knew of a charge before the purchase was completed
    5  where there are newer entries, read the account again: it has to count them

A job is one message of a queue and one item beside the account. Who works on it says so every few seconds, and a job
that is not heard of is begun anew by whoever asks next. It keeps nothing on the way: one that dies starts again, and a
journal as long as its partition of DynamoDB can be (some ten million entries) takes less time than one function has.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from shared.ledger.audit import Audit
from shared.ledger.model import EntryType
from shared.payments import ChargeState, NoAnswerError
from shared.services.retry import attempts
from shared.services.views import audit_view
from shared.store.audits import Audits, Job
from shared.store.errors import AuditMovedError, ContentionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shared.ledger.audit import Finding
    from shared.ledger.model import Account, Entry
    from shared.ledger.purchases import Purchase
    from shared.payments import PaymentGateway
    from shared.services.due import Queue
    from shared.services.ledger import Ledger

    Progress = Callable[[int], object]

ENTRIES_AT_ONCE = 20_000
"""About a second's work. What turns out to take longer becomes a job."""
KEPT = timedelta(hours=1)
"""How long what a job found is the answer."""
PATIENCE = timedelta(minutes=2)
"""How long after it was last heard of a job counts as under way."""
BEGINNING_S = 1.0
"""Kept of a caller's time for beginning a job, where the audit takes longer."""
BEAT_S = 10

T = TypeVar("T")


class UnfinishedError(Exception):
    """The time was up before everything was checked."""


@dataclass(frozen=True, slots=True)
class Audited:
    as_of_seq: int
    findings: list[Finding]
    charges_compared: bool
    """False where no payment provider is connected."""


@dataclass(frozen=True, slots=True)
class Finished:
    view: Mapping[str, Any]
    """What is answered, at once or by the job that found it."""


@dataclass(frozen=True, slots=True)
class Running:
    checked: int
    entries: int


def request_audit(
    ledger: Ledger,
    account_id: str,
    gateway: PaymentGateway | None,
    queue: Callable[[], Queue],
    *,
    deadline: float,
) -> Finished | Running:
    """Audit an account, or have it audited and tell how far that is.

    Raises:
        AccountNotFoundError
        ContentionError: the table was throttled, or gave no answer, until the deadline.
    """
    account = ledger.table.account(account_id)
    if account.seq <= ENTRIES_AT_ONCE:
        with suppress(UnfinishedError):
            return Finished(audit_view(audit_account(ledger, account, gateway, deadline=deadline - BEGINNING_S)))
    return _by_job(ledger, account, queue)


def audit_account(
    ledger: Ledger,
    account: Account,
    gateway: PaymentGateway | None,
    *,
    deadline: float,
    progress: Progress = lambda _: None,
) -> Audited:
    """Check every invariant of an account, as it was just read.

    Args:
        ledger: Where it is kept.
        account: As it was read: entries that were written since are left alone.
        gateway: The payment provider; without one, purchases are checked against their entries alone.
        deadline: Monotonic seconds by which to give up.
        progress: Is told how many entries were checked, after each page of anything.

    Raises:
        UnfinishedError: at the deadline.
        ContentionError
    """
    checked = Audit(account)
    for lines in _pages(ledger, account.account_id, deadline):
        if not all(checked.add(line) for line in lines):
            break
        progress(checked.last_seq)
    for purchase in _purchases(ledger, account.account_id, deadline):
        checked.add_purchase(purchase, _newer_entry(ledger, checked, purchase, deadline))
        if gateway:
            checked.add_charges(purchase, _charged(gateway, purchase, deadline))
        progress(checked.last_seq)
    checked.end_of_purchases()
    counted = ledger.table.account(account.account_id).seq if checked.newer_seq else account.seq
    return Audited(account.seq, checked.findings(counted), charges_compared=gateway is not None)


def run_audit(ledger: Ledger, message: Mapping[str, Any], gateway: PaymentGateway | None, *, deadline: float) -> None:
    """Do a job. Its message may come again: what is finished, or was begun anew, is left alone.

    Raises:
        UnfinishedError: the time was up; the message has to come again.
    """
    audits = Audits(ledger.table)
    job = audits.job(message["audit"])
    if job is None or job.run != message["run"] or job.answer:
        return
    with suppress(AuditMovedError):
        account = ledger.table.account(job.account_id)
        job = replace(job, entries=account.seq)
        heartbeat = _Heartbeat(ledger, audits, job)
        heartbeat.save(checked=0)
        audited = audit_account(ledger, account, gateway, deadline=deadline, progress=heartbeat)
        heartbeat.save(checked=account.seq, answer=json.dumps(audit_view(audited)))


def _by_job(ledger: Ledger, account: Account, queue: Callable[[], Queue]) -> Finished | Running:
    audits, now = Audits(ledger.table), ledger.clock.now()
    known = audits.job(account.account_id)
    if known and known.answer and now - known.beat_at <= KEPT:
        return Finished(json.loads(known.answer))
    if known and not known.answer and now - known.beat_at <= PATIENCE:
        return Running(known.checked, known.entries)
    job = Job(account.account_id, known.run + 1 if known else 1, account.seq, beat_at=now)
    with suppress(AuditMovedError):  # whoever was faster has sent it
        audits.begin(known, job)
        queue().send([json.dumps({"audit": job.account_id, "run": job.run})])
    return Running(0, account.seq)


class _Heartbeat:
    """Says every `BEAT_S` that a job is under way, and how far."""

    def __init__(self, ledger: Ledger, audits: Audits, job: Job) -> None:
        self._ledger, self._audits, self._job = ledger, audits, job
        self._next = time.monotonic() + BEAT_S

    def __call__(self, checked: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + BEAT_S
            with suppress(ContentionError):  # the next one will do
                self.save(checked)

    def save(self, checked: int, answer: str | None = None) -> None:
        self._audits.save(replace(self._job, beat_at=self._ledger.clock.now(), checked=checked, answer=answer))


def _pages(ledger: Ledger, account_id: str, deadline: float) -> Iterator[list[Any]]:
    audits = Audits(ledger.table)
    lines, key = _retrying(lambda: audits.lines(account_id), deadline)
    yield lines
    while key:
        start_key = key
        lines, key = _retrying(lambda: audits.lines(account_id, start_key), deadline)  # noqa: B023 - called at once
        yield lines


def _purchases(ledger: Ledger, account_id: str, deadline: float) -> Iterator[Purchase]:
    audits = Audits(ledger.table)
    page = _retrying(lambda: audits.purchases(account_id), deadline)
    while page:
        yield from page
        last = page[-1].purchase_id
        page = _retrying(lambda: audits.purchases(account_id, last), deadline)  # noqa: B023 - called at once


def _newer_entry(ledger: Ledger, checked: Audit, purchase: Purchase, deadline: float) -> Entry | None:
    """Of a purchase that was completed after the account was read."""
    if not checked.lacks_entry(purchase):
        return None
    found = _retrying(lambda: ledger.table.entry(purchase.account_id, purchase.entry_id), deadline)
    newer = found is not None and found.seq > checked.account.seq and found.type is EntryType.PURCHASE
    return found if newer else None


def _charged(gateway: PaymentGateway, purchase: Purchase, deadline: float) -> list[str]:
    """Which attempts to charge a purchase went through. Looking never declines one that is still to come."""
    attempts_ = [replace(purchase, attempt=number).charge_id for number in range(1, purchase.attempt + 1)]
    looked = {charge_id: _retrying(lambda: gateway.look(charge_id), deadline) for charge_id in attempts_}  # noqa: B023
    return [charge_id for charge_id, result in looked.items() if result and result.state is ChargeState.CHARGED]


def _retrying(read: Callable[[], T], deadline: float) -> T:
    """What is throttled, or not answered, is read again.

    Raises:
        UnfinishedError: at the deadline, also where the payment provider gave no answer until then.
        ContentionError: DynamoDB gave none.
    """
    if time.monotonic() > deadline:
        raise UnfinishedError
    failed: Exception = UnfinishedError()
    for _ in attempts(deadline):
        try:
            return read()
        except ContentionError as error:
            failed = error
        except NoAnswerError:
            failed = UnfinishedError("the payment provider does not answer")
    raise failed
