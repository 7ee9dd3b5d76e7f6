"""What happens in the marketplace, as its events tell: the same use cases as the HTTP calls, once with them.

Each acts under a key made of what happened, never of the event's own id, which differs when the same thing is told
twice. Whether it is told by event, by call or by both, and in whatever order: the account's id, a claim, the time of
it, a job's version or its one end lets it act once.

The contract is `shared/events/schemas/incoming/`. Fields that are not known are passed over: events grow.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from shared.ledger.commands import OpenAccount
from shared.ledger.errors import (
    AlreadyAwardedError,
    AlreadyExistsError,
    IdempotencyKeyReusedError,
    RewardCapReachedError,
)
from shared.ledger.job import EARLIEST, LARGEST, LATEST, LONGEST_NAME, JobStatus, Posting
from shared.ledger.model import Kind, Plan, Request
from shared.ledger.policy import MAX_AMOUNT
from shared.services.accounts import OPENING, change_plan, open_new_account
from shared.services.jobs import end_job, interact_on_job, post_job
from shared.services.rewarding import reward_certification, reward_interview, reward_rising_talent

if TYPE_CHECKING:
    from shared.services.ledger import Ledger

ACTOR = "event:marketplace"
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
NOTHING_LEFT_TO_DO = (AlreadyExistsError, AlreadyAwardedError, RewardCapReachedError, IdempotencyKeyReusedError)
"""Refusals that no repeat would change: it was done before, or the rule gives nothing for it."""

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class MalformedEventError(Exception):
    """An event that does not say what its type promises."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event's detail, read field by field."""

    name: str
    detail: Mapping[str, Any]

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
            raise MalformedEventError(f"{self.name}: {name} is missing or no whole number of {least} to {most}")
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

    def where_given(self, name: str, read: Callable[[str], T]) -> T | None:
        return None if self.detail.get(name) is None else read(name)

    def request(self, operation: str, what: str) -> Request:
        """Under a key that is the same whenever the same thing is told."""
        told = json.dumps([self.name, self.detail], sort_keys=True)
        fingerprint = hashlib.sha256(told.encode()).hexdigest()[:32]
        return Request(operation, what, fingerprint, ACTOR)

    def _matching(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self._read(name, str)
        if not pattern.fullmatch(value):
            raise MalformedEventError(f"{self.name}: {name} is {value!r}")
        return value

    def _read(self, name: str, read: Callable[[str], T]) -> T:
        value = self.detail.get(name)
        if not isinstance(value, str):
            raise MalformedEventError(f"{self.name}: {name} is missing or no text")
        try:
            return read(value)
        except ValueError as error:
            raise MalformedEventError(f"{self.name}: {name}: {error}") from error


def _registered(ledger: Ledger, told: Happening, deadline: float) -> None:
    joined_on = told.where_given("joined_on", told.day)
    request = told.request(OPENING, told.name)
    command = OpenAccount(
        told.id("account_id"), told.one_of("kind", Kind), told.one_of("plan", Plan), joined_on, request
    )
    open_new_account(ledger, command, deadline=deadline)


def _plan_changed(ledger: Ledger, told: Happening, deadline: float) -> None:
    plan, as_of = told.one_of("plan", Plan), told.instant("changed_at")
    change_plan(ledger, told.id("account_id"), plan, ACTOR, deadline=deadline, as_of=as_of)


def _interview_won(ledger: Ledger, told: Happening, deadline: float) -> None:
    spend_id = told.id("spend_id")
    request = told.request("reward", f"interview#{spend_id}")
    reward_interview(ledger, told.id("account_id"), spend_id, request, deadline=deadline)


def _rising_talent(ledger: Ledger, told: Happening, deadline: float) -> None:
    reward_rising_talent(ledger, told.id("account_id"), told.request("reward", "rising_talent"), deadline=deadline)


def _certified(ledger: Ledger, told: Happening, deadline: float) -> None:
    certificate = told.id("certificate")
    request = told.request("reward", f"certification#{certificate}")
    reward_certification(ledger, told.id("account_id"), certificate, request, deadline=deadline)


def _job_changed(ledger: Ledger, told: Happening, deadline: float) -> None:
    posting = Posting(
        version=told.number("version", 0, LARGEST),
        size=told.where_given("size", told.text),
        scope=told.where_given("scope", told.text),
        budget_cents=told.where_given("budget_cents", lambda name: told.number(name, 0, LARGEST)),
        price=told.where_given("price", lambda name: told.number(name, 1, MAX_AMOUNT)),
        posted_at=told.where_given("posted_at", told.instant),
    )
    post_job(ledger, told.id("job_id"), posting, deadline=deadline)


def _job_ended(ledger: Ledger, told: Happening, deadline: float) -> None:
    """Proposals that come back are found by the schedule, within a minute: nobody waits here as a caller does."""
    end_job(ledger, told.id("job_id"), JobStatus(told.name.removeprefix("job.")), deadline=deadline)


def _interaction(ledger: Ledger, told: Happening, deadline: float) -> None:
    account_id, proposal_id = (told.where_given(name, told.id) for name in ("account_id", "proposal_id"))
    at = told.where_given("interacted_at", told.instant)
    interact_on_job(ledger, told.id("job_id"), account_id, proposal_id, deadline=deadline, at=at)


HAPPENINGS: Mapping[str, Callable[[Ledger, Happening, float], None]] = {
    "account.registered": _registered,
    "account.plan_changed": _plan_changed,
    "account.rising_talent": _rising_talent,
    "account.certified": _certified,
    "interview.won": _interview_won,
    "job.changed": _job_changed,
    "job.canceled": _job_ended,
    "job.removed": _job_ended,
    "job.expired": _job_ended,
    "job.filled": _job_ended,
    "job.interaction": _interaction,
}
"""By detail-type; the template's rule lets these through."""


def act_on(ledger: Ledger, event: Mapping[str, Any], *, deadline: float) -> str | None:
    """Do what an event of the bus calls for. Tells the code of the refusal where nothing was left to do.

    Raises:
        MalformedEventError: it does not say what it should.
        LedgerError: a refusal that a repeat may change: the account is still to be opened, the ledger is busy.
    """
    kind, detail = event.get("detail-type"), event.get("detail")
    act = HAPPENINGS.get(str(kind))
    if act is None or not isinstance(detail, Mapping):
        raise MalformedEventError(f"{kind} is not known here, or has no detail")
    try:
        act(ledger, Happening(str(kind), detail), deadline)
    except NOTHING_LEFT_TO_DO as refusal:
        return refusal.code
    return None
