"""What comes by itself: sign-up once, and each cycle's Connects exactly once, issued on its first day."""

from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.accounts import OpenAccount, open_account
from shared.ledger.calendar import ONE_DAY, AnchorPolicy, add_months, cycle_of_month, midnight
from shared.ledger.commands import Settle, decide
from shared.ledger.errors import InvalidRequestError
from shared.ledger.model import EntryType, Kind, Plan, Request, entry_id
from shared.ledger.policy import Policy
from shared.ledger.proposals import Spend
from shared.ledger.settling import SETTLED_AT_ONCE
from tests.core.builders import INSTANT, QUIET, Book, free, noon, paid, start_of

LONG_LIVED = Policy(lot_lifetime_months=60)
"""Nothing expires for 5 years, so that grants are all that falls due."""


def cycles_granted(book: Book) -> list[str]:
    return [entry.reference["cycle"] for entry in book.of_type(EntryType.GRANT) if "cycle" in entry.reference]


def test_sign_up_gives_a_freelancer_40_connects_and_the_first_cycle_10():
    book = Book.opened("2024-01-10")
    assert [(entry.type, entry.amount, entry.reference["type"]) for entry in book.entries] == [
        (EntryType.GRANT, 40, "sign_up"),
        (EntryType.GRANT, 10, "cycle"),
    ]
    assert book.account.lots == {free("2025-01-11"): 50}


def test_sign_up_connects_come_once_however_long_the_account_lives():
    book = Book.opened("2024-01-10").at("2029-01-10")
    book.settle()
    assert [entry.reference["type"] for entry in book.entries].count("sign_up") == 1


def test_sign_up_of_an_agency_gives_nothing_and_nothing_falls_due():
    book = Book.opened("2024-01-10", kind=Kind.AGENCY, plan=Plan.PLUS)
    assert (book.entries, book.account.grant_due) == ([], None)
    assert book.at("2026-01-10").settle() == []


def test_an_account_cannot_have_joined_tomorrow():
    command = OpenAccount("ann", Kind.FREELANCER, Plan.BASIC, date(2024, 1, 11), Request("open", "ann", "f", "service"))
    with pytest.raises(InvalidRequestError):
        open_account(command, noon("2024-01-10"), Policy())


def test_an_account_that_joined_long_ago_gets_the_current_cycle_and_none_before():
    book = Book.opened("2024-05-20", joined_on="2019-03-31")
    assert cycles_granted(book) == ["2024-04"]
    assert book.account.lots == {free("2025-05-21"): 40, free("2025-05-01"): 10}  # joined on a 31st: since 30 April
    assert book.account.grant_due == date(2024, 5, 31)


def test_the_account_on_plus_gets_100_of_which_10_are_free():
    book = Book.opened("2024-01-10", plan=Plan.PLUS)
    assert book.entries[-1].slices == {free("2025-01-11"): 10, paid("2025-01-11"): 90}
    book.at("2024-02-10").settle()
    assert book.entries[-1].slices == {free("2025-02-11"): 10, paid("2025-02-11"): 90}


@pytest.mark.parametrize("anchor_policy", AnchorPolicy)
def test_monthly_connects_are_granted_in_the_first_instant_of_a_cycle_and_not_before(anchor_policy):
    book = Book.opened("2024-01-31", policy=Policy(anchor_policy=anchor_policy))
    comes_on = cycle_of_month(date(2024, 2, 1), 31, anchor_policy).starts_on

    assert book.at(midnight(comes_on) - INSTANT).settle() == []
    [grant] = book.at(midnight(comes_on)).settle()
    assert (grant.at, grant.amount) == (midnight(comes_on), 10)


def test_a_late_run_issues_each_cycle_on_its_first_day_so_that_expiry_counts_from_there():
    book = Book.opened("2024-01-31", policy=Policy(sign_up=0)).at("2024-05-02")
    grants = book.settle()
    assert [entry.at for entry in grants] == [start_of(day) for day in ("2024-02-29", "2024-03-31", "2024-04-30")]
    assert book.account.lots == {
        free("2025-02-01"): 10,
        free("2025-03-01"): 10,
        free("2025-04-01"): 10,
        free("2025-05-01"): 10,
    }


def test_a_late_run_writes_when_it_ran_beside_when_it_took_effect():
    book = Book.opened("2024-01-10").at("2024-02-20")
    [grant] = book.settle()
    assert (grant.at, grant.recorded_at) == (start_of("2024-02-10"), noon("2024-02-20"))


def test_the_same_run_twice_gives_each_cycle_once():
    book = Book.opened("2024-01-10").at("2024-04-10")
    assert len(book.settle()) == 3
    assert book.settle() == []


