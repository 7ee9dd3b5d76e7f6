"""How things are stored in the table: one item an account, one an entry, one a claim, one a purchase.

These are the account's; all items of the table are listed in ``README.md`` beside this file.

================  =======================  ==========================================================
pk                sk                       what
================  =======================  ==========================================================
``<account id>``  ``ACCOUNT``              the account as of its last change
``<account id>``  ``ENTRY#<entry id>``     a row of the journal, which is also its key's idempotency record
``<account id>``  ``CLAIM#<name>``         what happens once for ever (opening, an interview); what came back of a spend
``<account id>``  ``PURCHASE#<id>``        a purchase and where it has got to
``<account id>``  ``NOTICE#<kind>#<of>``   something that the owner is told once, for the outbox
``<account id>``  ``AUDIT``                how far an audit that takes long has got, or what it found
================  =======================  ==========================================================

``by_time`` (local, so that it reads what was just written) lists an account's entries in the order of time. The
``*_due`` indexes are global, sparse and KEYS_ONLY, spread over ``shard``: they name accounts, purchases and jobs that
there is work for, and the item itself decides.
"""

from __future__ import annotations

import zlib
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from pynamodb.attributes import Attribute, BooleanAttribute, JSONAttribute, UnicodeAttribute
from pynamodb.constants import MAP, NUMBER, STRING
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection, LocalSecondaryIndex
from pynamodb.models import Model

from shared.ledger.interviews import InterviewAward
from shared.ledger.model import (
    Account,
    Badge,
    Bucket,
    Claim,
    Entry,
    EntryType,
    Granted,
    Kind,
    Notice,
    Plan,
    PlanChange,
    Status,
)
from shared.ledger.purchases import PaymentSource, Purchase, PurchaseState

if TYPE_CHECKING:
    from collections.abc import Mapping

V = TypeVar("V", bound=StrEnum)
N = TypeVar("N", PlanChange, Status)

ACCOUNT_SK = "ACCOUNT"
NOTICES = "NOTICE#"
EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
NEWEST_INTERVIEWS = 5
"""What the default cap lets into one window."""
INTERVIEWS = frozenset({"interviews", "interviews_before"})
"""Attributes of an account that are written together: an earlier release may have divided the same otherwise."""


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


def known(values: type[V], text: str) -> V | str:
    """One of these values, or the text itself: a newer release that was taken back may have written another.

    Only for what nothing is decided by. An account of a plan, say, that is not known is not to be read as any other.
    """
    try:
        return values(text)
    except ValueError:
        return text


class WholeAttribute(Attribute[int]):
    """A whole number; pynamodb's own goes by way of JSON, at ten times the cost, and calls it a float."""

    attr_type = NUMBER

    def serialize(self, value: int) -> str:
        return str(value)

    def deserialize(self, value: str) -> int:
        return int(value)


def time_key(entry: Entry) -> str:
    """An entry's place in the order of time, whether it is written yet or not."""
    return f"{instant(entry.at)}#{entry.seq:010d}"


def place_before(key: str) -> str:
    """The last place in the order of time that lies before this one: no two entries of an account have one ``seq``."""
    at, _, seq = key.partition("#")
    return f"{at}#{int(seq) - 1:010d}"


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


class InterviewsAttribute(Attribute["tuple[InterviewAward, ...]"]):
    """``mi8k3x9a:a mia1b2c3:k:4fti4g``: the last instant, the amount, and how long before it the first one was.

    All in numbers to the base of 36, instants in milliseconds: a third of the bytes of a map.
    """

    attr_type = STRING

    def serialize(self, value: tuple[InterviewAward, ...]) -> str:
        return " ".join(map(_to_text, value))

    def deserialize(self, value: str) -> tuple[InterviewAward, ...]:
        return tuple(map(_from_text, value.split()))


