"""What callers rely on: statuses, fields and headers of each call."""

import base64
import csv
import io
from datetime import date, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.stack.machinery import Machinery
from tests.stack.marketplace import Marketplace, refusal, unique

ENTRY = {"id", "seq", "at", "type", "amount", "balance_after", "lots", "reason", "reference"}
ACCOUNT = {"account_id", "kind", "plan", "next_plan", "status", "balance", "held", "expiring", "lots", "cycle", "badge"}
PURCHASE = {"purchase_id", "status", "quantity", "amount_cents"}


def entry_of(answer: httpx.Response) -> dict:
    assert answer.status_code == 201, answer.text
    entry = answer.json()
    assert entry.keys() >= ENTRY
    assert entry["at"].endswith("Z")
    assert sum(lot["amount"] for lot in entry["lots"]) == entry["amount"]
    assert all(lot.keys() == {"expires_on", "paid", "amount"} for lot in entry["lots"])
    return entry


def test_an_account_opens_with_its_sign_up_connects_and_those_of_its_cycle(marketplace: Marketplace):
    account = unique("t")
    body = {"account_id": account, "kind": "freelancer", "plan": "basic"}

    answer = marketplace.service("POST", "/accounts", body, key="open")

    marketplace.opened.append(account)
    assert answer.status_code == 201
    assert answer.json() == marketplace.read(account)
    assert answer.json()["balance"] == 50


def test_an_account_reads_as_the_contract_says(marketplace: Marketplace):
    account = marketplace.read(marketplace.open("freelancer", "plus"))

    assert account.keys() >= ACCOUNT
    assert (account["kind"], account["plan"], account["status"]) == ("freelancer", "plus", "active")
    assert account["balance"] == sum(lot["amount"] for lot in account["lots"]) == 140
    assert {lot["paid"] for lot in account["lots"]} == {False, True}
    assert account["expiring"].keys() == {"within_30_days", "next"}
    assert account["expiring"]["within_30_days"] == 0
    assert account["expiring"]["next"] == {"on": account["lots"][0]["expires_on"], "amount": 140}
    assert account["cycle"].keys() == {"starts_on", "ends_on", "next_grant_on"}
    assert date.fromisoformat(account["cycle"]["ends_on"]) < date.fromisoformat(account["cycle"]["next_grant_on"])


def test_the_day_of_joining_sets_the_cycle(marketplace: Marketplace):
    account = marketplace.open(joined_on="2020-01-31")

    cycle = marketplace.read(account)["cycle"]

    days = [date.fromisoformat(cycle[name]) for name in ("starts_on", "next_grant_on")]
    assert all((day + timedelta(days=1)).day == 1 for day in days)
    assert cycle["ends_on"] == (days[1] - timedelta(days=1)).isoformat()


def test_an_account_that_is_not_there_is_not_found(marketplace: Marketplace):
    ghost = unique("t")

    for path in ("", "/history", "/audit"):
        assert refusal(marketplace.staff("GET", f"/accounts/{ghost}{path}")) == (404, "account_not_found")
    assert refusal(marketplace.service("PATCH", f"/accounts/{ghost}", {"plan": "plus"})) == (404, "account_not_found")
    assert refusal(marketplace.spend(ghost, 1, "s")) == (404, "account_not_found")
    assert refusal(marketplace.buy(ghost, 10, "b")) == (404, "account_not_found")


def test_an_account_opens_once(marketplace: Marketplace):
    account = marketplace.open()
    body = {"account_id": account, "kind": "freelancer", "plan": "basic"}

    assert refusal(marketplace.service("POST", "/accounts", body, key="other")) == (409, "already_exists")


def test_an_upgrade_shows_at_once(marketplace: Marketplace):
    account = marketplace.open()

    answer = marketplace.service("PATCH", f"/accounts/{account}", {"plan": "plus"})

    assert answer.status_code == 200
    assert answer.json()["plan"] == "plus"
    assert answer.json()["balance"] == marketplace.balance(account) == 140


def test_an_agency_that_falls_back_to_basic_is_frozen(marketplace: Marketplace):
    agency = marketplace.open("agency", "plus")
    marketplace.buy(agency, 20, "b")

    later = marketplace.service("PATCH", f"/accounts/{agency}", {"plan": "basic"}).json()
    at_once = marketplace.service("PATCH", f"/accounts/{agency}", {"plan": "basic", "effective": "now"}).json()

    assert (later["plan"], later["next_plan"], later["status"]) == ("plus", "basic", "active")
    assert (at_once["plan"], at_once["next_plan"], at_once["status"], at_once["balance"]) == (
        "basic",
        None,
        "frozen",
        20,
    )
    assert refusal(marketplace.spend(agency, 1, "s")) == (403, "account_frozen")
    assert refusal(marketplace.buy(agency, 10, "c")) == (403, "account_frozen")


