"""Work that falls due by the calendar: found by an index, distributed by a queue, done by settling each account.

A schedule's run only finds work: it walks through each shard of a due index and sends what it finds to a queue, some
accounts in a message, so that a backlog of any size is done by as many consumers as the queue scales to. Settling an
account finds what there is to do, so a message that is delivered twice or late does no harm.

What was sent stays in the index until it is done, which may take hours. So that no run sends it again, each shard has
a mark of how far it was sent (`shared.store.walks`), saved after every page:

- A run continues after the mark. What falls due later is there, as the index is in the order of time. If a run ends,
  because its time is up or because it died, the next one continues.
- A run holds a shard while it walks there. A second run at the same time does the other shards.
- Some work is before the mark and not done: it failed at every attempt, its message was lost, or it was added there
  later. It is found by beginning the shard anew. That is done once the queue is nearly empty, and some time after the
  shard was last begun: a longer time whenever something is still there, so that what always fails is sent a few times a
  day.
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
"""A queue with no more messages than these counts as empty: little could be sent twice."""
COUNTED_AFTER = timedelta(minutes=2)
"""SQS's count of its messages is right a minute after the last one was sent."""


class Queue(Protocol):
    def send(self, bodies: Iterable[str]) -> None:
        """Send every message or raise."""
        ...


class WorkQueue(Queue, Protocol):
    def waiting(self) -> int:
        """About how many messages it holds, including those that are being handled or wait to be tried again."""
        ...


class DueTable(Protocol):
    """The part of `shared.store.table.Table` that a run reads."""

    shards: int

    def due_page(
        self, index: DueIndex, shard: str, until: date, *, after: Key | None = None, limit: int | None = None
    ) -> DuePage: ...


class Marks(Protocol):
    """The part of `shared.store.walks.Walks` that a run writes."""

    def take(self, index: str, shard: str, holder: str, now: datetime) -> Walk: ...
    def save(self, walk: Walk) -> None: ...
    def leave(self, walk: Walk) -> None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work that falls due: the index that lists it, and the messages that ask for it."""

    index: DueIndex
    what: str
    """What the work is done to; the name of their list in a message."""
    a_message: int
    """How many go into one message: few, so that a second try repeats little; many, so that the queue costs little."""
    rest: timedelta
    """How long after a shard was begun it may be begun anew."""
    longest_rest: timedelta
    """The longest that this becomes while something is still there each time."""
    everyone: str | None = None
    """The name of a separate walk, done once, over all that the index holds, due or not."""

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
"""Shorter rests, for work that a user waits for."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """How many items this run sent, and since when the oldest of all that is due has waited."""

    found: int
    oldest: datetime
    complete: bool
    """Whether all that is due was sent, by this run or by one before."""


def dispatch(
    table: DueTable, marks: Marks, queue: WorkQueue, work: Work, *, now: datetime, deadline: Callable[[], float]
) -> Dispatched:
    """Send what is due and was not sent yet to the queue, the longest due first, as long as there is time.

    If nothing is due, it costs one query a shard.

    Raises:
        ExceptionGroup: at the end, the errors of some shards; the others are sent, and the next run continues these.
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
        """Send a page of each shard in turn: one shard takes a thousand writes a second, all together much more."""
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
            except Exception as error:  # noqa: BLE001 - whatever it is, the other shards are sent
                failures.append(error)
        if failures:
            raise ExceptionGroup(f"{len(failures)} of {len(waiting)} shards failed", failures)
        oldest = min([self.now, *waiting.values()])
        return Dispatched(self.sent, oldest, complete=self.ended == waiting.keys())

    def _oldest(self) -> Iterator[tuple[str, datetime]]:
        """The shards with anything due, and since when."""
        for shard in while_there_is_time(map(str, range(self.table.shards)), self.deadline):
            if keys := self._page(shard, None, limit=1).keys:
                yield shard, _instant(keys[0].since)

    def _page(self, shard: str, after: Key | None, limit: int | None = None) -> DuePage:
        return self.table.due_page(self.work.index, shard, self.work.until(self.now), after=after, limit=limit)

    def _walk(self, shard: str, oldest: datetime) -> Iterator[None]:
        """Send what is due in a shard, page by page, until nothing or no time is left.

        A shard that another run holds is left out. After a crash the shard stays held until its lease ends.
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
        """Send one page. Returns the walk after it, and whether there may be more."""
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
        """The walk from the beginning, with a longer rest if something is left that was sent the last time."""
        is_left = walk.began is not None and oldest <= walk.began
        rest = min(walk.rest * 2, self.work.longest_rest) if is_left else self.work.rest
        return replace(walk, after=None, began=self.now, rest=rest)


def settle_accounts(
    ledger: Ledger, accounts: Iterable[str], deadline: Callable[[], float], command: Settle | NotifyExpiring = SETTLE
) -> int:
    """Settle each account, as every command does; ``deadline`` is called for each. Returns how many.

    Raises:
        ExceptionGroup: at the end, the errors of some, or that time ran out; the others are settled.
    """
    return for_each(accounts, lambda account_id: ledger.execute(account_id, command, deadline=deadline()), deadline)


def _instant(since: date) -> datetime:
    return since if isinstance(since, datetime) else midnight(since)
