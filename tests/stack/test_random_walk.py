"""A made-up walk through the API, past a month's end, the instant of an expiry and a leap day: accounts stay sound.

What is to be refused, and why, the runs through the services know (`tests/engines/test_random_runs.py`). Here it is the
whole stack that must neither fail nor lose count.
"""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.ledger.calendar import add_months, midnight
from shared.store.rows import instant
from tests.core.awkward import next_leap_day
from tests.stack.machinery import Machinery, eventually
from tests.stack.marketplace import REPLAYED, Marketplace, refusal, unique

A_MOMENT = timedelta(seconds=2)
CENTS = 15
MAY_REFUSE = range(400, 500)


class Walk:
    def __init__(self, random: Random, marketplace: Marketplace, machinery: Machinery):
        self.random, self.marketplace, self.machinery = random, marketplace, machinery
        self.happened: list[str] = []
        self.accounts = [marketplace.open(), marketplace.open(plan="plus"), marketplace.open("agency", "plus")]
        self.jobs, self.promo, self.keys = [unique("j") for _ in range(6)], unique("P"), map(str, count())
        self.spends: list[tuple[str, str]] = []
        self.done: list[tuple[Callable[[], httpx.Response], httpx.Response]] = []
        marketplace.put_promo(self.promo, max_redemptions=2)

    def go(self, steps: int) -> None:
        """So many calls, each of any kind."""
        ways = [
            self.spend,
            self.spend,
            self.propose,
            self.propose,
            self.give_back,
            self.win,
            self.adjust,
            self.buy,
            self.buy,
            self.redeem,
            self.job,
            self.boost,
            self.boost,
            self.plan,
            self.badge,
            self.repeat,
            self.repeat,
        ]
        for _ in range(steps):
            self.random.choice(ways)(self.random.choice(self.accounts))

    def spend(self, account: str) -> None:
        amount, job = self.random.randint(1, 15), unique("j")
        spent = self.keyed(lambda key: self.marketplace.spend(account, amount, key, job))
        self.remember(account, spent)

    def propose(self, account: str) -> None:
        job = self.random.choice(self.jobs)
        self.remember(account, self.keyed(lambda key: self.marketplace.spend(account, 7, key, job)))

    def give_back(self, _: str) -> None:
        if self.spends:
            account, spend_id = self.random.choice(self.spends)
            self.keyed(lambda key: self.marketplace.refund(account, spend_id, key))

    def win(self, account: str) -> None:
        if self.spends and self.random.random() < 0.7:
            account, spend_id = self.random.choice(self.spends)
            self.keyed(lambda key: self.marketplace.reward(account, "interview", key, spend_id=spend_id))
        else:
            self.keyed(lambda key: self.marketplace.reward(account, "rising_talent", key))

    def adjust(self, account: str) -> None:
        amount = self.random.choice([-30, -1, 1, 10])
        self.keyed(lambda key: self.marketplace.adjust(account, amount, key))

    def buy(self, account: str) -> None:
        sandbox = self.random.choice(["succeed", "decline", "timeout", "late"])
        quantity, promo = self.random.choice([10, 20]), self.random.choice([{}, {}, {"promo_code": self.promo}])
        self.keyed(lambda key: self.marketplace.buy(account, quantity, key, sandbox=sandbox, **promo))

    def redeem(self, account: str) -> None:
        self.keyed(lambda key: self.marketplace.redeem(account, self.promo, key))

    def boost(self, account: str) -> None:
        bid = {"job_id": self.random.choice(self.jobs), "proposal_id": "p", "bid": self.random.randint(1, 12)}
        self.keyed(lambda key: self.marketplace.service("POST", f"/accounts/{account}/boosts", bid, key=key))

    def job(self, account: str) -> None:
        job, version = self.random.choice(self.jobs), self.random.randint(1, 5)
        if self.random.random() < 0.6:
            self.call(lambda: self.marketplace.service("PUT", f"/jobs/{job}", {"version": version, "price": 7}))
        else:
            how = self.random.choice(["canceled", "removed", "filled", "expired", "hired", *["interaction"] * 3])
            told = {"type": how} | ({"account_id": account} if how == "interaction" else {})
            told |= self.random.choice([{}, {"at": "2026-01-01T00:00:00Z"}])
            self.call(lambda: self.marketplace.service("POST", f"/jobs/{job}/events", told))

    def plan(self, account: str) -> None:
        plan = self.random.choice(["basic", "plus", "plus"])
        self.call(lambda: self.marketplace.service("PATCH", f"/accounts/{account}", {"plan": plan}))

    def badge(self, account: str) -> None:
        wanted: dict[str, Any] = self.random.choice([{"enabled": True, "max_per_week": 20}, {"enabled": False}])
        self.call(lambda: self.marketplace.service("PUT", f"/accounts/{account}/badge", wanted))

    def repeat(self, _: str) -> None:
        """It is answered as the first time, however long ago that was."""
        if self.done:
            call, first = self.random.choice(self.done)
            again = self.call(call)
            assert (again.status_code, again.json()) == (first.status_code, first.json())
            assert again.headers[REPLAYED] == "true"

    def keyed(self, send: Callable[[str], httpx.Response]) -> httpx.Response:
        key = next(self.keys)
        answer = self.call(lambda: send(key))
        if answer.is_success:
            assert REPLAYED not in answer.headers
            self.done.append((lambda: send(key), answer))
        return answer

    def call(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        answer = send()
        self.happened.append(f"{answer.request.method} {answer.request.url.path} {answer.status_code} {answer.text}")
        if not answer.is_success:
            status, _ = refusal(answer)
            assert status in MAY_REFUSE
        return answer

    def remember(self, account: str, spent: httpx.Response) -> None:
        if spent.is_success:
            self.spends.append((account, spent.json()["id"]))

    # Time

    def move_to(self, moment: datetime) -> None:
        """Let it be then, and what has fallen due happen."""
        self.call(lambda: self.marketplace.staff("POST", "/sandbox/clock", {"now": instant(moment)}))
        assert self.machinery.now() >= moment

    def sleep_until(self, moment: datetime) -> None:
        """Let it be then, and tell nobody."""
        self.happened.append(f"sleep until {moment}")
        self.machinery.let_pass(seconds=(moment - self.machinery.now()).total_seconds())

    def next_expiry(self) -> datetime:
        expiries = [self.marketplace.read(account)["expiring"]["next"] for account in self.accounts]
        return midnight(min(date.fromisoformat(next_["on"]) for next_ in expiries if next_))

    # What must hold

    def check(self) -> None:
        self.answer_all_purchases()
        for account in self.accounts:
            settled = self.marketplace.adjust(account, 1, "in-the-end")
            assert settled.status_code == 201
            self.check_history(account, self.marketplace.read(account))
            self.check_purchases(account)

    def answer_all_purchases(self) -> None:
        """Nobody waits for an answer, once the provider was asked what became of the charge."""
        self.machinery.let_pass(hours=2)
        self.machinery.run("PurchaseReconcileFunction")
        for _, answer in self.done:
            if (bought := answer.json()).get("status") == "pending":
                path = answer.request.url.path.rpartition("/accounts/")[2]
                account = path.partition("/")[0]
                eventually(
                    lambda account=account, purchase_id=bought["purchase_id"]: (
                        self.marketplace.purchase(account, purchase_id)["status"] == "completed"
                    )
                )

    def check_history(self, account: str, shown: dict[str, Any]) -> None:
        """Every row follows from the one before, and all of them are what the account holds."""
        balance, lots = 0, Counter()
        history = self.history(account)
        for number, entry in enumerate(history, start=1):
            balance += entry["amount"]
            assert (entry["seq"], entry["balance_after"]) == (number, balance)
            lots.update({(lot["expires_on"], lot["paid"]): lot["amount"] for lot in entry["lots"]})
        assert shown["balance"] == balance
        assert {(lot["expires_on"], lot["paid"]): lot["amount"] for lot in shown["lots"]} == +lots
        assert [entry["at"] for entry in history] == sorted(entry["at"] for entry in history)

    def check_purchases(self, account: str) -> None:
        paid = [cents for state, cents in self.machinery.charges(account) if state == "charged"]
        assert sorted(paid) == sorted(CENTS * bought for bought in self.marketplace.of_type(account, "purchase"))

    def history(self, account: str) -> list[dict[str, Any]]:
        """All of it, oldest first."""
        entries, cursor = [], {}
        while True:
            page = self.marketplace.service(
                "GET",
                f"/accounts/{account}/history",
                **{"from": "2000-01-01", "to": "8000-01-01", "limit": "100"},
                **cursor,
            ).json()
            entries += page["entries"]
            if not page["next_cursor"]:
                return entries[::-1]
            cursor = {"cursor": page["next_cursor"]}


@settings(
    max_examples=settings.default.max_examples // 100,
    phases=[Phase.generate],  # another seed is no simpler walk
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 1_000_000))
def test_any_walk_through_the_api_leaves_every_account_sound(marketplace: Marketplace, machinery: Machinery, seed: int):
    walk = Walk(Random(seed), marketplace, machinery)  # noqa: S311 - not for secrets
    try:
        walk.go(20)
        month_end = midnight(add_months(machinery.now().date().replace(day=1), 1))
        for moment in (month_end - A_MOMENT, month_end):
            walk.move_to(moment)
            walk.go(8)
        for edge in sorted([walk.next_expiry(), midnight(next_leap_day(machinery.now().date()))]):
            for moment in (edge - A_MOMENT, edge):
                walk.sleep_until(moment)
                walk.go(8)
        walk.check()
    except Exception as failure:
        failure.add_note("\n".join(walk.happened))
        raise
