"""How things lie in the table: one item an account, one an entry, one a claim, one a purchase.

================  =======================  ==========================================================
pk                sk                       what
================  =======================  ==========================================================
``<account id>``  ``ACCOUNT``              the account as of its last change
``<account id>``  ``ENTRY#<entry id>``     a row of the journal, which is also its key's idempotency record
``<account id>``  ``CLAIM#<name>``         something that happens once for ever (opening, the refund of a spend)
``<account id>``  ``PURCHASE#<id>``        a purchase and where it has got to
``<account id>``  ``NOTICE#<kind>#<of>``   something that the owner is told once, for the outbox
``JOB#<job id>``  ``JOB``                  a job, its price, and the auction of its boosted places
``JOB#<job id>``  ``PROPOSAL#<account>``   an account's one proposal on it
``WALK#<index>``  ``<shard>``              how far what is due was sent to its queue
================  =======================  ==========================================================

``by_time`` (local, so that it reads what was just written) lists an account's entries in the order of time. The
``*_due`` indexes are global, sparse and KEYS_ONLY, spread over ``shard``: they name accounts, purchases and jobs that
there is work for, and the item itself decides.
"""

from __future__ import annotations

import zlib
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import Attribute, BooleanAttribute, JSONAttribute, UnicodeAttribute
from pynamodb.constants import MAP, NUMBER, STRING
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection, LocalSecondaryIndex
from pynamodb.models import Model

from shared.ledger.model import Account, Badge, Bucket, Claim, Entry, EntryType, Kind, Notice, Plan
from shared.ledger.purchase import PaymentSource, Purchase, PurchaseState

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT_SK = "ACCOUNT"
NOTICES = "NOTICE#"


def entry_sk(entry_id: str) -> str:
    return f"ENTRY#{entry_id}"


def claim_sk(name: str) -> str:
    return f"CLAIM#{name}"


def purchase_sk(purchase_id: str) -> str:
    return f"PURCHASE#{purchase_id}"


def notice_sk(kind: str, about: str) -> str:
    return f"{NOTICES}{kind}#{about}"


def shard_of(account_id: str, shards: int) -> str:
    """The partition of the due indexes that an account belongs to; the same in every process."""
    return str(zlib.crc32(account_id.encode()) % shards)


def instant(at: datetime) -> str:
    """``2026-11-22T10:00:00.123Z``: sorts as text in the order of time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class WholeAttribute(Attribute[int]):
    """A whole number; pynamodb's own goes by way of JSON, at ten times the cost, and calls it a float."""

    attr_type = NUMBER

    def serialize(self, value: int) -> str:
        return str(value)

    def deserialize(self, value: str) -> int:
        return int(value)


def time_key(entry: Entry) -> str:
    return f"{instant(entry.at)}#{entry.seq:010d}"


def by_time_key(entry: Entry) -> dict[str, dict[str, str]]:
    """Where an entry stands in the index by time, as a query's start key."""
    return {"pk": {"S": entry.account_id}, "sk": {"S": entry_sk(entry.entry_id)}, "time_key": {"S": time_key(entry)}}


class DateAttribute(Attribute[date]):
    attr_type = STRING

    def serialize(self, value: date) -> str:
        return value.isoformat()

    def deserialize(self, value: str) -> date:
        return date.fromisoformat(value)


class InstantAttribute(Attribute[datetime]):
    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        return instant(value)

    def deserialize(self, value: str) -> datetime:
        return datetime.fromisoformat(value)


class LotsAttribute(Attribute["Mapping[Bucket, int]"]):
    """``{"20271123f": 40}``: 40 free Connects that are gone from 2027-11-23 on; ``p`` is for purchased."""

    attr_type = MAP

    def serialize(self, value: Mapping[Bucket, int]) -> dict[str, dict[str, str]]:
        return {
            f"{bucket.expires_on:%Y%m%d}{'p' if bucket.paid else 'f'}": {"N": str(amount)}
            for bucket, amount in value.items()
        }

    def deserialize(self, value: Mapping[str, Mapping[str, str]]) -> dict[Bucket, int]:
        return {
            Bucket(date(int(key[:4]), int(key[4:6]), int(key[6:8])), paid=key[8] == "p"): int(number["N"])
            for key, number in value.items()
        }


class AmountsAttribute(Attribute["Mapping[datetime, int]"]):
    """Amounts by instant."""

    attr_type = MAP

    def serialize(self, value: Mapping[datetime, int]) -> dict[str, dict[str, str]]:
        return {instant(at): {"N": str(amount)} for at, amount in value.items()}

    def deserialize(self, value: Mapping[str, Mapping[str, str]]) -> dict[datetime, int]:
        return {datetime.fromisoformat(at): int(number["N"]) for at, number in value.items()}


