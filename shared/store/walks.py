"""How far each shard of an index of what is due has been sent to its queue.

==================  ===========  =======================================================
pk                  sk           what
==================  ===========  =======================================================
``WALK#<index>``    ``<shard>``  which run has it until when; where to go on; since when
==================  ===========  =======================================================

Written only where something is due: 1 write unit for each thousand that are sent, and 1 or 2 more a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pynamodb.attributes import JSONAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError

from shared.store.errors import StoreError, contention_from_aws
from shared.store.rows import InstantAttribute, Row, WholeAttribute

if TYPE_CHECKING:
    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

    from shared.store.due import Key
    from shared.store.table import Table

LEASE = timedelta(seconds=75)
"""Longer than a run may last. The shard of a run that died is free again so much later."""


class WalkTakenError(StoreError):
    """Another run has this shard."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A shard, for as long as ``holder`` has it, and how far it was sent."""

    index: str
    shard: str
    holder: str
    after: Key | None = None
    """The last key that was sent; None at the beginning of the shard."""
    began: datetime | None = None
    """When it was last begun from the beginning."""
    crowded: datetime | None = None
    """When a page of it was last sent that was full, with more behind it."""
    rest: timedelta = timedelta()
    """How long after it began it may begin anew."""


class WalkRow(Row):
    held_by = UnicodeAttribute(null=True)
    held_until = InstantAttribute(null=True)
    after = JSONAttribute(null=True)
    began = InstantAttribute(null=True)
    crowded = InstantAttribute(null=True)
    rest_s = WholeAttribute(null=True)


class Walks:
    """Cheap to make: the table has the connection and the classes of rows."""

    def __init__(self, table: Table) -> None:
        self._rows = table.rows(WalkRow)

    def take(self, index: str, shard: str, holder: str, now: datetime) -> Walk:
        """Have a shard for oneself until `leave`, or for as long as `LEASE`.

        Raises:
            WalkTakenError: another run has it.
        """
        row = self._rows(pk=walk_pk(index), sk=shard)
        free = self._rows.held_until.does_not_exist() | (self._rows.held_until <= now) | self._mine(holder)
        self._update(row, [self._rows.held_by.set(holder), self._rows.held_until.set(now + LEASE)], free)
        rest = timedelta(seconds=row.rest_s or 0)
        return Walk(index, shard, holder, after=row.after, began=row.began, crowded=row.crowded, rest=rest)

    def save(self, walk: Walk) -> None:
        """Store how far a shard was sent.

        Raises:
            WalkTakenError: the lease is over, and another run has the shard.
        """
        self._write(walk, [])

    def leave(self, walk: Walk) -> None:
        """Store how far a shard was sent, and let other runs have it.

        Raises:
            WalkTakenError: another run has it already.
        """
        self._write(walk, [self._rows.held_by.remove(), self._rows.held_until.remove()])

    def _write(self, walk: Walk, more: list[Action]) -> None:
        rest_s = walk.rest // timedelta(seconds=1)
        values = {"after": walk.after, "began": walk.began, "crowded": walk.crowded, "rest_s": rest_s}
        row = self._rows(pk=walk_pk(walk.index), sk=walk.shard)
        self._update(row, [*self._rows.set_all(values), *more], self._mine(walk.holder))

    def _mine(self, holder: str) -> Condition:
        return self._rows.held_by == holder

    def _update(self, row: WalkRow, actions: list[Action], condition: Condition) -> None:
        try:
            with contention_from_aws():
                row.update(actions, condition)
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise WalkTakenError(f"{row.pk} {row.sk}") from error
            raise


def walk_pk(index: str) -> str:
    return f"WALK#{index}"
