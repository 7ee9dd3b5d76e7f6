"""A `Book`: one account with its whole journal, driven the way a store drives the core, and audited at each step."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from typing import Self

from shared.ledger.accounts import OpenAccount, open_account
from shared.ledger.audit import audit
from shared.ledger.badges import RenewBadge, SwitchBadge
from shared.ledger.commands import Command, Settle, decide
from shared.ledger.credits import Adjust, Credit
from shared.ledger.interviews import Interview
from shared.ledger.model import Account, Bucket, Entry, EntryType, Kind, Notice, Plan, PlanChange, Request, Status
from shared.ledger.plans import ChangeAccount
from shared.ledger.policy import Policy
from shared.ledger.proposals import Spend
from shared.ledger.refunds import REASONS, Refund
from shared.ledger.settling import settled_view, settling

DEFAULT = Policy()
QUIET = Policy(sign_up=0, monthly_basic=0, monthly_plus=0, monthly_plus_free=0)
"""No grants, so that a test controls every lot."""

BACK = [reason for reason, text in REASONS.items() if text]
NOT_BACK = [reason for reason, text in REASONS.items() if not text]

INSTANT = timedelta(milliseconds=1)
"""The resolution of the clock."""


def noon(day: str | date) -> datetime:
    return datetime.combine(_day(day), time(12), UTC)


def start_of(day: str | date) -> datetime:
    return datetime.combine(_day(day), time.min, UTC)


def free(expires_on: str | date) -> Bucket:
    return Bucket(_day(expires_on), paid=False)


def paid(expires_on: str | date) -> Bucket:
    return Bucket(_day(expires_on), paid=True)


def problems(account: Account, entries: list[Entry]) -> list[str]:
    return [problem for finding in audit(account, entries) for problem in finding.problems]


content = attrgetter(*(column.name for column in fields(Entry) if column.name != "recorded_at"))
"""All fields of an entry except when it was written."""


@dataclass
class Book:
    account: Account
    entries: list[Entry]
    policy: Policy
    now: datetime
    keys: int = 0
    notices: list[Notice] = field(default_factory=list)

    @classmethod
    def opened(
        cls,
        on: str | date | datetime,
        *,
        policy: Policy = DEFAULT,
        kind: Kind = Kind.FREELANCER,
        plan: Plan = Plan.BASIC,
        joined_on: str | None = None,
    ) -> Self:
        now = on if isinstance(on, datetime) else noon(on)
        joined = date.fromisoformat(joined_on) if joined_on else None
        command = OpenAccount("ann", kind, plan, joined, Request("open", "ann", "f", "service"))
        decision = open_account(command, now, policy)
        assert decision.complete
        assert problems(decision.account, list(decision.entries)) == []
        return cls(decision.account, list(decision.entries), policy, now)

    def copy(self) -> Book:
        return replace(self, entries=list(self.entries), notices=list(self.notices))

    def at(self, now: str | date | datetime) -> Book:
        """Set the clock to this instant, or to noon of this day. Nothing runs."""
        self.now = now if isinstance(now, datetime) else noon(now)
        return self

    def run(self, command: Command) -> list[Entry]:
        """Decide until the decision is complete, as a store does. Returns the entries."""
        before = len(self.entries)
        complete = False
        while not complete:
            decision = decide(self.account, command, self.now, self.policy)
            self.account, complete = decision.account, decision.complete
            self.entries += decision.entries
            self.notices += decision.notices
        return self.entries[before:]

    def do(self, command: Command) -> list[Entry]:
        """The same, audited."""
        written = self.run(command)
        assert problems(self.account, self.entries) == []
        return written

    def settle(self) -> list[Entry]:
        """Settle, and check that exactly what a reader was shown before is written."""
        foreseen = [content(entry) for entry in self.pending]
        written = self.do(Settle())
        assert [content(entry) for entry in written] == foreseen
        return written

    def credit(self, amount: int, *, paid: bool = False) -> Entry:
        entry_type = EntryType.PURCHASE if paid else EntryType.REWARD
        return self.do(Credit(entry_type, amount, paid, "Credit", {"type": "test"}, self.request("credit")))[-1]

    def do_credit(self, amount: int) -> list[Entry]:
        """The entries of a free credit, and of the debts that it pays."""
        return self.do(Credit(EntryType.REWARD, amount, False, "Credit", {"type": "test"}, self.request("credit")))

    def spend(self, amount: int, **reference: str) -> Entry:
        return self.do(Spend(amount, "Proposal", {"type": "proposal"} | reference, self.request("spend")))[-1]

    def refund(self, spend: Entry, reason: str = "job_canceled") -> Entry:
        """The entry of the refund, also if it expired at once."""
        written = self.do(Refund(spend, reason, self.request("refund"), self.came_back(spend)))
        return next(entry for entry in written if entry.type is EntryType.REFUND)

    def interview(self, spend: Entry, *, at: datetime | None = None) -> list[Entry]:
        """The entries of the refund and the reward, or the one of them that there is."""
        written = self.do(Interview(spend, self.request("reward"), self.came_back(spend), at))
        return [entry for entry in written if entry.reference.get("type") == "interview"]

    def came_back(self, spend: Entry) -> int | None:
        """How much of a spend was refunded, by the journal; None without a refund."""
        refunds = [
            entry for entry in self.of_type(EntryType.REFUND) if entry.reference.get("spend_id") == spend.entry_id
        ]
        return sum(entry.amount for entry in refunds) if refunds else None

    def adjust(self, amount: int, reason: str = "As a courtesy") -> Entry:
        return self.do(Adjust(amount, reason, self.request("adjustment")))[-1]

    def change_plan(self, plan: Plan, *, at: datetime | None = None, at_once: bool = False) -> list[Entry]:
        change = PlanChange.to(plan, at_once=at_once)
        return self.do(ChangeAccount(self.request("plan"), plan=change, at=at))

    def change_status(self, status: Status, *, at: datetime | None = None) -> list[Entry]:
        return self.do(ChangeAccount(self.request("status"), status=status, at=at))

    def switch_badge(self, *, on: bool = True, most: int | None = 5, price: int = 4) -> list[Entry]:
        return self.do(SwitchBadge(on, most, price, Request("badge", "", "", "account:ann")))

    def renew_badge(self, *, price: int = 4) -> list[Entry]:
        return self.do(RenewBadge(price, Request("badge", "", "", "system")))

    def request(self, operation: str) -> Request:
        self.keys += 1
        return Request(operation, str(self.keys), "f", "service")

    @property
    def shown(self) -> Account:
        """What a reader is shown now, however late the sweep is."""
        return settled_view(self.account, self.now, self.policy)

    @property
    def pending(self) -> list[Entry]:
        """What fell due by now and is not written."""
        return list(settling(self.account, self.now, self.policy).entries)

    def of_type(self, entry_type: EntryType) -> list[Entry]:
        return [entry for entry in self.entries if entry.type is entry_type]


def _day(day: str | date) -> date:
    return date.fromisoformat(day) if isinstance(day, str) else day
