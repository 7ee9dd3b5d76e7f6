"""Bad days: what the caller is told (nothing of the inside), what the log says (all of it), and what has happened."""

import time
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import GetError

from shared.store.table import Table
from tests.faults import BATCH_GET, GET, PUT, QUERY, TRANSACT, request_lost
from tests.functions.conftest import client, ledger_table
from tests.functions.events import event, http, sqs

API = (
    "open_account",
    "read_account",
    "change_account",
    "history",
    "audit",
    "purchase",
    "purchases",
    "read_purchase",
    "spend",
    "boost",
    "refund",
    "put_job",
    "read_job",
    "job_event",
)
FAILED = (500, "internal_error")
BUSY = (503, "busy")
SECRETS = ("Traceback", "File ", "no-such", "dynamodb", "botocore", "pynamodb", "Exception", "arn:", "_NAME")


def refused(code, operation, *reasons):
    """A refusal that moto does not know. It is raised before moto is asked, which would carry the request out."""

    def fault(_):
        error: Any = {"Error": {"Code": code, "Message": code}}
        error["ResponseMetadata"] = {"RequestId": "R", "HTTPHeaders": {}}
        raise ClientError(error | {"CancellationReasons": [{"Code": reason} for reason in reasons]}, operation)

    return fault


CONFLICT = refused("TransactionCanceledException", TRANSACT, "None", "TransactionConflict")


def throttled(operation):
    return refused("ProvisionedThroughputExceededException", operation)


def says_nothing_of_the_inside(answer):
    assert not [secret for secret in SECRETS if secret in answer.text]
    assert set(answer.body) == {"type", "title", "status", "detail", "code"}
    return True


# --- A function without what it needs


def test_without_its_table_a_function_names_it_in_its_log_and_answers_500(api, log, restart):
    restart(TABLE_NAME="no-such-table")
    for logged, name in enumerate([*API, "sandbox_clock"]):
        answer = api.send(name, http(name, claims={"scope": "connects/staff"}))
        assert answer.refused == FAILED
        assert says_nothing_of_the_inside(answer)
        line = log.lines()[logged]
        assert "no-such-table" in line["exception"]
        assert "ResourceNotFoundException" in line["exception"]


@pytest.mark.parametrize("name", ["read_account", "history", "open_account", "spend"])
def test_without_a_permission_a_function_names_it_in_its_log_and_answers_500(api, log, faults, name):
    for operation in (GET, BATCH_GET, QUERY, TRANSACT):
        faults.on(operation, refused("AccessDeniedException", operation))
    answer = api.send(name, http(name, claims={"scope": "connects/staff"}))
    assert answer.refused == FAILED
    assert says_nothing_of_the_inside(answer)
    assert "AccessDeniedException" in log.text
    assert any(operation in log.text for operation in (GET, BATCH_GET, QUERY, TRANSACT))


@pytest.mark.parametrize(
    "setting",
    ["TABLE_NAME", "SANDBOX_TABLE_NAME", "STAGE", "DUE_SHARDS", "ACCOUNT_CLAIM", "ANCHOR_POLICY", "CURRENCY"],
)
def test_without_a_setting_a_function_names_it_in_its_log_and_answers_500(api, log, restart, setting):
    restart(**{setting: None})
    answer = api.send("read_account", event("read_account"))
    assert answer.refused == FAILED
    assert says_nothing_of_the_inside(answer)
    assert f"{setting} is not set" in log.text


@pytest.mark.parametrize(
    ("setting", "value"),
    [("DUE_SHARDS", "many"), ("SIGN_UP_CONNECTS", "-1"), ("UNIT_PRICE_CENTS", "0.15"), ("ANCHOR_POLICY", "last")],
)
def test_with_a_setting_that_makes_no_sense_a_function_names_it_and_its_value(api, log, restart, setting, value):
    restart(**{setting: value})
    assert api.send("read_account", event("read_account")).refused == FAILED
    (line,) = [line for line in log.lines() if line["level"] == "ERROR"]
    assert line["exception_name"] == "ConfigurationError"
    assert setting in line["exception"]
    assert repr(value) in line["exception"]


@pytest.mark.parametrize("setting", ["TABLE_NAME", "ANCHOR_POLICY"])
@pytest.mark.parametrize("value", [None, "", "nonsense"])
def test_a_wrong_setting_waits_for_the_first_request_to_be_told(restart, monkeypatch, setting, value):
    """While a function starts there is no request to answer, and Lambda would try to start it again and again."""
    from shared.aws.wiring import warm_up  # noqa: PLC0415 - after Powertools' settings are there

    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "spend")
    restart(**{setting: value})
    warm_up()


@pytest.mark.parametrize(
    "function", ["monthly_grant", "expiry_sweep", "badge_renewals", "job_sweep", "purchase_reconcile"]
)
def test_without_its_table_a_scheduled_run_fails_and_says_so(api, restart, function):
    restart(TABLE_NAME="no-such-table")
    with pytest.raises(Exception, match="no-such-table"):
        api.run(function)


