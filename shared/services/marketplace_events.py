"""The marketplace's own events: each runs the same use case as its HTTP call, and takes effect once with it.

The idempotency key is made from what happened, not from the id of the event, which differs if the same thing is
reported twice. It may be reported by event, by call or by both, in any order: the account's id, a claim, the time at
which it happened, or a job's version or end let it take effect once.

The contract is `shared/events/schemas/incoming/`. Unknown fields are ignored, so that events can get new ones.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from shared.ledger.accounts import OpenAccount
from shared.ledger.auction import Interaction
from shared.ledger.errors import (
    AccountClosedError,
    AlreadyAwardedError,
    AlreadyExistsError,
    AlreadyRefundedError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    NoFreeConnectsError,
    NoInterviewRewardError,
    NotRefundableError,
    RewardCapReachedError,
)
from shared.ledger.event_times import happened_at
from shared.ledger.jobs import EARLIEST, LARGEST, LATEST, LONGEST_NAME, JobEvent, Posting
from shared.ledger.model import Kind, Plan, PlanChange, Request, Status
from shared.ledger.policy import MAX_AMOUNT
from shared.ledger.timeline import ONE_INSTANT
from shared.services.accounts import OPENING, change_account, open_new_account
from shared.services.jobs import apply_job_event, interact_on_job, save_posting
from shared.services.rewards import reward_certification, reward_interview, reward_rising_talent

if TYPE_CHECKING:
    from shared.services.ledger import Ledger

ACTOR = "event:marketplace"
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
NOTHING_LEFT_TO_DO = (
    # It was done before, by a call or by another event.
    AlreadyExistsError,
    AlreadyAwardedError,
    # The same was reported before with other details: the first report counts.
    IdempotencyKeyReusedError,
    # By the rules nothing follows from it: all was refunded before, nothing fits under the cap, the spend is for no
    # proposal or for one of a free channel, the account is an agency.
    AlreadyRefundedError,
    RewardCapReachedError,
    NoInterviewRewardError,
    NotRefundableError,
    NoFreeConnectsError,
    # The account was closed for ever.
    AccountClosedError,
)
"""Refusals that a repeat would not change.

