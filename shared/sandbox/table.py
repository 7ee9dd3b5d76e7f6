"""The sandbox's own table: one item for each charge at the simulated provider, and one for the clock."""

from __future__ import annotations

from typing import TypeVar

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from shared.store.sending import meta, watch

R = TypeVar("R", bound=Model)


class ClockRow(Model):
    pk = UnicodeAttribute(hash_key=True)
    ahead_ms = NumberAttribute()


class ChargeRow(Model):
    pk = UnicodeAttribute(hash_key=True)
    state = UnicodeAttribute()
    reason = UnicodeAttribute()
    account_id = UnicodeAttribute(null=True)
    amount_cents = NumberAttribute(null=True)
    currency = UnicodeAttribute(null=True)
    source = UnicodeAttribute(null=True)


class SandboxTable:
    def __init__(self, name: str, *, region: str | None = None, endpoint_url: str | None = None) -> None:
        self._meta = meta(name, region, endpoint_url)
        self.clock = self._bind(ClockRow)
        self.charge = self._bind(ChargeRow)
        connection = self.charge._connection = self.clock._get_connection()  # noqa: SLF001 - one client for both
        watch(connection.connection.client)

    def _bind(self, row: type[R]) -> type[R]:
        bound: type[R] = type(row.__name__, (row,), {"Meta": self._meta})
        return bound
