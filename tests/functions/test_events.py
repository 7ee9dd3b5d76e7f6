"""The event files, played in order, tell a story that works: nobody who tries them meets a file that went stale."""

import json

import pytest

from tests.functions.events import FOLDER, event

STORY = {
    "open_account": 201,
    "put_billing_method": 200,
    "purchase": 201,
    "purchases": 200,
    "read_purchase": 200,
    "check_purchase": 200,
    "payment_events": 200,
    "put_job": 200,
    "read_job": 200,
    "spend": 201,
    "boost": 201,
    "refund": 201,
    "job_event": 202,
    "reward": 201,
    "adjustment": 201,
    "put_promo": 200,
    "redeem_promo": 201,
    "badge": 200,
    "change_account": 200,
    "sandbox_clock": 200,
    "read_account": 200,
    "history": 200,
    "audit": 200,
}
SCHEDULED = ("monthly_grant", "expiry_sweep", "expiry_notices", "job_sweep", "badge_renewals", "purchase_reconcile")
QUEUES = (*SCHEDULED, "audit")


def test_the_event_files_of_the_api_work_one_after_the_other(api):
    for name, status in STORY.items():
        answer = api.send(name, event(name))
        assert answer.status == status, (name, answer.text)
    assert answer.body["ok"]
    assert api.entries()[0]["balance_after"] == api.balance() == 40 + 10 + 40 + 30 - 5 + 5 - 4 - 4 + 100 + 90


@pytest.mark.parametrize("function", QUEUES)
def test_the_event_files_of_the_queues_work(api, function):
    for name in ("open_account", "purchase"):
        api.send(name, event(name))
    assert api.invoke(function, event(f"{function}_queue")) == {"batchItemFailures": []}


def test_there_is_an_event_file_for_every_function_and_no_other():
    queues = {f"{name}_queue" for name in QUEUES}
    assert {file.stem for file in FOLDER.glob("*.json")} == {
        *STORY,
        *SCHEDULED,
        *queues,
        "outbox",
        "marketplace_events",
        "mailer",
    }


@pytest.mark.parametrize("name", STORY)
def test_an_event_file_agrees_with_itself(name):
    sent = event(name)
    method, _, pattern = sent["routeKey"].partition(" ")
    assert sent["rawPath"] == pattern.format_map(sent.get("pathParameters", {}))
    assert sent["requestContext"]["http"]["method"] == method
    assert "body" not in sent or json.loads(sent["body"])