def test_two_runs_that_read_the_same_state_write_entries_of_the_same_names():
    """So that whichever comes second finds what the first wrote, and does nothing."""
    book = Book.opened("2024-01-10")
    first, second = (decide(book.account, Settle(), noon(day), book.policy) for day in ("2024-02-10", "2024-02-11"))
    assert [entry.entry_id for entry in first.entries] == [entry.entry_id for entry in second.entries]
    assert first.entries[0].entry_id == entry_id("ann", "grant", "2024-02")


def test_catching_up_grants_by_the_plan_of_the_account():
    book = Book.opened("2024-01-10", plan=Plan.PLUS).at("2024-03-11")
    assert [entry.amount for entry in book.settle()] == [100, 100]


def test_catching_up_over_a_year_expires_what_expired_on_the_way():
    book = Book.opened("2022-01-10", policy=Policy(sign_up=0)).at("2024-01-10")
    written = book.settle()
    assert cycles_granted(book) == [f"{2022 + n // 12}-{n % 12 + 1:02}" for n in range(25)]
    assert Counter(entry.type for entry in written) == {EntryType.GRANT: 24, EntryType.EXPIRY: 12}
    assert book.account.balance == 130  # the cycle of 2023-01-10 is usable through today


def test_more_than_fits_one_transaction_takes_several_and_the_command_is_in_the_last():
    book = Book.opened("2000-01-10", policy=LONG_LIVED)
    now = noon("2004-12-10")  # 59 cycles
    spend = Spend(600, "Proposal", {"type": "proposal"}, Request("spend", "1", "f", "service"))

    first = decide(book.account, spend, now, book.policy)
    second = decide(first.account, spend, now, book.policy)

    assert [decision.complete for decision in (first, second)] == [False, True]
    assert [len(decision.entries) for decision in (first, second)] == [SETTLED_AT_ONCE, 59 - SETTLED_AT_ONCE + 1]
    assert second.entries[-1].type is EntryType.SPEND
    assert second.account.balance == 50 + 59 * 10 - 600


@pytest.mark.parametrize("cycles", [SETTLED_AT_ONCE - 1, SETTLED_AT_ONCE, SETTLED_AT_ONCE + 1])
def test_the_limit_of_a_transaction_neither_loses_a_cycle_nor_gives_one_twice(cycles):
    book = Book.opened("2000-01-31", policy=LONG_LIVED)
    book.at(add_months(date(2000, 1, 31), cycles)).settle()
    assert len(set(cycles_granted(book))) == len(cycles_granted(book)) == cycles + 1


def test_a_reader_sees_all_that_fell_due_although_it_is_more_than_one_transaction():
    book = Book.opened("2000-01-10", policy=LONG_LIVED).at("2004-12-10")
    assert book.shown.balance == 50 + 59 * 10


def test_a_monthly_amount_of_zero_writes_no_entry_and_still_moves_on():
    book = Book.opened("2024-01-10", policy=QUIET).at("2024-03-10")
    assert book.settle() == []
    assert book.account.grant_due == date(2024, 4, 10)


@pytest.mark.parametrize("free_part", [0, 100])
def test_monthly_connects_of_one_class_are_one_lot(free_part):
    book = Book.opened("2024-01-10", plan=Plan.PLUS, policy=Policy(sign_up=0, monthly_plus_free=free_part))
    bucket = free("2025-01-11") if free_part else paid("2025-01-11")
    assert book.entries[-1].slices == {bucket: 100}


@given(
    opened_on=st.dates(date(2019, 1, 1), date(2024, 12, 31)),
    pauses=st.lists(st.integers(0, 200), max_size=12),
    anchor_policy=st.sampled_from(AnchorPolicy),
)
def test_each_cycle_is_granted_exactly_once_whenever_the_runs_are(opened_on, pauses, anchor_policy):
    policy = Policy(anchor_policy=anchor_policy, lot_lifetime_months=60)
    book, today = Book.opened(opened_on, policy=policy), opened_on
    for pause in pauses:
        today += timedelta(pause)
        book.at(today).settle()

    expected, month = {}, opened_on.replace(day=1)
    while (cycle := cycle_of_month(month, opened_on.day, anchor_policy)).starts_on <= today:
        expected[f"{month:%Y-%m}"] = cycle.starts_on
        month = (month + timedelta(31)).replace(day=1)
    grants = [entry for entry in book.entries if entry.reference["type"] == "cycle"]
    assert [entry.reference["cycle"] for entry in grants] == list(expected)
    assert [entry.reference["starts_on"] for entry in grants] == [day.isoformat() for day in expected.values()]
    assert [entry.at.date() for entry in grants] == list(expected.values())
    assert book.account.grant_due - ONE_DAY >= today
