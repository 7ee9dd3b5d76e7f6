"""Numbers that change while accounts live: what was given by the old ones stays, and what comes is by the new ones."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from shared.ledger.badges import SwitchBadge, price_for
from shared.ledger.calendar import AnchorPolicy, cycle_of_month
from shared.ledger.credits import Credit
from shared.ledger.errors import LedgerError
from shared.ledger.expiry_notices import NotifyExpiring
from shared.ledger.model import EntryType, Plan, Request
from shared.ledger.policy import MAX_AMOUNT, Policy
from tests.core.builders import DEFAULT, QUIET, Book, free, start_of
from tests.parameters import ENDS, policy_of

ISSUED = date(2026, 1, 9)
GONE = date(2027, 1, 10)


def issued(policy=QUIET, amount=10) -> Book:
    book = Book.opened(ISSUED, policy=policy)
    book.credit(amount)
    return book


def under(book: Book, **numbers) -> Book:
    book.policy = replace(book.policy, **numbers)
    return book


def aheads(book: Book) -> list[int]:
    return [int(notice.facts["days_ahead"]) for notice in book.notices]


def look_daily(book: Book, until: date) -> None:
    while book.now.date() < until:
        book.at(book.now + timedelta(1)).do(NotifyExpiring())


# --- Days ahead ---


def test_a_day_that_is_configured_later_has_notices_for_lots_that_exist_already():
    book = under(issued(), expiry_notice_days=(60, 30, 7, 1))
    assert book.account.notice_due == GONE - timedelta(30)
    book.do(NotifyExpiring())
    assert book.account.notice_due == GONE - timedelta(60)
    look_daily(book, GONE)
    assert aheads(book) == [60, 30, 7, 1]


def test_a_day_that_had_passed_when_it_was_configured_has_no_notice():
    book = issued().at(GONE - timedelta(45))
    under(book, expiry_notice_days=(60, 30, 7, 1)).do(NotifyExpiring())
    look_daily(book, GONE)
    assert aheads(book) == [30, 7, 1]


def test_a_day_that_is_no_longer_configured_has_no_notice():
    book = under(issued(), expiry_notice_days=(7,))
    look_daily(book, GONE)
    assert aheads(book) == [7]


def test_a_change_of_the_days_repeats_no_notice():
    book = issued().at(GONE - timedelta(31))
    look_daily(book, GONE - timedelta(30))
    under(book, expiry_notice_days=(30, 14, 7, 1))
    look_daily(book, GONE)
    assert aheads(book) == [30, 14, 7, 1]


def test_a_run_under_the_same_days_changes_nothing():
    book = issued()
    before = book.account
    book.do(NotifyExpiring())
    assert book.account == before


# --- Cycles ---

CLAMP, NEXT = AnchorPolicy.CLAMP, AnchorPolicy.FIRST_OF_NEXT


def joined_on_31(policy: AnchorPolicy) -> Book:
    return Book.opened("2026-01-31", policy=replace(DEFAULT, sign_up=0, anchor_policy=policy))


def cycles(book: Book) -> list[tuple[str, str]]:
    return [(entry.reference["cycle"], entry.at.date().isoformat()) for entry in book.of_type(EntryType.GRANT)]


def test_a_cycle_that_begins_earlier_by_the_new_anchor_policy_is_granted_on_its_new_day():
    book = joined_on_31(NEXT).at("2026-02-10")
    assert book.account.grant_due == date(2026, 3, 1)
    under(book, anchor_policy=CLAMP).at(start_of("2026-02-28"))
    assert book.shown.balance == 20
    book.settle()
    assert cycles(book) == [("2026-01", "2026-01-31"), ("2026-02", "2026-02-28")]
    assert book.account.grant_due == date(2026, 3, 31)


def test_a_cycle_that_begins_later_by_the_new_anchor_policy_waits_for_its_new_day():
    book = joined_on_31(CLAMP).at("2026-02-10")
    assert book.account.grant_due == date(2026, 2, 28)
    under(book, anchor_policy=NEXT).at("2026-02-28").settle()
    assert cycles(book) == [("2026-01", "2026-01-31")]
    assert book.account.grant_due == date(2026, 3, 1)
    book.at(start_of("2026-03-01")).settle()
    assert cycles(book)[1:] == [("2026-02", "2026-03-01")]


@pytest.mark.parametrize(("old", "new"), [(CLAMP, NEXT), (NEXT, CLAMP)])
@pytest.mark.parametrize(
    "changed_on", ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-31", "2026-04-30", "2026-05-01"]
)
def test_whenever_the_anchor_policy_changes_each_cycle_is_granted_once(old, new, changed_on):
    book = joined_on_31(old).at(changed_on)
    book.settle()
    under(book, anchor_policy=new).settle()
    book.at("2026-07-01").settle()
    assert [cycle for cycle, _ in cycles(book)] == [f"2026-{month:02}" for month in range(1, 7)]
    late = [
        entry for entry in book.of_type(EntryType.GRANT) if entry.recorded_at.date() > date.fromisoformat(changed_on)
    ]
    for entry in late:
        month = date.fromisoformat(entry.reference["cycle"] + "-01")
        assert entry.at.date() == cycle_of_month(month, 31, new).starts_on


def test_the_key_of_the_index_is_at_most_one_day_late_if_the_account_was_not_visited_since():
    """What is found a day late is dated on its day: the index is a hint."""
    for month in range(1, 13):
        for day in (29, 30, 31):
            first = date(2027, month, 1)
            starts = [cycle_of_month(first, day, policy).starts_on for policy in (CLAMP, NEXT)]
            assert timedelta(0) <= starts[1] - starts[0] <= timedelta(1)


# --- Lots ---


def test_lots_keep_their_day_of_expiry_when_the_lifetime_changes():
    book = under(issued(), lot_lifetime_months=1)
    book.credit(5)
    under(book, lot_lifetime_months=60)
    book.credit(3)
    assert book.account.lots == {free("2027-01-10"): 10, free("2026-02-10"): 5, free("2031-01-10"): 3}
    rows = book.at("2032-01-01").settle()
    assert [(row.at, row.amount) for row in rows] == [
        (start_of("2026-02-10"), -5),
        (start_of("2027-01-10"), -10),
        (start_of("2031-01-10"), -3),
    ]


def test_a_lot_with_a_shorter_lifetime_is_found_when_it_expires_and_has_its_notice_before():
    """Also if nothing was left, and the due dates were set for a lot that lives as long as those before."""
    book = issued().at(GONE)
    book.do(NotifyExpiring())
    assert book.account.expiry_due == date(2028, 1, 11)
    under(book, lot_lifetime_months=1).credit(5)
    assert (book.account.expiry_due, book.account.notice_due) == (date(2027, 2, 11), date(2027, 1, 12))
    look_daily(book, date(2027, 2, 11))
    assert aheads(book) == [30, 7, 1]
    assert [row.at for row in book.of_type(EntryType.EXPIRY)][1:] == [start_of("2027-02-11")]


def test_a_refund_lasts_as_many_days_of_grace_as_are_configured_then():
    book = issued()
    spent = book.spend(10)
    under(book, refund_grace_days=3).at(GONE)
    book.refund(spent)
    assert book.account.lots == {free(GONE + timedelta(3)): 10}


# --- Amounts and prices ---


def test_what_was_granted_stays_and_new_grants_are_of_the_new_amount():
    book = Book.opened(ISSUED)
    under(book, sign_up=0, monthly_basic=3).at("2026-02-09").settle()
    assert [entry.amount for entry in book.of_type(EntryType.GRANT)] == [40, 10, 3]


def test_a_cap_that_is_lowered_takes_nothing_back_and_lets_nothing_more_through():
    book = issued(amount=40)
    spends = [book.spend(8), book.spend(8)]
    book.interview(spends[0])
    under(book, interview_cap=10)
    with pytest.raises(LedgerError) as refused:
        book.interview(spends[1])
    assert refused.value.code == "reward_cap_reached"
    assert book.account.balance == 40 - 16 + 10


def test_a_badge_that_is_on_renews_at_the_current_price_whatever_the_bounds_were():
    book = issued()
    book.switch_badge(most=5, price=4)
    under(book, badge_min_price=1, badge_max_price=2)
    book.at(book.now + timedelta(7)).renew_badge(price=price_for(0, book.policy))
    assert [entry.amount for entry in book.of_type(EntryType.SPEND)] == [-4, -1]


# --- Any of them ---


def lived(book: Book) -> None:
    """An account in which every date and every sum is set."""
    for act in (
        lambda: book.interview(book.spend(min(8, book.account.balance))),
        lambda: book.do(SwitchBadge(True, MAX_AMOUNT, 1, Request("badge", "", "", "account:ann"))),
        lambda: book.change_plan(Plan.PLUS),
        lambda: book.do(Credit(EntryType.PURCHASE, 20, True, "Bought", {}, book.request("buy"))),
        lambda: book.renew_badge(price=1),
    ):
        try:
            act()
        except LedgerError:
            continue


def check_dates(book: Book) -> None:
    """No due date in an index is later than the work for which it is, by the current policy."""
    account, policy, today = book.account, book.policy, book.now.date()
    expiries = {bucket.expires_on for bucket in account.lots}
    assert all(account.expiry_due <= day for day in expiries)
    days = [day - timedelta(ahead) for day in expiries for ahead in policy.expiry_notice_days]
    assert all(account.notice_due <= day for day in days if day > today)
    month = account.granted_month
    assert account.grant_due == cycle_of_month(month, account.joined_on.day, policy.anchor_policy).next_starts_on


@pytest.mark.parametrize("back", [False, True], ids=["from the default", "to the default"])
@pytest.mark.parametrize(("parameter", "value"), ENDS)
def test_any_number_may_change_on_a_live_account(parameter, value, back):
    old, new = (policy_of(parameter, value), DEFAULT) if back else (Policy(), policy_of(parameter, value))
    book = Book.opened("2026-01-31", policy=old)
    book.credit(30)
    lived(book)
    book.at("2026-02-20")
    lived(book)
    book.policy = new
    book.do(NotifyExpiring())
    check_dates(book)
    for pause in (8, 25, 300, 400):
        lived(book)
        book.at(book.now + timedelta(pause)).do(NotifyExpiring())
        check_dates(book)
    names = [entry.reference["cycle"] for entry in book.of_type(EntryType.GRANT) if entry.reference["type"] == "cycle"]
    assert len(names) == len(set(names))
