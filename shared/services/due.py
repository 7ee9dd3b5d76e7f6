"""Work that falls due by the calendar: found by an index, spread by a queue, done by settling each account.

A schedule's run only looks: it walks through each shard of a due index and sends what it finds to a queue, some
accounts a message, so that a backlog of any size is done as wide as the queue's consumers scale. Settling finds by
itself what there is to do, so a message that comes twice or late does no harm.

What was sent stays in the index until it is done, which may take hours. So that no run sends it again, each shard has
a mark of how far it was sent (`shared.store.walks`), kept after every page:

- A run goes on behind the mark. What falls due later stands there, as the index is in the order of time. Where a run
  ends, for want of time or because it died, the next one goes on.
- A run has a shard to itself for as long as it walks there. One that comes twice, or alongside, does the other shards.
- What was sent and not done (it failed at every attempt, or its message was lost), and what came to stand behind the
  mark, is found by beginning anew. That is done once the queue is as good as empty, and some time after the last time:
  longer each time that something is still there, so that what always fails is sent a few times a day.
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from shared.ledger.calendar import midnight
from shared.ledger.commands import Settle
from shared.services.batches import for_each, has_time, while_there_is_time
from shared.store.due import BADGE_DUE, EXPIRY_DUE, GRANT_DUE, NOTICE_DUE
from shared.store.errors import StoreError
from shared.store.walks import Walk, WalkTakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from shared.ledger.expiry_notices import NotifyExpiring
    from shared.services.ledger import Ledger
    from shared.store.due import DueIndex, DueKey, DuePage, Key

SETTLE = Settle()
A_DAY = timedelta(days=1)
FEW_MESSAGES = 40
"""A queue with no more than these is as good as empty: what might be sent again is next to nothing."""
COUNTED_AFTER = timedelta(minutes=2)
"""SQS counts its messages right within a minute after the last was sent."""


class Queue(Protocol):
    def send(self, bodies: Iterable[str]) -> None:
        """Send every message or raise."""
        ...


class WorkQueue(Queue, Protocol):
    def waiting(self) -> int:
        """About how many messages it holds, those included that are being handled or wait to be tried again."""
        ...


class DueTable(Protocol):
    """What of `shared.store.table.Table` a run looks at."""

    shards: int

    def due_page(
        self, index: DueIndex, shard: str, until: date, *, after: Key | None = None, limit: int | None = None
    ) -> DuePage: ...


class Marks(Protocol):
    """What of `shared.store.walks.Walks` a run keeps."""

    def take(self, index: str, shard: str, holder: str, now: datetime) -> Walk: ...
    def save(self, walk: Walk) -> None: ...
    def leave(self, walk: Walk) -> None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work that falls due: where it is found, and how it is asked for."""

    index: DueIndex
    what: str
    """What it is done to, and the name of their list in a message."""
    a_message: int
    """As many in one message: few enough that one tried again repeats little, enough that the queue costs little."""
    rest: timedelta
    """How long after a shard was begun it may be begun anew."""
    longest_rest: timedelta
    """The same where it has been done over and over, and something is still there each time."""
    everyone: str | None = None
    """Names a walk of its own, once, over all that the index holds, due or not."""

    @property
    def walk(self) -> str:
        return f"{self.index.name} {self.everyone}" if self.everyone else self.index.name

    def until(self, now: datetime) -> date:
        if self.everyone:
            return date.max
        return now.date() if self.index.by_day else now

    def messages(self, keys: Sequence[DueKey]) -> Iterator[str]:
        for start in range(0, len(keys), self.a_message):
            yield json.dumps({self.what: [key.id for key in keys[start : start + self.a_message]]})


def _of_accounts(index: DueIndex) -> Work:
    """25 a message are some 0.5 s of work."""
    return Work(index, "accounts", 25, rest=timedelta(hours=1), longest_rest=timedelta(hours=8))


