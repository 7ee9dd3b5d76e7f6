"""How an account is stored in the table: an item of its own, and beside it one for each entry, claim and notice.

These are the account's; all items of the table are listed in ``README.md`` beside this file.

================  =======================  ==========================================================
pk                sk                       what
================  =======================  ==========================================================
``<account id>``  ``ACCOUNT``              the account as of its last change
``<account id>``  ``ENTRY#<entry id>``     a row of the journal, which is also its key's idempotency record
``<account id>``  ``CLAIM#<name>``         what happens once for ever (opening, an interview); what came back of a spend
``<account id>``  ``PURCHASE#<id>``        a purchase and where it has got to (`shared.store.purchases`)
``<account id>``  ``NOTICE#<kind>#<of>``   a notice to the owner, sent once, for the outbox
``<account id>``  ``BILLING``              which saved payment method it pays with (`shared.store.billing`)
``<account id>``  ``AUDIT``                how far an audit that takes long has got, or what it found
================  =======================  ==========================================================

``by_time`` (local, so that it reads what was just written) lists an account's entries in the order of time. The
``*_due`` indexes are global, sparse and KEYS_ONLY, spread over ``shard``: they name accounts, purchases and jobs that
there is work for, and the item itself decides.
"""

from __future__ import annotations

import zlib
from dataclasses import MISSING, fields
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pynamodb.attributes import Attribute, BooleanAttribute, JSONAttribute, UnicodeAttribute
from pynamodb.constants import MAP, NUMBER, STRING
from pynamodb.indexes import (
    AllProjection,
    GlobalSecondaryIndex,
    Index,
    KeysOnlyProjection,
    LocalSecondaryIndex,
    Projection,
)
from pynamodb.models import Model

