"""Jobs and the proposals on them, in the ledger's table: one item a job, and beside it one a proposal.

The auction of a job's boosted places is part of its item: a bid is written in the transaction of what it holds.

A proposal's item is written in the transaction of its spend. It is the mark that the account has one, and the place in
the list of those to refund should the job be canceled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from pynamodb.attributes import Attribute, NumberAttribute, UnicodeAttribute
from pynamodb.constants import STRING
from pynamodb.exceptions import UpdateError

from shared.ledger.auction import Auction, Boost, Ending, Why
from shared.ledger.errors import AccountNotFoundError
from shared.ledger.job import Job, JobStatus, Posting, Proposal
from shared.store.also import Check, Put, Update
from shared.store.errors import JobMovedError, ProposalExistsError, contention_from_aws
from shared.store.rows import (
    ACCOUNT_SK,
    AccountRow,
    EntryRow,
    InstantAttribute,
    Row,
    instant,
    shard_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

    from shared.ledger.model import Account
    from shared.store.also import Also
    from shared.store.table import Table

JOB_SK = "JOB"


def job_pk(job_id: str) -> str:
    return f"JOB#{job_id}"


def proposal_sk(account_id: str) -> str:
    return f"PROPOSAL#{account_id}"


class AuctionAttribute(Attribute[Auction]):
    """As JSON, which nothing asks for in part."""

    attr_type = STRING

    def serialize(self, value: Auction) -> str:
        return json.dumps(
            {
                "places": [_from_boost(boost) for boost in value.places],
                "endings": [[_from_boost(end.boost), end.why.value, instant(end.at)] for end in value.endings],
                "closed_at": value.closed_at and instant(value.closed_at),
                "due": value.due and instant(value.due),
            }
        )

    def deserialize(self, value: str) -> Auction:
        stored = json.loads(value)
        return Auction(
            places=tuple(_to_boost(boost) for boost in stored["places"]),
            endings=tuple(
                Ending(_to_boost(boost), Why(why), datetime.fromisoformat(at)) for boost, why, at in stored["endings"]
            ),
            closed_at=stored["closed_at"] and datetime.fromisoformat(stored["closed_at"]),
            due=stored["due"] and datetime.fromisoformat(stored["due"]),
        )


def _from_boost(boost: Boost) -> list[Any]:
    lots = {bucket: amount["N"] for bucket, amount in EntryRow.slices.serialize(boost.slices).items()}
    return [
        boost.account_id,
        boost.proposal_id,
        boost.bid,
        boost.hold_id,
        instant(boost.since),
        lots,
        boost.captured,
    ]


def _to_boost(stored: list[Any]) -> Boost:
    account_id, proposal_id, bid, hold_id, since, lots, captured = stored
    slices = EntryRow.slices.deserialize({bucket: {"N": amount} for bucket, amount in lots.items()})
    return Boost(account_id, proposal_id, bid, hold_id, datetime.fromisoformat(since), slices, captured=captured)


class JobRow(Row):
    status = UnicodeAttribute()
    version = NumberAttribute(null=True)
    size = UnicodeAttribute(null=True)
    scope = UnicodeAttribute(null=True)
    budget_cents = NumberAttribute(null=True)
    own_price = NumberAttribute(null=True)
    posted_at = InstantAttribute(null=True)
    price = NumberAttribute(null=True)
    ended_at = InstantAttribute(null=True)
    shard = UnicodeAttribute()
    job_due = InstantAttribute(null=True)
    """The soonest of what there is to do for it."""
    refunds_due = InstantAttribute(null=True)
    auction = AuctionAttribute(null=True)
    looks = NumberAttribute(null=True)
    revision = NumberAttribute()

    @staticmethod
    def values(job: Job) -> dict[str, Any]:
        """What of a job can change, by attribute; None is stored as no attribute at all."""
        posting = job.posting
        return {
            "status": job.status.value,
            "version": posting and posting.version,
            "size": posting and posting.size,
            "scope": posting and posting.scope,
            "budget_cents": posting and posting.budget_cents,
            "own_price": posting and posting.price,
            "posted_at": posting and posting.posted_at,
            "price": job.price,
            "ended_at": job.ended_at,
            "job_due": job.due,
            "refunds_due": job.refunds_due,
            "auction": None if job.auction == Auction() else job.auction,
            "looks": job.looks or None,
        }

    def job(self) -> Job:
        posting = Posting(
            version=int(self.version or 0),
            size=self.size,
            scope=self.scope,
            budget_cents=_number(self.budget_cents),
            price=_number(self.own_price),
            posted_at=self.posted_at,
        )
        return Job(
            job_id=self.pk.removeprefix(job_pk("")),
            status=JobStatus(self.status),
            posting=posting if self.version is not None else None,
            price=_number(self.price),
            ended_at=self.ended_at,
            refunds_due=self.refunds_due,
            auction=self.auction or Auction(),
            looks=int(self.looks or 0),
            revision=int(self.revision),
        )


class ProposalRow(Row):
    proposal_id = UnicodeAttribute()
    spend_id = UnicodeAttribute()
    cost = NumberAttribute()
    refunded_at = InstantAttribute(null=True)

    def proposal(self) -> Proposal:
        return Proposal(
            job_id=self.pk.removeprefix(job_pk("")),
            account_id=self.sk.removeprefix(proposal_sk("")),
            proposal_id=self.proposal_id,
            spend_id=self.spend_id,
            cost=int(self.cost),
        )


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job that an index says has proposals to refund or holds to end, and since when."""

    job_id: str
    since: datetime