After all others the event is delivered again: the account, spend or job may not be reported yet, a certificate not be
configured yet, a day not be reached yet, the ledger be busy.
"""

ONE_SECOND = timedelta(seconds=1)

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class Effective(StrEnum):
    """When a downgrade counts, if it does not wait for the next cycle."""

    NOW = "now"


class MalformedEventError(Exception):
    """An event that does not match its schema."""


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """An event's detail, read field by field."""

    name: str
    detail: Mapping[str, Any]
    sent_at: datetime | None
    """The time of its envelope, on the product's clock."""
    now: datetime

    def id(self, name: str) -> str:
        return self._matching(name, ID)

    def text(self, name: str) -> str:
        value = self._read(name, str)
        if not 1 <= len(value) <= LONGEST_NAME:
            raise MalformedEventError(f"{self.name}: {name} has {len(value)} characters")
        return value

    def number(self, name: str, least: int, most: int) -> int:
        value = self.detail.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 1.0 is an integer, as the schemas say
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise MalformedEventError(f"{self.name}: {name} is missing or not an integer from {least} to {most}")
        return value

    def one_of(self, name: str, values: type[E]) -> E:
        return self._read(name, values)

    def day(self, name: str) -> date:
        return date.fromisoformat(self._matching(name, DAY))

    def instant(self, name: str) -> datetime:
        at = self._read(name, datetime.fromisoformat)
        if at.tzinfo is None:
            raise MalformedEventError(f"{self.name}: {name} has no time zone")
        if not EARLIEST <= at <= LATEST:
            raise MalformedEventError(f"{self.name}: {name} is {at}")
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def at(self, other_name: str = "at") -> datetime:
        """When it happened: by its detail (``other_name`` is an older name of ``at``), else by its envelope."""
        named = self.optional("at", self.instant) or self.optional(other_name, self.instant) or self.sent_at
        try:
            return happened_at(named, self.now, "at")
        except InvalidRequestError as error:
            raise MalformedEventError(f"{self.name}: {error}") from error

    def changed_at(self) -> datetime:
        """The same for a change of an account. An envelope has whole seconds: it counts as the end of its second."""
        sent_at = self.sent_at
        if sent_at and not sent_at.microsecond:
            sent_at += ONE_SECOND - ONE_INSTANT
        return replace(self, sent_at=sent_at).at("changed_at")

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        return None if self.detail.get(name) is None else read(name)

    def request(self, operation: str, what: str) -> Request:
        """A request whose key is the same whenever the same thing is reported.

        No caller of the API can have used it, as an Idempotency-Key contains no space.
        """
        content = json.dumps([self.name, self.detail], sort_keys=True)
        fingerprint = hashlib.sha256(content.encode()).hexdigest()[:32]
        return Request(operation, f"event {what}", fingerprint, ACTOR)

    def _matching(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self._read(name, str)
        if not pattern.fullmatch(value):
            raise MalformedEventError(f"{self.name}: {name} is {value!r}")
        return value

    def _read(self, name: str, read: Callable[[str], T]) -> T:
        value = self.detail.get(name)
        if not isinstance(value, str):
            raise MalformedEventError(f"{self.name}: {name} is missing or not a string")
        try:
            return read(value)
        except ValueError as error:
            raise MalformedEventError(f"{self.name}: {name}: {error}") from error


def _registered(ledger: Ledger, event: IncomingEvent, deadline: float) -> None:
    joined_on = event.optional("joined_on", event.day)
    request = event.request(OPENING, event.name)
    kind, plan = event.one_of("kind", Kind), event.one_of("plan", Plan)
    command = OpenAccount(event.id("account_id"), kind, plan, joined_on, request, event.at())
    open_new_account(ledger, command, deadline=deadline)


def _plan_changed(ledger: Ledger, event: IncomingEvent, deadline: float) -> None:
    plan = event.one_of("plan", Plan)
    effective = event.optional("effective", lambda name: event.one_of(name, Effective))
    change = PlanChange.to(plan, at_once=effective is not None)
    at = event.changed_at()
    change_account(ledger, event.id("account_id"), ACTOR, deadline=deadline, plan=change, at=at)


def _status_changed(ledger: Ledger, event: IncomingEvent, deadline: float) -> None:
    status = event.one_of("status", Status)
    change_account(ledger, event.id("account_id"), ACTOR, deadline=deadline, status=status, at=event.changed_at())


def _interview_won(ledger: Ledger, event: IncomingEvent, deadline: float) -> None:
    spend_id = event.id("spend_id")
    request = event.request("reward", f"interview#{spend_id}")
    reward_interview(ledger, event.id("account_id"), spend_id, request, deadline=deadline, at=event.at())


def _rising_talent(ledger: Ledger, event: IncomingEvent, deadline: float) -> None:
    request = event.request("reward", "rising_talent")
    reward_rising_talent(ledger, event.id("account_id"), request, deadline=deadline, at=event.at())


def _certified(ledger: Ledger, event: IncomingEvent, deadline: float) -> None:
    certificate = event.id("certificate")
    request = event.request("reward", f"certification#{certificate}")
    reward_certification(ledger, event.id("account_id"), certificate, request, deadline=deadline, at=event.at())


def _job_changed(ledger: Ledger, event: IncomingEvent, deadline: float) -> None:
    posting = Posting(
        version=event.number("version", 0, LARGEST),
        size=event.optional("size", event.text),
        scope=event.optional("scope", event.text),
        budget_cents=event.optional("budget_cents", lambda name: event.number(name, 0, LARGEST)),
        price=event.optional("price", lambda name: event.number(name, 1, MAX_AMOUNT)),
        posted_at=event.optional("posted_at", event.instant),
    )
    save_posting(ledger, event.id("job_id"), posting, deadline=deadline, at=event.at())


def _job_event(ledger: Ledger, event: IncomingEvent, deadline: float) -> None:
    """Its refunds are left to the schedule, which runs each minute: no caller waits for them here."""
    happened = JobEvent(event.name.removeprefix("job."))
    apply_job_event(ledger, event.id("job_id"), happened, deadline=deadline, at=event.at())


def _interaction(ledger: Ledger, event: IncomingEvent, deadline: float) -> None:
    account_id, proposal_id = (event.optional(name, event.id) for name in ("account_id", "proposal_id"))
    interaction = Interaction(account_id, proposal_id, event.at("interacted_at"))
    interact_on_job(ledger, event.id("job_id"), interaction, deadline=deadline)


def _read(ledger: Ledger, kind: str, event: Mapping[str, Any]) -> IncomingEvent:
    envelope = IncomingEvent(kind, event, None, ledger.clock.now())
    sent_at = envelope.optional("time", envelope.instant)
    return IncomingEvent(kind, event["detail"], sent_at and ledger.clock.at_real(sent_at), envelope.now)


HANDLERS: Mapping[str, Callable[[Ledger, IncomingEvent, float], None]] = {
    "account.registered": _registered,
    "account.plan_changed": _plan_changed,
    "account.status_changed": _status_changed,
    "account.rising_talent": _rising_talent,
    "account.certified": _certified,
    "interview.won": _interview_won,
    "job.changed": _job_changed,
    "job.hired": _job_event,
    "job.canceled": _job_event,
    "job.removed": _job_event,
    "job.expired": _job_event,
    "job.filled": _job_event,
    "job.interaction": _interaction,
}
"""By detail-type; the template's rule lets these through."""


def handle_event(ledger: Ledger, event: Mapping[str, Any], *, deadline: float) -> str | None:
    """Carry out what an event of the bus reports. Returns the code of the refusal if nothing was left to do.

    Raises:
        MalformedEventError: it does not match its schema.
        LedgerError: a refusal that a repeat may change: the account is not opened yet, the ledger is busy.
    """
    kind, detail = event.get("detail-type"), event.get("detail")
    act = HANDLERS.get(str(kind))
    if act is None or not isinstance(detail, Mapping):
        raise MalformedEventError(f"the type {kind} is unknown, or the event has no detail")
    try:
        act(ledger, _read(ledger, str(kind), event), deadline)
    except NOTHING_LEFT_TO_DO as refusal:
        return refusal.code
    return None
