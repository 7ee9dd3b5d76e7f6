"""An `Account` in the terms of the rules: what it does, one line each, and what it then shows.

Every request has a key of its own unless a test gives one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.functions.api import Answer, Api
from tests.functions.events import user


@dataclass
class Account:
    api: Api
    name: str
    _numbers: Any = field(default_factory=count)

    def _key(self) -> str:
        return f"{self.name}-{next(self._numbers)}"

    @property
    def _path(self) -> dict[str, str]:
        return {"account_id": self.name}

    @property
    def _owner(self) -> dict[str, Any]:
        return user(self.name, f"[{self.name}]")

    # --- What it does, and what is done to it

    def changes_plan(self, plan: str, **more: str) -> Answer:
        return self.api.change(self.name, plan=plan, **more)

    def falls_back(self) -> Answer:
        """Its payment failed."""
        return self.changes_plan("basic", effective="now")

    def becomes(self, status: str, **more: str) -> Answer:
        return self.api.change(self.name, status=status, **more)

    def buys(self, quantity: Any, payment: Any = "billing_method", key: str | None = None, **more: Any) -> Answer:
        """`payment` is a source, or what stands in its place."""
        paid = {"source": payment} if isinstance(payment, str) else payment
        body = {"quantity": quantity, "payment": paid} | more.pop("body", {})
        return self.api.buy(key=key or self._key(), account=self.name, claims=self._owner, body=body, **more)

    def spends(self, amount: int) -> Answer:
        """On a proposal for a job that the ledger does not know."""
        return self.api.spend(amount, self._key(), self.name)

    def proposes(self, job: str = "j-1", key: str | None = None, **body: Any) -> Answer:
        return self.api.propose(self.name, job, key or self._key(), **body)

    def refunded(self, spend: Answer, reason: str = "job_canceled", key: str | None = None) -> Answer:
        return self.api.refund(spend.body["id"], key or self._key(), self.name, reason)

    def rewarded(self, kind: str, at: str | None = None, **reference: str) -> Answer:
        return self.api.reward(kind, self._key(), self.name, at, **reference)

    def interviewed(self, spend: Answer, at: str | None = None) -> Answer:
        return self.rewarded("interview", at, spend_id=spend.body["id"])

    def given(self, amount: int, reason: str = "As a courtesy") -> Answer:
        """By staff; less than 0 is taken."""
        return self.api.adjust(amount, self._key(), self.name, reason)

    def redeems(self, code: str) -> Answer:
        return self.api.redeem(code, self._key(), self.name, claims=self._owner)

    def boosts(self, bid: int, job: str = "j-1", key: str | None = None) -> Answer:
        return self.api.boost(bid, self.name, job, key or self._key())

    def badge(self, on: bool = True, most: int | None = 6) -> Answer:
        return self.api.badge(on, most, self.name, claims=self._owner)

    # --- What it shows

    @property
    def shown(self) -> dict[str, Any]:
        return self.api.read(self.name)

    @property
    def balance(self) -> int:
        return self.shown["balance"]

    @property
    def held(self) -> int:
        return self.shown["held"]

    @property
    def lots(self) -> list[tuple[str, int]]:
        """The first day on which each can no longer be used, and what is left of it."""
        return [(lot["expires_on"], lot["amount"]) for lot in self.shown["lots"]]

    def entries(self, *types: str) -> list[dict[str, Any]]:
        """Of these types, oldest first."""
        return [entry for entry in reversed(self.api.entries(self.name)) if not types or entry["type"] in types]

    def written(self, *types: str) -> list[dict[str, Any]]:
        """Of these types, oldest first: only those that a command or a schedule has written."""
        return self.api.written(self.name, *types)[::-1]

    def rows(self, *types: str) -> list[tuple[str, int]]:
        """The day and the amount of each entry, oldest first."""
        return [(entry["at"][:10], entry["amount"]) for entry in self.entries(*types)]


Opens = Callable[..., Account]
