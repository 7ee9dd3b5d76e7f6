"""The audit of an account: at once if its journal is short, else as a job, whose result a later request returns.

An account is checked as it was read, and what is written meanwhile does not affect the result::

    1  read the account                     seq n: what follows is checked against this
    2  read its entries, oldest first       until the first that is newer than n
    3  read its purchases                   each completed one has its entry by now, which may be newer than n
    4  look at their charges                the provider knew of a charge before the purchase was completed
    5  where there are newer entries, read the account again: it has to count them

A job is one message of a queue and one item beside the account. While it runs it writes a heartbeat to the item every
few seconds; without one, the next request begins the job anew. It saves no intermediate state: after a crash it starts
from the beginning, and the longest journal that a partition of DynamoDB can hold (some ten million entries) takes less
time than one function has.
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
from shared.ledger.purchases import PurchaseState
from shared.payments import NoAnswerError, PaymentState, charge_of
from shared.services.retry import attempts
from shared.services.views import audit_view
from shared.store.audits import Audits, Job
from shared.store.errors import AuditMovedError, ContentionError
from shared.store.purchases import Purchases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shared.ledger.audit import Finding
    from shared.ledger.model import Account, Entry
    from shared.ledger.purchases import Purchase
    from shared.payments import PaymentProvider
    from shared.services.due import Queue
    from shared.services.ledger import Ledger

    Progress = Callable[[int], object]

ENTRIES_AT_ONCE = 20_000
"""About a second's work. An audit that takes longer becomes a job."""
KEPT = timedelta(hours=1)
"""How long the result of a job is returned to later requests."""
PATIENCE = timedelta(minutes=2)
"""How long after its last heartbeat a job counts as running."""
BEGINNING_S = 1.0
"""How much of a request's time is kept for beginning a job, if the audit takes longer."""
BEAT_S = 10

T = TypeVar("T")


class UnfinishedError(Exception):
    """The deadline passed before everything was checked."""


@dataclass(frozen=True, slots=True)
class Audited:
    as_of_seq: int
    findings: list[Finding]
    charges_compared: bool
    """False if no payment provider is connected."""


@dataclass(frozen=True, slots=True)
class Finished:
    view: Mapping[str, Any]
    """The answer, from this request or from an earlier job."""


@dataclass(frozen=True, slots=True)
class Running:
    checked: int
    entries: int


def request_audit(
    ledger: Ledger,
    account_id: str,
    provider: PaymentProvider | None,
    queue: Callable[[], Queue],
    *,
    deadline: float,
) -> Finished | Running:
    """Audit an account, or begin a job that does, and return how far that is.

    Raises:
        AccountNotFoundError
        ContentionError: the table was throttled, or did not answer, until the deadline.
    """
    account = ledger.table.account(account_id)
    if account.seq <= ENTRIES_AT_ONCE:
        with suppress(UnfinishedError):
            return Finished(audit_view(audit_account(ledger, account, provider, deadline=deadline - BEGINNING_S)))
    return _by_job(ledger, account, queue)


def audit_account(
    ledger: Ledger,
    account: Account,
    provider: PaymentProvider | None,
    *,
    deadline: float,
    progress: Progress = lambda _: None,
) -> Audited:
    """Check every invariant of an account, as it was just read.

    Args:
        ledger: The ledger of the account.
        account: As it was read: entries written since then are left out.
        provider: The payment provider; without one, purchases are checked against their entries alone.
        deadline: Monotonic seconds by which to give up.
        progress: Called with the number of entries checked, after each page of entries and each purchase.

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
        newer_level = _has_newer_level(ledger, checked, purchase, deadline)
        checked.add_purchase(purchase, _newer_entry(ledger, checked, purchase, deadline), newer_level=newer_level)
        if provider:
            checked.add_charges(purchase, _charged(provider, purchase, deadline))
        progress(checked.last_seq)
    checked.end_of_purchases()
    counted = ledger.table.account(account.account_id).seq if checked.newer_seq else account.seq
    return Audited(account.seq, checked.findings(counted), charges_compared=provider is not None)


def run_audit(ledger: Ledger, message: Mapping[str, Any], provider: PaymentProvider | None, *, deadline: float) -> None:
    """Run a job. Its message may be delivered twice: a job that is finished, or was begun anew, is left alone.

    Raises:
        UnfinishedError: the deadline passed; the message has to be delivered again.
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
        audited = audit_account(ledger, account, provider, deadline=deadline, progress=heartbeat)
        heartbeat.save(checked=account.seq, answer=json.dumps(audit_view(audited)))


def _by_job(ledger: Ledger, account: Account, queue: Callable[[], Queue]) -> Finished | Running:
    audits, now = Audits(ledger.table), ledger.clock.now()
    known = audits.job(account.account_id)
    if known and known.answer and now - known.beat_at <= KEPT:
        return Finished(json.loads(known.answer))
    if known and not known.answer and now - known.beat_at <= PATIENCE:
        return Running(known.checked, known.entries)
    job = Job(account.account_id, known.run + 1 if known else 1, account.seq, beat_at=now)
    with suppress(AuditMovedError):  # another request was faster, and has sent it
        audits.begin(known, job)
        queue().send([json.dumps({"audit": job.account_id, "run": job.run})])
    return Running(0, account.seq)


class _Heartbeat:
    """Writes every `BEAT_S` that a job is running, and how far it is."""

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
    purchases = Purchases(ledger.table)
    page = _retrying(lambda: purchases.page(account_id), deadline)
    while page:
        yield from page
        last = page[-1].purchase_id
        page = _retrying(lambda: purchases.page(account_id, last), deadline)  # noqa: B023 - called at once


def _newer_entry(ledger: Ledger, checked: Audit, purchase: Purchase, deadline: float) -> Entry | None:
    """The entry of a purchase that was completed after the account was read."""
    if not checked.lacks_entry(purchase):
        return None
    found = _retrying(lambda: ledger.table.entry(purchase.account_id, purchase.entry_id), deadline)
    newer = found is not None and found.seq > checked.account.seq and found.type is EntryType.PURCHASE
    return found if newer else None


def _has_newer_level(ledger: Ledger, checked: Audit, purchase: Purchase, deadline: float) -> bool:
    """Whether the last entry that took Connects of a purchase back, or gave them back, is newer than the account."""
    if not checked.lacks_level(purchase):
        return False
    last = purchase.reclaim_id(purchase.reclaims)
    found = _retrying(lambda: ledger.table.entry(purchase.account_id, last), deadline)
    return found is not None and found.seq > checked.account.seq


def _charged(provider: PaymentProvider, purchase: Purchase, deadline: float) -> list[str]:
    """The charge of a decided purchase, if it went through. Of earlier attempts the provider's name is not kept.

    Nothing is to be found of a pending one: its charge may have gone through already, or not.
    """
    if purchase.ref is None or purchase.state is PurchaseState.PENDING:
        return []
    ref, charge = purchase.ref, charge_of(purchase)
    looked = _retrying(lambda: provider.look(ref, charge), deadline)
    return [purchase.charge_id] if looked.state is PaymentState.CHARGED else []


def _retrying(read: Callable[[], T], deadline: float) -> T:
    """Read, and read again what was throttled or not answered.

    Raises:
        UnfinishedError: the deadline passed, also if the payment provider did not answer until then.
        ContentionError: DynamoDB did not answer until then.
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