class Jobs:
    """Cheap to make: what it needs, the table has."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._account = table.rows(AccountRow)
        self._job = table.rows(JobRow)
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
        if account is None:
            raise AccountNotFoundError(account_id)
        return self._job.from_raw_data(job).job() if job else None, self._account.from_raw_data(account).account()

    def save(self, before: Job | None, after: Job) -> None:
        """Write a job where it still is as it was read, or does not exist and ``before`` is None.

        Only what differs is written: what a newer release added survives an older one's write.

        Raises:
            JobMovedError: it is not.
        """
        item = self._job(pk=job_pk(after.job_id), sk=JOB_SK)
        try:
            with contention_from_aws():
                item.update(self._changes(before, after), self._unchanged(before))
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise JobMovedError(after.job_id) from error
            raise

    def saved(self, before: Job, after: Job) -> Also:
        """The same, with a change of an account. Refused with JobMovedError."""
        item = self._job(pk=job_pk(after.job_id), sk=JOB_SK)
        changes = self._changes(before, after)
        return Update(item, changes, self._unchanged(before), lambda _: JobMovedError(after.job_id))

    def as_read(self, job_id: str, job: Job | None) -> Also:
        """That it is still open at this price, or still unknown. Refused with JobMovedError."""
        row = self._job
        unchanged: Condition = row.pk.does_not_exist()
        if job:
            unchanged = (row.status == job.status.value) & (row.price == job.price)
        return Check(row(pk=job_pk(job_id), sk=JOB_SK), unchanged, lambda _: JobMovedError(job_id))

    def first(self, proposal: Proposal) -> Also:
        """The one proposal of an account on a job. Refused with ProposalExistsError."""
        row = self._proposal(
            pk=job_pk(proposal.job_id),
            sk=proposal_sk(proposal.account_id),
            proposal_id=proposal.proposal_id,
            spend_id=proposal.spend_id,
            cost=proposal.cost,
        )
        return Put(row, lambda _: ProposalExistsError(proposal.spend_id))

    def has_proposal(self, job_id: str, account_id: str) -> bool:
        return self._table.get(ProposalRow, job_pk(job_id), proposal_sk(account_id)) is not None

    def refunded(self, proposal: Proposal, at: datetime) -> Also:
        """That a proposal came back, which takes it off the list of those that have still to."""
        row, mark = self._mark(proposal, at)
        return Update(row, mark, self._proposal.pk.exists(), lambda _: ProposalExistsError(proposal.spend_id))

    def mark_refunded(self, proposal: Proposal, at: datetime) -> None:
        """The same, where its spend came back before and nothing else is left to write."""
        row, mark = self._mark(proposal, at)
        with contention_from_aws():
            row.update(mark)

    def unrefunded(self, job_id: str) -> Iterator[Proposal]:
        """The proposals on a job that cost something and have not come back; strongly consistent."""
        row = self._proposal
        left = row.refunded_at.does_not_exist() & (row.cost > 0)
        with contention_from_aws():
            found = row.query(job_pk(job_id), row.sk.startswith(proposal_sk("")), left, consistent_read=True)
            for each in found:
                yield each.proposal()

    def due(self, until: datetime) -> Iterator[DueJob]:
        """Jobs that there is something to do for by ``until``, shard by shard."""
        for key in self._table.due(self._job.job_due, until):
            yield DueJob(key.pk.removeprefix(job_pk("")), cast("datetime", key.since))

    def _changes(self, before: Job | None, after: Job) -> list[Action]:
        row = self._job
        old = row.values(before) if before else {}
        changes = [
            getattr(row, name).remove() if value is None else getattr(row, name).set(value)
            for name, value in row.values(after).items()
            if value != old.get(name)
        ]
        if before is None:
            changes.append(row.shard.set(shard_of(after.job_id, self._table.shards)))
        return [row.revision.set(after.revision + 1), *changes]

    def _unchanged(self, before: Job | None) -> Condition:
        return self._job.revision == before.revision if before else self._job.pk.does_not_exist()

    def _mark(self, proposal: Proposal, at: datetime) -> tuple[ProposalRow, list[Any]]:
        row = self._proposal(pk=job_pk(proposal.job_id), sk=proposal_sk(proposal.account_id))
        return row, [self._proposal.refunded_at.set(at)]


def _number(value: float | None) -> int | None:
    return None if value is None else int(value)
