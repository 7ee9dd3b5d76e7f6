"""Jobs and the proposals on them, in the ledger's table: two items a job, and beside them one a proposal.

The auction of a job's boosted places is an item of its own: a bid reads and writes it, a spend does neither. A job and
its auction are put together, so where there is no auction the job is unknown.

A proposal's item is written in the transaction of its spend. It says that the account has sent one, and it is found
where the proposals on a canceled job are listed for their refunds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from pynamodb.attributes import Attribute, UnicodeAttribute
from pynamodb.constants import STRING

from shared.ledger.auction import Auction, Bid, Boost, Close, Ending, Verdict, Why
from shared.ledger.errors import AccountNotFoundError
from shared.ledger.jobs import Job, JobAndAuction, JobEvent, Posting, Proposal
from shared.store.due import DueIndex
from shared.store.errors import JobMovedError, ProposalExistsError, contention_from_aws
from shared.store.rows import (
    ACCOUNT_SK,
    AccountRow,
    InstantAttribute,
    Row,
    WholeAttribute,
    instant,
    shard_of,
)
from shared.store.transaction_items import Check, Put, Update

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pynamodb.expressions.condition import Condition

    from shared.ledger.model import Account
    from shared.store.table import Table
    from shared.store.transaction_items import TransactionItem

JOB_SK = "JOB"
AUCTION_SK = "AUCTION"


def job_pk(job_id: str) -> str:
    return f"JOB#{job_id}"


def proposal_sk(account_id: str) -> str:
    return f"PROPOSAL#{account_id}"


class AuctionAttribute(Attribute[Auction]):
    """As JSON: no query and no condition needs a part of it."""

    attr_type = STRING

    def serialize(self, value: Auction) -> str:
        return json.dumps(
            {
                "closes_at": value.closes_at and instant(value.closes_at),
                "places": [_from_boost(boost) for boost in value.places],
                "pushed_out": [_from_boost(boost) for boost in value.pushed_out],
                "endings": [_from_ending(ending) for ending in value.endings],
                "closed": value.closed and [instant(value.closed.at), value.closed.why.value],
            },
            separators=(",", ":"),
        )

    def deserialize(self, value: str) -> Auction:
        stored = json.loads(value)
        closes_at, closed = stored["closes_at"], stored["closed"]
        return Auction(
            closes_at=closes_at and datetime.fromisoformat(closes_at),
            places=tuple(map(_to_boost, stored["places"])),
            pushed_out=tuple(map(_to_boost, stored["pushed_out"])),
            endings=tuple(map(_to_ending, stored["endings"])),
            closed=closed and Close(datetime.fromisoformat(closed[0]), Why(closed[1])),
        )


def _from_boost(boost: Boost) -> list[Any]:
    return [
        boost.account_id,
        boost.proposal_id,
        boost.hold_id,
        boost.newest,
        [[instant(bid.at), bid.amount] for bid in boost.bids],
        boost.interacted_at and instant(boost.interacted_at),
        boost.captured,
    ]


def _to_boost(stored: list[Any]) -> Boost:
    account_id, proposal_id, hold_id, newest, bids, interacted_at, captured = stored
    return Boost(
        account_id,
        proposal_id,
        hold_id,
        newest,
        tuple(Bid(datetime.fromisoformat(at), amount) for at, amount in bids),
        interacted_at and datetime.fromisoformat(interacted_at),
        captured=captured,
    )


def _from_ending(ending: Ending) -> list[Any]:
    verdict = ending.verdict
    return [_from_boost(ending.boost), verdict.pays, verdict.why.value, instant(verdict.at)]


def _to_ending(stored: list[Any]) -> Ending:
    boost, pays, why, at = stored
    return Ending(_to_boost(boost), Verdict(pays, Why(why), datetime.fromisoformat(at)))


class JobRow(Row):
    record = Job

    status = UnicodeAttribute()
    version = WholeAttribute(null=True)
    size = UnicodeAttribute(null=True)
    scope = UnicodeAttribute(null=True)
    budget_cents = WholeAttribute(null=True)
    own_price = WholeAttribute(null=True)
    posted_at = InstantAttribute(null=True)
    price = WholeAttribute(null=True)
    closing_version = WholeAttribute(null=True)
    hired_at = InstantAttribute(null=True)
    canceled_at = InstantAttribute(null=True)
    removed_at = InstantAttribute(null=True)
    expired_at = InstantAttribute(null=True)
    filled_at = InstantAttribute(null=True)
    shard = UnicodeAttribute()
    refunds_due = InstantAttribute(attr_name="job_due", null=True)
    refunds_since = InstantAttribute(null=True)
    looks = WholeAttribute(null=True)
    revision = WholeAttribute()

    @classmethod
    def values(cls, job: Job) -> dict[str, Any]:
        posting = job.posting
        return super().values(job) | {
            "status": job.status.value,
            "version": posting and posting.version,
            "size": posting and posting.size,
            "scope": posting and posting.scope,
            "budget_cents": posting and posting.budget_cents,
            "own_price": posting and posting.price,
            "posted_at": posting and posting.posted_at,
            **{f"{event}_at": job.events.get(event) for event in JobEvent},
        }

    def job(self) -> Job:
        posting = Posting(self.version, self.size, self.scope, self.budget_cents, self.own_price, self.posted_at)
        happened = {event: getattr(self, f"{event}_at") for event in JobEvent}
        return Job(
            job_id=self.pk.removeprefix(job_pk("")),
            posting=posting if self.version is not None else None,
            events={event: at for event, at in happened.items() if at},
            **self.fields(),
        )


class AuctionRow(Row):
    auction = AuctionAttribute()
    shard = UnicodeAttribute()
    job_due = InstantAttribute(null=True)
    """When to look whether a hold is to end."""
    revision = WholeAttribute()

    @staticmethod
    def values(auction: Auction) -> dict[str, Any]:
        return {"auction": auction, "job_due": auction.due}

    def stored(self) -> Auction:
        return replace(self.auction, due=self.job_due, revision=self.revision)


class ProposalRow(Row):
    record = Proposal

    proposal_id = UnicodeAttribute()
    spend_id = UnicodeAttribute()
    cost = WholeAttribute()
    refunded_at = InstantAttribute(null=True)

    def proposal(self) -> Proposal:
        return Proposal(self.pk.removeprefix(job_pk("")), self.sk.removeprefix(proposal_sk("")), **self.fields())


JOB_DUE = DueIndex(JobRow.refunds_due, lambda pk, _: pk.removeprefix(job_pk("")))
"""Jobs and auctions."""


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job that an index says has proposals to refund or holds to end, and since when."""

    job_id: str
    since: datetime


