"""What must hold for every journal: computed from its rows alone, without the rules that wrote them."""

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from itertools import pairwise

from shared.ledger.badges import ONE_WEEK, is_badge
from shared.ledger.calendar import add_months, cycle_on, midnight
from shared.ledger.model import Entry, EntryType, Kind
from tests.core.builders import Book


def check_story(book: Book, opened_on: date) -> None:
    """Of a book that is settled."""
    check_balance(book)
    check_no_spend_took_what_had_expired(book)
    check_expiries_are_dated_at_their_instant(book, opened_on)
    check_each_cycle_came_once(book, opened_on)
    check_no_window_holds_more_than_the_cap(book)
    check_the_weeks_of_a_badge(book)
    check_holds(book)


def check_balance(book: Book) -> None:
    """The balance is what came and went in lots that have not expired, without regard to any expiry row."""
    today = book.now.date()
    left: Counter = Counter()
    for entry in book.entries:
        if entry.type is not EntryType.EXPIRY:
            left.update({bucket: amount for bucket, amount in entry.slices.items() if not bucket.expired(today)})
    assert book.account.balance == left.total()
    assert book.account.lots == {bucket: amount for bucket, amount in left.items() if amount}


def check_no_spend_took_what_had_expired(book: Book) -> None:
    for entry in [*book.of_type(EntryType.SPEND), *book.of_type(EntryType.HOLD), *book.of_type(EntryType.ADJUSTMENT)]:
        assert not any(bucket.expired(entry.at.date()) for bucket in entry.slices)


def check_expiries_are_dated_at_their_instant(book: Book, opened_on: date) -> None:
    came_on: dict[date, date] = {}
    for before, expiry in pairwise(book.entries):
        came_on |= {bucket.expires_on: before.at.date() for bucket, amount in before.slices.items() if amount > 0}
        if expiry.type is EntryType.EXPIRY:
            [expired_on] = {bucket.expires_on for bucket in expiry.slices}
            # Not before what it follows: a refund without grace, or an account opened late in a cycle.
            assert expiry.at == max(midnight(expired_on), before.at)
            # Nor before it came: a reward or a grant that is reported after its lot's whole life.
            assert expiry.at.date() == max(expired_on, opened_on, came_on[expired_on])


def check_each_cycle_came_once(book: Book, opened_on: date) -> None:
    policy, anchor = book.policy, book.account.joined_on.day
    amounts_of: dict[str, list[int]] = defaultdict(list)
    for entry in book.of_type(EntryType.GRANT):
        if "cycle" in entry.reference:
            amounts_of[entry.reference["cycle"]].append(entry.amount)
    assert all(sum(amounts) <= policy.monthly_plus for amounts in amounts_of.values())
    if book.account.kind is Kind.AGENCY:
        assert not book.of_type(EntryType.GRANT)
    elif policy.monthly_basic:
        month = cycle_on(opened_on, anchor, policy.anchor_policy).month
        last = cycle_on(book.now.date(), anchor, policy.anchor_policy).month
        passed = (last.year - month.year) * 12 + last.month - month.month
        came = [f"{add_months(month, number):%Y-%m}" for number in range(passed + 1)]
        # After a suspension, which ones were granted depends on when it was reported: see test_late_changes.
        assert amounts_of.keys() <= set(came) if book.account.statuses else list(amounts_of) == came


def interviews(book: Book) -> list[Entry]:
    return [entry for entry in book.entries if entry.reference.get("type") == "interview"]


def left_for_interviews(book: Book, at: datetime) -> int:
    """How much an interview of then may still bring: by the journal alone, from the fullest window with it in."""
    window = timedelta(days=book.policy.interview_window_days)
    instants = [at, *(when(entry) for entry in interviews(book))]
    starts = [start for start in instants if at - window < start <= at]
    return max(0, book.policy.interview_cap - max(_awarded_from(book, start) for start in starts))


def check_no_window_holds_more_than_the_cap(book: Book) -> None:
    for entry in interviews(book):
        assert _awarded_from(book, when(entry)) <= book.policy.interview_cap


def when(entry: Entry) -> datetime:
    """When an interview was, which may have been reported late."""
    return datetime.fromisoformat(entry.reference["at"]) if "at" in entry.reference else entry.at


def _awarded_from(book: Book, start: datetime) -> int:
    end = start + timedelta(days=book.policy.interview_window_days)
    return sum(entry.amount for entry in interviews(book) if start <= when(entry) < end)


def check_the_weeks_of_a_badge(book: Book) -> None:
    """Each began when it was switched on or a whole number of weeks after the one before, and was charged within it."""
    weeks = [(starts_at(entry), entry.recorded_at) for entry in book.entries if is_badge(entry)]
    for (before, _), (start, recorded_at) in pairwise(weeks):
        assert start == recorded_at or (start - before) % ONE_WEEK == timedelta(0)
        assert before + ONE_WEEK <= start <= recorded_at < start + ONE_WEEK


def check_holds(book: Book) -> None:
    """What was held came back or was paid, all of it and once, or is held still; what was paid may come back later."""
    held: Counter = Counter()
    paid: Counter = Counter()
    for entry in book.entries:
        hold_id = entry.reference.get("hold_id")
        if entry.type is EntryType.HOLD or entry.type is EntryType.RELEASE:
            held[hold_id] -= entry.amount
        elif entry.type is EntryType.CAPTURE:
            assert held[hold_id] == int(entry.reference["bid"]) > 0
            paid[hold_id] += held.pop(hold_id)
        elif entry.type is EntryType.REFUND and hold_id:
            paid[hold_id] -= entry.amount
        assert held[hold_id] >= 0
        assert paid[hold_id] >= 0
    assert book.account.held == held.total()
    spent = sum(entry.amount for entry in book.entries if entry.reference.get("hold_id"))
    assert spent == -held.total() - paid.total()


def starts_at(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry.reference["starts_at"])


def week_paid_for(book: Book) -> Entry | None:
    """The badge's week that it is now, if it was paid for."""
    weeks = [entry for entry in book.entries if is_badge(entry)]
    return next((entry for entry in weeks if starts_at(entry) <= book.now < starts_at(entry) + ONE_WEEK), None)