def _to_text(brought: InterviewAward) -> str:
    took = (brought.last - brought.first) // MILLISECOND
    numbers = [(brought.last - EPOCH) // MILLISECOND, brought.amount, *([took] if took else [])]
    return ":".join(map(_base_36, numbers))


def _from_text(text: str) -> InterviewAward:
    last, amount, took = (int(number, 36) for number in f"{text}:0".split(":")[:3])
    return InterviewAward(EPOCH + (last - took) * MILLISECOND, EPOCH + last * MILLISECOND, amount)


def _base_36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return digits or "0"


class AmountsAttribute(Attribute["Mapping[datetime, int]"]):
    """Amounts by instant."""

    attr_type = MAP

    def serialize(self, value: Mapping[datetime, int]) -> dict[str, dict[str, str]]:
        return {instant(at): {"N": str(amount)} for at, amount in value.items()}

    def deserialize(self, value: Mapping[str, Mapping[str, str]]) -> dict[datetime, int]:
        return {datetime.fromisoformat(at): int(number["N"]) for at, number in value.items()}


class NewsAttribute(Attribute["Mapping[datetime, N]"]):
    """``{"1795341600123": "p"}``: what was told, as a letter, by the millisecond at which it happened.

    So short because it is part of every write of the account, of which DynamoDB bills each 1 KB.
    """

    attr_type = MAP

    def __init__(self, letters: Mapping[N, str]) -> None:
        super().__init__(null=True)
        self._letters: Mapping[N, str] = letters
        self._news: dict[str, N] = {letter: news for news, letter in letters.items()}

    def serialize(self, value: Mapping[datetime, N]) -> dict[str, dict[str, str]]:
        return {str((at - EPOCH) // MILLISECOND): {"S": self._letters[news]} for at, news in value.items()}

    def deserialize(self, value: Mapping[str, Mapping[str, str]]) -> dict[datetime, N]:
        return {EPOCH + int(ms) * MILLISECOND: self._news[letter["S"]] for ms, letter in value.items()}


class GrantedAttribute(Attribute["Mapping[date, Granted]"]):
    """``{"2026-11": "basic/22/73"}``: the plan (``-``: none), the days left at the upgrade, and what came in all."""

    attr_type = MAP

    def serialize(self, value: Mapping[date, Granted]) -> dict[str, dict[str, str]]:
        return {
            f"{month:%Y-%m}": {"S": f"{granted.plan or '-'}/{granted.upgraded_days}/{granted.amount}"}
            for month, granted in value.items()
        }

    def deserialize(self, value: Mapping[str, Mapping[str, str]]) -> dict[date, Granted]:
        return {date.fromisoformat(f"{month}-01"): self._granted(text["S"]) for month, text in value.items()}

    def _granted(self, text: str) -> Granted:
        plan, days, amount = text.split("/")
        return Granted(None if plan == "-" else Plan(plan), int(days), int(amount))


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
    plans = NewsAttribute({PlanChange.BASIC: "b", PlanChange.BASIC_NOW: "n", PlanChange.PLUS: "p"})
    statuses = NewsAttribute({Status.ACTIVE: "a", Status.SUSPENDED: "s", Status.CLOSED: "c"})
    joined_on = DateAttribute()
    lots = LotsAttribute()
    held = WholeAttribute(null=True)
    frozen = BooleanAttribute(null=True)
    version = WholeAttribute()
    seq = WholeAttribute()
    last_at = InstantAttribute(null=True)
    granted_month = DateAttribute(null=True)
    granted = GrantedAttribute(null=True)
    granted_plan = UnicodeAttribute(null=True)
    """In its place an older release has the best plan that the newest cycle was granted for."""
    interviews = AmountsAttribute(null=True)
    """The newest, in the form that earlier releases read: one that is deployed again goes on counting them."""
    interviews_before = InterviewsAttribute(null=True)
    """The others."""
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
            "plan_as_of": account.opened_at,
            "plans": account.plans or None,
            "statuses": account.statuses or None,
            "lots": account.lots,
            "held": account.held or None,
            "frozen": account.frozen or None,
            "seq": account.seq,
            "last_at": account.last_at,
            "granted_month": account.granted_month,
            "granted": account.granted or None,
            "interviews": {each.last: each.amount for each in _newest(account)} or None,
            "interviews_before": tuple(each for each in account.interviews if each not in _newest(account)) or None,
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
            opened_at=self.plan_as_of,
            plans=self.plans or {},
            statuses=self.statuses or {},
            joined_on=self.joined_on,
            lots=self.lots,
            held=self.held or 0,
            frozen=bool(self.frozen),
            version=self.version,
            seq=self.seq,
            last_at=self.last_at,
            granted_month=self.granted_month,
            granted=self.granted or self._granted_before(),
            interviews=self._interviews(),
            grant_due=self.grant_due,
            expiry_due=self.expiry_due,
            notice_due=self.notice_due,
            badge=self._badge(),
        )

    def _interviews(self) -> tuple[InterviewAward, ...]:
        newest = [InterviewAward(at, at, amount) for at, amount in (self.interviews or {}).items()]
        return tuple(sorted([*(self.interviews_before or ()), *newest]))

    def _granted_before(self) -> dict[date, Granted]:
        if not self.granted_month or not self.granted_plan:
            return {}
        return {self.granted_month: Granted(Plan(self.granted_plan))}

    def _badge(self) -> Badge | None:
        if not self.badge_max:
            return None
        return Badge(self.badge_due is not None, self.badge_max, self.badge_paid_until)


def _newest(account: Account) -> list[InterviewAward]:
    return [each for each in account.interviews[-NEWEST_INTERVIEWS:] if each.first == each.last]


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
            "type": str(entry.type),
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
        type=known(EntryType, item["type"]["S"]),
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


class RefundRow(ClaimRow):
    """That a spend was given back, first by ``holder``. Earlier releases find their claim and refuse another refund."""

    came_back = WholeAttribute(null=True)
    """How many of its Connects, by now. Earlier releases wrote none: then what ``holder`` gave back."""


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
            "source": str(purchase.source),
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
            source=known(PaymentSource, self.source),
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