def test_a_suspended_account_may_not_spend_and_a_closed_one_never_again(marketplace: Marketplace):
    account = marketplace.open()

    def becomes(status: str) -> httpx.Response:
        return marketplace.service("PATCH", f"/accounts/{account}", {"status": status})

    assert becomes("suspended").json()["status"] == "suspended"
    assert refusal(marketplace.spend(account, 1, "s")) == (403, "account_suspended")
    assert becomes("active").json()["status"] == "active"
    assert marketplace.spend(account, 1, "s").status_code == 201
    assert becomes("closed").json()["status"] == "closed"
    assert refusal(marketplace.spend(account, 1, "t")) == (403, "account_closed")
    assert refusal(becomes("active")) == (403, "account_closed")


def test_news_of_more_than_five_minutes_ahead_is_refused(marketplace: Marketplace):
    ahead = {"status": "suspended", "at": "2126-01-01T00:00:00Z"}
    assert refusal(marketplace.service("PATCH", f"/accounts/{marketplace.open()}", ahead)) == (400, "invalid_request")


def test_an_agency_on_basic_cannot_buy(marketplace: Marketplace):
    assert refusal(marketplace.buy(marketplace.open("agency"), 10, "b")) == (403, "plan_required")


def test_a_spend_answers_with_its_entry(marketplace: Marketplace):
    account = marketplace.open()

    entry = entry_of(marketplace.spend(account, 6, "s", expected_price=6))

    assert (entry["type"], entry["amount"], entry["balance_after"]) == ("spend", -6, 44)
    assert entry["reference"] == {"type": "proposal", "proposal_id": "proposal-s", "job_id": "job-s"}
    assert marketplace.entries(account)[0] == entry


def test_a_spend_that_is_too_large_names_the_numbers(marketplace: Marketplace):
    account = marketplace.open()

    answer = marketplace.spend(account, 51, "s")

    assert refusal(answer) == (409, "insufficient_connects")
    assert (answer.json()["balance"], answer.json()["required"]) == (50, 51)
    assert marketplace.balance(account) == 50


def test_a_spend_at_a_price_that_has_changed_names_the_new_one(marketplace: Marketplace):
    answer = marketplace.spend(marketplace.open(), 6, "s", expected_price=4)

    assert refusal(answer) == (409, "price_changed")
    assert answer.json()["price"] == 6


def test_a_refund_gives_back_to_the_lots_that_the_spend_took_from(marketplace: Marketplace):
    account = marketplace.open()
    spend = entry_of(marketplace.spend(account, 6, "s"))

    refund = entry_of(marketplace.refund(account, spend["id"], "r"))

    assert (refund["type"], refund["amount"], refund["balance_after"]) == ("refund", 6, 50)
    assert [lot["expires_on"] for lot in refund["lots"]] == [lot["expires_on"] for lot in spend["lots"]]


def test_a_refund_is_refused_where_nothing_comes_back(marketplace: Marketplace):
    account = marketplace.open()
    spend = entry_of(marketplace.spend(account, 6, "s"))

    assert refusal(marketplace.refund(account, spend["id"], "r", "withdrawn")) == (422, "not_refundable")
    assert refusal(marketplace.refund(account, "nothing", "r")) == (404, "spend_not_found")
    refund = entry_of(marketplace.refund(account, spend["id"], "r"))
    assert refusal(marketplace.refund(account, spend["id"], "q", "fraud")) == (409, "already_refunded")
    assert refusal(marketplace.refund(account, refund["id"], "q")) == (404, "spend_not_found")


def test_an_interview_brings_10_in_all_once(marketplace: Marketplace):
    account = marketplace.open()
    spend_id = entry_of(marketplace.spend(account, 8, "s"))["id"]

    answer = marketplace.reward(account, "interview", "i", spend_id=spend_id)

    assert answer.status_code == 201
    assert answer.json() == {"entries": list(reversed(marketplace.entries(account)[:2]))}
    assert [(entry["type"], entry["amount"]) for entry in answer.json()["entries"]] == [("refund", 8), ("reward", 2)]
    again = marketplace.reward(account, "interview", "j", spend_id=spend_id)
    assert refusal(again) == (409, "already_awarded")
    assert refusal(marketplace.refund(account, spend_id, "r")) == (409, "already_refunded")


