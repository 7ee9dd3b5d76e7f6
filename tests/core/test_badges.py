"""The availability badge: a price that follows demand, weeks that are each paid for once, off and never overdrawn."""

from datetime import UTC, date, datetime, timedelta

import pytest

from shared.ledger.badges import calendar_week, price_for
from shared.ledger.errors import (
    AccountFrozenError,
    InsufficientConnectsError,
    InvalidRequestError,
    NotRefundableError,
    PriceChangedError,
)
from shared.ledger.model import Badge, EntryType, Kind, Plan
from shared.ledger.policy import Policy
from tests.core.builders import INSTANT, QUIET, Book, free, noon, paid, start_of

START = noon("2026-01-15")
WEEK = timedelta(days=7)


@pytest.fixture
def book():
    """Ann's, with 20 Connects; it is noon of 15 January, and a week of the badge costs 4."""
    book = Book.opened(START, policy=QUIET)
    book.credit(20)
    return book


@pytest.fixture
def agency():
    book = Book.opened(START, policy=QUIET, kind=Kind.AGENCY, plan=Plan.PLUS)
    book.credit(20)
    return book


def weeks(book):
    """The days on which the weeks that were paid for begin, and what each cost."""
    spends = [entry for entry in book.of_type(EntryType.SPEND) if entry.reference["type"] == "badge"]
    return [(entry.reference["starts_at"][:10], -entry.amount) for entry in spends]


def badge(*, on=True, most=5, until="2026-01-22"):
    return Badge(on, most, noon(until))


# --- The price


@pytest.mark.parametrize(("active", "price"), [(0, 4), (999, 4), (1000, 5), (16_000, 20), (16_999, 20), (10**7, 20)])
def test_the_price_rises_with_the_badges_that_are_on_within_its_bounds(active, price):
    assert price_for(active, Policy()) == price


def test_the_bounds_and_the_step_are_configuration():
    policy = Policy(badge_min_price=2, badge_max_price=3, badge_price_step=10)
    assert [price_for(active, policy) for active in (0, 9, 10, 29, 30)] == [2, 2, 3, 3, 3]
    assert price_for(10**6, Policy(badge_min_price=7, badge_max_price=7)) == 7


@pytest.mark.parametrize("wrong", [{"badge_min_price": 0}, {"badge_min_price": 21}, {"badge_price_step": 0}])
def test_bounds_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="badge"):
        Policy(**wrong)


@pytest.mark.parametrize("at", [start_of("2026-01-12"), noon("2026-01-15"), start_of("2026-01-19") - INSTANT])
def test_a_price_is_for_the_week_from_monday_to_sunday(at):
    assert calendar_week(at) == date(2026, 1, 12)


# --- On and off


def test_switching_on_charges_a_week_from_now(book):
    (entry,) = book.switch_badge()
    assert (entry.type, entry.amount, entry.at, entry.actor) == (EntryType.SPEND, -4, START, "account:ann")
    assert entry.reference == {
        "type": "badge",
        "starts_at": "2026-01-15T12:00:00.000Z",
        "ends_at": "2026-01-22T12:00:00.000Z",
    }
    assert (book.account.badge, book.account.balance) == (badge(), 16)


def test_a_week_takes_the_earliest_expiring_lot_first(book):
    book.at("2026-01-16").credit(9, paid=True)
    (entry,) = book.switch_badge(most=25, price=22)
    assert entry.slices == {free("2027-01-16"): -20, paid("2027-01-17"): -2}


@pytest.mark.parametrize("day", ["2026-01-15", "2026-01-18"])
def test_switching_on_again_changes_nothing(book, day):
    book.switch_badge()
    before = book.account
    assert book.at(day).switch_badge() == []
    assert book.account == before


def test_the_maximum_may_change_while_it_is_on_and_counts_from_the_next_week(book):
    book.switch_badge()
    assert book.switch_badge(most=3) == []
    assert book.account.badge == badge(most=3)
    assert book.at("2026-01-22").renew_badge() == []
    assert book.account.badge == badge(on=False, most=3)


def test_off_is_off_at_once_and_refunds_nothing(book):
    book.switch_badge()
    assert book.switch_badge(on=False) == []
    assert (book.account.badge, book.account.balance) == (badge(on=False), 16)


def test_on_off_and_on_in_a_week_that_was_paid_for_is_charged_once(book):
    book.switch_badge()
    book.switch_badge(on=False)
    assert book.at(START + WEEK - INSTANT).switch_badge() == []
    assert (book.account.badge, weeks(book)) == (badge(), [("2026-01-15", 4)])


def test_on_again_after_the_week_that_was_paid_for_is_a_new_week_from_then(book):
    book.switch_badge()
    book.switch_badge(on=False)
    book.at(START + WEEK).switch_badge()
    assert weeks(book) == [("2026-01-15", 4), ("2026-01-22", 4)]
    book.switch_badge(on=False)
    book.at("2026-03-03").switch_badge()
    assert book.account.badge == badge(until="2026-03-10")


