"""Part of `make bench`: one and ten million accounts that fall due on one day, sent and settled in simulated time.

The dispatcher is the code that ships (`shared.services.due.dispatch`). The index, the queue and its consumers, the
clock and the duration of each call (`Pace`) are simulated. The CPU time for an account in a page is measured.
"""

import io
import json
import os
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from heapq import heappop, heappush
from itertools import islice
from math import inf
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from urllib3 import HTTPResponse

from local.engines import CREDENTIALS
from shared.aws.queue import BATCH
from shared.aws.timing import LEAST_LEFT_S
from shared.services.due import GRANTS, dispatch
from shared.store.due import DueIndex, DueKey, DuePage
from shared.store.table import DUE_PAGE, Table
from shared.store.walks import LEASE, Walk, WalkTakenError

DAY = date(2026, 11, 22)
SHARDS, TIMEOUT_S, VISIBILITY_S, RECEIVES = 16, 60, 360, 5
"""The template's defaults for a scheduled function and its queue."""
LONGEST_DAYS = 2
ON_TIME = 1.1
"""Budget: how many messages name an account, on average."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. A call to DynamoDB takes "single-digit milliseconds"; one to SQS, or for a page of 120 KB, some more."""

    query: float = 0.010
    look: float = 0.000_020
    """CPU time for an account in a page; see `look_s`."""
    send: float = 0.020
    mark: float = 0.005
    settle: float = 0.014
    """Two calls, and 4 ms of CPU time."""
    read: float = 0.007
    """An account that is settled already, or that fails."""


@dataclass(frozen=True, slots=True)
class Story:
    """How many accounts fall due at midnight, and under which conditions."""

    accounts: int
    minutes: int
    """Between two runs."""
    consumers: int = 10
    poison: float = 0
    """The share of accounts that fail each time."""
    dying: float = 0
    """The share of runs whose process dies half-way."""

    def __str__(self) -> str:
        bad = "".join(
            f", {share:.1%} {what}" for share, what in ((self.poison, "poison"), (self.dying, "of runs die")) if share
        )
        return f"{self.accounts / 1e6:g}M due, a run every {self.minutes} min, {self.consumers} consumers{bad}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation came to."""

    named: float
    """How many messages named an account, on average."""
    minutes: float
    """Until the last account that does not fail was settled."""
    runs: int


class DiedError(BaseException):
    """Ends a run as if its process died: no `except Exception` catches it."""


class World:
    """Simulated time, and everything but the runs themselves."""

    def __init__(self, story: Story, pace: Pace) -> None:
        self.story, self.pace = story, pace
        self.now = 0.0
        self.chance = random.Random(1)  # noqa: S311 - the same numbers each time
        self.poison = set(self.chance.sample(range(story.accounts), round(story.accounts * story.poison)))
        self.index = Index(self)
        self.queue = Queue(self)
        self.marks = Marks(self)

    def take(self, seconds: float) -> None:
        self.now += seconds
        self.queue.consume(self.now)

    def clock(self) -> datetime:
        return datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(seconds=self.now)


class Index:
    """The index of due dates. Account ``n`` is number ``n // SHARDS`` of shard ``n % SHARDS`` until it is settled."""

    shards = SHARDS

    def __init__(self, world: World) -> None:
        self._world = world
        self.settled = bytearray(world.story.accounts)
        self.left = world.story.accounts - len(world.poison)

    def settle(self, account: int) -> None:
        if not self.settled[account]:
            self.settled[account] = 1
            self.left -= 1

    def due_page(
        self,
        index: DueIndex,
        shard: str,
        _until: date,
        *,
        after: dict[str, Any] | None = None,
        limit: int | None = None,
    ) -> DuePage:
        limit = limit or DUE_PAGE
        first = int(after["pk"]["S"]) + SHARDS if after else int(shard)
        waiting = range(first, self._world.story.accounts, SHARDS)
        found = list(islice((account for account in waiting if not self.settled[account]), limit))
        self._world.take(self._world.pace.query + len(found) * self._world.pace.look)
        keys = [DueKey(str(account), DAY) for account in found]
        last = {"pk": {"S": keys[-1].id}, index.name: {"S": DAY.isoformat()}} if keys else None
        return DuePage(keys, last, more=len(found) == limit)


@dataclass(order=True)
class Message:
    at: float
    """When it can be received or, once received, is done."""
    accounts: list[int] = field(compare=False)
    received: int = field(default=0, compare=False)


