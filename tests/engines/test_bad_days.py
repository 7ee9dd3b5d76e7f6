"""Lost requests, lost answers, conflicts, throttling, death half-way: one effect or none, and a repeat tells which."""

import time

import pytest
from pynamodb.exceptions import PynamoDBException

from shared.ledger.errors import BusyError, InsufficientConnectsError
from shared.ledger.policy import Policy
from shared.ledger.purchases import PurchaseState
from shared.sandbox.payments import Behaviour
from shared.store.errors import ContentionError
from shared.store.table import Table
from tests.driver import Driver
from tests.faults import (
    AGAIN,
    CONFLICT,
    GET,
    PUT,
    QUERY,
    THROTTLED,
    THROTTLED_TRANSACTION,
    TRANSACT,
    UPDATE,
    KilledError,
    answer_lost,
    dies,
    passes,
    refused,
    request_lost,
    unreachable,
)
from tests.store.fixtures import SHARDS


@pytest.fixture
def driver(driver):
    """Ann's, with 20 Connects."""
    driver.open()
    driver.credit(20)
    return driver


def now():
    """A deadline that leaves one try and no pause."""
    return time.monotonic()


def test_a_spend_whose_answer_was_lost_is_found_by_its_repeat(driver, faults):
    faults.on(TRANSACT, *[answer_lost] * AGAIN)
    with faults.measured() as cost:
        spent = driver.spend(15)
    assert cost.calls == [GET, *[TRANSACT] * AGAIN, GET, GET]  # the account, which is short now, and the entry
    assert driver.journal()[-1] == spent.entry
    assert not spent.replayed  # it was this very request that did it
    assert driver.balance() == 5


def test_a_spend_whose_answer_was_lost_with_enough_left_for_another_happens_once(driver, faults):
    faults.on(TRANSACT, *[answer_lost] * AGAIN)
    assert driver.spend(5).entry.balance_after == driver.balance() == 15


def test_a_spend_whose_answer_was_lost_and_that_others_followed_happens_once(driver, faults):
    faults.on(TRANSACT, *[answer_lost] * AGAIN, faults.before(lambda: driver.spend(1, "another")))
    spent = driver.spend(5)
    assert (spent.entry.balance_after, driver.balance()) == (15, 14)


@pytest.mark.parametrize("fault", [request_lost, unreachable], ids=["no-answer", "no-connection"])
def test_a_spend_that_never_arrived_is_sent_again(driver, faults, fault):
    faults.on(TRANSACT, *[fault] * 2 * AGAIN)
    assert driver.spend(5).entry.balance_after == driver.balance() == 15


def test_a_spend_of_which_nobody_knows_says_so_and_its_repeat_tells(driver, faults):
    faults.on(TRANSACT, *[answer_lost] * AGAIN)
    faults.on(GET, passes, *[request_lost] * AGAIN)
    with pytest.raises(BusyError) as busy:
        driver.spend(5, by=now())
    assert "may have happened" in busy.value.detail
    faults.calm()
    assert driver.spend(5).replayed
    assert driver.balance() == 15


def test_after_a_lost_answer_at_the_deadline_nothing_is_asked_any_more(driver, faults):
    """A read would take as long again where nothing is answered; the repeat finds what happened."""
    faults.on(TRANSACT, answer_lost)
    with faults.measured() as cost, pytest.raises(BusyError):
        driver.spend(5, by=now())
    assert cost.calls == [GET, TRANSACT]
    assert driver.spend(5).replayed


def test_a_refund_whose_answer_was_lost_happens_once(driver, faults):
    spend_id = driver.spend(15).entry.entry_id
    faults.on(TRANSACT, *[answer_lost] * AGAIN)
    assert driver.refund(spend_id).entry == driver.journal()[-1]
    assert driver.balance() == 20


def test_an_opening_whose_answer_was_lost_happens_once(driver, faults):
    driver.policy = Policy()
    faults.on(TRANSACT, *[answer_lost] * AGAIN)
    opened = driver.open("bob")
    assert opened.account["balance"] == driver.balance("bob") == 50
    assert not opened.replayed  # it was this very request that did it


def test_an_opening_of_which_nobody_knows_says_so_and_its_repeat_tells(driver, faults):
    faults.on(TRANSACT, *[answer_lost] * AGAIN)
    with pytest.raises(BusyError) as busy:
        driver.open("bob", by=now())
    assert "may have happened" in busy.value.detail
    faults.calm()
    assert driver.open("bob").replayed


def test_a_settlement_whose_answer_was_lost_happens_once(driver, faults):
    driver.at("2027-01-16")
    faults.on(TRANSACT, *[answer_lost] * AGAIN)
    driver.settle()
    assert [entry.amount for entry in driver.journal()] == [20, -20]


def test_a_purchase_whose_every_answer_is_lost_once_is_charged_and_credited_once(driver, faults, provider):
    faults.on(PUT, *[answer_lost] * AGAIN)
    faults.on(TRANSACT, *[answer_lost] * AGAIN)
    bought = driver.buy(40, provider.that(Behaviour.SUCCEED))
    assert (bought.purchase.state, bought.entry) == (PurchaseState.COMPLETED, driver.journal()[-1])
    assert driver.balance() == 60