GRANTS = _of_accounts(GRANT_DUE)
EXPIRIES = _of_accounts(EXPIRY_DUE)
NOTICES = _of_accounts(NOTICE_DUE)
BADGES = _of_accounts(BADGE_DUE)
SOON, STILL_SOON = timedelta(minutes=5), timedelta(minutes=30)
"""Rests of work that somebody waits for."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """How many were sent by this run, and since when the oldest of all that is due has waited."""

    found: int
    oldest: datetime
    complete: bool
    """Whether nothing is left that was not sent, by this run or by one before."""


def dispatch(
    table: DueTable, marks: Marks, queue: WorkQueue, work: Work, *, now: datetime, deadline: Callable[[], float]
) -> Dispatched:
    """Send what is due and was not sent yet to the queue, the longest due first, for as long as there is time.

    Where nothing is due it is a query a shard.

    Raises:
        ExceptionGroup: at the end, what went wrong with some shards; the others are sent, and these go on next time.
    """
    return _Run(table, marks, queue, work, now, deadline).dispatch()


@dataclass
class _Run:
    table: DueTable
    marks: Marks
    queue: WorkQueue
    work: Work
    now: datetime
    deadline: Callable[[], float]

    def __post_init__(self) -> None:
        self.holder = uuid4().hex
        self.sent = 0
        self.ended: set[str] = set()

    def dispatch(self) -> Dispatched:
        """A page of each shard in turn: an index takes a thousand writes a second of one, and of all much more."""
        waiting = dict(self._oldest())
        turns = deque(self._walk(shard, waiting[shard]) for shard in sorted(waiting, key=waiting.__getitem__))
        failures = []
        while turns:
            walk = turns.popleft()
            try:
                next(walk)
                turns.append(walk)
            except StopIteration:
                continue
            except Exception as error:  # noqa: BLE001 - whatever it is, the other shards are not to suffer from it
                failures.append(error)
        if failures:
            raise ExceptionGroup(f"{len(failures)} of {len(waiting)} shards failed", failures)
        oldest = min([self.now, *waiting.values()])
        return Dispatched(self.sent, oldest, complete=self.ended == waiting.keys())

    def _oldest(self) -> Iterator[tuple[str, datetime]]:
        """The shards of which anything is due, and since when."""
        for shard in while_there_is_time(map(str, range(self.table.shards)), self.deadline):
            if keys := self._page(shard, None, limit=1).keys:
                yield shard, _instant(keys[0].since)

    def _page(self, shard: str, after: Key | None, limit: int | None = None) -> DuePage:
        return self.table.due_page(self.work.index, shard, self.work.until(self.now), after=after, limit=limit)

    def _walk(self, shard: str, oldest: datetime) -> Iterator[None]:
        """Send what is due of a shard page by page, until there is nothing more, or no time; not where another run is.

        Who dies here leaves nothing: the next run has to wait for the end of the lease.
        """
        if not has_time(self.deadline):
            return
        with suppress(WalkTakenError):
            walk = self.marks.take(self.work.walk, shard, self.holder, self.now)
            try:
                if self._may_begin_anew(walk):
                    walk = self._anew(walk, oldest)
                more = True
                while more and has_time(self.deadline):
                    walk, more = self._send_page(walk)
                    if more:
                        self.marks.save(walk)
                        yield
            except Exception:
                with suppress(StoreError):
                    self.marks.leave(walk)
                raise
            self.marks.leave(walk)
            if not more:
                self.ended.add(shard)

    def _send_page(self, walk: Walk) -> tuple[Walk, bool]:
        """Whether there may be more, beside."""
        page = self._page(walk.shard, walk.after)
        if not page.keys:
            return walk, page.more
        self.queue.send(self.work.messages(page.keys))
        self.sent += len(page.keys)
        return replace(walk, after=page.last, crowded=self.now if page.more else walk.crowded), page.more

    def _may_begin_anew(self, walk: Walk) -> bool:
        if walk.began is None:
            return True
        if self.work.everyone:
            return False
        if self.now - walk.began >= A_DAY:
            return True
        can_count = walk.crowded is None or self.now - walk.crowded >= COUNTED_AFTER
        return self.now - walk.began >= walk.rest and can_count and self._is_queue_empty

    @cached_property
    def _is_queue_empty(self) -> bool:
        return self.queue.waiting() <= FEW_MESSAGES

    def _anew(self, walk: Walk, oldest: datetime) -> Walk:
        """From the beginning: and later the next time, where something is still there that was sent the last time."""
        is_left = walk.began is not None and oldest <= walk.began
        rest = min(walk.rest * 2, self.work.longest_rest) if is_left else self.work.rest
        return replace(walk, after=None, began=self.now, rest=rest)


def settle_accounts(
    ledger: Ledger, accounts: Iterable[str], deadline: Callable[[], float], command: Settle | NotifyExpiring = SETTLE
) -> int:
    """Settle each account, which every command does first; ``deadline`` is asked anew for each. Tells how many.

    Raises:
        ExceptionGroup: at the end, what went wrong with some, or that time ran out; the others are settled.
    """
    return for_each(accounts, lambda account_id: ledger.execute(account_id, command, deadline=deadline()), deadline)


def _instant(since: date) -> datetime:
    return since if isinstance(since, datetime) else midnight(since)
