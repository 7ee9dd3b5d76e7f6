"""The ledger's table: reads, and the one conditional transaction that every change is."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pynamodb.exceptions import TransactWriteError, UpdateError
from pynamodb.transactions import TransactWrite

from shared.ledger.errors import AccountNotFoundError
from shared.store.due import (
    BADGE_DUE,
    EXPIRY_DUE,
    GRANT_DUE,
    NOTICE_DUE,
    DueIndex,
    DueKey,
    DuePage,
    Key,
)
from shared.store.errors import (
    CONFLICT,
    CONTENTION,
    ClaimedError,
    ConflictError,
    ContentionError,
    EntryExistsError,
    OutcomeUnknownError,
    StoreError,
    VersionMovedError,
    contention_from_aws,
    was_sent_twice,
)
from shared.store.plain import take_items_plainly
from shared.store.pynamodb_private import bind, connection_of
from shared.store.rows import (
    ACCOUNT_SK,
    INTERVIEWS,
    AccountRow,
    ClaimRow,
    EntryRow,
    NoticeRow,
    Row,
    claim_sk,
    entry_from,
    entry_sk,
    instant,
    place_before,
    shard_of,
    time_key,
)
from shared.store.sending import meta, watch
from shared.store.transaction_items import ALL_OLD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime

    from botocore.client import BaseClient
    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

    from shared.ledger.model import Account, Claim, Decision, Entry, EntryType
    from shared.store.transaction_items import TransactionItem, Update

DUE_PAGE = 1000
"""As many keys of an index of what is due in one call: some 120 KB."""
CALLS_A_PAGE = 10
ROWS_LOOKED_THROUGH = 500

R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Due:
    """An account that an index says has work waiting, and since which day or instant."""

    account_id: str
    since: date


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and the place in the order of time where the next page goes on below: None at the end."""

    entries: list[Entry]
    next_key: str | None


