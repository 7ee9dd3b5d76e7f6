"""The billing cycle: the same day of every month, taken from the date on which the account joined."""

import pytest


def first_days(account):
    """Of the cycles whose monthly Connects were written, by a schedule or a command."""
    return [entry["at"][:10] for entry in account.written("grant") if entry["amount"] == 10]


def test_a_cycle_starts_at_00_00_utc_and_its_first_day_brings_the_monthly_connects(freelancer, at):
    ann = freelancer(joined_on="2026-11-05")
    at("2026-12-04T23:59:59.999Z")
    assert (ann.shown["cycle"]["starts_on"], ann.balance) == ("2026-11-05", 50)
    at("2026-12-05T00:00:00.000Z")
    assert (ann.shown["cycle"]["starts_on"], ann.balance) == ("2026-12-05", 60)


def test_a_cycle_starts_on_the_same_day_every_month_the_day_on_which_the_account_joined(freelancer, at, scheduled):
    at("2026-11-05")
    ann = freelancer()
    at("2027-03-20")
    scheduled("monthly_grant")
    assert first_days(ann) == ["2026-11-05", "2026-12-05", "2027-01-05", "2027-02-05", "2027-03-05"]


def test_an_account_without_a_date_joined_on_the_day_it_was_opened(freelancer):
    cycle = freelancer().shown["cycle"]
    assert cycle == {"starts_on": "2026-11-22", "ends_on": "2026-12-21", "next_grant_on": "2026-12-22"}


@pytest.mark.parametrize(
    ("joined_on", "starts"),
    [
        ("2026-10-29", ["2027-01-29", "2027-02-28", "2027-03-29", "2027-04-29"]),
        ("2026-10-30", ["2027-01-30", "2027-02-28", "2027-03-30", "2027-04-30"]),
        ("2026-10-31", ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]),
    ],
    ids=["29", "30", "31"],
)
def test_an_anchor_of_29_to_31_is_the_last_day_of_a_shorter_month_and_never_drifts(
    freelancer, at, scheduled, joined_on, starts
):
    ann = freelancer(joined_on=joined_on)
    at("2027-05-01")
    scheduled("monthly_grant")
    assert first_days(ann)[-4:] == starts


def test_an_anchor_of_29_has_its_own_day_in_a_leap_year(freelancer, at, scheduled):
    at("2028-01-29")
    ann = freelancer()
    at("2028-04-01")
    scheduled("monthly_grant")
    assert first_days(ann) == ["2028-01-29", "2028-02-29", "2028-03-29"]


def test_an_anchor_of_29_to_31_is_the_first_of_the_next_month_by_the_other_policy(freelancer, at, scheduled, restart):
    restart(ANCHOR_POLICY="first_of_next")
    ann = freelancer(joined_on="2026-10-31")
    at("2027-05-02")
    scheduled("monthly_grant")
    assert first_days(ann)[-5:] == ["2026-12-31", "2027-01-31", "2027-03-01", "2027-03-31", "2027-05-01"]