from shared.ledger.interviews import InterviewAward
from shared.ledger.model import (
    Account,
    Badge,
    Bucket,
    Claim,
    Debt,
    Entry,
    EntryType,
    Granted,
    Kind,
    Notice,
    Plan,
    PlanChange,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pynamodb.expressions.update import Action

K = TypeVar("K", bound=Index[Any])
V = TypeVar("V", bound=StrEnum)
N = TypeVar("N", PlanChange, Status)

ACCOUNT_SK = "ACCOUNT"
NOTICES = "NOTICE#"
EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
NEWEST_INTERVIEWS = 5
"""As many as the default cap lets into one window."""
INTERVIEWS = frozenset({"newest_interviews", "earlier_interviews"})
"""Attributes of an account that are written together: an earlier release may have divided the same otherwise."""


def entry_sk(entry_id: str) -> str:
    return f"ENTRY#{entry_id}"


def claim_sk(name: str) -> str:
    return f"CLAIM#{name}"


def notice_sk(kind: str, about: str) -> str:
    return f"{NOTICES}{kind}#{about}"


def shard_of(account_id: str, shards: int) -> str:
    """The partition of the due indexes that an account belongs to; the same in every process."""
    return str(zlib.crc32(account_id.encode()) % shards)


def instant(at: datetime) -> str:
    """``2026-11-22T10:00:00.123Z``: sorts as text in the order of time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class EnumAttribute(Attribute[V]):
    """One of these values. Any other text is an error: an account of an unknown plan is not to be taken for another."""

    attr_type = STRING

    def __init__(self, values: type[V]) -> None:
        super().__init__()
        self._values = values

    def serialize(self, value: V) -> str:
        return str(value)

    def deserialize(self, value: str) -> V:
        return self._values(value)


class OpenEnumAttribute(EnumAttribute[V]):
    """One of these values, or the text itself: a newer release that was taken back may have written another.

    Only for what no decision depends on.
    """

    def deserialize(self, value: str) -> Any:  # noqa: ANN401 - one of the values, or a text
        try:
            return super().deserialize(value)
        except ValueError:
            return value


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
    """``{"1795341600123": "p"}``: a change of plan or status, as a letter, by the millisecond at which it happened.

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


class DebtsAttribute(Attribute["tuple[Debt, ...]"]):
    """``<purchase id>:10 <purchase id>:30``, the oldest debt first: a map would keep no order."""

    attr_type = STRING

    def serialize(self, value: tuple[Debt, ...]) -> str:
        return " ".join(f"{debt.purchase_id}:{debt.left}" for debt in value)

    def deserialize(self, value: str) -> tuple[Debt, ...]:
        parts = (each.partition(":") for each in value.split())
        return tuple(Debt(purchase_id, int(left)) for purchase_id, _, left in parts)


class TextsAttribute(Attribute["Mapping[str, str]"]):
    attr_type = MAP

    def serialize(self, value: Mapping[str, str]) -> dict[str, dict[str, str]]:
        return {key: {"S": text} for key, text in value.items()}

    def deserialize(self, value: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        return {key: text["S"] for key, text in value.items()}


def _index(kind: type[K], projection: type[Projection], name: str, hash_key: str, range_key: str) -> K:
    """An index as pynamodb declares it: a class of its own, of which it takes one instance."""
    keys = {hash_key: UnicodeAttribute(hash_key=True), range_key: UnicodeAttribute(range_key=True)}
    meta = type("Meta", (), {"index_name": name, "projection": projection()})
    index: K = type(name, (kind,), {"Meta": meta, **keys})()
    return index


def _due_index(name: str) -> GlobalSecondaryIndex[Any]:
    """By what is due, spread over ``shard``. It is named like the attribute that says since when."""
    return _index(GlobalSecondaryIndex, KeysOnlyProjection, name, "shard", name)


class Row(Model):
    """What every item has. Bound to a table by `shared.store.table.Table`."""

    record: ClassVar[type[Any]]
    """What an item of this kind holds: each attribute that is named like a field of it stores that field.

    Where the attribute may be missing (``null``), a field with its default value is stored as no attribute at all.
    """

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)

    # All are declared here because pynamodb takes a connection's index names from one class.
    by_time = _index(LocalSecondaryIndex, AllProjection, "by_time", "pk", "time_key")
    by_grant_due = _due_index("grant_due")
    by_expiry_due = _due_index("expiry_due")
    by_notice_due = _due_index("notice_due")
    by_badge_due = _due_index("badge_due")
    by_purchase_due = _due_index("purchase_due")
    by_job_due = _due_index("job_due")

    @classmethod
    def values(cls, record: Any) -> dict[str, Any]:  # noqa: ANN401 - an instance of `record`
        """What is stored of a record, by attribute; None is stored as no attribute at all."""
        return {
            name: None if (value := getattr(record, name)) == absent else value
            for name, absent in _stored_fields(cls).items()
        }

    def fields(self) -> dict[str, Any]:
        """What this item stores of its record, by field."""
        return {
            name: self.attribute_values[name] for name in _stored_fields(type(self)) if name in self.attribute_values
        }

    @classmethod
    def set_all(cls, values: Mapping[str, Any]) -> list[Action]:
        """Set each of these attributes, and remove those that are None."""
        attributes = cls.get_attributes()
        return [
            attributes[name].remove() if value is None else attributes[name].set(value)
            for name, value in values.items()
        ]


@cache
def _stored_fields(row: type[Row]) -> dict[str, Any]:
    """The fields of a record that its row stores, each with the value that is stored as no attribute at all."""
    attributes, stored = row.get_attributes(), {}
    for field in fields(row.record):
        if field.name in attributes:
            default = field.default if field.default_factory is MISSING else field.default_factory()
            stored[field.name] = default if attributes[field.name].null else MISSING
    return stored


class AccountRow(Row):
    record = Account

    kind = EnumAttribute(Kind)
    plan = EnumAttribute(Plan)
    opened_at = InstantAttribute(attr_name="plan_as_of", null=True)
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
    """An older release stored this in place of ``granted``: the best plan that the newest cycle was granted for."""
    newest_interviews = AmountsAttribute(attr_name="interviews", null=True)
    """In the form that earlier releases read: one that is deployed again goes on counting them."""
    earlier_interviews = InterviewsAttribute(attr_name="interviews_before", null=True)
    shard = UnicodeAttribute()
    grant_due = DateAttribute(null=True)
    expiry_due = DateAttribute(null=True)
    notice_due = DateAttribute(null=True)
    badge_max = WholeAttribute(null=True)
    badge_paid_until = InstantAttribute(null=True)
    badge_due = InstantAttribute(null=True)
    """Stored only while the badge is on."""
    owed = DebtsAttribute(null=True)

    @classmethod
    def values(cls, account: Account) -> dict[str, Any]:
        newest, badge = _newest(account), account.badge
        return super().values(account) | {
            "newest_interviews": {each.last: each.amount for each in newest} or None,
            "earlier_interviews": tuple(each for each in account.interviews if each not in newest) or None,
            "badge_max": badge and badge.max_per_week,
            "badge_paid_until": badge and badge.paid_until,
            "badge_due": badge and badge.renews_at,
        }

    def account(self) -> Account:
        newest = [InterviewAward(at, at, amount) for at, amount in (self.newest_interviews or {}).items()]
        badge = Badge(self.badge_due is not None, self.badge_max, self.badge_paid_until) if self.badge_max else None
        by_older_release = {}
        if self.granted_month and self.granted_plan:
            by_older_release = {"granted": {self.granted_month: Granted(Plan(self.granted_plan))}}
        return Account(
            account_id=self.pk,
            interviews=tuple(sorted([*(self.earlier_interviews or ()), *newest])),
            badge=badge,
            **by_older_release | self.fields(),
        )


def _newest(account: Account) -> list[InterviewAward]:
    return [each for each in account.interviews[-NEWEST_INTERVIEWS:] if each.first == each.last]


class EntryRow(Row):
    record = Entry

    time_key = UnicodeAttribute()
    seq = WholeAttribute()
    at = InstantAttribute()
    recorded_at = InstantAttribute()
    type = OpenEnumAttribute(EntryType)
    amount = WholeAttribute()
    balance_after = WholeAttribute()
    slices = LotsAttribute()
    reason = UnicodeAttribute()
    reference = TextsAttribute()
    actor = UnicodeAttribute()
    fingerprint = UnicodeAttribute()

    @classmethod
    def values(cls, entry: Entry) -> dict[str, Any]:
        keys = {"pk": entry.account_id, "sk": entry_sk(entry.entry_id), "time_key": time_key(entry)}
        return super().values(entry) | keys


def entry_from(item: Mapping[str, Any]) -> Entry:
    """An entry from an item as DynamoDB sends it: by way of a row it would take more than twice as long."""
    stored = {name: read(item[name][kind]) for name, kind, read in _entry_readers()}
    return Entry(entry_id=item["sk"]["S"].removeprefix(entry_sk("")), account_id=item["pk"]["S"], **stored)


@cache
def _entry_readers() -> list[tuple[str, str, Callable[[Any], Any]]]:
    """Of each field that an entry's row stores: its name, its type for DynamoDB, and how it is read."""
    attributes = EntryRow.get_attributes()
    return [(name, attributes[name].attr_type, attributes[name].deserialize) for name in _stored_fields(EntryRow)]


class ClaimRow(Row):
    record = Claim

    holder = UnicodeAttribute()
    fingerprint = UnicodeAttribute()
    answer = UnicodeAttribute(null=True)

    def claim(self) -> Claim:
        return Claim(self.sk.removeprefix(claim_sk("")), **self.fields())


class RefundRow(ClaimRow):
    """Says that a spend was refunded, first by ``holder``. An earlier release reads its own claim, and refuses more."""

    came_back = WholeAttribute(null=True)
    """How many of its Connects came back. Earlier releases wrote none: then as many as ``holder`` gave back."""


class NoticeRow(Row):
    record = Notice

    at = InstantAttribute()
    facts = JSONAttribute()

    @classmethod
    def values(cls, notice: Notice) -> dict[str, Any]:
        return super().values(notice) | {"pk": notice.account_id, "sk": notice_sk(notice.kind, notice.about)}

    def notice(self) -> Notice:
        _, kind, about = self.sk.split("#", 2)
        return Notice(self.pk, kind, about, **self.fields())
