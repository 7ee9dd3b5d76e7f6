"""Purchases over HTTP: the list, the check by staff, and what a buyer has to do when the bank asks."""

import pytest

from shared.payments import NoAnswerError, Payment, PaymentState
from shared.sandbox.payments import SandboxProvider
from tests.functions.conftest import charges, everything
from tests.functions.events import SERVICE, STAFF, user

NOTHING = 50
WITH_IT = 90


@pytest.fixture(autouse=True)
def ann(api):
    api.open()


@pytest.fixture
def a_minute_later(clock, scheduled):
    """A minute passes, and a run of the schedule is carried out with all that it sends."""

    def run():
        clock.go(minutes=1)
        scheduled("purchase_reconcile")

    return run


def listed(api, **query):
    return api.call("purchases", claims=user("ann"), query=query)


def check(api, purchase_id):
    return api.call("check_purchase", claims=STAFF, path={"purchase_id": purchase_id})


def read(api, purchase_id, **changes):
    return api.call("read_purchase", path={"purchase_id": purchase_id}, **changes)


def says(monkeypatch, method, answer):
    def say(*_, **__):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(SandboxProvider, method, say)


# --- The list


def test_an_owner_who_paid_finds_the_purchase_without_its_id(api, clock):
    bought = api.buy(40, "first").body
    clock.go(minutes=1)
    pending = api.buy(20, "second", sandbox="late").body
    answer = listed(api)
    newest, first = answer.body["purchases"]
    assert (newest["purchase_id"], newest["status"]) == (pending["purchase_id"], "pending")
    assert first == {
        "purchase_id": bought["purchase_id"],
        "status": "completed",
        "created_at": "2026-11-22T10:00:00.000Z",
        "quantity": 40,
        "amount_cents": 600,
        "currency": "USD",
        "source": "billing_method",
        "entry_id": bought["entry"]["id"],
        "receipt_url": bought["receipt_url"],
    }
    api.call("payment_events", body={"type": "charge.", "account_id": "ann", "charge_id": f"{newest['purchase_id']}-1"})


def test_a_declined_purchase_is_listed_with_its_reason_and_its_code(api):
    api.put_promo()
    body = {"quantity": 40, "payment": {"source": "earnings_balance"}, "promo_code": "spring"}
    api.buy(body=body, sandbox="decline")
    [row] = listed(api, status="declined").body["purchases"]
    assert (row["declined_because"], row["promo_code"], row["source"]) == (
        "the card was declined",
        "SPRING",
        "earnings_balance",
    )
    assert listed(api, status="completed").body == {"purchases": [], "next_cursor": None}


def test_the_list_comes_in_pages_by_a_cursor(api, clock):
    for number in range(5):
        api.buy(10 + number, f"buy-{number}")
        clock.go(minutes=1)
    first = listed(api, limit="3").body
    rest = listed(api, limit="3", cursor=first["next_cursor"]).body
    quantities = [row["quantity"] for page in (first, rest) for row in page["purchases"]]
    assert (quantities, rest["next_cursor"]) == ([14, 13, 12, 11, 10], None)
    assert listed(api, status="pending", cursor=first["next_cursor"]).refused == (400, "invalid_request")


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"status": "paid"}, {"cursor": "x"}])
def test_a_query_that_makes_no_sense_is_refused(api, query):
    assert listed(api, **query).refused == (400, "invalid_request")


# --- The check by staff


def test_a_check_completes_what_the_provider_charged_and_shows_both_sides(api):
    purchase_id = api.buy(sandbox="timeout").body["purchase_id"]
    answer = check(api, purchase_id)
    assert answer.status == 200
    body = answer.body
    assert (body["ledger"]["status"], body["provider"]["state"], body["done"], body["agrees"]) == (
        "pending",
        "charged",
        "completed",
        True,
    )
    assert (body["ledger"]["ref"], body["provider"]["taken_cents"]) == (f"{purchase_id}-1", 600)
    assert body["ledger"]["next_look_at"] == "2026-11-22T10:01:00.000Z"
    assert body["purchase"]["status"] == "completed"
    assert (api.balance(), charges()) == (WITH_IT, {purchase_id: 600})


@pytest.mark.parametrize("sandbox", ["succeed", "decline"])
def test_a_check_of_what_is_decided_finds_nothing_to_do_however_often(api, sandbox):
    answered = api.buy(sandbox=sandbox).body
    before = everything()
    found = [check(api, answered["purchase_id"]).body for _ in range(2)]
    assert found[0] == found[1]
    assert (found[0]["done"], found[0]["agrees"]) == ("nothing", True)
    assert everything() == before


def test_a_check_gives_up_nothing_that_waits(api, a_minute_later):
    purchase_id = api.buy(sandbox="action").body["purchase_id"]
    before = everything()
    body = check(api, purchase_id).body
    assert (body["provider"]["state"], body["done"], body["agrees"]) == ("needs_buyer", "nothing", True)
    assert body["ledger"]["action_until"] == "2026-11-22T10:15:00.000Z"
    assert "secret" not in str(body)
    assert everything() == before
    a_minute_later()


