"""What DynamoDB, the SDK or somebody between them may answer, and what each is taken for."""

import ssl
import time
from datetime import timedelta

import pytest
from botocore.exceptions import (
    ChecksumError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)
from pynamodb.exceptions import PynamoDBException

from shared.ledger.errors import BusyError
from shared.ledger.purchases import PurchaseState
from shared.sandbox.clock import SandboxClock
from shared.sandbox.payments import Behaviour
from shared.store.errors import ContentionError
from tests.faults import (
    AGAIN,
    GET,
    PUT,
    THROTTLED,
    TRANSACT,
    UPDATE,
    FaultInjector,
    answer_lost,
    answered,
    breaks,
    passes,
    refused,
    request_lost,
)
from tests.store.fixtures import Provider

pytestmark = pytest.mark.parametrize("engine", ["dynamodb-local"], indirect=True, scope="session")

JSON = "application/x-amz-json-1.0"
DAY = timedelta(days=1)
URL = "https://the-table"
SERVER_ERRORS = {
    "500, a page": answered(500, b"<html>Internal Server Error</html>"),
    "502, text": answered(502, b"bad gateway"),
    "503, nothing": answered(503),
    "503, a list": answered(503, b"[]", JSON),
    "504, half a body": answered(504, b'{"__type": "Gate', JSON),
    "500, InternalFailure": answered(500, b'{"__type": "InternalFailure"}', JSON),
    "503, ServiceUnavailableException": answered(503, b'{"__type": "ServiceUnavailableException"}', JSON),
    "503, a code of next year": answered(503, b'{"__type": "com.amazon#NotBeforeNextYear", "message": "wait"}', JSON),
    "408, nothing": answered(408),
    "200, a page": answered(200, b"<html>Log in to this network</html>"),
}
NO_ANSWERS = [
    EndpointConnectionError(endpoint_url=URL, error="refused"),
    ConnectTimeoutError(endpoint_url=URL),
    ReadTimeoutError(endpoint_url=URL),
    ConnectionClosedError(endpoint_url=URL),
    ResponseStreamingError(error="broken"),
    IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2"),
    SSLError(endpoint_url=URL, error=ssl.SSLEOFError("EOF in the middle of a handshake")),
    CredentialRetrievalError(provider="container", error_msg="timed out"),
]


@pytest.fixture
def driver(driver):
    """Ann's, with 20 Connects."""
    driver.open()
    driver.credit(20)
    return driver


def soon():
    """A deadline that leaves some time for one try, and little for more."""
    return time.monotonic() + 0.3


@pytest.mark.parametrize("operation", [GET, TRANSACT])
@pytest.mark.parametrize("fault", SERVER_ERRORS.values(), ids=SERVER_ERRORS)
def test_a_server_error_is_tried_again_whatever_its_body_says(driver, faults, operation, fault):
    faults.on(operation, *[fault] * AGAIN)
    assert driver.spend(5).entry.balance_after == driver.balance() == 15


@pytest.mark.parametrize("fault", SERVER_ERRORS.values(), ids=SERVER_ERRORS)
def test_after_a_server_error_nobody_knows_what_happened(driver, faults, fault):
    faults.on(TRANSACT, *[fault] * 20)
    with pytest.raises(BusyError) as busy:
        driver.spend(5, by=soon())
    assert "this may have happened or not" in busy.value.detail


@pytest.mark.parametrize("operation", [GET, TRANSACT])
@pytest.mark.parametrize("error", NO_ANSWERS, ids=lambda error: type(error).__name__)
def test_what_the_sdk_raises_where_no_answer_came_is_tried_again(driver, faults, operation, error):
    faults.on(operation, *[breaks(error)] * AGAIN)
    assert driver.spend(5).entry.balance_after == driver.balance() == 15


@pytest.mark.parametrize(
    "error",
    [NoCredentialsError(), SSLError(endpoint_url=URL, error=OSError(ssl.SSLCertVerificationError("expired")))],
    ids=["no credentials", "a certificate that is not trusted"],
)
def test_what_the_sdk_raises_that_nobody_can_try_away_is_left_as_it_is(driver, faults, error):
    faults.on(GET, breaks(error))
    with pytest.raises(PynamoDBException) as fault:
        driver.spend(5)
    assert fault.value.cause is error


@pytest.mark.parametrize("body", [b"", b"slow down", b'{"__type": "AnyException"}'])
def test_too_many_requests_are_contention_whatever_the_body_says(driver, faults, body):
    faults.on(TRANSACT, answered(429, body, JSON))
    with faults.measured() as cost:
        driver.spend(5)
    assert cost.calls == [GET, TRANSACT, GET, TRANSACT]
    faults.on(TRANSACT, *[answered(429, body, JSON)] * 20)
    with pytest.raises(BusyError) as busy:
        driver.spend(5, "other", by=soon())
    assert "Nothing happened" in busy.value.detail