def test_interviews_bring_50_in_a_week(marketplace: Marketplace):
    account = marketplace.open()
    won = [entry_of(marketplace.spend(account, 1, f"s{number}"))["id"] for number in range(6)]

    *paid, last = (marketplace.reward(account, "interview", spend_id, spend_id=spend_id) for spend_id in won)

    assert [answer.status_code for answer in paid] == [201] * 5
    assert refusal(last) == (409, "reward_cap_reached")
    assert (last.json()["cap"], last.json()["awarded"]) == (50, 50)
    assert marketplace.balance(account) == 50 - 6 + 50


def test_six_interviews_8_days_apart_that_are_told_together_bring_60(marketplace: Marketplace):
    account = marketplace.open()
    today = datetime.fromisoformat(marketplace.entries(account)[0]["at"])

    for number in (3, 0, 5, 1, 4, 2):
        spend_id = entry_of(marketplace.spend(account, 1, f"s{number}"))["id"]
        told = {"kind": "interview", "reference": {"spend_id": spend_id}, "at": _days_before(today, 8 * number)}
        answer = marketplace.service("POST", f"/accounts/{account}/rewards", told, key=f"i{number}")
        assert [entry["amount"] for entry in answer.json()["entries"]] == [1, 9]

    assert marketplace.balance(account) == 50 - 6 + 60


def _days_before(today: datetime, days: int) -> str:
    return (today - timedelta(days=days)).isoformat()


def test_after_an_interview_gave_10_of_12_back_a_canceled_job_gives_the_other_2(marketplace: Marketplace):
    account = marketplace.open()
    spend_id = entry_of(marketplace.spend(account, 12, "s"))["id"]
    marketplace.reward(account, "interview", "i", spend_id=spend_id)

    assert entry_of(marketplace.refund(account, spend_id, "r"))["amount"] == 2

    assert refusal(marketplace.refund(account, spend_id, "q", "fraud")) == (409, "already_refunded")
    assert marketplace.balance(account) == 50


def test_rising_talent_comes_once(marketplace: Marketplace):
    account = marketplace.open()

    answer = marketplace.reward(account, "rising_talent", "t")

    assert answer.status_code == 201
    assert answer.json()["entries"] == [marketplace.entries(account)[0]]
    assert refusal(marketplace.reward(account, "rising_talent", "u")) == (409, "already_awarded")
    assert marketplace.of_type(account, "reward") == [30]


def test_staff_give_and_take_with_a_reason(marketplace: Marketplace):
    account = marketplace.open()

    given = entry_of(marketplace.adjust(account, 5, "a", "Sorry for the outage"))
    taken = entry_of(marketplace.adjust(account, -55, "b", "Credited to the wrong account"))

    assert (given["type"], given["reason"]) == ("adjustment", "Sorry for the outage")
    assert marketplace.entries(account)[:2] == [taken, given]
    assert refusal(marketplace.adjust(account, -1, "c")) == (409, "insufficient_connects")
    assert refusal(marketplace.adjust(account, 5, "d", "")) == (400, "invalid_request")