@pytest.mark.parametrize(
    ("fault", "turn"), [(CONFLICT, [UPDATE]), (THROTTLED_TRANSACTION, [])], ids=["conflict", "throttled"]
)
def test_a_cancelled_transaction_is_tried_again_until_it_goes_through(driver, faults, fault, turn):
    faults.on(TRANSACT, *[fault] * 4)
    with faults.measured() as cost:
        spent = driver.spend(5)
    assert cost.calls == [GET, TRANSACT, *turn, *[GET, TRANSACT] * 4]
    assert not spent.replayed
    assert driver.balance() == 15


@pytest.mark.parametrize(
    "code",
    [
        "TransactionInProgressException",
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
    ],
)
@pytest.mark.parametrize("operation", [GET, TRANSACT])
def test_what_passes_by_itself_is_tried_again(driver, faults, operation, code):
    faults.on(operation, *[refused(code)] * 2 * AGAIN)
    assert driver.spend(5).entry.balance_after == driver.balance() == 15


@pytest.mark.parametrize("fault", [CONFLICT, THROTTLED, refused("ThrottlingException")])
def test_contention_that_outlasts_the_deadline_is_busy_and_nothing_happened(driver, faults, fault):
    before, journal = driver.stored(), driver.journal()
    faults.on(TRANSACT, *[fault] * AGAIN)
    with pytest.raises(BusyError) as busy:
        driver.spend(5, by=now())
    assert "Nothing happened" in busy.value.detail
    faults.detach()
    assert (driver.stored(), driver.journal()) == (before, journal)


def test_throttled_reading_that_outlasts_the_deadline_is_busy(driver, faults):
    faults.on(GET, *[THROTTLED] * AGAIN)
    with pytest.raises(BusyError):
        driver.spend(5, by=now())


def test_a_busy_request_is_still_to_be_had_with_its_key(driver, faults):
    faults.on(TRANSACT, CONFLICT)
    with pytest.raises(BusyError):
        driver.spend(5, by=now())
    assert not driver.spend(5).replayed
    assert driver.balance() == 15


def test_reads_that_are_throttled_or_not_answered_are_told_from_faults(driver, faults):
    faults.on(GET, THROTTLED, *[request_lost] * AGAIN)
    for _ in range(2):
        with pytest.raises(ContentionError) as error:
            driver.balance()
        assert not error.value.unanswered  # nothing that could have happened
    faults.on(QUERY, THROTTLED, THROTTLED)
    for read in (driver.history, driver.journal):
        with pytest.raises(ContentionError):
            read()


def test_a_conflict_beside_a_version_that_moved_is_decided_again(driver, faults):
    faults.on(TRANSACT, CONFLICT, faults.before(lambda: driver.spend(18, "faster")))
    with pytest.raises(InsufficientConnectsError):
        driver.spend(5)
    assert driver.balance() == 2


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "ValidationException"])
@pytest.mark.parametrize("operation", [GET, TRANSACT])
def test_what_does_not_pass_by_itself_is_not_tried_again_and_says_what_it_is(driver, faults, operation, code):
    faults.on(operation, refused(code))
    with faults.measured() as cost, pytest.raises(PynamoDBException) as fault:
        driver.spend(5)
    assert fault.value.cause_response_code == code
    assert cost.calls == ([GET] if operation == GET else [GET, TRANSACT])


def test_a_table_that_does_not_exist_is_named(driver, engine):
    nowhere = Driver(Table("nowhere", shards=SHARDS, region="us-east-1", endpoint_url=engine))
    with pytest.raises(PynamoDBException) as fault:
        nowhere.spend(5)
    assert fault.value.cause_response_code == "ResourceNotFoundException"
    assert "nowhere" in str(fault.value)
    assert driver.balance() == 20


def test_who_dies_between_two_transactions_of_catching_up_leaves_the_rest_to_the_next(driver, faults):
    driver.policy = Policy()
    driver.at("2024-01-31").open("bob")
    driver.at("2030-01-31")
    faults.on(TRANSACT, passes, dies)
    with pytest.raises(KilledError):
        driver.settle("bob")
    assert len(driver.journal("bob")) == 2 + 40
    assert driver.balance("bob") == 130  # whoever reads meanwhile sees no difference
    driver.settle("bob")
    cycles = [entry.reference["cycle"] for entry in driver.journal("bob") if entry.reference["type"] == "cycle"]
    assert (len(cycles), len(set(cycles)), driver.stored("bob").balance) == (73, 73, 130)


def test_a_spend_that_dies_while_catching_up_has_not_happened(driver, faults):
    driver.policy = Policy()
    driver.at("2024-01-31").open("bob")
    driver.at("2030-01-31")
    faults.on(TRANSACT, passes, dies)
    with pytest.raises(KilledError):
        driver.spend(130, account="bob")
    spent = driver.spend(130, account="bob")
    assert not spent.replayed
    assert driver.balance("bob") == 0


def test_catching_up_goes_on_from_where_contention_stopped_it(driver, faults):
    driver.policy = Policy()
    driver.at("2024-01-31").open("bob")
    driver.at("2030-01-31")
    faults.on(TRANSACT, CONFLICT, passes, *[answer_lost] * AGAIN, CONFLICT, passes, CONFLICT)
    driver.settle("bob")
    assert driver.stored("bob").balance == 130
