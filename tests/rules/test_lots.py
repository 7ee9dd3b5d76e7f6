"""Lots: Connects last a year from their issue, and are used in the order they came.

Told of an agency, to which nothing comes by itself.
"""

import pytest


@pytest.mark.parametrize(
    ("issued_at", "last_day", "next_day"),
    [
        ("2026-11-22T00:00:00.000Z", "2027-11-22", "2027-11-23"),
        ("2026-11-22T23:59:59.999Z", "2027-11-22", "2027-11-23"),
        ("2027-02-28T10:00:00Z", "2028-02-28", "2028-02-29"),
        ("2028-02-29T10:00:00Z", "2029-02-28", "2029-03-01"),
    ],
    ids=["issued in a day's first instant", "in its last", "on 28 February", "on 29 February"],
)
def test_a_lot_issued_on_a_date_is_usable_through_its_anniversary_and_not_on_the_day_after(
    agency, at, issued_at, last_day, next_day
):
    at(issued_at)
    acme = agency()
    acme.buys(40)
    at(f"{last_day}T23:59:59.999Z")
    assert acme.spends(1).status == 201
    at(f"{next_day}T00:00:00.000Z")
    assert acme.spends(1).refused == (409, "insufficient_connects")


def test_connects_are_used_in_the_order_they_came(agency, at):
    acme = agency()
    for day in ("2026-11-22", "2026-12-01", "2026-12-05"):
        at(f"{day}T12:00:00Z")
        acme.buys(10)
    acme.spends(15)
    assert acme.lots == [("2027-12-02", 5), ("2027-12-06", 10)]


def test_the_earliest_expiry_burns_first_also_where_it_was_purchased_and_the_later_one_is_free(agency, at):
    acme = agency()
    acme.buys(10)
    at("2026-11-23")
    acme.given(10)
    spent = acme.spends(12).body
    assert [(lot["expires_on"], lot["paid"], lot["amount"]) for lot in spent["lots"]] == [
        ("2027-11-23", True, -10),
        ("2027-11-24", False, -2),
    ]


def test_on_the_same_expiry_day_free_burns_before_purchased(agency):
    acme = agency()
    acme.buys(10)
    acme.given(10)
    spent = acme.spends(12).body
    assert [(lot["paid"], lot["amount"]) for lot in spent["lots"]] == [(False, -10), (True, -2)]


def test_an_expired_lot_is_never_spendable_and_never_in_a_balance_however_late_the_sweep_is(agency, at):
    acme = agency()
    acme.buys(40)
    at("2030-01-01")
    assert (acme.balance, acme.lots, acme.written("expiry")) == (0, [], [])
    assert acme.rows("expiry") == [("2027-11-23", -40)]
    refused = acme.spends(1)
    assert (refused.refused, refused.body["balance"]) == ((409, "insufficient_connects"), 0)


def test_an_expiry_is_a_row_dated_at_the_instant_of_expiry_and_not_when_the_sweep_ran(agency, at, scheduled):
    acme = agency()
    acme.buys(40)
    acme.spends(15)
    at("2028-04-01T07:30:00Z")
    for _ in range(2):
        scheduled("expiry_sweep")
    (expiry,) = acme.written("expiry")
    assert (expiry["at"], expiry["amount"], expiry["balance_after"]) == ("2027-11-23T00:00:00.000Z", -25, 0)