class TextsAttribute(Attribute["Mapping[str, str]"]):
    attr_type = MAP

    def serialize(self, value: Mapping[str, str]) -> dict[str, dict[str, str]]:
        return {key: {"S": text} for key, text in value.items()}

    def deserialize(self, value: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        return {key: text["S"] for key, text in value.items()}


class ByTime(LocalSecondaryIndex["EntryRow"]):
    class Meta:
        index_name = "by_time"
        projection = AllProjection()

    pk = UnicodeAttribute(hash_key=True)
    time_key = UnicodeAttribute(range_key=True)


class GrantDue(GlobalSecondaryIndex["AccountRow"]):
    class Meta:
        index_name = "grant_due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    grant_due = UnicodeAttribute(range_key=True)


class ExpiryDue(GlobalSecondaryIndex["AccountRow"]):
    class Meta:
        index_name = "expiry_due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    expiry_due = UnicodeAttribute(range_key=True)


class NoticeDue(GlobalSecondaryIndex["AccountRow"]):
    class Meta:
        index_name = "notice_due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    notice_due = UnicodeAttribute(range_key=True)


class BadgeDue(GlobalSecondaryIndex["AccountRow"]):
    class Meta:
        index_name = "badge_due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    badge_due = UnicodeAttribute(range_key=True)


class PurchaseDue(GlobalSecondaryIndex["PurchaseRow"]):
    class Meta:
        index_name = "purchase_due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    purchase_due = UnicodeAttribute(range_key=True)


class JobDue(GlobalSecondaryIndex["Row"]):
    class Meta:
        index_name = "job_due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    job_due = UnicodeAttribute(range_key=True)


class Row(Model):
    """What every item has. Bound to a table by `shared.store.table.Table`."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)

    # All are declared here because pynamodb takes a connection's index names from one class.
    by_time = ByTime()
    by_grant_due = GrantDue()
    by_expiry_due = ExpiryDue()
    by_notice_due = NoticeDue()
    by_badge_due = BadgeDue()
    by_purchase_due = PurchaseDue()
    by_job_due = JobDue()


class AccountRow(Row):
    kind = UnicodeAttribute()
    plan = UnicodeAttribute()
    plan_as_of = InstantAttribute(null=True)
    joined_on = DateAttribute()
    lots = LotsAttribute()
    held = WholeAttribute(null=True)
    frozen = BooleanAttribute(null=True)
    version = WholeAttribute()
    seq = WholeAttribute()
    last_at = InstantAttribute(null=True)
    granted_month = DateAttribute(null=True)
    granted_plan = UnicodeAttribute(null=True)
    interviews = AmountsAttribute(null=True)
    shard = UnicodeAttribute()
    grant_due = DateAttribute(null=True)
    expiry_due = DateAttribute(null=True)
    notice_due = DateAttribute(null=True)
    badge_max = WholeAttribute(null=True)
    badge_paid_until = InstantAttribute(null=True)
    badge_due = InstantAttribute(null=True)
    """There while it is on."""

    @staticmethod
    def values(account: Account) -> dict[str, Any]:
        """What of an account can change, by attribute; None is stored as no attribute at all."""
        return {
            "plan": account.plan.value,
            "plan_as_of": account.plan_as_of,
            "lots": account.lots,
            "held": account.held or None,
            "frozen": account.frozen or None,
            "seq": account.seq,
            "last_at": account.last_at,
            "granted_month": account.granted_month,
            "granted_plan": account.granted_plan and account.granted_plan.value,
            "interviews": account.interviews or None,
            "grant_due": account.grant_due,
            "expiry_due": account.expiry_due,
            "notice_due": account.notice_due,
            "badge_max": account.badge and account.badge.max_per_week,
            "badge_paid_until": account.badge and account.badge.paid_until,
            "badge_due": account.badge and account.badge.renews_at,
        }

    def account(self) -> Account:
        return Account(
            account_id=self.pk,
            kind=Kind(self.kind),
            plan=Plan(self.plan),
            plan_as_of=self.plan_as_of,
            joined_on=self.joined_on,
            lots=self.lots,
            held=self.held or 0,
            frozen=bool(self.frozen),
            version=self.version,
            seq=self.seq,
            last_at=self.last_at,
            granted_month=self.granted_month,
            granted_plan=Plan(self.granted_plan) if self.granted_plan else None,
            interviews=self.interviews or {},
            grant_due=self.grant_due,
            expiry_due=self.expiry_due,
            notice_due=self.notice_due,
            badge=self._badge(),
        )

    def _badge(self) -> Badge | None:
        if not self.badge_max:
            return None
        return Badge(self.badge_due is not None, self.badge_max, self.badge_paid_until)


class EntryRow(Row):
    time_key = UnicodeAttribute()
    seq = WholeAttribute()
    at = InstantAttribute()
    recorded_at = InstantAttribute()
    type = UnicodeAttribute()
    amount = WholeAttribute()
    balance_after = WholeAttribute()
    slices = LotsAttribute()
    reason = UnicodeAttribute()
    reference = TextsAttribute()
    actor = UnicodeAttribute()
    fingerprint = UnicodeAttribute()

    @staticmethod
    def values(entry: Entry) -> dict[str, Any]:
        return {
            "pk": entry.account_id,
            "sk": entry_sk(entry.entry_id),
            "time_key": time_key(entry),
            "seq": entry.seq,
            "at": entry.at,
            "recorded_at": entry.recorded_at,
            "type": entry.type.value,
            "amount": entry.amount,
            "balance_after": entry.balance_after,
            "slices": entry.slices,
            "reason": entry.reason,
            "reference": entry.reference,
            "actor": entry.actor,
            "fingerprint": entry.fingerprint,
        }


def entry_from(item: Mapping[str, Any]) -> Entry:
    """An entry from an item as DynamoDB sends it: by way of a model, a page of history takes half as long again."""
    return Entry(
        entry_id=item["sk"]["S"].removeprefix(entry_sk("")),
        account_id=item["pk"]["S"],
        seq=int(item["seq"]["N"]),
        at=datetime.fromisoformat(item["at"]["S"]),
        recorded_at=datetime.fromisoformat(item["recorded_at"]["S"]),
        type=EntryType(item["type"]["S"]),
        amount=int(item["amount"]["N"]),
        balance_after=int(item["balance_after"]["N"]),
        slices=EntryRow.slices.deserialize(item["slices"]["M"]),
        reason=item["reason"]["S"],
        reference=EntryRow.reference.deserialize(item["reference"]["M"]),
        actor=item["actor"]["S"],
        fingerprint=item["fingerprint"]["S"],
    )


class ClaimRow(Row):
    holder = UnicodeAttribute()
    fingerprint = UnicodeAttribute()
    answer = UnicodeAttribute(null=True)

    def claim(self) -> Claim:
        return Claim(self.sk.removeprefix(claim_sk("")), self.holder, self.fingerprint, self.answer)


class NoticeRow(Row):
    at = InstantAttribute()
    facts = JSONAttribute()

    @staticmethod
    def values(notice: Notice) -> dict[str, Any]:
        return {
            "pk": notice.account_id,
            "sk": notice_sk(notice.kind, notice.about),
            "at": notice.at,
            "facts": dict(notice.facts),
        }

    def notice(self) -> Notice:
        _, kind, about = self.sk.split("#", 2)
        return Notice(self.pk, kind, about, self.at, self.facts)


class PurchaseRow(Row):
    shard = UnicodeAttribute()
    purchase_due = InstantAttribute(null=True)
    state = UnicodeAttribute()
    quantity = WholeAttribute()
    amount_cents = WholeAttribute()
    currency = UnicodeAttribute()
    source = UnicodeAttribute()
    created_at = InstantAttribute()
    actor = UnicodeAttribute()
    fingerprint = UnicodeAttribute()
    attempt = WholeAttribute()
    checks = WholeAttribute()
    answered_pending = BooleanAttribute()
    declined_because = UnicodeAttribute()
    promo_code = UnicodeAttribute(null=True)
    promo_refused = UnicodeAttribute(null=True)
    revision = WholeAttribute()

    @staticmethod
    def values(purchase: Purchase) -> dict[str, Any]:
        return {
            "pk": purchase.account_id,
            "sk": purchase_sk(purchase.purchase_id),
            "purchase_due": purchase.due_at,
            "state": purchase.state.value,
            "quantity": purchase.quantity,
            "amount_cents": purchase.amount_cents,
            "currency": purchase.currency,
            "source": purchase.source.value,
            "created_at": purchase.created_at,
            "actor": purchase.actor,
            "fingerprint": purchase.fingerprint,
            "attempt": purchase.attempt,
            "checks": purchase.checks,
            "answered_pending": purchase.answered_pending,
            "declined_because": purchase.declined_because,
            "promo_code": purchase.promo_code,
            "promo_refused": purchase.promo_refused,
            "revision": purchase.revision,
        }

    def purchase(self) -> Purchase:
        return Purchase(
            account_id=self.pk,
            purchase_id=self.sk.removeprefix(purchase_sk("")),
            state=PurchaseState(self.state),
            quantity=self.quantity,
            amount_cents=self.amount_cents,
            currency=self.currency,
            source=PaymentSource(self.source),
            created_at=self.created_at,
            actor=self.actor,
            fingerprint=self.fingerprint,
            attempt=self.attempt,
            checks=self.checks,
            due_at=self.purchase_due,
            answered_pending=self.answered_pending,
            declined_because=self.declined_because,
            promo_code=self.promo_code,
            promo_refused=self.promo_refused,
            revision=self.revision,
        )
