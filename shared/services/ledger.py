"""The one way to change an account: read it, decide, write the decision if nobody was faster, else decide again."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.ledger.commands import decide
from shared.ledger.errors import (
    AccountNotFoundError,
    BusyError,
    IdempotencyKeyReusedError,
    LedgerError,
    SpendNotFoundError,
)
from shared.ledger.model import Account, Claim, Decision, Entry, EntryType, Request, entry_id
from shared.ledger.settling import settled_view
from shared.services.retry import attempts, in_time
from shared.store.errors import ConflictError, ContentionError, EntryExistsError, StoreError, VersionMovedError
from shared.store.turns import take_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from shared.clock import Clock
    from shared.ledger.commands import Command
    from shared.ledger.policy import Policy
    from shared.store.table import Table
    from shared.store.transaction_items import TransactionItem


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a command. ``replayed`` if an earlier request with the same key had done it."""

    entry: Entry | None
    account: Account | None = None
    replayed: bool = False
    written: tuple[Entry, ...] = ()
    """Every entry of the change, including those that fell due; empty if the answer of the database was lost."""

    @property
    def posted(self) -> Entry:
        """The command's own entry: one with an idempotency key always writes one."""
        if self.entry is None:
            raise AssertionError("this command writes no entry of its own")
        return self.entry


@dataclass(frozen=True, slots=True)
class Ledger:
    table: Table
    policy: Policy
    clock: Clock

    def view(self, account_id: str, now: datetime) -> Account:
        """The account as of now, including what fell due and is not written yet."""
        return settled_view(self.table.account(account_id), now, self.policy)

    def find_spend(self, account_id: str, spend_id: str) -> Entry:
        """The entry of a spend.

        Raises:
            AccountNotFoundError, SpendNotFoundError: there is no such entry, or it is of another type.
        """
        entry = self.table.entry(account_id, spend_id)
        if entry is None or entry.type is not EntryType.SPEND:
            self.table.account(account_id)  # without an account, that is the refusal
            raise SpendNotFoundError(spend_id)
        return entry

    @in_time
    def execute(
        self,
        account_id: str,
        command: Command,
        *,
        deadline: float,
        also: Sequence[TransactionItem] | Callable[[Decision], Sequence[TransactionItem]] = (),
        read: Account | None = None,
    ) -> Outcome:
        """Execute a command exactly once.

        It takes two calls to DynamoDB without contention, and two for a repeat.

        Args:
            account_id: The account.
            command: What is to happen. The idempotency key of its request is used up by a success, not by a refusal.
            deadline: Monotonic seconds by which to give up.
            also: What to write or check in the same transaction, or a function of the decision that makes them.
            read: The account, if the caller has just read it: saves a call.

        Raises:
            LedgerError: the refusal; nothing changed. `BusyError` where contention outlasted the deadline.
            IdempotencyKeyReusedError: the key was used for another request.
            ClaimedError: what the command does once for ever was done under another key.
            StoreError: the refusal of one of ``also``.
        """
        request = _keyed_request(command)
        tries = attempts(deadline)
        turn: int | None = None
        for _ in tries:
            try:
                account = read or self.table.account(account_id)
                return self._change(account, command, request, also, deadline)
            except (VersionMovedError, ConflictError) as error:
                tries.failed(error)
                read, moved_to = None, error.current if isinstance(error, VersionMovedError) else None
                version = (moved_to or account).version
                if turn is None:
                    turn = take_turn(self.table, account_id, version)
                    read = moved_to if turn == version else None
                    tries.wait_for_turn(turn - version)
                elif turn > version:
                    tries.wait_for_turn(turn - version)
            except ContentionError as error:
                tries.failed(error)
                read = None
            except EntryExistsError as error:
                tries.failed(error)
                return _repeat(error.entry, request, replayed=not tries.unanswered)
            except StoreError as error:
                tries.failed(error)
                error.unanswered = tries.unanswered
                raise
            except LedgerError as refusal:
                return self._repeat_or(refusal, account_id, request, replayed=not tries.unanswered)
        return self._repeat_or(tries.busy, account_id, request, replayed=not tries.unanswered)

    def repeat(self, account_id: str, request: Request) -> Outcome | None:
        """The outcome of a request that was carried out before; None if it was not.

        Raises:
            IdempotencyKeyReusedError: the key was used for another request.
            BusyError: that could not be read.
        """
        try:
            entry = self.table.entry(account_id, entry_id(account_id, request.operation, request.key))
        except ContentionError as error:
            raise BusyError(unanswered=True) from error
        return _repeat(entry, request, replayed=True) if entry else None

    def _change(
        self,
        account: Account,
        command: Command,
        request: Request | None,
        also: Sequence[TransactionItem] | Callable[[Decision], Sequence[TransactionItem]],
        deadline: float,
    ) -> Outcome:
        now = self.clock.now()
        own = entry_id(account.account_id, request.operation, request.key) if request else None
        while not (decision := decide(account, command, now, self.policy)).complete:
            account = self.table.commit(account, decision)
            if time.monotonic() > deadline:
                raise BusyError  # what was settled stays written, and the next command continues from there
        if decision.account != account:
            claims = [Claim(name, own, request.fingerprint) for name in decision.claims] if own and request else []
            more = also(decision) if callable(also) else also
            account = self.table.commit(account, decision, own=own, claims=claims, also=more)
        entry = next((entry for entry in decision.entries if entry.entry_id == own), None)
        return Outcome(entry, account, written=decision.entries)

    def _repeat_or(self, refusal: LedgerError, account_id: str, request: Request | None, *, replayed: bool) -> Outcome:
        """Raise the refusal, unless the same request has succeeded before: a repeat is never "insufficient"."""
        if request and not isinstance(refusal, AccountNotFoundError):
            try:
                before = self.repeat(account_id, request)
            except BusyError:
                if isinstance(refusal, BusyError):
                    raise refusal from None  # it already says what is known
                raise
            if before:
                return replace(before, replayed=replayed)
        raise refusal


def check_same_request(known_fingerprint: str, request: Request) -> None:
    if known_fingerprint != request.fingerprint:
        raise IdempotencyKeyReusedError


def _keyed_request(command: Command) -> Request | None:
    """None for a command without a key: a settlement, a notice or a change of plan changes nothing when repeated."""
    request = command.request
    return request if request and request.key else None


def _repeat(entry: Entry, request: Request | None, *, replayed: bool) -> Outcome:
    if request:
        check_same_request(entry.fingerprint, request)
    return Outcome(entry, replayed=replayed)