class Table:
    """One DynamoDB table. Safe to use from several threads."""

    def __init__(self, name: str, *, shards: int, region: str | None = None, endpoint_url: str | None = None) -> None:
        """Makes the client. Nothing is asked of AWS until the first call.

        Args:
            name: The table's name.
            shards: Over how many partitions the due indexes are spread. It may grow later, never shrink.
            region: As the environment says where it is not given.
            endpoint_url: For local engines.
        """
        self.name = name
        self.shards = shards
        self._meta = meta(name, region, endpoint_url)
        self._connection = connection_of(bind(Row, self._meta))
        watch(self.client)
        self._bound: dict[type[Row], type[Row]] = {}
        self._account = self.rows(AccountRow)
        self._entry = self.rows(EntryRow)
        self._claim = self.rows(ClaimRow)
        self._notice = self.rows(NoticeRow)

    @property
    def client(self) -> BaseClient:
        """botocore's, which sends every request for this table."""
        return self._connection.connection.client

    def rows(self, row: type[R]) -> type[R]:
        """A class of rows, bound to this table. All share one connection: a client of its own takes 70 ms to make."""
        bound = self._bound.get(row)
        if bound is None:
            bound = self._bound[row] = bind(row, self._meta, self._connection)
        return cast("type[R]", bound)

    def get(self, row: type[R], pk: str, sk: str) -> R | None:
        """One item, strongly consistent."""
        rows = self.rows(row)
        with contention_from_aws(reading=True):
            try:
                return rows.get(pk, sk, consistent_read=True)
            except rows.DoesNotExist:
                return None

    def get_together(self, *keys: tuple[str, str]) -> list[dict[str, Any] | None]:
        """The items with these keys, as DynamoDB has them, None where there is none: one call, strongly consistent.

        Each is read by itself: what was written to two of them in one transaction may be seen of one alone.
        """
        wanted: list[Any] = [{"pk": pk, "sk": sk} for pk, sk in keys]  # pynamodb's own type is wrong
        with contention_from_aws(reading=True):
            answer = self._connection.batch_get_item(wanted, consistent_read=True)
        if answer.get("UnprocessedKeys"):
            raise ContentionError("a read of several items was throttled")
        found = {(item["pk"]["S"], item["sk"]["S"]): item for item in answer["Responses"].get(self.name, [])}
        return [found.get(key) for key in keys]

    def account(self, account_id: str) -> Account:
        """The account, strongly consistent: one call, 1 read unit for each 4 KB.

        Raises:
            AccountNotFoundError: there is none.
        """
        row = self.get(AccountRow, account_id, ACCOUNT_SK)
        if row is None:
            raise AccountNotFoundError(account_id)
        return row.account()

    def entry(self, account_id: str, entry_id: str) -> Entry | None:
        with contention_from_aws(reading=True):
            found = self._connection.get_item(account_id, entry_sk(entry_id), consistent_read=True)
        return entry_from(found["Item"]) if "Item" in found else None

    def claim(self, account_id: str, name: str) -> Claim | None:
        row = self.get(ClaimRow, account_id, claim_sk(name))
        return row.claim() if row else None

    def history(
        self,
        account_id: str,
        *,
        since: datetime,
        until: datetime,
        limit: int,
        deadline: float,
        entry_type: EntryType | None = None,
        below: str | None = None,
    ) -> Page:
        """Entries with ``since <= at < until``, newest first; strongly consistent, one call a page of ``limit``.

        Of one type, a page takes as many calls as it has to look through, up to `CALLS_A_PAGE`, and none is begun after
        ``deadline`` (monotonic seconds). So do entries of over 1 MB together. Such a page may hold less than ``limit``,
        or nothing, and still have a next one.

        Args:
            account_id: Whose entries.
            since: In whole milliseconds, as ``until``.
            until: The first instant that is not shown.
            limit: The most entries.
            deadline: By when to stop looking for more.
            entry_type: Of this type alone.
            below: A `time_key`, whether an entry stands there or not: those before it alone.
        """
        entries: list[Entry] = []
        for _ in range(CALLS_A_PAGE):
            found, last = self._entries(
                account_id,
                self._entry.time_key.between(instant(since), place_before(below) if below else instant(until)),
                filter_condition=self._entry.type == entry_type.value if entry_type else None,
                limit=ROWS_LOOKED_THROUGH if entry_type else limit - len(entries),
                scan_index_forward=False,
            )
            entries += found
            below = last["time_key"]["S"] if last else None
            if below is None or len(entries) >= limit or time.monotonic() >= deadline:
                break
        if len(entries) > limit:
            entries = entries[:limit]
            below = time_key(entries[-1])
        return Page(entries, below)

    def list_entries(
        self,
        account_id: str,
        when: Condition | None = None,
        **asked: Any,  # noqa: ANN401 - what else a query takes
    ) -> dict[str, Any]:
        """One call: DynamoDB's own answer of entries by time, strongly consistent.

        Raises:
            ContentionError: throttling, or no answer.
        """
        with contention_from_aws(reading=True):
            take_items_plainly(self.client)
            return self._connection.query(account_id, when, index_name="by_time", consistent_read=True, **asked)

    def entries_after(self, entry: Entry, *types: EntryType) -> list[Entry]:
        """The entries of these types that come after one, oldest first: one call for each 1 MB of all that come after.

        Raises:
            ContentionError: throttling, or no answer.
        """
        asked: dict[str, Any] = {"filter_condition": self._entry.type.is_in(*types)}
        after = self._entry.time_key > time_key(entry)
        entries, start_key = self._entries(entry.account_id, after, **asked)
        while start_key:
            found, start_key = self._entries(entry.account_id, after, exclusive_start_key=start_key, **asked)
            entries += found
        return entries

    def journal(self, account_id: str) -> list[Entry]:
        """Every entry of an account, oldest first."""
        entries, start_key = self._entries(account_id)
        while start_key:
            found, start_key = self._entries(account_id, exclusive_start_key=start_key)
            entries += found
        return sorted(entries, key=lambda entry: entry.seq)

    def open(self, decision: Decision, claim: Claim) -> Account:
        """Put a new account with its first entries.

        Raises:
            ClaimedError, VersionMovedError: it was opened before; the claim names the request.
            ContentionError: conflict, throttling, or no answer.
        """
        account = replace(decision.account, version=1)
        write = self._transaction()
        write.save(self._whole(account), self._account.pk.does_not_exist(), ALL_OLD)
        self._put(write, decision, [claim])
        self._commit(write)
        return account

    def commit(
        self,
        before: Account,
        decision: Decision,
        *,
        own: str | None = None,
        claims: Sequence[Claim] = (),
        also: Sequence[TransactionItem] = (),
    ) -> Account:
        """Write one decision: the account if nobody else changed it, its entries if no key was used before.

        All of it or nothing. A refused condition brings the item that refused it, so nothing has to be read again.

        Args:
            before: The account that was decided on.
            decision: What becomes of it.
            own: The id of the command's own entry, where it writes one.
            claims: What happens by this, and only once.
            also: Further items of the same transaction.

        Returns:
            The account as it is now.

        Raises:
            EntryExistsError, ClaimedError, what one of ``also`` is refused with, VersionMovedError: in this order of
                precedence.
            ContentionError: conflict, throttling, or no answer.
        """
        after = replace(decision.account, version=before.version + 1)
        write = self._transaction()
        self._put(write, decision, claims)
        write.update(
            self._account(pk=after.account_id, sk=ACCOUNT_SK),
            self._changes(before, after),
            self._account.version == before.version,
            ALL_OLD,
        )
        for more in also:
            more.add_to(write)
        self._commit(write, own, also)
        return after

    def write(self, items: Sequence[TransactionItem]) -> None:
        """Write items that belong to no account, all of them or none.

        Raises:
            StoreError: what the first of them that is refused is refused with.
            ContentionError: conflict, throttling, or no answer.
        """
        write = self._transaction()
        for item in items:
            item.add_to(write)
        self._commit(write, also=items)

    def update(self, item: Update) -> None:
        """Write one item, at half of what a transaction costs.

        Raises:
            StoreError: what it is refused with.
            ContentionError: throttling, or no answer.
        """
        try:
            with contention_from_aws():
                item.row.update(list(item.actions), item.condition)
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise item.refused({}).after(error.cause) from error
            raise

    def due_grants(self, until: date) -> Iterator[Due]:
        """Accounts whose monthly Connects were due by ``until``, shard by shard."""
        return self._due_accounts(GRANT_DUE, until)

    def due_expiries(self, until: date) -> Iterator[Due]:
        """Accounts that may hold lots that expired by ``until``, shard by shard."""
        return self._due_accounts(EXPIRY_DUE, until)

    def due_notices(self, until: date) -> Iterator[Due]:
        """Accounts whose owners may be due a notice of lots about to expire, shard by shard."""
        return self._due_accounts(NOTICE_DUE, until)

    def due_badges(self, until: datetime) -> Iterator[Due]:
        """Accounts whose badge is to be paid for again by ``until``, shard by shard."""
        return self._due_accounts(BADGE_DUE, until)

    def due(self, index: DueIndex, until: date) -> Iterator[DueKey]:
        """What is due by ``until``, shard by shard."""
        for shard in range(self.shards):
            page = self.due_page(index, str(shard), until)
            yield from page.keys
            while page.more:
                page = self.due_page(index, str(shard), until, after=page.last)
                yield from page.keys

    def due_page(
        self, index: DueIndex, shard: str, until: date, *, after: Key | None = None, limit: int | None = None
    ) -> DuePage:
        """One call for what is due by ``until`` in a shard of an index, behind ``after``.

        Eventually consistent, as every global index: what changed in the last second may be missing, or still there.
        By way of pynamodb's rows it would take twice as long.
        """
        name, attribute = index.name, index.attribute
        if after and after[name]["S"] > attribute.serialize(until):
            return DuePage([], None, more=False)  # DynamoDB refuses to begin where the condition has ended
        with contention_from_aws(reading=True):
            found = self._connection.query(
                shard, attribute <= until, index_name=name, exclusive_start_key=after, limit=limit or DUE_PAGE
            )
        items = found["Items"]
        keys = [
            DueKey(index.id_of(item["pk"]["S"], item["sk"]["S"]), attribute.deserialize(item[name]["S"]))
            for item in items
        ]
        last = {key: items[-1][key] for key in ("pk", "sk", "shard", name)} if items else None
        return DuePage(keys, last, more="LastEvaluatedKey" in found)

    def count_due(self, index: DueIndex, shard: str, after: Key | None) -> tuple[int, Key | None]:
        """One call: how many keys follow in a shard of an index, due or not, and where the next goes on, if any."""
        with contention_from_aws(reading=True):
            found = self._connection.query(shard, index_name=index.name, exclusive_start_key=after, select="COUNT")
        return found["Count"], found.get("LastEvaluatedKey")

    def _due_accounts(self, index: DueIndex, until: date) -> Iterator[Due]:
        return (Due(key.id, key.since) for key in self.due(index, until))

    def _whole(self, account: Account) -> AccountRow:
        return self._account(
            pk=account.account_id,
            sk=ACCOUNT_SK,
            shard=shard_of(account.account_id, self.shards),
            **AccountRow.values(account),
        )

    def _entries(
        self,
        account_id: str,
        when: Condition | None = None,
        **asked: Any,  # noqa: ANN401 - what else a query takes
    ) -> tuple[list[Entry], Key | None]:
        """One call: entries in the order of time, and the key at which the next call goes on."""
        found = self.list_entries(account_id, when, **asked)
        return [entry_from(item) for item in found["Items"]], found.get("LastEvaluatedKey")

    def _transaction(self) -> TransactWrite:
        return TransactWrite(connection=self._connection.connection)

    def _put(self, write: TransactWrite, decision: Decision, claims: Sequence[Claim]) -> None:
        for entry in decision.entries:
            write.save(self._entry(**EntryRow.values(entry)), self._entry.pk.does_not_exist(), ALL_OLD)
        for notice in decision.notices:
            # No condition: the outbox publishes inserts alone, and a notice that is written again is no insert.
            write.save(self._notice(**NoticeRow.values(notice)))
        for claim in claims:
            row = self._claim(pk=decision.account.account_id, sk=claim_sk(claim.name), **ClaimRow.values(claim))
            write.save(row, self._claim.pk.does_not_exist(), ALL_OLD)

    def _changes(self, before: Account, after: Account) -> list[Action]:
        """Only what differs: attributes that a newer release added survive an older one's write."""
        old, new = AccountRow.values(before), AccountRow.values(after)
        changed = [name for name in new if new[name] != old[name]]
        if not INTERVIEWS.isdisjoint(changed):
            changed = [*(name for name in changed if name not in INTERVIEWS), *INTERVIEWS]
        return self._account.set_all({name: new[name] for name in changed})

    def _commit(self, write: TransactWrite, own: str | None = None, also: Sequence[TransactionItem] = ()) -> None:
        try:
            with contention_from_aws(), write:
                pass
        except TransactWriteError as error:
            if refusal := self._refusal(error, own, also):
                raise refusal.after(error.cause) from error
            raise  # as it came: its cause names the table or the permission that is missing

    def _refusal(
        self, error: TransactWriteError, own: str | None, also: Sequence[TransactionItem]
    ) -> StoreError | None:
        """What cancelled a transaction. A used key comes before all else: a repeat is one whatever else has changed.

        An entry that fell due by the calendar may exist too, written by whoever changed the account: that counts as the
        moved version. None where no further try helps: a value that is invalid, an item or partition that is too large.
        """
        reasons = [reason for reason in error.cancellation_reasons if reason]
        items = [reason.raw_item for reason in reasons if reason.raw_item]
        refused = {(item["pk"]["S"], item["sk"]["S"]): item for item in items}
        by_sk = {item["sk"]["S"]: item for item in items}
        if own and (item := by_sk.get(entry_sk(own))):
            return EntryExistsError(entry_from(item))
        theirs = {(more.row.pk, more.row.sk) for more in also}
        for key, item in refused.items():
            if key[1].startswith(claim_sk("")) and key not in theirs:
                return ClaimedError(self._claim.from_raw_data(item).claim())
        for more in also:
            if item := refused.get((more.row.pk, more.row.sk)):
                return more.refused(item)
        if item := by_sk.get(ACCOUNT_SK):
            return VersionMovedError(self._account.from_raw_data(item).account())
        codes = [reason.code for reason in reasons]
        return None if CONTENTION.isdisjoint(codes) else _contention(codes, sent_twice=was_sent_twice(error.cause))


def _contention(codes: list[str], *, sent_twice: bool) -> ContentionError:
    if sent_twice:
        return OutcomeUnknownError(str(codes))
    return ConflictError(str(codes)) if CONFLICT in codes else ContentionError(str(codes))
