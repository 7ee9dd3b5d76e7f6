"""The order in which callers that change one account at the same time try again, so that few meet a second time.

The item with an account's turns is a hint. The account's version alone decides whose change is written: a turn that is
never used, or taken twice, costs time and nothing else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pynamodb.exceptions import UpdateError

from shared.store.errors import ContentionError, contention_from_aws
from shared.store.rows import Row, WholeAttribute

if TYPE_CHECKING:
    from shared.store.table import Table

TURNS_SK = "TURNS"
MOST_WAITING = 125
"""As many as have their turn in time: a turn is 40 ms, and no caller waits longer than 5 s."""
FORGOTTEN_AFTER_S = 5
"""No caller waits longer, so turns that were taken earlier are not used any more."""


class TurnsRow(Row):
    last = WholeAttribute()
    """The last turn that was given away: the version at which its taker is to change the account."""
    taken_at = WholeAttribute()
    """When, in seconds since 1970 of the taker's own clock."""


def take_turn(table: Table, account_id: str, version: int) -> int:
    """The version of the account at which it is the caller's turn: ``version``, or the first that nobody waits for.

    One call of one write unit if nobody waits, two if somebody does, three if the turns of others end meanwhile. If the
    table is too busy for that, the next version: any turn but one at once.
    """
    rows, now = table.rows(TurnsRow), int(time.time())
    nobody_waits = rows.last.does_not_exist() | ~rows.last.between(version, version + MOST_WAITING)
    nobody_waits |= rows.taken_at < now - FORGOTTEN_AFTER_S
    behind_the_last = rows.last.set(rows.last + 1), ~nobody_waits
    as_the_first = rows.last.set(version), nobody_waits
    row = rows(pk=account_id, sk=TURNS_SK)
    for turn, condition in (as_the_first, behind_the_last, as_the_first):
        try:
            with contention_from_aws():
                row.update([turn, rows.taken_at.set(now)], condition)
        except ContentionError:
            break
        except UpdateError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
        else:
            return row.last
    return version + 1
