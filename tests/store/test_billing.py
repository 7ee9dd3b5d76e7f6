"""With which payment method an account pays: the last one that was said, whatever fails on the way."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from shared.ledger.errors import AccountClosedError, AccountNotFoundError, BusyError
from shared.ledger.model import Status
from shared.services.billing import set_billing_method
from shared.store.billing import BillingMethod, BillingMethods
from tests.driver import deadline
from tests.faults import PUT, answer_lost, request_lost


@pytest.fixture
def put(driver):
    """Say that an account pays with this card."""
    driver.open()

    def put(card="pm_1", account="ann", customer="cus_1", by=None):
        return set_billing_method(
            driver.ledger, account, provider="stripe", customer=customer, payment_method=card, deadline=by or deadline()
        )

    return put


@pytest.fixture
def stored(driver):
    return partial(BillingMethods(driver.table).of, "ann")


def test_an_account_pays_with_the_last_method_that_was_said(put, stored):
    assert stored() is None
    assert put("pm_1") == stored() == BillingMethod("ann", "stripe", "cus_1", "pm_1", 1)
    assert put("pm_2") == stored() == BillingMethod("ann", "stripe", "cus_1", "pm_2", 2)


def test_a_repeat_writes_nothing(put, stored):
    put("pm_1")
    assert {put("pm_1").revision for _ in range(3)} == {1}
    assert put("pm_1", customer="cus_2").revision == stored().revision == 2


def test_it_is_nothing_of_the_account_itself(driver, put):
    before = driver.stored()
    put()
    assert driver.stored() == before


@pytest.mark.parametrize("fault", [request_lost, answer_lost])
def test_where_no_answer_comes_it_is_said_again_and_written_once(put, stored, faults, fault):
    faults.on(PUT, fault)
    assert put("pm_1") == stored() == BillingMethod("ann", "stripe", "cus_1", "pm_1", 1)


def test_of_many_at_once_each_is_written_and_one_is_the_last(put, stored):
    cards = [f"pm_{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        written = list(threads.map(put, cards))
    assert sorted(method.revision for method in written) == list(range(1, 9))
    assert stored() == max(written, key=lambda method: method.revision)


def test_an_account_that_there_is_not_or_that_is_closed_pays_with_nothing(driver, put, stored):
    with pytest.raises(AccountNotFoundError):
        put(account="nobody")
    driver.change_status(Status.CLOSED)
    with pytest.raises(AccountClosedError):
        put()
    assert stored() is None


def test_where_the_table_does_not_answer_it_is_busy(driver, put, faults):
    faults.on(PUT, *[request_lost] * 60)
    with pytest.raises(BusyError):
        put(by=time.monotonic() + 0.3)
    assert BillingMethods(driver.table).of("ann") is None
