"""What holds for everything in a ledger's table, whatever was done to it: checked after every test that has one."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from shared.ledger.audit import audit
from shared.ledger.jobs import Job, Proposal
from shared.ledger.model import Account, Entry, EntryType
from shared.ledger.promos import promo_claim
from shared.ledger.purchases import Purchase, PurchaseState
from shared.store.jobs import AUCTION_SK, JOB_SK, AuctionRow, JobRow, ProposalRow, job_pk, proposal_sk
from shared.store.promos import CAMPAIGN_SK, COUNTER_SK, CampaignRow, CounterRow, counter_pk
from shared.store.purchases import PurchaseRow, purchase_sk
from shared.store.rows import ACCOUNT_SK, AccountRow, RefundRow, Row, claim_sk, entry_from, entry_sk
from shared.store.table import Table

R = TypeVar("R", bound=Row)


class Contents:
    """Every item of a table, read by one scan: a query for each question took most of the time of a short test."""

    def __init__(self, table: Table) -> None:
        self._bound = table.rows
        self._items: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for page in table.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True):
            for item in page["Items"]:
                self._items[item["pk"]["S"]][item["sk"]["S"]] = item

    @property
    def accounts(self) -> list[str]:
        return [pk for pk, items in self._items.items() if ACCOUNT_SK in items]

    def account(self, account_id: str) -> Account:
        return self._row(AccountRow, account_id, ACCOUNT_SK).account()

    def journal(self, account_id: str) -> list[Entry]:
        """Every entry of an account, oldest first."""
        entries = [entry_from(item) for sk, item in self._items[account_id].items() if sk.startswith(entry_sk(""))]
        return sorted(entries, key=lambda entry: entry.seq)

    def entry(self, account_id: str, entry_id: str) -> Entry | None:
        item = self._items[account_id].get(entry_sk(entry_id))
        return entry_from(item) if item else None

    def has_claim(self, account_id: str, name: str) -> bool:
        return claim_sk(name) in self._items[account_id]

    def purchases(self, account_id: str) -> list[Purchase]:
        return [row.purchase() for row in self._rows(PurchaseRow, account_id, purchase_sk(""))]

    def came_back(self, account_id: str) -> dict[str, int | None]:
        """What came back of each spend that was refunded; None where an earlier release wrote no number."""
        prefix = claim_sk("refund#")
        return {row.sk.removeprefix(prefix): row.came_back for row in self._rows(RefundRow, account_id, prefix)}

    def proposals(self) -> list[ProposalRow]:
        return [row for pk in self._items for row in self._rows(ProposalRow, pk, proposal_sk(""))]

    def job(self, job_id: str) -> Job | None:
        pk = job_pk(job_id)
        return self._row(JobRow, pk, JOB_SK).job() if JOB_SK in self._items[pk] else None

    def auctions(self) -> list[AuctionRow]:
        return [row for pk in self._items for row in self._rows(AuctionRow, pk, AUCTION_SK)]

    def redemptions(self) -> Tally[str]:
        """By code, how many redemptions its counters gave."""
        campaigns = [row.campaign() for pk in self._items for row in self._rows(CampaignRow, pk, CAMPAIGN_SK)]
        return Tally(
            {
                campaign.code: sum(
                    self._row(CounterRow, counter_pk(campaign.code, number), COUNTER_SK).taken
                    for number in range(campaign.counters)
                )
                for campaign in campaigns
            }
        )

    def _row(self, row: type[R], pk: str, sk: str) -> R:
        return self._bound(row).from_raw_data(self._items[pk][sk])

    def _rows(self, row: type[R], pk: str, prefix: str) -> Iterator[R]:
        """In the order of their keys."""
        for sk in sorted(self._items[pk]):
            if sk.startswith(prefix):
                yield self._row(row, pk, sk)


def problems_in(contents: Contents) -> list[str]:
    """Every contradiction in every account of a table and its purchases, promo codes, proposals and holds."""
    found = []
    promos: Tally[str] = Tally()
    journals = {account_id: contents.journal(account_id) for account_id in contents.accounts}
    for account_id, journal in journals.items():
        account = contents.account(account_id)
        found += [
            f"{account_id}: {finding.invariant}: {problem}"
            for finding in audit(account, journal, contents.purchases(account_id))
            for problem in finding.problems
        ]
        found += _problems_of_refunds(contents, account_id, journal)
        promos.update(entry.reference["code"] for entry in journal if entry.type is EntryType.PROMO)
        found += [
            f"{account_id}: {entry.reference['code']} was redeemed without a claim"
            for entry in journal
            if entry.type is EntryType.PROMO
            and not contents.has_claim(account_id, promo_claim(entry.reference["code"]))
        ]
    counted = contents.redemptions()
    if +counted != promos:
        found.append(f"promo codes: {counted} were counted, {promos} were given")
    for row in contents.proposals():
        found += _problems_of_proposal(contents, row.proposal(), refunded=row.refunded_at is not None)
    return found + _problems_of_holds(contents, journals.values())


def completed_purchases(contents: Contents) -> dict[str, int]:
    """What they cost, in cents, by id."""
    return {
        purchase.purchase_id: purchase.amount_cents
        for account_id in contents.accounts
        for purchase in contents.purchases(account_id)
        if purchase.state is PurchaseState.COMPLETED
    }


def _problems_of_holds(contents: Contents, journals: Iterable[list[Entry]]) -> list[str]:
    """The open holds of accounts are those of the auctions: each is of one place, or in the endings."""
    held = {}
    for journal in journals:
        ended = {
            entry.reference["hold_id"] for entry in journal if entry.type in {EntryType.RELEASE, EntryType.CAPTURE}
        }
        for entry in journal:
            if entry.type is EntryType.HOLD and (hold_id := entry.reference["hold_id"]) not in ended:
                held[hold_id] = held.get(hold_id, 0) - entry.amount
    bid: dict[str, int] = {}
    for row in contents.auctions():
        auction = row.stored()
        open_ = [boost for boost in auction.places if not boost.captured] + [end.boost for end in auction.endings]
        bid |= {boost.hold_id: boost.bid for boost in open_ if boost.hold_id in held or boost in auction.places}
    return [] if held == bid else [f"boosts: accounts hold {held}, auctions say {bid}"]


def _problems_of_proposal(contents: Contents, proposal: Proposal, *, refunded: bool) -> list[str]:
    """A proposal has a spend, and is refunded whole if its job is."""
    job = contents.job(proposal.job_id)
    name = f"proposal of {proposal.account_id} on {proposal.job_id}"
    spend = contents.entry(proposal.account_id, proposal.spend_id)
    back = contents.came_back(proposal.account_id).get(proposal.spend_id) or 0
    problems = []
    if spend is None or spend.amount != -proposal.cost:
        problems.append(f"{name} cost {proposal.cost}, its entry is {spend}")
    if refunded and not (back == proposal.cost and job):
        problems.append(f"{name} is marked as refunded, {back} of {proposal.cost} came back, its job is {job}")
    if job and job.refunds and not job.refunds_due and back != proposal.cost:
        problems.append(f"{name} has come back with {back} of {proposal.cost}, its job is {job}")
    return problems


def _problems_of_refunds(contents: Contents, account_id: str, journal: list[Entry]) -> list[str]:
    """The refunds of a spend add up to the number of its item; earlier releases wrote no number."""
    given: Tally[str] = Tally()
    for entry in journal:
        if entry.type is EntryType.REFUND and "spend_id" in entry.reference:
            given[entry.reference["spend_id"]] += entry.amount
    noted = {
        spend_id: given[spend_id] if number is None else number
        for spend_id, number in contents.came_back(account_id).items()
    }
    return [] if noted == given else [f"{account_id}: refunds gave {given}, and {noted} were noted"]