def test_off_may_leave_the_maximum_as_it_is_or_change_it(book):
    book.switch_badge()
    book.switch_badge(on=False, most=None)
    assert book.account.badge == badge(on=False)
    book.switch_badge(on=False, most=9)
    assert book.account.badge == badge(on=False, most=9)


def test_switching_off_a_badge_that_was_never_on_changes_nothing(book):
    before = book.account
    assert book.switch_badge(on=False) == []
    assert book.account == before


def test_on_needs_a_maximum(book):
    with pytest.raises(InvalidRequestError):
        book.switch_badge(most=None)


@pytest.mark.parametrize(
    ("wanted", "refusal", "details"),
    [
        ({"most": 3}, PriceChangedError, {"price": 4}),
        ({"most": 25, "price": 21}, InsufficientConnectsError, {"balance": 20, "required": 21}),
        ({"most": 20, "price": 21}, PriceChangedError, {"price": 21}),
    ],
)
def test_a_badge_that_cannot_be_paid_for_is_not_switched_on(book, wanted, refusal, details):
    with pytest.raises(refusal) as refused:
        book.switch_badge(**wanted)
    assert refused.value.details == details
    assert book.account.badge is None


def test_the_maximum_itself_and_the_whole_balance_are_enough(book):
    book.switch_badge(most=20, price=20)
    assert (book.account.badge, book.account.balance) == (badge(most=20), 0)


def test_expired_connects_do_not_pay_for_a_badge(book):
    with pytest.raises(InsufficientConnectsError):
        book.at("2027-01-16").switch_badge()


# --- Renewals


def test_it_renews_on_the_instant_and_not_before(book):
    book.switch_badge()
    assert book.at(START + WEEK - INSTANT).renew_badge() == []
    (entry,) = book.at(START + WEEK).renew_badge(price=5)
    assert (entry.amount, entry.at, entry.actor) == (-5, START + WEEK, "system")
    assert book.account.badge == badge(until="2026-01-29")


def test_a_renewal_that_comes_twice_charges_once(book):
    book.switch_badge()
    book.at("2026-01-22").renew_badge()
    assert book.renew_badge() == []
    assert weeks(book) == [("2026-01-15", 4), ("2026-01-22", 4)]


def test_a_late_renewal_is_dated_when_its_week_began(book):
    book.switch_badge()
    (entry,) = book.at("2026-01-24").renew_badge()
    assert (entry.at, entry.recorded_at) == (noon("2026-01-22"), noon("2026-01-24"))
    assert book.account.badge == badge(until="2026-01-29")


def test_a_renewal_is_never_dated_before_what_happened_meanwhile(book):
    book.switch_badge()
    book.at("2026-01-23").spend(1)
    (entry,) = book.at("2026-01-24").renew_badge()
    assert entry.at == noon("2026-01-23")
    assert weeks(book)[-1] == ("2026-01-22", 4)


@pytest.mark.parametrize(
    ("day", "start"),
    [
        ("2026-01-28", "2026-01-22"),
        ("2026-01-29", "2026-01-29"),
        ("2026-02-11", "2026-02-05"),
        ("2027-01-10", "2027-01-07"),
    ],
)
def test_a_renewal_that_is_weeks_late_charges_the_week_it_falls_into_alone(book, day, start):
    """The weeks stay on the instant; those that passed altogether are not made up for."""
    book.switch_badge()
    book.at(day).renew_badge()
    assert weeks(book) == [("2026-01-15", 4), (start, 4)]
    assert book.account.badge.paid_until == noon(start) + WEEK


@pytest.mark.parametrize("price", [6, 17, 1000])
def test_a_badge_whose_price_rose_above_the_maximum_goes_off_and_nothing_is_charged(book, price):
    book.switch_badge()
    assert book.at("2026-01-22").renew_badge(price=price) == []
    assert (book.account.badge, book.account.balance) == (badge(on=False), 16)


def test_a_badge_goes_off_rather_than_being_overdrawn(book):
    book.switch_badge()
    book.spend(13)
    assert book.at("2026-01-22").renew_badge() == []
    assert (book.account.badge, book.account.balance) == (badge(on=False), 3)