class Jobs:
    """Cheap to make: the table has the connection and the classes of rows."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._account = table.rows(AccountRow)
        self._job = table.rows(JobRow)
        self._auction = table.rows(AuctionRow)
        self._proposal = table.rows(ProposalRow)

    def job(self, job_id: str) -> Job | None:
        row = self._table.get(JobRow, job_pk(job_id), JOB_SK)
        return row.job() if row else None

    def job_and_account(self, job_id: str, account_id: str) -> tuple[Job | None, Account]:
        """Both in one call, strongly consistent: a read unit each.

        Raises:
            AccountNotFoundError
        """
        job, account = self._table.get_together((job_pk(job_id), JOB_SK), (account_id, ACCOUNT_SK))
        return self._job.from_raw_data(job).job() if job else None, self._read(account, account_id)

    def auction_and_account(self, job_id: str, account_id: str) -> tuple[Auction | None, Account]:
        """Both in one call, strongly consistent; no auction where the job is unknown.

        Raises:
            AccountNotFoundError
        """
        auction, account = self._table.get_together((job_pk(job_id), AUCTION_SK), (account_id, ACCOUNT_SK))
        return self._auction.from_raw_data(auction).stored() if auction else None, self._read(account, account_id)

    def job_and_auction(self, job_id: str) -> JobAndAuction | None:
        """Both in one call, strongly consistent. Where one is written before the other is read, `save` is refused."""
        job, auction = self._table.get_together((job_pk(job_id), JOB_SK), (job_pk(job_id), AUCTION_SK))
        if not job:
            return None
        known = self._auction.from_raw_data(auction).stored() if auction else Auction()
        return JobAndAuction(self._job.from_raw_data(job).job(), known)

    def save(self, before: JobAndAuction | None, after: JobAndAuction) -> None:
        """Write what changed of a job and its auction, if they still are as they were read, or still do not exist.

        Only what differs is written: what a newer release added survives an older one's write.

        Raises:
            JobMovedError: they are not.
            ContentionError: conflict, throttling, or no answer.
        """
        job_id, old_job, old_auction = (
            after.job.job_id,
            before.job if before else None,
            before.auction if before else None,
        )
        items: list[Update] = []
        if after.job != old_job:
            items.append(self._saved_job(old_job, after.job))
        if after.auction != old_auction:
            items.append(self.saved_auction(job_id, old_auction, after.auction))
        if len(items) == 1:
            self._table.update(items[0])
        elif items:
            self._table.write(items)

    def saved_auction(self, job_id: str, before: Auction | None, after: Auction) -> Update:
        """Writes what changed of an auction, if it is as it was read. Refused with JobMovedError."""
        row = self._auction(pk=job_pk(job_id), sk=AUCTION_SK)
        old = AuctionRow.values(before) if before else {}
        return self._saved(row, job_id, before.revision if before else 0, old, AuctionRow.values(after))

    def _saved_job(self, before: Job | None, after: Job) -> Update:
        row = self._job(pk=job_pk(after.job_id), sk=JOB_SK)
        old = JobRow.values(before) if before else {}
        return self._saved(row, after.job_id, before.revision if before else 0, old, JobRow.values(after))

    def _saved(
        self, row: JobRow | AuctionRow, job_id: str, revision: int, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Update:
        """Only what differs; an item of revision 0 does not exist yet."""
        kind = type(row)
        changed = {name: value for name, value in new.items() if value != old.get(name)}
        changed["revision"] = revision + 1
        if not revision:
            changed["shard"] = shard_of(job_id, self._table.shards)
        unchanged = kind.revision == revision if revision else kind.pk.does_not_exist()
        return Update(row, kind.set_all(changed), unchanged, lambda _: JobMovedError(job_id))

    def as_read(self, job_id: str, job: Job | None) -> TransactionItem:
        """Checks that a job is still open at this price, or still unknown. Refused with JobMovedError."""
        row = self._job
        unchanged: Condition = row.pk.does_not_exist()
        if job:
            unchanged = (row.status == job.status.value) & (row.price == job.price)
        return Check(row(pk=job_pk(job_id), sk=JOB_SK), unchanged, lambda _: JobMovedError(job_id))

    def first(self, proposal: Proposal) -> TransactionItem:
        """Puts the one proposal of an account on a job. Refused with ProposalExistsError."""
        pk, sk = job_pk(proposal.job_id), proposal_sk(proposal.account_id)
        row = self._proposal(pk=pk, sk=sk, **ProposalRow.values(proposal))
        return Put(row, lambda _: ProposalExistsError(proposal.spend_id))

    def has_proposal(self, job_id: str, account_id: str) -> bool:
        return self._table.get(ProposalRow, job_pk(job_id), proposal_sk(account_id)) is not None

    def refunded(self, proposal: Proposal, at: datetime) -> TransactionItem:
        """Marks a proposal as refunded, so that `unrefunded` no longer lists it."""
        row, mark = self._mark(proposal, at)
        return Update(row, mark, self._proposal.pk.exists(), lambda _: ProposalExistsError(proposal.spend_id))

    def mark_refunded(self, proposal: Proposal, at: datetime) -> None:
        """The same, where its spend was refunded before and the mark is all that is left to write."""
        row, mark = self._mark(proposal, at)
        with contention_from_aws():
            row.update(mark)

    def unrefunded(self, job_id: str) -> Iterator[Proposal]:
        """The proposals on a job that cost something and have not come back; strongly consistent."""
        row = self._proposal
        left = row.refunded_at.does_not_exist() & (row.cost > 0)
        with contention_from_aws(reading=True):
            found = row.query(job_pk(job_id), row.sk.startswith(proposal_sk("")), left, consistent_read=True)
            for each in found:
                yield each.proposal()

    def due(self, until: datetime) -> Iterator[DueJob]:
        """Jobs that there is something to do for by ``until``, shard by shard."""
        for key in self._table.due(JOB_DUE, until):
            yield DueJob(key.id, cast("datetime", key.since))

    def _read(self, account: dict[str, Any] | None, account_id: str) -> Account:
        if account is None:
            raise AccountNotFoundError(account_id)
        return self._account.from_raw_data(account).account()

    def _mark(self, proposal: Proposal, at: datetime) -> tuple[ProposalRow, list[Any]]:
        row = self._proposal(pk=job_pk(proposal.job_id), sk=proposal_sk(proposal.account_id))
        return row, [self._proposal.refunded_at.set(at)]
