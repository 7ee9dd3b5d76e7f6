"""Whatever is asked of the services, in whatever order and at whatever hour, every account stays sound.

A `Years` lives through a made-up run of requests, repeats, schedules, lost answers and deaths, by a clock that jumps to
the edges of everything. What a request has to be refused for it knows by itself, in the words of the product, so that
nothing that is refused, and nothing that is not, goes unexplained.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from inspect import isfunction
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.ledger.badges import is_badge
from shared.ledger.calendar import ONE_DAY, add_months, midnight
from shared.ledger.errors import IdempotencyKeyReusedError, LedgerError
from shared.ledger.expiry_notices import NotifyExpiring
from shared.ledger.interviews import REMEMBERED
from shared.ledger.jobs import CLOSES, Channel, JobEvent, JobStatus
from shared.ledger.model import Account, Entry, EntryType, Kind, Plan, Status
from shared.ledger.purchases import PurchaseState
from shared.ledger.settling import settled_view
from shared.ledger.timeline import next_plan
from shared.sandbox.payments import Behaviour
from shared.services.badges import renew_badges, set_price, week_price
from shared.services.boosts import end_holds
from shared.services.due import BADGES, EXPIRIES, GRANTS, NOTICES, SETTLE, settle_accounts
from shared.services.job_sweep import JOBS
from shared.services.purchases import PURCHASES, reconcile
from shared.services.views import purchase_view
from shared.store.purchases import DuePurchase, Purchases
from shared.store.rows import ACCOUNT_SK, AccountRow, instant
from tests.core.awkward import LONG_PAUSES, OPENED_ON, PAUSES, POLICIES, next_leap_day
from tests.core.builders import BACK, INSTANT, NOT_BACK, QUIET, Book
from tests.core.story import check_story, interviews, left_for_interviews, week_paid_for, when
from tests.driver import Driver, RecordingQueue, deadline
from tests.faults import PUT, TRANSACT, KilledError, answer_lost, dies, request_lost
from tests.invariants import Contents, completed_purchases, problems_in
from tests.providers import Instead, silent
from tests.table import LEDGER, SANDBOX, create_table

KINDS = {"ann": Kind.FREELANCER, "bob": Kind.FREELANCER, "acme": Kind.AGENCY}

NAMES = sorted(KINDS)
AMOUNTS = range(1, 21)
ALL = 0
MOST_LONG_PAUSES = 2
WHICHEVER = range(1_000)
"""Of a list whose length is not known before."""
UNHEARD_OF = (0, None)
"""A job's version and price."""
GRACE = timedelta(seconds=QUIET.auction_grace_seconds)
WORK = {
    "grants": GRANTS,
    "expiries": EXPIRIES,
    "notices": NOTICES,
    "badges": BADGES,
    "jobs": JOBS,
    "purchases": PURCHASES,
}
SCHEDULES = list(WORK)


def dies_after(send):
    """The process ends when the request has been carried out."""
    send()
    raise KilledError


def of(outcome):
    return outcome.posted, outcome.replayed


def of_opening(opened):
    return opened.account, opened.replayed


def of_purchase(bought):
    """What a buyer has to do is shown only while it is to be done."""
    view = purchase_view(bought)
    view.pop("action", None)
    return view, bought.replayed


STEPS: list[tuple[Callable, dict[str, Callable]]] = []


def step(often=1, **choices: Iterable | Callable):
    """Something that may happen, how often beside the others, and what its arguments are chosen from."""
    known: dict[str, Callable] = {
        name: values if isfunction(values) else partial(list, values) for name, values in choices.items()
    }

    def register(happens: Callable) -> Callable:
        STEPS.extend([(happens, known)] * often)
        return happens

    return register


def jobs(years):
    """The newest ones, of which some are open."""
    return years.job_ids[-3:]


def jobs_and_another(years):
    return [*jobs(years), f"j{len(years.job_ids)}"]


def codes(years):
    return years.codes[-2:]


def codes_and_another(years):
    return [*codes(years), f"P{len(years.codes)}"]


@dataclass(frozen=True)
class News:
    """What happened to a job at an instant: an event or, where there is none, an interaction with a name's proposal."""

    job: str
    at: datetime
    event: JobEvent | None
    name: str | None = None