def test_without_its_table_a_message_comes_back(api, log, restart):
    restart(TABLE_NAME="no-such-table")
    event = sqs("monthly_grant_queue", '{"accounts": ["ann"]}')
    [message] = event["Records"]
    answer = api.invoke("monthly_grant", event)
    assert answer == {"batchItemFailures": [{"itemIdentifier": message["messageId"]}]}
    assert "no-such-table" in log.text


# --- Contention, throttling, lost answers


@pytest.fixture
def hurried(api, monkeypatch):
    """Ann's account, and a function that has some tenths of a second left to try in."""
    api.open()
    monkeypatch.setattr(api, "left_ms", 2_900)


def busy(answer):
    assert answer.refused == BUSY
    assert int(answer.headers["Retry-After"]) >= 1
    assert says_nothing_of_the_inside(answer)
    return True


@pytest.mark.parametrize("fault", [CONFLICT, request_lost], ids=["conflict", "no answer"])
@pytest.mark.usefixtures("hurried")
def test_contention_that_outlasts_the_deadline_is_busy_and_nothing_happened(api, faults, fault):
    spend_id = api.spend(1, "before").body["id"]
    before = api.entries()
    for call in (
        lambda: api.spend(6),
        lambda: api.refund(spend_id),
        lambda: api.call("change_account", body={"plan": "plus"}),
        lambda: api.call("open_account", key="k", body={"account_id": "b", "kind": "agency", "plan": "plus"}),
    ):
        faults.on(TRANSACT, *[fault] * 60)
        assert busy(call())
        faults._faults.clear()
    assert api.entries() == before
    assert (api.spend(6).status, api.refund(spend_id).status) == (201, 201)


@pytest.mark.usefixtures("hurried")
def test_a_purchase_that_cannot_be_begun_is_busy_and_charges_nothing(api, faults):
    faults.on(PUT, *[throttled(PUT)] * 60)
    assert busy(api.buy())
    faults._faults.clear()
    api.left_ms = None
    assert api.buy().status == 201


@pytest.mark.usefixtures("hurried")
def test_a_purchase_of_which_nobody_knows_whether_it_was_begun_is_named(api, faults):
    faults.on(PUT, *[request_lost] * 60)
    answer = api.buy()
    faults.calm()
    api.left_ms = None
    assert answer.refused == BUSY
    assert f"purchase {answer.body['purchase_id']} is pending, or was not begun" in answer.body["detail"]
    assert api.buy().body["purchase_id"] == answer.body["purchase_id"]


@pytest.mark.parametrize("name", ["read_account", "history", "audit", "read_purchase"])
def test_a_read_that_is_throttled_is_busy(api, faults, name):
    api.open()
    for operation in (GET, QUERY):
        faults.on(operation, throttled(operation))
    answer = api.send(name, http(name, claims={"scope": "connects/staff"}))
    faults._faults.clear()
    assert busy(answer)


@pytest.mark.parametrize("fault", [CONFLICT, request_lost], ids=["conflict", "no answer"])
def test_contention_that_passes_is_not_noticed(api, faults, fault):
    api.open()
    faults.on(TRANSACT, fault, fault)
    answer = api.spend(6)
    assert (answer.status, answer.replayed, api.balance()) == (201, False, 44)


def test_a_function_gives_up_in_time_to_answer(api, faults, monkeypatch):
    api.open()
    monkeypatch.setattr(api, "left_ms", 2_900)
    faults.on(TRANSACT, *[CONFLICT] * 100)
    started = time.monotonic()
    assert busy(api.spend(6))
    assert time.monotonic() - started < 1.5


# --- What nobody thought of


def test_an_error_that_nobody_thought_of_is_logged_with_its_trace_and_told_to_nobody(api, log, monkeypatch):
    api.open()

    def broken(*_):
        raise ZeroDivisionError("the secret of 10.1.2.3")

    monkeypatch.setattr(Table, "account", broken)
    answer = api.send("read_account", event("read_account"))
    assert answer.refused == FAILED
    assert says_nothing_of_the_inside(answer)
    assert "10.1.2.3" not in answer.text
    (line,) = [line for line in log.lines() if line["level"] == "ERROR"]
    assert (line["exception_name"], line["correlation_id"]) == ("ZeroDivisionError", "JKJaXmPLvHcESHA=")
    assert "the secret of 10.1.2.3" in line["exception"]


def test_every_log_line_can_be_found_by_the_request(api, log):
    api.open()
    api.spend(60)
    assert log.lines()
    assert {line["correlation_id"] for line in log.lines()} == {event("spend")["requestContext"]["requestId"]}


def test_no_log_line_holds_a_token_or_a_body(api, log):
    api.open()
    api.spend(60)
    api.buy(sandbox="explode")
    assert "verified-by-the-gateway" not in log.text
    assert "proposal_id" not in log.text


def test_moto_is_what_answers_here():
    with pytest.raises(ClientError):
        client("dynamodb").describe_table(TableName="nothing")
    with pytest.raises(GetError):
        Table("nothing", shards=1, region="us-east-1").account("ann")
    assert ledger_table().shards == 4
    assert boto3.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_a_stage_without_a_provider_reconciles_nothing_in_peace(api, restart):
    restart(STAGE="production")
    assert api.run("purchase_reconcile") == {"purchases": 0}
