"""The list of an account's purchases: newest first, by state, in pages."""

import base64
import json
from datetime import timedelta

import pytest

from shared.ledger.errors import AccountNotFoundError, InvalidRequestError, PaymentDeclinedError
from shared.ledger.purchases import PurchaseState
from shared.sandbox.payments import Behaviour
from shared.services.purchase_list import PurchaseQuery, list_purchases

COMPLETED, PENDING, DECLINED = PurchaseState.COMPLETED, PurchaseState.PENDING, PurchaseState.DECLINED
TEN = range(10, 20)


@pytest.fixture
def driver(driver):
    driver.open()
    return driver


@pytest.fixture
def ten(driver, provider):
    """Ten purchases, of 10 to 19 Connects, two a minute."""
    for quantity in TEN:
        driver.buy(quantity, provider.that(Behaviour.SUCCEED), str(quantity))
        driver.clock.at += timedelta(minutes=quantity % 2)
    return driver


def asked(driver, account="ann", limit=50, **more):
    return list_purchases(driver.ledger, PurchaseQuery(account, limit, **more))


def quantities(page):
    return [purchase.quantity for purchase in page.purchases]


def all_pages(driver, **query):
    pages = [asked(driver, **query)]
    while pages[-1].next_cursor:
        pages.append(asked(driver, **query, cursor=pages[-1].next_cursor))
    return pages


def test_purchases_come_newest_first(ten):
    page = asked(ten)
    assert [pair // 2 for pair in quantities(page)] == [9, 9, 8, 8, 7, 7, 6, 6, 5, 5]
    assert page.next_cursor is None


@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11])
def test_pages_of_any_size_have_each_purchase_once_and_in_order(ten, limit):
    pages = all_pages(ten, limit=limit)
    assert all(len(page.purchases) == limit for page in pages[:-1])
    assert [each for page in pages for each in quantities(page)] == quantities(asked(ten))


def test_a_cursor_serves_pages_of_another_size_too(ten):
    first = asked(ten, limit=3)
    rest = asked(ten, limit=50, cursor=first.next_cursor)
    assert quantities(first) + quantities(rest) == quantities(asked(ten))


def test_what_is_bought_between_two_pages_moves_nothing(ten, provider):
    before = quantities(asked(ten))
    first = asked(ten, limit=4)
    ten.buy(40, provider.that(Behaviour.SUCCEED), "meanwhile")
    rest = asked(ten, cursor=first.next_cursor)
    assert quantities(first) + quantities(rest) == before
    assert quantities(asked(ten, limit=1)) == [40]


def test_each_state_is_listed_by_itself(driver, provider):
    driver.buy(10, provider.that(Behaviour.SUCCEED), "succeeds")
    driver.buy(20, provider.that(Behaviour.LATE), "late")
    with pytest.raises(PaymentDeclinedError):
        driver.buy(30, provider.that(Behaviour.DECLINE), "declined")
    went_back = driver.buy(40, provider.that(Behaviour.SUCCEED), "went back").purchase
    driver.goes_back(went_back.purchase_id, went_back.amount_cents)
    found = {state: quantities(asked(driver, state=state)) for state in PurchaseState}
    assert found == {
        COMPLETED: [10],
        PENDING: [20],
        DECLINED: [30],
        PurchaseState.REFUNDED_TO_CARD: [40],
        PurchaseState.UNDER_REVIEW: [],
    }


def test_a_purchase_that_is_tried_again_is_the_newest(driver, provider):
    with pytest.raises(PaymentDeclinedError):
        driver.buy(10, provider.that(Behaviour.DECLINE), "first")
    driver.clock.at += timedelta(minutes=1)
    driver.buy(20, provider.that(Behaviour.SUCCEED), "second")
    driver.clock.at += timedelta(minutes=1)
    driver.buy(10, provider.that(Behaviour.SUCCEED), "first")
    assert quantities(asked(driver)) == [10, 20]


def test_an_account_without_purchases_has_an_empty_list_and_one_that_there_is_not_none(driver):
    assert (asked(driver).purchases, asked(driver).next_cursor) == ([], None)
    with pytest.raises(AccountNotFoundError):
        asked(driver, account="nobody")


def test_an_account_lists_its_own_purchases_alone(ten):
    ten.open("bob")
    assert asked(ten, account="bob").purchases == []


@pytest.mark.parametrize(
    "cursor", ["", "x", "bm90IEpTT04=", base64.urlsafe_b64encode(json.dumps(["a", 1, 2]).encode()).decode(), "é"]
)
def test_a_cursor_that_no_query_gave_is_refused(ten, cursor):
    with pytest.raises(InvalidRequestError, match="cursor"):
        asked(ten, cursor=cursor)


def test_a_cursor_of_another_query_is_refused(ten):
    cursor = asked(ten, limit=2).next_cursor
    ten.open("bob")
    for other in ({"state": COMPLETED}, {"account": "bob"}):
        with pytest.raises(InvalidRequestError, match="is not one that this query gave"):
            asked(ten, cursor=cursor, **other)