@pytest.mark.parametrize("status", [301, 400, 403, 404, 413])
def test_other_refusals_are_left_as_they_are(driver, faults, status):
    faults.on(GET, answered(status, b"<html>no</html>"))
    with pytest.raises(PynamoDBException):
        driver.spend(5)


@pytest.mark.parametrize("reason", ["ValidationError", "ItemCollectionSizeLimitExceeded", "NotBeforeNextYear"])
def test_a_transaction_cancelled_for_what_does_not_pass_is_not_tried_again(driver, faults, reason):
    faults.on(TRANSACT, refused("TransactionCanceledException", "None", reason))
    with faults.measured() as cost, pytest.raises(PynamoDBException):
        driver.spend(5)
    assert cost.calls == [GET, TRANSACT]


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_cancelled_for_what_passes_is_tried_again(driver, faults, reason):
    faults.on(TRANSACT, refused("TransactionCanceledException", reason, "ValidationError"))
    assert driver.spend(5).entry.balance_after == 15


def test_a_transaction_in_progress_is_this_very_one_and_may_happen_yet(driver, faults):
    faults.on(TRANSACT, request_lost, *[refused("TransactionInProgressException")] * 20)
    with pytest.raises(BusyError) as busy:
        driver.spend(5, by=soon())
    assert "this may have happened or not" in busy.value.detail


@pytest.mark.parametrize("fault", [THROTTLED, refused("TransactionCanceledException", "TransactionConflict")])
def test_what_was_not_answered_and_then_refused_may_have_happened(driver, faults, fault):
    faults.on(TRANSACT, answer_lost, *[fault] * 20)
    faults.on(GET, passes, *[THROTTLED] * 20)
    with pytest.raises(BusyError) as busy:
        driver.spend(5, by=soon())
    assert "this may have happened or not" in busy.value.detail
    faults.calm()
    assert driver.spend(5).replayed
    assert driver.balance() == 15


def test_a_read_that_is_not_answered_leaves_nothing_unknown(driver, faults):
    faults.on(GET, *[request_lost] * 20)
    with pytest.raises(BusyError) as busy:
        driver.spend(5, by=soon())
    assert "Nothing happened" in busy.value.detail


def test_a_repeat_that_the_store_sent_itself_is_no_repeat_of_the_callers(driver, faults):
    faults.on(TRANSACT, answer_lost)
    assert not driver.spend(5).replayed


# --- The sandbox's table


@pytest.fixture
def sandbox_wire(sandbox, provider: Provider):  # noqa: ARG001 - it makes the table
    faults = FaultInjector(sandbox.client)
    yield faults
    faults.detach()


@pytest.mark.parametrize("fault", [THROTTLED, request_lost, answered(503)], ids=["throttled", "no answer", "503"])
def test_a_sandbox_whose_table_is_busy_is_a_provider_that_does_not_answer(sandbox_wire, provider, driver, fault):
    succeeds = provider.that(Behaviour.SUCCEED)
    sandbox_wire.on(PUT, *[fault] * AGAIN)
    with pytest.raises(BusyError, match="Nothing was charged"):
        driver.buy(40, succeeds)
    sandbox_wire.calm()
    sandbox_wire.on(UPDATE, *[fault] * AGAIN)
    pending = driver.buy(40, succeeds).purchase
    sandbox_wire.calm()
    sandbox_wire.on(GET, *[fault] * AGAIN)
    with pytest.raises(BusyError):
        driver.tell(pending.charge_id, succeeds)
    sandbox_wire.calm()
    assert driver.reconcile(pending.purchase_id, succeeds) is not PurchaseState.PENDING


@pytest.mark.parametrize("fault", [THROTTLED, request_lost], ids=["throttled", "no answer"])
def test_a_sandbox_whose_clock_cannot_be_read_is_busy(sandbox_wire, sandbox, fault):
    sandbox_wire.on(GET, *[fault] * AGAIN)
    with pytest.raises(ContentionError):
        SandboxClock(sandbox).now()


def test_a_clock_that_was_moved_without_an_answer_is_moved_once(sandbox_wire, sandbox):
    clock = SandboxClock(sandbox)
    sandbox_wire.on(UPDATE, answer_lost)
    clock.advance(DAY)
    assert clock._ahead() == DAY
    sandbox_wire.on(UPDATE, sandbox_wire.before(lambda: clock.advance(DAY)))
    clock.advance(DAY)
    assert clock._ahead() == 3 * DAY