def came_back_before(back: list[Entry], paid: int, verdict: int | None) -> bool:
    """What came back, outbid or by news that was known then, stays with its owner."""
    return bool(back) and paid < (1 if verdict is None else verdict)


class Years:
    def __init__(self, random: Random, driver: Driver, provider, faults):
        self.random, self.driver, self.provider, self.faults = random, driver, provider, faults
        self.happened: list[str] = []
        self.keys = map(str, count())
        self.refused_keys: list[str] = []
        self.done: list[tuple[Callable, object, Callable]] = []
        """Each request that was carried out, its answer, and another request under its key."""
        self.died = False
        self.spends: list[Entry] = []
        self.job_ids, self.codes = ["j0", "j1"], ["P0"]
        self.jobs: dict[str, tuple[int, int | None]] = {}
        """Of each job that is known, its newest version and the price in that."""
        self.closes_at: dict[str, datetime] = {}
        self.news: list[News] = []
        """What happened to jobs and has still to be told."""
        self.told: list[News] = []
        self.bids: defaultdict[str, list[tuple[datetime, int]]] = defaultdict(list)
        """By hold, when what was bid in all."""
        self.boosts: dict[str, tuple[str, str]] = {}
        """By hold, on which job and whose."""
        self.proposals: set[tuple[str, str]] = set()
        self.campaigns: dict[str, tuple[int, datetime, datetime]] = {}
        self.caps: defaultdict[str, int] = defaultdict(int)
        self.levels: dict[tuple[str, str], tuple[int, str | None]] = {}
        """By account and purchase, what of its payment is back with the buyer, and the status of its dispute."""
        self.recorded: list[tuple[str, str]] = []
        self.long_pauses = 0
        self.open()

    def live(self, steps: int) -> None:
        for _ in range(steps):
            happens, choices = self.random.choice(STEPS)
            chosen = {
                name: self.random.choice(values(self) if isfunction(values) else values())
                for name, values in choices.items()
            }
            self.happened.append(f"{instant(self.now)} {happens.__name__} {chosen}")
            happens(self, **chosen)

    def open(self):
        policy, plan = self.random.choice(POLICIES), self.random.choice(list(Plan))
        self.driver.policy = replace(policy, certifications={"python": 5}, badge_price_step=1, boost_places=1)
        self.driver.at(self.random.choice(OPENED_ON))
        self.opened_on = self.now.date()
        for days_before, (name, kind) in zip([0, 1, 400], KINDS.items(), strict=True):
            joined_on = self.opened_on - timedelta(days=days_before)
            self.ask(
                lambda key, name=name, kind=kind, day=joined_on: of_opening(
                    self.driver.open(name, kind=kind, plan=plan, joined_on=day, key=key)
                ),
                other=lambda key, name=name, kind=kind: of_opening(self.driver.open(name, kind=kind, key=key)),
            )

    # What callers ask for

    @step(name=NAMES)
    def open_again(self, name):
        self.ask(lambda key: of_opening(self.driver.open(name, kind=KINDS[name], key=key)), "already_exists")

    @step(name=NAMES, plan=Plan, at_once=[False, True])
    def change_plan(self, name, plan, at_once):
        for _ in range(2):
            self.survive(lambda: self.driver.change_plan(plan, account=name, at_once=at_once))
            account = self.view(name)
            assert plan is (account.plan if at_once else next_plan(account, self.driver.policy) or account.plan)

    @step(name=NAMES, status=[Status.SUSPENDED, Status.ACTIVE, Status.ACTIVE])
    def change_status(self, name, status):
        for _ in range(2):
            self.survive(lambda: self.driver.change_status(status, account=name))
            assert self.view(name).status is status

    @step(name=NAMES, plan=Plan, status=[Status.SUSPENDED, Status.ACTIVE], pause=[*PAUSES, *LONG_PAUSES])
    def news_of_an_account_comes_late(self, name, plan, status, pause):
        for _ in range(2):
            self.survive(lambda: self.driver.change_plan(plan, account=name, at=self.now - pause))
            self.survive(lambda: self.driver.change_status(status, account=name, at=self.now - pause))

    @step(often=2, name=NAMES, amount=[*AMOUNTS, ALL, ALL])
    def spend(self, name, amount):
        amount = amount if amount != ALL else self.view(name).balance or 1
        spend = self.ask(
            lambda key: of(self.driver.spend(amount, key, account=name)),
            self.why_not_pay(name, amount),
            other=lambda key: of(self.driver.spend(amount + 1, key, account=name)),
        )
        if spend:
            self.spends.append(spend)

    @step(often=2, name=NAMES, job=jobs, off_by=[0, 0, 0, 1, None], channel=[Channel.SEARCH, Channel.INVITATION])
    def propose(self, name, job, off_by, channel):
        _, price = self.jobs.get(job, UNHEARD_OF)
        seen = None if off_by is None else off_by if channel is Channel.INVITATION else (price or 5) + off_by
        spend = self.ask(
            lambda key: of(self.driver.propose(job, key, account=name, amount=seen, channel=channel)),
            self.why_not_propose(name, job, seen, channel),
            other=lambda key: of(self.driver.propose(job, key, account=name, amount=1_000)),
        )
        if spend:
            self.spends.append(spend)
            self.proposals.add((job, name))

    @step(often=2, index=WHICHEVER, reason=[*sorted(BACK), *sorted(BACK), *sorted(NOT_BACK)])
    def refund(self, index, reason):
        if not self.spends:
            return
        spend = self.spends[index % len(self.spends)]
        refusal = None
        if reason in NOT_BACK:
            refusal = "not_refundable"
        elif spend.type is EntryType.HOLD:
            refusal = "spend_not_found"
        elif is_badge(spend):
            refusal = "not_refundable"
        elif self.book(spend.account_id).came_back(spend) == -spend.amount:
            refusal = "already_refunded"
        self.ask(
            lambda key: of(self.driver.refund(spend.entry_id, key, reason=reason, account=spend.account_id)),
            refusal,
            other=lambda key: of(
                self.driver.refund(spend.entry_id, key, reason=min({*BACK} - {reason}), account=spend.account_id)
            ),
        )

    @step(often=2, index=WHICHEVER, days_ago=[0, 0, 1, 7, 60])
    def interview(self, index, days_ago):
        """Told at once or late, and no more of them than are remembered one by one."""
        spend = self.spends[index % len(self.spends)] if self.spends else None
        if spend is None or len(interviews(self.book(spend.account_id))) >= REMEMBERED:
            return
        at = self.now - timedelta(days=days_ago)
        missing, left = self.missing_to_an_interview(spend), left_for_interviews(self.book(spend.account_id), at)
        brought = self.ask(
            lambda key: self.driver.interview(spend.entry_id, key, account=spend.account_id, at=at),
            self.why_no_interview(spend, at),
            other=lambda key: of(self.driver.rising_talent(key, account=spend.account_id)),
        )
        if brought:
            assert sum(entry.amount for entry in brought) == min(missing, left)

    @step(name=NAMES)
    def rising_talent(self, name):
        had = any(entry.reference["type"] == "rising_talent" for entry in self.driver.journal(name))
        self.ask(
            lambda key: of(self.driver.rising_talent(key, account=name)),
            "invalid_request" if KINDS[name] is Kind.AGENCY else "already_awarded" if had else None,
            other=lambda key: of(self.driver.certification("python", key, account=name)),
        )

    @step(name=NAMES, certificate=["python", "cobol"])
    def certification(self, name, certificate):
        had = any(entry.reference["type"] == "certification" for entry in self.driver.journal(name))
        unknown = KINDS[name] is Kind.AGENCY or certificate == "cobol"
        self.ask(
            lambda key: of(self.driver.certification(certificate, key, account=name)),
            "invalid_request" if unknown else "already_awarded" if had else None,
            other=lambda key: of(self.driver.certification("cobol", key, account=name)),
        )

    @step(name=NAMES, amount=AMOUNTS, sign=[1, -1])
    def adjust(self, name, amount, sign):
        overdrawn = self.view(name).balance + sign * amount < 0
        self.ask(
            lambda key: of(self.driver.adjust(sign * amount, key, account=name)),
            "insufficient_connects" if overdrawn else None,
            other=lambda key: of(self.driver.adjust(sign * amount, key, account=name, reason="Another")),
        )

    @step(
        often=2,
        code=codes_and_another,
        cap=range(5),
        connects=AMOUNTS,
        starts_in=[-1, -1, 0, 0, 1],
        days=[1, 400, 400],
    )
    def put_campaign(self, code, cap, connects, starts_in, days):
        if code not in self.codes:
            self.codes.append(code)
        window = (self.now + timedelta(days=starts_in), self.now + timedelta(days=starts_in + days))
        redeemed = self.survive(
            lambda: self.driver.put_campaign(cap, code=code, connects=connects, starts_at=window[0], ends_at=window[1])
        )
        assert redeemed == self.redeemed()[code]
        self.campaigns[code] = (cap, *window)
        self.caps[code] = max(self.caps[code], cap)

    @step(often=3, name=NAMES, code=codes)
    def redeem(self, name, code):
        self.ask(
            lambda key: of(self.driver.redeem(key, code=code, account=name)),
            self.why_not_redeem(name, code),
            other=lambda key: of(self.driver.redeem(key, code="WINTER", account=name)),
        )

    @step(
        often=3,
        name=NAMES,
        quantity=[1, 10, 10, 20, 40],
        behaviour=[*Behaviour, None],
        code=lambda years: [None, *codes(years)],
    )
    def buy(self, name, quantity, behaviour, code):
        """Where there is no behaviour, nothing gets through to the provider but the name of the payment."""
        succeeds = self.provider.that(Behaviour.SUCCEED)
        provider = self.provider.that(behaviour) if behaviour else Instead(succeeds, confirm=silent)

        def buy(quantity, key):
            return of_purchase(self.driver.buy(quantity, provider, key, account=name, promo=code))

        bought = self.ask(
            partial(buy, quantity),
            self.why_not_buy(name, quantity, behaviour, code),
            other=partial(buy, quantity + 1),
        )
        if behaviour is Behaviour.DECLINE:
            # With the same key, if it has been declined: a new attempt.
            self.buy(name, quantity, Behaviour.SUCCEED, code)
        if bought:
            assert bought["status"] == ("completed" if behaviour is Behaviour.SUCCEED else "pending")

    @step(often=2, job=jobs_and_another, version=range(1, 7), price=AMOUNTS)
    def save_posting(self, job, version, price):
        known = self.jobs.get(job, UNHEARD_OF)
        if job not in self.job_ids:
            self.job_ids.append(job)
        if version > known[0]:
            self.jobs[job] = (version, price)
        self.closes_at.setdefault(job, self.now + timedelta(days=self.driver.policy.auction_days))
        posted = self.survive(lambda: self.driver.post(job, version=version, price=price))
        assert (posted.posting.version, posted.price, posted.status) == (*self.jobs[job], self.status(job))

    @step(often=2, job=jobs, event=JobEvent)
    def something_happens_to_a_job(self, job, event):
        self.news.append(News(job, self.now, event))

    @step(often=3, name=NAMES, job=jobs)
    def a_client_interacts(self, name, job):
        self.news.append(News(job, self.now, None, name))

    @step(often=5, index=WHICHEVER, again=[False, False, True])
    def news_is_told(self, index, again):
        """Late, in any order, and more than once."""
        if not self.news:
            return
        news = self.news[index % len(self.news)]
        if not again:
            self.news.remove(news)
        self.tell(news)

    def tell(self, news):
        if news.event:
            self.told.append(news)
            self.jobs.setdefault(news.job, UNHEARD_OF)
            told = self.survive(lambda: self.driver.report(news.event, news.job, at=news.at))
            assert told.status is self.status(news.job)
            return
        refusal = None if news.job in self.jobs else "job_not_found"
        if refusal is None:
            self.told.append(news)
        self.ask_without_key(lambda: self.driver.interact(news.name, job=news.job, at=news.at), refusal)

    def events_of(self, job: str) -> dict[JobEvent, datetime]:
        """When each thing happened to a job, the first time, as far as was told."""
        told = sorted((news for news in self.told if news.job == job and news.event), key=lambda news: news.at)
        return {news.event: news.at for news in reversed(told)}

    def status(self, job: str) -> JobStatus:
        when = self.events_of(job)
        removed, hired = when.get(JobEvent.REMOVED), when.get(JobEvent.HIRED)
        ends = [JobEvent.FILLED, JobEvent.EXPIRED, JobEvent.CANCELED]
        end = min((each for each in ends if each in when), key=when.__getitem__, default=None)
        refunds = end is JobEvent.CANCELED and not (hired and hired <= when[end])
        if removed and (end is None or removed <= when[end] or not refunds):
            return JobStatus.REMOVED
        return JobStatus(end) if end else JobStatus.OPEN

    @step(often=3, name=NAMES, job=jobs, bid=AMOUNTS)
    def boost(self, name, job, bid):
        if job in self.jobs and self.driver.auction(job).endings_of(name):
            self.calm()
        held = self.ask(
            lambda key: of(self.driver.boost(bid, key, account=name, job=job)),
            self.why_not_boost(name, job, bid),
            other=lambda key: of(self.driver.boost(bid + 1, key, account=name, job=job)),
        )
        if held:
            self.spends.append(held)
            hold_id = held.reference["hold_id"]
            self.bids[hold_id].append((self.now, bid))
            self.boosts[hold_id] = (job, name)

    @step(often=2, name=NAMES, most=range(1, 9))
    def switch_the_badge_on(self, name, most):
        paid, price = week_paid_for(self.book(name)), week_price(self.driver.ledger)
        refusal = None
        if refused := self.why_not_use(name):
            refusal = refused
        elif not paid:
            refusal = "price_changed" if price > most else self.why_not_pay(name, price)
        if self.ask_without_key(lambda: self.driver.badge(most=most, account=name), refusal):
            week = week_paid_for(self.book(name))
            assert week == (paid or week)
            assert -week.amount == price or paid
            self.spends.append(week)

    @step(name=NAMES)
    def switch_the_badge_off(self, name):
        before = self.driver.badge_weeks(name)
        badge = self.ask_without_key(lambda: self.driver.badge(on=False, most=None, account=name)).badge
        assert not (badge and badge.enabled)
        assert self.driver.badge_weeks(name) == before

    @step(often=3, price=AMOUNTS)
    def everybody_wants_a_job(self, price):
        job = jobs_and_another(self)[-1]
        self.save_posting(job, 1, price)
        for name in NAMES:
            self.propose(name, job, 0, Channel.SEARCH)
            self.boost(name, job, self.random.choice(AMOUNTS))

    # What is asked again

    @step(often=3, index=WHICHEVER, share=[0, 30, 100, 100], dispute=[None, "lost", "won"])
    def a_payment_goes_back_or_comes_again(self, index, share, dispute):
        """So much of it, in percent; whoever dies on the way is told of it again."""
        bought = [
            (name, purchase)
            for name in NAMES
            for purchase in Contents(self.driver.table).purchases(name)
            if purchase.state is PurchaseState.COMPLETED
        ]
        if bought:
            name, purchase = bought[index % len(bought)]
            level = self.levels[name, purchase.purchase_id] = (purchase.amount_cents * share // 100, dispute)
            self.provider.goes_back(purchase.charge_id, *level)
            asked = self.provider.that(Behaviour.SUCCEED)
            self.survive(lambda: self.driver.tell(purchase.charge_id, asked, account=name))

    @step(often=3, index=WHICHEVER)
    def repeat(self, index):
        """It is answered as the first time, whenever that was and whatever has happened since."""
        call, answer, _ = self.done[index % len(self.done)]
        self.calm()
        before = self.shown()
        assert call() == (answer, True)
        assert self.shown() == before

    @step(often=2, index=WHICHEVER)
    def use_a_key_for_something_else(self, index):
        other = self.done[index % len(self.done)][2]
        self.calm()
        self.ask_without_key(other, IdempotencyKeyReusedError.code)

    # What runs by itself

    @step(often=3, schedule=SCHEDULES)
    def a_schedule_runs(self, schedule):
        with suppress(KilledError):
            self.run(schedule)

    @step(often=4, index=WHICHEVER, again=[False, True])
    def a_message_arrives(self, index, again):
        """Late, in any order, and more than once."""
        if not self.recorded:
            return
        index %= len(self.recorded)
        with suppress(KilledError):
            self.handle(*self.recorded[index])
            if not again:
                del self.recorded[index]

    @step(
        often=3, operation=[TRANSACT, TRANSACT, PUT], fault=[request_lost, answer_lost, dies, dies_after], times=[1, 2]
    )
    def something_is_about_to_go_wrong(self, operation, fault, times):
        self.faults.on(operation, *[fault] * times)

    # Time

    @step(often=2, pause=PAUSES)
    def time_passes(self, pause):
        self.driver.at(self.now + pause)

    @step(pause=LONG_PAUSES)
    def years_pass(self, pause):
        if self.long_pauses < MOST_LONG_PAUSES:
            self.long_pauses += 1
            self.driver.at(self.now + pause)

    @step(often=4, index=WHICHEVER, name=NAMES, instants=[-1, 0, 1])
    def time_passes_until_the_edge_of_something(self, index, name, instants):
        edges = sorted(self.edges(name))
        self.driver.at(max(self.now, edges[index % len(edges)] + instants * INSTANT))

    def edges(self, name: str) -> Iterator[datetime]:
        today, account = self.now.date(), self.driver.stored(name)
        days = [today + ONE_DAY, add_months(today.replace(day=1), 1), next_leap_day(today)]
        days += [day for day in (account.grant_due, account.expiry_due, account.notice_due) if day]
        yield from map(midnight, days)
        if account.badge:
            yield account.badge.paid_until
        for _, starts_at, ends_at in self.campaigns.values():
            yield from (starts_at, ends_at)
        for job in self.jobs:
            if due := self.driver.auction(job).due:
                yield due
            if closes_at := self.closes_at.get(job):
                yield closes_at
        for entry in interviews(self.book(name))[-1:]:
            yield when(entry) + timedelta(days=self.driver.policy.interview_window_days)

    # What must hold

    def check(self) -> None:
        """What must hold, whatever happened."""
        self.calm()
        while self.news:
            self.tell(self.news.pop(self.random.randrange(len(self.news))))
        self.everything_runs()
        assert problems_in(Contents(self.driver.table)) == []
        self.check_purchases()
        self.check_jobs()
        for name in NAMES:
            check_story(replace(self.book(name), account=self.driver.settle(name)), self.opened_on)
        for code, taken in self.redeemed().items():
            assert taken <= self.caps[code]

    def everything_runs(self) -> None:
        """Twice, with a pause in which all of it falls due that waits for an answer or to be looked at again."""
        for _ in range(2):
            self.driver.at(self.now + timedelta(hours=2))
            for schedule in SCHEDULES:
                self.run(schedule)
            for letter in self.recorded:
                self.handle(*letter)
            self.recorded = []

    def check_purchases(self) -> None:
        """Nobody waits for an answer, and charges and completed purchases match one to one."""
        assert list(Purchases(self.driver.table).due(self.now + timedelta(days=1))) == []
        assert self.provider.charges == sorted(completed_purchases(Contents(self.driver.table)))
        for (name, purchase_id), level in self.levels.items():
            purchase = self.driver.purchase(purchase_id, account=name)
            assert (purchase.returned_cents, purchase.dispute) == level

    def check_jobs(self) -> None:
        """No proposal has still to come back, no hold to end of which that is decided, and each paid what it had to."""
        for job in self.jobs:
            assert (self.driver.job(job).refunds_due, self.driver.auction(job).endings) == (None, ())
        for hold_id, (_, name) in self.boosts.items():
            rows = [entry for entry in self.driver.journal(name) if entry.reference.get("hold_id") == hold_id]
            ended = any(entry.type is EntryType.CAPTURE for entry in rows)
            back = [entry for entry in rows if entry.type in {EntryType.RELEASE, EntryType.REFUND}]
            paid, verdict = -sum(entry.amount for entry in rows), self.verdict(hold_id)
            assert (paid if ended or not paid else None) == verdict or came_back_before(back, paid, verdict)

    def verdict(self, hold_id: str) -> int | None:
        """What a hold has to pay by all that was told, worked out from the times alone; None while it is held."""
        (job, name), bids = self.boosts[hold_id], self.bids[hold_id]
        closes_at = self.closes_at[job]
        ends = [(at, not CLOSES[event].captures) for event, at in self.events_of(job).items() if at < closes_at]
        if self.now >= closes_at + GRACE:
            ends.append((closes_at, False))
        over, comes_back = min(ends, default=(closes_at, None))
        interactions = [news.at for news in self.told if (news.job, news.event, news.name) == (job, None, name)]
        seen = [at for at in interactions if bids[0][0] <= at <= over]
        if not seen and comes_back is None:
            return None
        if not seen and comes_back:
            return 0
        return max((amount for at, amount in bids if at <= min(seen, default=over)), default=0)

    # How to ask

    def ask(self, call, refusal=None, *, other=None):
        """Under a key of its own, or under one that was refused: that has not been used up."""
        key = self.refused_keys.pop() if self.refused_keys else next(self.keys)
        self.died = False
        asked = self.ask_without_key(lambda: call(key), refusal)
        if asked is None:
            self.refused_keys.append(key)
            return None
        answer, replayed = asked
        assert self.died or not replayed
        if other:
            self.done.append((lambda: call(key), answer, lambda: other(key)))
        return answer

    def ask_without_key(self, call, refusal=None):
        if refusal is None:
            return self.survive(call)
        before = self.shown()
        with pytest.raises(LedgerError) as refused:
            self.survive(call)
        assert refused.value.code == refusal
        assert self.shown() == before
        return None

    def survive(self, call):
        """Who dies on the way asks again."""
        while True:
            try:
                return call()
            except KilledError:
                self.died = True

    def calm(self) -> None:
        """Nothing goes wrong from now on, and what the dead left half done for boosts is done."""
        self.faults.calm()
        for job in self.jobs:
            end_holds(self.driver.ledger, job, deadline=deadline())

    def run(self, schedule: str) -> None:
        queue = RecordingQueue()
        if schedule == "badges":
            set_price(self.driver.ledger, deadline)
        self.driver.dispatch(WORK[schedule], queue)
        self.recorded += [(schedule, body) for body in queue.bodies]

    def handle(self, schedule: str, body: str) -> None:
        message = json.loads(body)
        ledger = self.driver.ledger
        match schedule:
            case "jobs":
                self.driver.handle(body)
            case "purchases":
                due = [DuePurchase(*purchase, since=self.now) for purchase in message["purchases"]]
                reconcile(ledger, self.provider.that(Behaviour.SUCCEED), due, deadline)
            case "badges":
                renew_badges(ledger, message["accounts"], deadline)
            case _:
                settle_accounts(
                    ledger, message["accounts"], deadline, NotifyExpiring() if schedule == "notices" else SETTLE
                )

    # What there is

    @property
    def now(self) -> datetime:
        return self.driver.clock.at

    def view(self, name: str) -> Account:
        return self.driver.ledger.view(name, self.now)

    def shown(self) -> dict[str, Account]:
        """What can be seen of all accounts: not how often they were written, nor what looks for them when."""
        rows = self.driver.table.get_together(*((name, ACCOUNT_SK) for name in NAMES))
        accounts = [AccountRow.from_raw_data(row).account() for row in rows]
        views = [settled_view(account, self.now, self.driver.policy) for account in accounts]
        return {view.account_id: replace(view, version=0, notice_due=None) for view in views}

    def book(self, name: str) -> Book:
        return Book(self.view(name), self.driver.journal(name), self.driver.policy, self.now)

    def missing_to_an_interview(self, spend: Entry) -> int:
        book = self.book(spend.account_id)
        return book.policy.interview - (book.came_back(spend) or 0)

    def redeemed(self) -> Counter[str]:
        journals = [self.driver.journal(name) for name in KINDS]
        promos = [entry for journal in journals for entry in journal if entry.type is EntryType.PROMO]
        return Counter(entry.reference["code"] for entry in promos)

    # What is to be refused

    def why_not_pay(self, name: str, amount: int) -> str | None:
        too_little = self.view(name).balance < amount
        return self.why_not_use(name) or ("insufficient_connects" if too_little else None)

    def why_not_use(self, name: str) -> str | None:
        account = self.view(name)
        if account.status is Status.SUSPENDED:
            return "account_suspended"
        return "account_frozen" if account.frozen else None

    def why_not_propose(self, name: str, job: str, seen: int | None, channel: Channel) -> str | None:
        _, price = self.jobs.get(job, (0, seen))
        status = self.status(job)
        price = 0 if channel is Channel.INVITATION else price
        if status is not JobStatus.OPEN:
            return "job_not_open"
        if price is None:
            return "invalid_request"
        if seen not in {None, price}:
            return "price_changed"
        refusal = self.why_not_pay(name, price)
        if (job, name) in self.proposals and refusal in {None, "insufficient_connects"}:
            return "already_exists"
        return refusal

    def why_not_boost(self, name: str, job: str, bid: int) -> str | None:
        if job not in self.jobs:
            return "job_not_found"
        auction, policy = self.driver.auction(job), self.driver.policy
        own, closes_at = auction.place_of(name), self.closes_at.get(job)
        closed = any(not closes_at or at < closes_at for at in self.events_of(job).values())
        if closed or closes_at is None or closes_at <= self.now or (own and own.captured):
            return "auction_closed"
        others = [boost.bid for boost in auction.places if boost is not own]
        if (own and bid <= own.bid) or sum(other >= bid for other in others) >= policy.boost_places:
            return "bid_too_low"
        return self.why_not_pay(name, bid - (own.bid if own else 0))

    def why_no_interview(self, spend: Entry, at: datetime) -> str | None:
        if spend.type is EntryType.HOLD:
            return "spend_not_found"
        if is_badge(spend) or "channel" in spend.reference:
            return "not_refundable"
        book = self.book(spend.account_id)
        if any(entry.reference["spend_id"] == spend.entry_id for entry in interviews(book)):
            return "already_awarded"
        if not left_for_interviews(book, at):
            return "reward_cap_reached"
        return "already_refunded" if self.missing_to_an_interview(spend) <= 0 else None

    def why_not_redeem(self, name: str, code: str) -> str | None:
        if self.view(name).status is Status.SUSPENDED:
            return "account_suspended"
        if code not in self.campaigns:
            return "promo_not_found"
        cap, starts_at, ends_at = self.campaigns[code]
        if not starts_at <= self.now < ends_at:
            return "promo_not_active"
        if any(entry.reference.get("code") == code for entry in self.driver.journal(name)):
            return "promo_used"
        return "promo_exhausted" if self.redeemed()[code] >= cap else None

    def why_not_buy(self, name: str, quantity: int, behaviour: Behaviour | None, code: str | None) -> str | None:
        account = self.view(name)
        if quantity < self.driver.policy.minimum_purchase:
            return "invalid_request"
        if refusal := self.why_not_use(name):
            return refusal
        if account.kind is Kind.AGENCY and account.plan is Plan.BASIC:
            return "plan_required"
        refusal = self.why_not_redeem(name, code) if code else None
        return refusal or ("payment_declined" if behaviour is Behaviour.DECLINE else None)


@pytest.fixture
def begin(driver, provider, faults, sandbox, admin):
    """A run on empty tables."""

    def begin(seed):
        for name, shape in ((driver.table.name, LEDGER), (sandbox.name, SANDBOX)):
            admin.delete_table(TableName=name)
            create_table(admin, name, shape)
        return Years(Random(seed), driver, provider, faults)  # noqa: S311 - not for secrets

    return begin


@settings(
    max_examples=settings.default.max_examples // 50,
    phases=[Phase.generate],  # another seed is no simpler run
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 1_000_000))
def test_any_run_of_requests_keeps_every_invariant_however_the_clock_jumps(begin, seed):
    years = begin(seed)
    try:
        years.live(steps=150)
        years.check()
    except Exception as failure:
        failure.add_note("\n".join(years.happened))
        raise
