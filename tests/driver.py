"""A `Driver` of the services over one store, at a time that the test sets: each request is one line."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from shared.ledger.accounts import OpenAccount, open_account
from shared.ledger.auction import Auction, Interaction
from shared.ledger.badges import is_badge
from shared.ledger.calendar import expiry_of_lot, midnight
from shared.ledger.commands import Settle, decide
from shared.ledger.credits import Credit
from shared.ledger.expiry_notices import NotifyExpiring, lower_notice_due
from shared.ledger.holds import BidSent
from shared.ledger.jobs import Job, JobEvent, Posting, Proposal
from shared.ledger.model import (
    Account,
    Bucket,
    Decision,
    Entry,
    EntryType,
    Kind,
    Notice,
    Plan,
    PlanChange,
    Request,
    Status,
)
from shared.ledger.policy import Policy
from shared.ledger.promos import Campaign, Counter
from shared.ledger.proposals import ProposalSent, Spend
from shared.ledger.purchases import Order, PaymentSource, Purchase, PurchaseState, credit_for, new_attempt
from shared.services.accounts import Opened, change_account, open_new_account
from shared.services.audits import Audited, audit_account
from shared.services.badges import Switched, switch_badge
from shared.services.boosts import place_bid
from shared.services.chargebacks import bring_to_level
from shared.services.due import Work, dispatch
from shared.services.due_now import NoQueue, renew_due_badges, sweep_due_jobs
from shared.services.job_sweep import handle_message
from shared.services.jobs import apply_job_event, interact_on_job, read_job, save_posting
from shared.services.ledger import Ledger, Outcome
from shared.services.promos import put_campaign, redeem
from shared.services.proposals import refund_spend, spend_on_proposal
from shared.services.purchase_outcomes import Bought, read_purchase
from shared.services.purchases import buy, reconcile, settle_heard
from shared.services.rewards import adjust, reward_certification, reward_interview, reward_rising_talent
from shared.store.errors import StoreError
from shared.store.jobs import Jobs
from shared.store.promos import read_campaign, read_counters
from shared.store.purchases import DuePurchase, Purchases
from shared.store.rows import (
    NOTICES,
    EntryRow,
    Row,
)
from shared.store.table import Page, Table
from shared.store.transaction_items import Put
from shared.store.walks import Walks
from tests.core.builders import QUIET, noon

PATIENCE_S = 60
A_TRANSACTION_TAKES = 90
ALWAYS = {"since": datetime(2000, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}


@dataclass
class SetClock:
    at: datetime

    def now(self) -> datetime:
        return self.at

    def at_real(self, moment: datetime) -> datetime:
        return moment


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


def steps(number: int) -> Callable[[], float]:
    """A deadline that lies in the future for so many calls."""
    left = iter([1] * number)
    return lambda: deadline() * next(left, 0)


class RecordingQueue:
    """A queue that stores what is sent, and can fail after some; ``holds`` is how many messages it claims to hold."""

    def __init__(self, takes=1_000, holds=0):
        self.bodies, self.takes, self.holds = [], takes, holds
        self.on_send = None
        """Called with each message that is sent."""

    def send(self, bodies):
        for body in bodies:
            if len(self.bodies) == self.takes:
                raise ConnectionError
            self.bodies.append(body)
            if self.on_send:
                self.on_send(body)

    def waiting(self):
        return self.holds


@dataclass
class Driver:
    """Uses Ann's account unless another is named. Requests have a fingerprint of their content, as in the functions."""

    table: Table
    policy: Policy = QUIET
    clock: SetClock = field(default_factory=lambda: SetClock(noon("2026-01-15")))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.table, self.policy, self.clock)

    def at(self, day: str | date | datetime) -> "Driver":
        self.clock.at = day if isinstance(day, datetime) else noon(day)
        return self

    def under(self, **numbers: Any) -> "Driver":
        """With other numbers than those of `QUIET`, by which nothing is granted."""
        self.policy = replace(self.policy, **numbers)
        return self

    def open(
        self,
        account: str = "ann",
        *,
        kind: Kind = Kind.FREELANCER,
        plan: Plan = Plan.BASIC,
        joined_on: date | None = None,
        key: str = "open",
        by: float | None = None,
    ) -> Opened:
        request = Request("open", key, f"{kind} {plan} {joined_on}", "service")
        command = OpenAccount(account, kind, plan, joined_on, request)
        return open_new_account(self.ledger, command, deadline=by or deadline())

    def open_many(self, *accounts: str) -> None:
        """The same accounts as by `open` under `QUIET`, many in few transactions."""
        now = self.clock.at
        for start in range(0, len(accounts), A_TRANSACTION_TAKES):
            puts = []
            for name in accounts[start : start + A_TRANSACTION_TAKES]:
                command = OpenAccount(name, Kind.FREELANCER, Plan.BASIC, None, Request("open", "open", "f", "service"))
                account = open_account(command, now, self.policy).account
                row = self.table._whole(replace(account, version=1))
                puts.append(Put(row, lambda _: StoreError("it is open already")))
            self.table.write(puts)

    def credit(self, amount: int, key: str = "credit", *, paid: bool = False, account: str = "ann") -> Outcome:
        request = Request("credit", key, f"{amount} {paid}", "staff")
        command = Credit(EntryType.REWARD, amount, paid, "Reward", {"type": "test"}, request)
        return self.ledger.execute(account, command, deadline=deadline())

    def spend(self, amount: int, key: str = "spend", *, account: str = "ann", by: float | None = None) -> Outcome:
        """On a proposal for no job in particular."""
        request = Request("spend", key, str(amount), "service")
        sent = ProposalSent("p1", amount=amount)
        return spend_on_proposal(self.ledger, account, sent, request, deadline=by or deadline())

    def propose(
        self, job: str = "j1", key: str = "propose", *, account: str = "ann", by: float | None = None, **seen: Any
    ) -> Outcome:
        request = Request("spend", key, f"{job} {seen}", "service")
        sent = ProposalSent(f"p-{account}", job, **seen)
        return spend_on_proposal(self.ledger, account, sent, request, deadline=by or deadline())

    def post(self, job: str = "j1", *, version: int = 1, at: datetime | None = None, **said: Any) -> Job:
        return save_posting(self.ledger, job, Posting(version, **said), deadline=deadline(), at=at).job

    def report(self, event: JobEvent, job: str = "j1", *, at: datetime | None = None) -> Job:
        """Report an event of a job; now if no time is given."""
        return apply_job_event(self.ledger, job, event, deadline=deadline(), at=at).job

    def end(self, job: str = "j1", how: JobEvent = JobEvent.CANCELED) -> Job:
        return self.report(how, job)

    def boost(
        self,
        bid: int,
        key: str = "boost",
        *,
        account: str = "ann",
        job: str = "j1",
        proposal: str | None = None,
        by: float | None = None,
    ) -> Outcome:
        """Boost the account's proposal on a job, which the ledger need not know."""
        request = Request("boost", key, f"{job} {bid}", "service")
        sent = BidSent(job, proposal or f"p-{account}", bid)
        return place_bid(self.ledger, account, sent, request, deadline=by or deadline())

    def interact(
        self,
        account: str | None = "ann",
        *,
        job: str = "j1",
        proposal: str | None = None,
        at: datetime | None = None,
    ) -> Auction:
        interaction = Interaction(account, proposal, at or self.clock.at)
        return interact_on_job(self.ledger, job, interaction, deadline=deadline()).auction

    def job(self, job: str = "j1") -> Job:
        return read_job(self.ledger, job).job

    def auction(self, job: str = "j1") -> Auction:
        return read_job(self.ledger, job).auction

    def sweep(self, queue: Any = None) -> int:
        """One run of the schedule over jobs; without a queue, its messages are handled as they are sent.

        Returns how many proposals it found to refund.
        """
        queue = queue or NoQueue(self.ledger, deadline)
        return sweep_due_jobs(self.ledger, queue, self.clock.at, deadline).proposals

    def dispatch(self, work: Work, queue: Any = None, *, by: Callable[[], float] = deadline) -> int:
        """One run of a schedule: sends what is due and was not sent. Returns how many."""
        queue = queue or RecordingQueue()
        return dispatch(self.table, Walks(self.table), queue, work, now=self.clock.at, deadline=by).found

    def handle(self, body: str, queue: Any = None) -> None:
        handle_message(self.ledger, json.loads(body), queue or NoQueue(self.ledger, deadline), deadline)

    def refund(
        self, spend_id: str, key: str = "refund", *, reason: str = "job_canceled", account: str = "ann"
    ) -> Outcome:
        request = Request("refund", key, f"{spend_id} {reason}", "service")
        return refund_spend(self.ledger, account, spend_id, reason=reason, request=request, deadline=deadline())

    def rising_talent(self, key: str = "talent", *, account: str = "ann", at: datetime | None = None) -> Outcome:
        request = Request("reward", key, "rising_talent", "service")
        return reward_rising_talent(self.ledger, account, request, deadline=deadline(), at=at)

    def certification(
        self, certificate: str, key: str = "certificate", *, account: str = "ann", at: datetime | None = None
    ) -> Outcome:
        request = Request("reward", key, f"certification {certificate}", "service")
        return reward_certification(self.ledger, account, certificate, request, deadline=deadline(), at=at)

    def interview(
        self,
        spend_id: str,
        key: str = "interview",
        *,
        account: str = "ann",
        by: float | None = None,
        at: datetime | None = None,
    ) -> tuple[list[Entry], bool]:
        request = Request("reward", key, f"interview {spend_id}", "service")
        return reward_interview(self.ledger, account, spend_id, request, deadline=by or deadline(), at=at)

    def adjust(
        self, amount: int, key: str = "adjustment", *, reason: str = "As a courtesy", account: str = "ann"
    ) -> Outcome:
        request = Request("adjustment", key, f"{amount} {reason}", "staff")
        return adjust(self.ledger, account, amount=amount, reason=reason, request=request, deadline=deadline())

    def change_plan(
        self, plan: Plan, *, account: str = "ann", at: datetime | None = None, at_once: bool = False
    ) -> Account:
        change = PlanChange.to(plan, at_once=at_once)
        return change_account(self.ledger, account, "service", deadline=deadline(), plan=change, at=at)

    def change_status(self, status: Status, *, account: str = "ann", at: datetime | None = None) -> Account:
        return change_account(self.ledger, account, "service", deadline=deadline(), status=status, at=at)

    def settle(self, account: str = "ann") -> Account | None:
        return self.ledger.execute(account, Settle(), deadline=deadline()).account

    def notify_expiring(self, account: str = "ann") -> Account | None:
        return self.ledger.execute(account, NotifyExpiring(), deadline=deadline()).account

    def notices(self, account: str = "ann") -> list[Notice]:
        rows = self.table._notice.query(account, self.table._notice.sk.startswith(NOTICES), consistent_read=True)
        return [row.notice() for row in rows]

    def buy(
        self,
        quantity: int,
        provider: Any,
        key: str = "buy",
        *,
        account: str = "ann",
        promo: str | None = None,
        present: bool = True,
        by: float | None = None,
    ) -> Bought:
        request = Request("purchase", key, f"{quantity} {promo}", account)
        order = Order(quantity, PaymentSource.BILLING_METHOD, promo)
        return buy(self.ledger, provider, account, order, request, present=present, deadline=by or deadline())

    def bought(self, quantity: int, key: str = "buy", *, account: str = "ann") -> str:
        """A completed purchase, without a payment provider. Returns its id."""
        request = Request("purchase", key, str(quantity), account)
        order, purchases = Order(quantity, PaymentSource.BILLING_METHOD), Purchases(self.table)
        begun = new_attempt(account, order, request, None, now=self.clock.at, policy=self.policy)
        begun = purchases.save(None, begun)
        also = [purchases.completed(begun)]
        self.ledger.execute(account, credit_for(begun), deadline=deadline(), also=also)
        return begun.purchase_id

    def purchase(self, purchase_id: str, *, account: str = "ann") -> Purchase:
        return read_purchase(self.ledger, account, purchase_id).purchase

    def goes_back(
        self,
        purchase_id: str,
        cents: int,
        dispute: str | None = "needs_response",
        *,
        account: str = "ann",
        read: Purchase | None = None,
        by: float | None = None,
    ) -> Purchase:
        """The provider says that so much of a payment is back with the buyer; asked just after ``read`` was read."""
        read = read or self.purchase(purchase_id, account=account)
        return bring_to_level(self.ledger, read, cents, dispute, deadline=by or deadline())

    def chargebacks(self, account: str = "ann") -> list[tuple[int, str | None]]:
        """What each took or gave, and what it says is owed more."""
        return [
            (entry.amount, entry.reference.get("owed"))
            for entry in self.journal(account)
            if entry.type is EntryType.CHARGEBACK
        ]

    def audit(self, provider: Any = None, *, account: str = "ann") -> Audited:
        return audit_account(self.ledger, self.stored(account), provider, deadline=deadline())

    def put_campaign(
        self, cap: int, *, code: str = "SPRING", connects: int = 5, counters: int = 4, **window: datetime
    ) -> int:
        """Valid through January 2026 unless another window is given. Returns how often it was redeemed."""
        starts_at = window.get("starts_at", midnight(date(2026, 1, 1)))
        ends_at = window.get("ends_at", midnight(date(2026, 2, 1)))
        wanted = Campaign(code, connects, cap, starts_at=starts_at, ends_at=ends_at)
        campaign, redeemed = put_campaign(self.ledger, wanted, counters=counters, deadline=deadline())
        assert campaign.has_terms_of(wanted)
        return redeemed

    def redeem(self, key: str = "redeem", *, code: str = "SPRING", account: str = "ann") -> Outcome:
        request = Request("promo", key, code, account)
        return redeem(self.ledger, account, code, request, deadline=deadline())

    def counters(self, code: str = "SPRING") -> list[Counter]:
        campaign = read_campaign(self.table, code)
        assert campaign
        return read_counters(self.table, campaign)

    def redeemed(self, code: str = "SPRING") -> int:
        return sum(counter.taken for counter in self.counters(code))

    def reconcile(self, purchase_id: str, provider: Any, *, account: str = "ann") -> PurchaseState:
        """Once it is due: the clock goes there, if it is not."""
        known = Purchases(self.table).purchase(account, purchase_id)
        if known and known.due_at:
            self.clock.at = max(self.clock.at, known.due_at)
        reconcile(self.ledger, provider, [DuePurchase(account, purchase_id, self.clock.at)], deadline)
        return read_purchase(self.ledger, account, purchase_id).purchase.state

    def tell(self, charge_id: str, provider: Any, *, account: str = "ann") -> Purchase | None:
        """An event of the sandbox's provider."""
        heard = provider.hear({"type": "charge.settled", "account_id": account, "charge_id": charge_id})
        return settle_heard(self.ledger, provider, heard, deadline=deadline())

    def badge(
        self, *, on: bool = True, most: int | None = 5, account: str = "ann", by: float | None = None
    ) -> Switched:
        return switch_badge(
            self.ledger, account, f"account:{account}", enabled=on, max_per_week=most, deadline=by or deadline()
        )

    def renew_badges(self) -> int:
        return renew_due_badges(self.ledger, self.clock.at, deadline)

    def badge_weeks(self, account: str = "ann") -> list[tuple[str, int]]:
        """The days on which the paid weeks of a badge begin, and what each cost."""
        badges = filter(is_badge, self.journal(account))
        return [(entry.reference["starts_at"][:10], -entry.amount) for entry in badges]

    def balance(self, account: str = "ann") -> int:
        return self.ledger.view(account, self.clock.now()).balance

    def stored(self, account: str = "ann") -> Account:
        """The account as it is stored, before settling."""
        return self.table.account(account)

    def journal(self, account: str = "ann") -> list[Entry]:
        return self.table.journal(account)

    def history(self, **wanted: Any) -> Page:
        return self.table.history("ann", **(ALWAYS | {"limit": 50, "deadline": deadline()} | wanted))

    def proposed_by(self, names: list[str], *, job: str = "j1", holding: int = 20, cost: int = 7) -> None:
        """New accounts with a proposal on one job each, written in batches: what their requests would have written."""
        rows: list[Row] = []
        now = self.clock.at
        for name in names:
            request = Request("spend", "propose", "f", "service")
            opened = open_account(OpenAccount(name, Kind.FREELANCER, Plan.BASIC, None, request), now, self.policy)
            once = replace(request, operation="credit")
            credit = Credit(EntryType.REWARD, holding, False, "Reward", {"type": "test"}, once)
            credited = decide(opened.account, credit, now, self.policy)
            sent = ProposalSent(f"p-{name}", job)
            spent = decide(credited.account, Spend(cost, "Proposal", sent.reference, request), now, self.policy)
            (entry,) = spent.entries
            proposal = Proposal(job, name, sent.proposal_id, entry.entry_id, cost)
            rows += [
                self.table._whole(replace(spent.account, version=1)),
                *(self.table._entry(**EntryRow.values(each)) for each in (*credited.entries, entry)),
                Jobs(self.table).first(proposal).row,
            ]
        with self.table.rows(Row).batch_write() as batch:
            for row in rows:
                batch.save(row)

    def fill(self, *, each: int = 1, every: int = 1) -> Account:
        """Lots of both classes in Ann's account for every so many days of a lot's life, in one entry."""
        account, now, today = self.stored(), self.clock.at, self.clock.at.date()
        last = expiry_of_lot(today, self.policy.lot_lifetime_months)
        days = [today + timedelta(ahead) for ahead in range(1, (last - today).days + 1, every)]
        posted = Decision(account).add_entry(
            EntryType.ADJUSTMENT,
            {Bucket(day, paid): each for day in days for paid in (False, True)},
            Request("fill", "fill", "f", "staff"),
            at=now,
            now=now,
            reason="Filled",
            reference={"type": "adjustment"},
        )
        return self.table.commit(account, lower_notice_due(posted, today, self.policy))

    def credit_often(self, credits_: list[tuple[date, int, bool]]) -> None:
        """Many credits (day, amount, paid) in few transactions, for an account with a long past."""
        for start in range(0, len(credits_), A_TRANSACTION_TAKES):
            before = after = self.stored()
            entries: list[Entry] = []
            for day, amount, paid in credits_[start : start + A_TRANSACTION_TAKES]:
                request = Request("often", str(after.seq), "f", "staff")
                command = Credit(EntryType.REWARD, amount, paid, "Reward", {"type": "test"}, request)
                decision = decide(after, command, noon(day), self.policy)
                after, entries = decision.account, [*entries, *decision.entries]
            self.table.commit(before, Decision(after, tuple(entries)))