def test_a_check_of_a_purchase_whose_payment_was_never_named_says_so(api, monkeypatch):
    with monkeypatch.context() as patch:
        says(patch, "prepare", NoAnswerError())
        busy = api.buy()
    assert busy.refused == (503, "busy")
    body = check(api, busy.body["purchase_id"]).body
    assert (body["ledger"]["ref"], body["provider"], body["done"], body["agrees"]) == (None, None, "nothing", True)


def test_a_check_shows_where_ledger_and_provider_do_not_agree(api, monkeypatch):
    purchase_id = api.buy().body["purchase_id"]
    says(monkeypatch, "look", Payment(PaymentState.DECLINED, "it never was"))
    body = check(api, purchase_id).body
    assert (body["done"], body["agrees"], body["purchase"]["status"]) == ("nothing", False, "completed")


def test_while_the_provider_does_not_answer_a_check_is_busy(api, monkeypatch):
    purchase_id = api.buy().body["purchase_id"]
    says(monkeypatch, "look", NoAnswerError())
    assert check(api, purchase_id).refused == (503, "busy")


# --- What needs a person


@pytest.mark.parametrize("found_by", ["buyer", "event", "reconciliation", "check"])
def test_another_charge_than_was_asked_for_is_counted_and_credited_to_nobody(
    api, log, monkeypatch, a_minute_later, found_by
):
    wrong = Payment(PaymentState.WRONG, taken_cents=599)
    says(monkeypatch, "confirm", wrong if found_by == "buyer" else Payment(PaymentState.IN_PROGRESS))
    says(monkeypatch, "look", wrong)
    says(monkeypatch, "give_up", wrong)
    log.metrics()
    bought = api.buy()
    purchase_id = bought.body["purchase_id"]
    if found_by == "event":
        told = {"type": "charge.settled", "account_id": "ann", "charge_id": f"{purchase_id}-1"}
        assert api.call("payment_events", body=told).body["status"] == "under_review"
    elif found_by == "reconciliation":
        a_minute_later()
    elif found_by == "check":
        assert check(api, purchase_id).body["done"] == "under_review"
    assert log.metrics()["PurchasesUnderReview"] == [1]
    assert (bought.status, bought.body["status"]) == (202, "pending")
    assert (api.buy().text, read(api, purchase_id).body["status"]) == (bought.text, "under_review")
    assert api.balance() == NOTHING


# --- When the bank asks the buyer


def test_a_buyer_is_shown_what_to_do_until_it_is_done(api, clock):
    asked = api.buy(sandbox="action")
    action = asked.body["action"]
    assert (asked.status, asked.body["status"]) == (202, "pending")
    assert action["expires_at"] == "2026-11-22T10:15:00.000Z"
    purchase_id = asked.body["purchase_id"]
    assert read(api, purchase_id, claims=user("ann")).body["action"] == action
    assert api.buy().text == asked.text
    clock.go(minutes=1)
    told = {"type": "charge.settled", "account_id": "ann", "charge_id": f"{purchase_id}-1"}
    assert api.call("payment_events", body=told).body["status"] == "completed"
    done = read(api, purchase_id).body
    assert ("action" in done, done["status"], api.balance()) == (False, "completed", WITH_IT)


def test_a_buyer_who_does_nothing_is_given_up_by_the_schedule(api, log, a_minute_later):
    purchase_id = api.buy(sandbox="abandon").body["purchase_id"]
    log.metrics()
    for _ in range(15):
        assert read(api, purchase_id).body["status"] == "pending"
        a_minute_later()
    assert "OldestPendingPurchaseMinutes" not in log.metrics(), "nothing is late while a buyer may answer"
    found = read(api, purchase_id).body
    assert (found["status"], found["declined_because"]) == ("declined", "the buyer did not answer the bank in time")
    assert (charges(), api.buy(sandbox="succeed").status) == ({}, 202)


def test_how_long_a_buyer_may_take_is_a_parameter(api, restart):
    restart(ACTION_MINUTES="3")
    asked = api.buy(sandbox="abandon").body
    assert asked["action"]["expires_at"] == "2026-11-22T10:03:00.000Z"


def test_where_a_service_buys_for_somebody_the_bank_can_ask_nobody(api):
    assert api.buy(claims=SERVICE, sandbox="action").refused == (402, "payment_declined")
    assert charges() == {}


def test_while_the_provider_does_not_answer_a_purchase_is_read_without_its_action(api, monkeypatch):
    purchase_id = api.buy(sandbox="abandon").body["purchase_id"]
    says(monkeypatch, "look", NoAnswerError())
    found = read(api, purchase_id)
    assert (found.status, "action" in found.body) == (200, False)


def test_no_secret_of_a_payment_is_stored_or_logged(api, log):
    secret = api.buy(sandbox="abandon").body["action"]["client_secret"]
    read(api, api.buy().body["purchase_id"])
    assert secret not in str(everything())
    assert secret not in log.text
