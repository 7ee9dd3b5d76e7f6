"""Campaigns of promo codes in the table: their terms, and their counters, each in a partition of its own.

======================  ============  ===========================================================
pk                      sk            what
======================  ============  ===========================================================
``PROMO#<code>``        ``CAMPAIGN``  the terms, and how many counters there are
``PROMO#<code>#<n>``    ``COUNTER``   how many redemptions it gave out, and how many it may
======================  ============  ===========================================================

An item takes 1,000 write units a second, and a write in a transaction takes two. With several counters a code can be
redeemed that many times as often.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.ledger.promos import Campaign, Counter, shares
from shared.store.errors import CampaignMovedError, ContentionError, contention_from_aws
from shared.store.rows import InstantAttribute, Row, WholeAttribute
from shared.store.transaction_items import Put, Update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.store.table import Table
    from shared.store.transaction_items import Refused, TransactionItem

CAMPAIGN_SK = "CAMPAIGN"
COUNTER_SK = "COUNTER"


def campaign_pk(code: str) -> str:
    return f"PROMO#{code}"


def counter_pk(code: str, number: int) -> str:
    return f"{campaign_pk(code)}#{number}"


class CampaignRow(Row):
    record = Campaign

    connects = WholeAttribute()
    max_redemptions = WholeAttribute()
    starts_at = InstantAttribute()
    ends_at = InstantAttribute()
    counters = WholeAttribute()
    revision = WholeAttribute()
    exhausted_in = WholeAttribute(attr_name="exhausted", null=True)
    """The revision in which every counter was."""

    def campaign(self) -> Campaign:
        exhausted = self.exhausted_in == self.revision
        return Campaign(self.pk.removeprefix(campaign_pk("")), exhausted=exhausted, **self.fields())


class CounterRow(Row):
    record = Counter

    taken = WholeAttribute()
    share = WholeAttribute()
    revision = WholeAttribute()

    def counter(self) -> Counter:
        return Counter(**self.fields())


def read_campaign(table: Table, code: str) -> Campaign | None:
    row = table.get(CampaignRow, campaign_pk(code), CAMPAIGN_SK)
    return row.campaign() if row else None


def read_counters(table: Table, campaign: Campaign) -> list[Counter]:
    """All of a campaign's counters, in their order, in one call."""
    if not campaign.counters:
        return []
    keys = [(counter_pk(campaign.code, number), COUNTER_SK) for number in range(campaign.counters)]
    with contention_from_aws(reading=True):
        found = {row.pk: row.counter() for row in table.rows(CounterRow).batch_get(keys, consistent_read=True)}
    return [found[pk] for pk, _ in keys]


def taking_one(table: Table, campaign: Campaign, number: int) -> TransactionItem:
    """Takes one redemption out of a counter. Refused where it has none left, or the terms are no longer these."""
    row = table.rows(CounterRow)
    return Update(
        row(pk=counter_pk(campaign.code, number), sk=COUNTER_SK),
        [row.taken.set(row.taken + 1)],
        (row.taken < row.share) & (row.revision == campaign.revision),
        _moved(campaign),
    )


def note_exhausted(table: Table, campaign: Campaign) -> None:
    """Store that no counter has any left, so that none has to be read again. Where the table is busy, do nothing."""
    row = table.rows(CampaignRow)
    noted = Update(
        row(pk=campaign_pk(campaign.code), sk=CAMPAIGN_SK),
        [row.exhausted_in.set(campaign.revision)],
        row.revision == campaign.revision,
        _moved(campaign),
    )
    with suppress(CampaignMovedError, ContentionError):
        table.write([noted])


def save_campaign(table: Table, before: Campaign, after: Campaign, counters: Sequence[Counter]) -> Campaign:
    """Store new terms, if the old ones are as they were read, and divide what is left among all counters.

    Redemptions may go on meanwhile: a counter only has to have given no more than its new share, and if no counter has
    any left, not even that.

    Args:
        table: The ledger's.
        before: As it was read; revision 0 where there was none.
        after: The new terms; it has no fewer counters.
        counters: As many as there were, as they were read.

    Raises:
        CampaignMovedError: somebody else changed it, or a counter gave more meanwhile than is left to it.
        ContentionError: conflict, throttling, or no answer.
    """
    after = replace(after, revision=before.revision + 1)
    given = [counter.taken for counter in counters] + [0] * (after.counters - before.counters)
    new = shares(given, after.max_redemptions)
    items = [_share(table, before, after, number, share, ends=not any(new)) for number, share in enumerate(new)]
    table.write([_terms(table, before, after), *items])
    return after


def _terms(table: Table, before: Campaign, after: Campaign) -> TransactionItem:
    row, pk, values = table.rows(CampaignRow), campaign_pk(after.code), CampaignRow.values(after)
    if not before.revision:
        return Put(row(pk=pk, sk=CAMPAIGN_SK, **values), _moved(after))
    return Update(row(pk=pk, sk=CAMPAIGN_SK), row.set_all(values), row.revision == before.revision, _moved(after))


def _share(table: Table, before: Campaign, after: Campaign, number: int, share: int, *, ends: bool) -> TransactionItem:
    row, pk = table.rows(CounterRow), counter_pk(after.code, number)
    if number >= before.counters:
        new = Counter(0, share, after.revision)
        return Put(row(pk=pk, sk=COUNTER_SK, **CounterRow.values(new)), _moved(after))
    fits = row.revision == before.revision
    if not ends:
        fits &= row.taken <= share
    return Update(
        row(pk=pk, sk=COUNTER_SK),
        [row.share.set(share), row.revision.set(after.revision)],
        fits,
        _moved(after),
    )


def _moved(campaign: Campaign) -> Refused:
    return lambda _: CampaignMovedError(campaign.code)