@pytest.mark.parametrize(
    ("price", "spent", "why"), [(6, 0, "price_changed"), (4, 13, "insufficient_connects"), (4, 0, "account_frozen")]
)
def test_an_owner_gets_one_notice_with_the_reason_when_a_badge_goes_off(agency, price, spent, why):
    agency.switch_badge()
    if spent:
        agency.spend(spent)
    if why == "account_frozen":
        agency.change_plan(Plan.BASIC, at_once=True)
    agency.at("2026-01-23")
    for _ in range(2):
        agency.renew_badge(price=price)
    (notice,) = agency.notices
    assert (notice.kind, notice.about, notice.at) == ("badge_off", "2026-01-22T12:00:00.000Z", noon("2026-01-23"))
    assert notice.facts.pop("reason")
    assert notice.facts == {"why": why, "price": price, "max_per_week": 5, "balance": 16 - spent}


def test_an_owner_gets_no_notice_of_a_week_that_was_paid_for_or_of_switching_off(book):
    book.switch_badge()
    book.at("2026-01-22").renew_badge()
    book.switch_badge(on=False)
    assert book.notices == []


def test_expired_connects_pay_for_no_week(book):
    book.at("2027-01-12").switch_badge()
    book.at("2027-01-19").renew_badge()
    assert book.account.badge.enabled is False
    assert weeks(book) == [("2027-01-12", 4)]


def test_monthly_connects_granted_meanwhile_pay_for_the_week():
    book = Book.opened("2026-01-15", policy=Policy(sign_up=0, monthly_basic=4))
    book.switch_badge()
    book.at("2026-02-12").switch_badge(on=False)
    book.at("2026-02-15").switch_badge()
    assert weeks(book) == [("2026-01-15", 4), ("2026-02-15", 4)]


def test_a_badge_that_is_off_is_not_renewed(book):
    book.switch_badge()
    book.switch_badge(on=False)
    assert book.at("2026-01-22").renew_badge() == []
    assert book.account.badge == badge(on=False)


def test_nothing_is_renewed_if_there_never_was_a_badge(book):
    before = book.account
    assert book.renew_badge() == []
    assert book.account == before


def test_switching_off_before_a_late_renewal_charges_nothing(book):
    book.switch_badge()
    book.at("2026-01-23").switch_badge(on=False)
    assert book.renew_badge() == []
    assert weeks(book) == [("2026-01-15", 4)]


def test_switching_on_before_a_late_renewal_is_that_renewal(book):
    book.switch_badge()
    book.at("2026-01-24").switch_badge(most=9, price=8)
    assert book.renew_badge(price=8) == []
    assert weeks(book) == [("2026-01-15", 4), ("2026-01-22", 8)]
    assert book.account.badge == badge(most=9, until="2026-01-29")


def test_a_clock_that_is_behind_charges_no_week_again(book):
    book.switch_badge()
    book.at("2026-01-22").renew_badge()
    book.at("2026-01-21").switch_badge(on=False)
    assert book.switch_badge() == []
    assert book.renew_badge() == []
    assert len(weeks(book)) == 2


# --- Agencies


def test_a_frozen_agencys_badge_goes_off_at_its_renewal_and_can_be_switched_on_when_it_is_on_plus_again(agency):
    agency.switch_badge()
    agency.change_plan(Plan.BASIC, at_once=True)
    assert agency.account.badge == badge()
    agency.at("2026-01-22").renew_badge()
    assert (agency.account.badge, agency.account.balance) == (badge(on=False), 16)
    with pytest.raises(AccountFrozenError):
        agency.switch_badge()
    agency.change_plan(Plan.PLUS)
    agency.switch_badge()
    assert weeks(agency) == [("2026-01-15", 4), ("2026-01-22", 4)]


def test_a_frozen_agency_may_switch_off_and_not_on_even_in_a_week_that_was_paid_for(agency):
    agency.switch_badge()
    agency.change_plan(Plan.BASIC, at_once=True)
    agency.switch_badge(on=False)
    with pytest.raises(AccountFrozenError):
        agency.switch_badge()


# --- Nothing comes back


def test_a_badges_week_is_never_refunded_nor_rewarded_for_an_interview(book):
    (week,) = book.switch_badge()
    with pytest.raises(NotRefundableError):
        book.refund(week)
    with pytest.raises(NotRefundableError):
        book.interview(week)


def test_each_week_has_one_key_however_it_is_charged(book):
    book.switch_badge()
    copy = book.copy()
    (by_renewal,) = book.at("2026-01-23").renew_badge()
    (by_switching,) = copy.at("2026-01-24").switch_badge(most=9)
    assert by_renewal.entry_id == by_switching.entry_id


def test_weeks_through_a_leap_day_and_a_year_stay_on_the_instant(book):
    book.credit(1000)
    book.at(datetime(2027, 12, 28, 23, 59, 59, 999_000, tzinfo=UTC)).credit(1000)
    book.switch_badge()
    for _ in range(20):
        book.at(book.account.badge.paid_until + timedelta(minutes=4)).renew_badge()
    assert book.account.badge.paid_until == datetime(2028, 5, 23, 23, 59, 59, 999_000, tzinfo=UTC)
    assert len(weeks(book)) == 21