def test_a_purchase_completes_with_its_connects(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()

    answer = marketplace.buy(account, 40, "b")

    assert answer.status_code == 201
    purchase = answer.json()
    assert purchase.keys() >= PURCHASE
    assert (purchase["status"], purchase["quantity"], purchase["amount_cents"]) == ("completed", 40, 600)
    assert purchase["entry"] == marketplace.entries(account)[0]
    assert (purchase["entry"]["type"], purchase["entry"]["balance_after"]) == ("purchase", 90)
    assert marketplace.purchase(account, purchase["purchase_id"]) == purchase
    assert machinery.charges(account) == [("charged", 600)]


def test_a_purchase_is_paid_from_either_source_and_from_no_other(marketplace: Marketplace):
    account = marketplace.open()

    assert marketplace.buy(account, 11, "a", source="earnings_balance", sandbox="succeed").json()["amount_cents"] == 165
    assert marketplace.buy(account, 10, "b", source="billing_method").status_code == 201
    for wrong in ({"source": "pocket"}, {"sandbox": "lose"}):
        assert refusal(marketplace.buy(account, 10, "c", **wrong)) == (400, "invalid_request")
    assert refusal(marketplace.buy(account, 9, "d")) == (400, "invalid_request")
    assert marketplace.balance(account) == 71


def test_a_declined_purchase_charges_and_gives_nothing_and_may_be_tried_again(
    marketplace: Marketplace, machinery: Machinery
):
    account = marketplace.open()

    assert refusal(marketplace.buy(account, 40, "b", sandbox="decline")) == (402, "payment_declined")
    assert marketplace.balance(account) == 50
    assert marketplace.buy(account, 40, "b").status_code == 201
    assert sorted(machinery.charges(account)) == [("canceled", 600), ("charged", 600)]


@pytest.mark.parametrize("behaviour", ["late", "timeout"])
def test_a_purchase_whose_answer_does_not_come_is_pending(marketplace: Marketplace, behaviour: str):
    account = marketplace.open()

    answer = marketplace.buy(account, 40, "b", sandbox=behaviour)

    assert answer.status_code == 202
    assert answer.json().keys() >= PURCHASE
    assert answer.json()["status"] == "pending"
    assert marketplace.purchase(account, answer.json()["purchase_id"])["status"] == "pending"
    assert marketplace.balance(account) == 50


def test_a_purchase_is_found_without_its_id_and_checked_by_staff(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()
    purchase_id = marketplace.buy(account, 40, "b", sandbox="timeout").json()["purchase_id"]
    path = f"/accounts/{account}/purchases"

    [row] = marketplace.service("GET", path, status="pending").json()["purchases"]
    checked = marketplace.staff("POST", f"{path}/{row['purchase_id']}/check")

    assert (row["purchase_id"], checked.status_code) == (purchase_id, 200)
    assert (checked.json()["done"], checked.json()["agrees"]) == ("completed", True)
    assert marketplace.of_type(account, "purchase") == [40]
    assert machinery.charges(account) == [("charged", 600)]


def test_an_owner_whom_the_bank_asks_is_shown_what_to_do(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()

    asked = marketplace.buy(account, 40, "b", sandbox="abandon", token=marketplace.token_of(account))

    assert (asked.status_code, asked.json()["status"]) == (202, "pending")
    shown = marketplace.purchase(account, asked.json()["purchase_id"])
    assert shown["action"] == asked.json()["action"]
    assert machinery.charges(account) == [("needs_buyer", 600)]


def test_a_signed_event_of_the_provider_completes_a_pending_purchase_before_any_schedule(
    marketplace: Marketplace, machinery: Machinery
):
    account, secret = marketplace.open(), machinery.payment_secret
    purchase_id = marketplace.buy(account, 40, "b", sandbox="late").json()["purchase_id"]
    event = {"type": "charge.settled", "account_id": account, "charge_id": f"{purchase_id}-1", "amount": 600}

    told = [marketplace.payment_event(event, secret) for _ in range(2)]

    assert [answer.status_code for answer in told] == [200, 200]
    assert [answer.json() for answer in told] == [{"purchase_id": purchase_id, "status": "completed"}] * 2
    assert marketplace.of_type(account, "purchase") == [40]
    assert machinery.charges(account) == [("charged", 600)]


def test_an_event_that_the_provider_did_not_sign_changes_nothing(marketplace: Marketplace, machinery: Machinery):
    account, secret = marketplace.open(), machinery.payment_secret
    purchase_id = marketplace.buy(account, 40, "b", sandbox="late").json()["purchase_id"]
    event = {"type": "charge.settled", "account_id": account, "charge_id": f"{purchase_id}-1"}

    assert refusal(marketplace.payment_event(event, secret, tampered=b" ")) == (401, "signature_invalid")
    assert refusal(marketplace.payment_event(event, "whsec_b3RoZXI=")) == (401, "signature_invalid")
    staff = marketplace.staff("POST", "/payments/webhook", event)
    assert refusal(staff) == (401, "signature_invalid")
    assert marketplace.purchase(account, purchase_id)["status"] == "pending"
    assert machinery.charges(account) == [("in_progress", 600)]


def test_the_stack_made_a_secret_of_its_own_to_sign_events_with(machinery: Machinery):
    assert len(base64.b64decode(machinery.payment_secret, validate=True)) == 48


def test_a_purchase_that_is_not_there_is_not_found(marketplace: Marketplace):
    answer = marketplace.service("GET", f"/accounts/{marketplace.open()}/purchases/nothing")

    assert refusal(answer) == (404, "purchase_not_found")


def test_history_comes_newest_first_in_pages(marketplace: Marketplace):
    account = marketplace.open()
    for amount in (1, 2, 3):
        marketplace.spend(account, amount, f"s{amount}")

    path, seen, query = f"/accounts/{account}/history", [], {"days": "7", "limit": "2"}
    while True:
        page = marketplace.service("GET", path, **query).json()
        seen += page["entries"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert [entry["seq"] for entry in seen] == [5, 4, 3, 2, 1]
    assert [entry["amount"] for entry in seen] == [-3, -2, -1, 10, 40]
    assert all(entry.keys() >= ENTRY for entry in seen)


def test_history_can_be_asked_for_one_type_and_any_range(marketplace: Marketplace):
    account = marketplace.open()
    marketplace.spend(account, 1, "s")
    at = datetime.fromisoformat(marketplace.entries(account)[0]["at"])

    assert marketplace.of_type(account, "grant") == [40, 10]
    assert marketplace.entries(account, to=at.isoformat(timespec="milliseconds"), type="spend") == []
    path = f"/accounts/{account}/history"
    for days in ("7", "30", "90"):
        assert len(marketplace.service("GET", path, days=days).json()["entries"]) == 3
    for wrong in ({"days": "8"}, {"limit": "101"}, {"type": "gift"}, {"cursor": "made up"}):
        assert refusal(marketplace.service("GET", path, **wrong)) == (400, "invalid_request")


def test_history_comes_as_csv_too(marketplace: Marketplace):
    account = marketplace.open()
    marketplace.spend(account, 1, "s")

    answer = marketplace.service("GET", f"/accounts/{account}/history", headers={"Accept": "text/csv"})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    entries = marketplace.entries(account)
    assert [row["id"] for row in rows] == [entry["id"] for entry in entries]
    assert [int(row["amount"]) for row in rows] == [-1, 10, 40]


def test_an_audit_tells_each_invariant_and_what_it_found(marketplace: Marketplace):
    answer = marketplace.staff("GET", f"/accounts/{marketplace.open()}/audit")

    assert answer.json()["ok"] is True
    assert (answer.json()["status"], answer.json()["as_of_seq"]) == ("finished", 2)
    assert answer.json()["charges_compared"] is True
    assert answer.json()["invariants"]
    assert all(each["ok"] and each["found"] == [] and each["invariant"] for each in answer.json()["invariants"])


def test_the_sandbox_clock_moves_forward_only(marketplace: Marketplace):
    before = marketplace.staff("POST", "/sandbox/clock", {"advance": "PT1M"}).json()["now"]

    answer = marketplace.staff("POST", "/sandbox/clock", {"advance": "PT1H"})

    assert answer.status_code == 200
    assert answer.json()["now"] > before
    assert refusal(marketplace.staff("POST", "/sandbox/clock", {"now": before})) == (400, "invalid_request")
    later = datetime.fromisoformat(answer.json()["now"]) + timedelta(minutes=1)
    assert marketplace.staff("POST", "/sandbox/clock", {"now": later.isoformat()}).status_code == 200


@pytest.mark.parametrize("amount", [0, -1, 1.5, True, "6", None, 1_000_001, 10**400])
def test_an_amount_is_a_whole_number_in_range(marketplace: Marketplace, amount: Any):
    account = marketplace.open()

    answer = marketplace.spend(account, amount, "s")

    assert refusal(answer) == (400, "invalid_request")
    assert any("amount" in error["loc"] or "body" in error["loc"] for error in answer.json()["errors"])
    assert marketplace.balance(account) == 50


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"amount": ', "application/json"),
        (b'{"amount": 6}', "text/plain"),
        (b'"' + b"x" * 10_240 + b'"', "application/json"),
        (b"\xff\xfe", "application/json"),
    ],
)
def test_a_body_that_is_no_small_json_is_refused(marketplace: Marketplace, content: bytes, content_type: str):
    answer = marketplace.http.post(
        "/accounts/ann/spends",
        content=content,
        headers={
            "Authorization": f"Bearer {marketplace.tokens['service']}",
            "Idempotency-Key": "s",
            "Content-Type": content_type,
        },
    )

    assert refusal(answer) == (400, "invalid_request")
    assert answer.json()["errors"]


def test_unknown_fields_are_refused(marketplace: Marketplace):
    assert refusal(marketplace.spend(marketplace.open(), 6, "s", tip=1)) == (400, "invalid_request")


def test_a_call_that_there_is_not_is_refused(marketplace: Marketplace):
    assert marketplace.http.get("/nothing").status_code in {401, 404}
