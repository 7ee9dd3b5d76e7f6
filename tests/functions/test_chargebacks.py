"""What people see of money that goes back: the account, the purchase, the history, notices, repeats."""

import csv
import io

import pytest

from tests.functions.events import STAFF
from tests.functions.stream import items, stream


@pytest.fixture
def bought(api):
    """40 Connects for 600 cents, beside 50 free ones."""
    api.open()
    return api.buy().body["purchase_id"]


def publish(api, *changes):
    assert api.invoke("outbox", stream(*changes)) == {"batchItemFailures": []}


def chargebacks():
    return [item for item in items("ENTRY#") if item["type"] == {"S": "chargeback"}]


def told(listener, kind):
    common = {"version", "account_id", "type", "id", "at", "entry_id"}
    found = [event for event in listener.heard if event["type"] == f"notice.{kind}"]
    return [{name: each[name] for name in each if name not in common} for each in found]


def test_an_account_shows_what_it_owes_until_it_is_paid(api, bought):
    assert api.read()["owed"] == 0
    api.spend(65)
    api.goes_back(bought, 600)
    assert (api.read()["balance"], api.read()["owed"]) == (0, 15)
    api.adjust(20)
    assert (api.read()["balance"], api.read()["owed"]) == (5, 0)


def test_a_purchase_shows_what_went_back_of_its_payment(api, bought):
    first = api.read_purchase(bought)
    assert not {"returned_cents", "reclaimed", "dispute"} & set(first)
    api.goes_back(bought, 300, None)
    shown = api.read_purchase(bought)
    assert (shown["status"], shown["returned_cents"], shown["reclaimed"]) == ("completed", 300, 20)
    api.goes_back(bought, 600)
    shown = api.read_purchase(bought)
    assert (shown["status"], shown["reclaimed"], shown["dispute"]) == ("refunded_to_card", 40, "needs_response")
    api.goes_back(bought, 0, "won")
    shown = api.read_purchase(bought)
    assert shown == first | {"returned_cents": 0, "reclaimed": 0, "dispute": "won"}


def test_a_repeat_of_the_purchase_is_answered_as_the_first_time(api):
    api.open()
    first = api.buy()
    api.goes_back(first.body["purchase_id"], 600)
    again = api.buy()
    assert (again.status, again.text, again.replayed) == (201, first.text, True)
    assert api.read()["balance"] == 50


def test_the_history_explains_every_change(api, bought):
    api.spend(65)
    api.goes_back(bought, 600)
    api.adjust(5)
    api.goes_back(bought, 0, "won")
    restored, paid_back, _, taken = api.entries()[:4]
    assert [entry["reason"] for entry in (taken, paid_back, restored)] == [
        "Payment disputed: 25 Connects taken back, 15 owed",
        "5 owed Connects paid back",
        "Dispute won: 30 Connects given back, 10 no longer owed",
    ]
    assert taken["reference"] == {
        "owed": "15",
        "owed_after": "15",
        "purchase_id": bought,
        "type": "chargeback",
        "why": "dispute",
    }
    assert paid_back["reference"]["of"] == api.entries()[2]["id"]
    assert [entry["amount"] for entry in api.entries(type="chargeback")] == [30, -5, -25]
    answer = api.call("history", headers={"accept": "text/csv"}, query={"days": "7", "type": "chargeback"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["type"] for row in rows] == ["chargeback"] * 3
    assert f"purchase_id={bought}" in rows[0]["reference"]


def test_the_audit_of_an_account_that_owes_finds_nothing(api, bought):
    api.spend(65)
    api.goes_back(bought, 600)
    api.adjust(5)
    audited = api.call("audit", claims=STAFF)
    assert audited.body["ok"], audited.body


def test_an_owner_is_told_what_was_taken_back_what_paid_and_what_came_again(api, bought, listener):
    api.spend(65)
    api.goes_back(bought, 600)
    api.adjust(5)
    api.goes_back(bought, 0, "won")
    publish(api, *chargebacks())
    common = {"purchase_id": bought}
    assert sorted(told(listener, "connects_reclaimed"), key=lambda each: each["owed"]) == [
        common | {"amount": 5, "balance": 0, "owed": 10, "reason": "5 owed Connects paid back"},
        common
        | {
            "amount": 25,
            "balance": 0,
            "owed": 15,
            "reason": "Payment disputed: 25 Connects taken back, 15 owed",
        },
    ]
    assert told(listener, "connects_restored") == [
        common
        | {
            "amount": 30,
            "balance": 30,
            "owed": 0,
            "reason": "Dispute won: 30 Connects given back, 10 no longer owed",
        }
    ]


def test_an_owner_is_told_of_a_debt_although_nothing_was_there_to_be_taken(api, bought, listener):
    api.spend(90)
    api.goes_back(bought, 600, None)
    publish(api, *chargebacks())
    (notice,) = told(listener, "connects_reclaimed")
    assert (notice["amount"], notice["owed"], notice["reason"]) == (0, 40, "Payment refunded: 40 Connects owed")


def test_a_level_is_no_news_of_the_purchase_itself(api, bought, listener):
    (before,) = items("PURCHASE#")
    api.goes_back(bought, 600)
    (after,) = items("PURCHASE#")
    publish(api, (before, after))
    assert listener.heard == []
