"""The sandbox's own table: one item for each charge at the simulated provider, and one for the clock."""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from shared.store.pynamodb_private import bind, connection_of
from shared.store.rows import InstantAttribute
from shared.store.sending import meta, watch


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
    asked_at = InstantAttribute(null=True)
    """When the buyer was asked."""
    agrees_at = InstantAttribute(null=True)
    """When the buyer agrees; none where the buyer never answers."""
    returned_cents = NumberAttribute(null=True)
    """How much of it is back with the buyer."""
    dispute = UnicodeAttribute(null=True)


class SandboxTable:
    def __init__(self, name: str, *, region: str | None = None, endpoint_url: str | None = None) -> None:
        self.name = name
        described = meta(name, region, endpoint_url)
        self.clock = bind(ClockRow, described)
        connection = connection_of(self.clock)
        self.charge = bind(ChargeRow, described, connection)
        self.client = connection.connection.client
        watch(self.client)