class Queue:
    """A queue and its consumers, each of which processes one message after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._fresh: deque[Message] = deque()
        self._again: list[Message] = []
        self._doing: list[Message] = []
        self._free = [0.0] * world.story.consumers
        self.named = 0
        self.dies_after = inf

    def send(self, bodies: Iterable[str]) -> None:
        waiting = iter(bodies)
        while batch := list(islice(waiting, BATCH)):
            self._world.take(self._world.pace.send)
            for body in batch:
                accounts = [int(account) for account in json.loads(body)["accounts"]]
                self.named += len(accounts)
                self._fresh.append(Message(self._world.now, accounts))
            if self._world.now > self.dies_after:
                raise DiedError

    def waiting(self) -> int:
        self._world.take(self._world.pace.send)
        return len(self._fresh) + len(self._again) + len(self._doing)

    def consume(self, now: float) -> None:
        """Begin and finish everything that is due by `now`."""
        while message := self._next(now):
            begun = max(heappop(self._free), message.at)
            seconds = sum(map(self._seconds, message.accounts))
            heappush(self._free, begun + seconds)
            heappush(self._doing, Message(begun + seconds, message.accounts, message.received + 1))
            self._finish(now)
        self._finish(now)

    def _seconds(self, account: int) -> float:
        is_short = self._world.index.settled[account] or account in self._world.poison
        return self._world.pace.read if is_short else self._world.pace.settle

    def _next(self, now: float) -> Message | None:
        """The next message that a free consumer begins by `now`."""
        if self._free[0] > now:
            return None
        if self._again and self._again[0].at <= now:
            return heappop(self._again)
        return self._fresh.popleft() if self._fresh and self._fresh[0].at <= now else None

    def _finish(self, now: float) -> None:
        while self._doing and self._doing[0].at <= now:
            done = heappop(self._doing)
            for account in done.accounts:
                if account not in self._world.poison:
                    self._world.index.settle(account)
            if done.received < RECEIVES and not self._world.poison.isdisjoint(done.accounts):
                heappush(self._again, replace(done, at=done.at + VISIBILITY_S))


class Marks:
    """Stands in for `shared.store.walks.Walks`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._walks: dict[str, Walk] = {}
        self._held: dict[str, tuple[str, datetime]] = {}

    def take(self, index: str, shard: str, holder: str, now: datetime) -> Walk:
        self._world.take(self._world.pace.mark)
        if shard in self._held and self._held[shard][1] > now:
            raise WalkTakenError
        self._held[shard] = holder, now + LEASE
        return replace(self._walks.get(shard) or Walk(index, shard, holder), holder=holder)

    def save(self, walk: Walk) -> None:
        self._world.take(self._world.pace.mark)
        if self._held.get(walk.shard, ("",))[0] != walk.holder:
            raise WalkTakenError
        self._walks[walk.shard] = walk

    def leave(self, walk: Walk) -> None:
        self.save(walk)
        del self._held[walk.shard]


def simulate(story: Story, pace: Pace) -> Outcome:
    """Run after run, until every account that does not fail is settled."""
    world, runs = World(story, pace), 0
    while world.index.left and world.now < LONGEST_DAYS * 86400:
        began = world.now
        ends = began + TIMEOUT_S - LEAST_LEFT_S
        dies = world.chance.random() < story.dying
        world.queue.dies_after = began + world.chance.uniform(0, TIMEOUT_S / 2) if dies else inf
        with suppress(DiedError):
            dispatch(
                world.index,
                world.marks,
                world.queue,
                GRANTS,
                now=world.clock(),
                deadline=lambda ends=ends: inf if world.now < ends else -inf,  # type: ignore[misc]
            )
        runs += 1
        while world.index.left and world.now < began + story.minutes * 60:
            world.take(1)
    return Outcome(world.queue.named / story.accounts, world.now / 60, runs)


def look_s(pages: int = 20) -> float:
    """CPU seconds that the store takes for an account in a page of the index, measured over a fixed answer."""
    os.environ |= CREDENTIALS  # for a client that sends nothing
    table = Table("ledger", shards=SHARDS, region=CREDENTIALS["AWS_REGION"], endpoint_url="http://127.0.0.1:1")
    items = [
        {"pk": {"S": f"account-{number:07}"}, "sk": {"S": "ACCOUNT"}, "shard": {"S": "1"}, "grant_due": {"S": str(DAY)}}
        for number in range(DUE_PAGE)
    ]
    body = json.dumps({"Items": items, "Count": DUE_PAGE, "ScannedCount": DUE_PAGE}).encode()

    def answer(**_: object) -> AWSResponse:
        raw = HTTPResponse(body=io.BytesIO(body), status=200, preload_content=False)
        return AWSResponse("", 200, HTTPHeaders(), raw)

    client = table.client
    client.meta.events.register_first("before-send.dynamodb", answer)  # type: ignore[arg-type] # may return an answer
    took = []
    for _ in range(pages):
        started = time.process_time()
        table.due_page(GRANTS.index, "1", DAY)
        took.append(time.process_time() - started)
    return min(took) / DUE_PAGE


STORIES = (
    Story(1_000_000, minutes=5),
    Story(1_000_000, minutes=1),
    Story(1_000_000, minutes=1, poison=0.01, dying=0.2),
    Story(10_000_000, minutes=5),
    Story(10_000_000, minutes=1, consumers=50, dying=0.2),
)


def stories() -> Iterator[tuple[str, str, str, bool | None]]:
    """What was simulated or measured, its figures, its budget, and whether it is within."""
    look = look_s()
    yield "a look at an account that is due, processor", f"{look * 1e6:.0f} us", "", None
    for story in STORIES:
        told = simulate(story, Pace(look=look))
        figures = f"{told.named:.3f} messages an account, {told.minutes:.0f} min, {told.runs} runs"
        yield f"simulated: {story}", figures, f"{ON_TIME}", told.named <= ON_TIME


if __name__ == "__main__":
    for row in stories():
        print(*row, sep=" | ", flush=True)
