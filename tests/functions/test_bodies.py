"""Bad input: each is a 400 that says what is wrong and where, and nothing has changed."""

import json
from decimal import Decimal

import pytest
from jsonschema import Draft202012Validator, validators

from tests.document import operation, resolved
from tests.functions.api import Api
from tests.functions.conftest import everything, fresh_tables, stopped_clock
from tests.functions.events import STAFF, event

INVALID = (400, "invalid_request")
WRITES = (
    "open_account",
    "change_account",
    "put_billing_method",
    "purchase",
    "spend",
    "refund",
    "reward",
    "adjustment",
    "badge",
    "sandbox_clock",
    "put_job",
    "job_event",
    "boost",
)
HUGE = "9" * 5000

AMOUNTS = {
    "zero": "0",
    "negative": "-6",
    "over a million": "1000001",
    "a fraction": "1.5",
    "a fraction by its exponent": "15e-1",
    "zero with a point": "0.0",
    "zero with a sign": "-0.0",
    "negative with a point": "-6.0",
    "over a million by its exponent": "1000001e0",
    "1e30": "1e30",
    "true": "true",
    "text": '"6"',
    "a list": "[6]",
    "an object": '{"amount": 6}',
    "10**30": str(10**30),
    "5000 digits": HUGE,
    "5000 digits after the point": f"0.{HUGE}",
    "NaN": "NaN",
    "infinity": "Infinity",
    "infinity by overflow": "1e999",
    "an exponent that no number has": f"1e{HUGE}",
    "a little more than 2": "2.0000000000000000000000000000001",
    "next to nothing": "1e-999999999",
}

WHOLE = {
    "a point": ("2.0", 2),
    "many noughts": (f"2.{'0' * 5000}", 2),
    "an exponent": ("2e0", 2),
    "hundreds": ("1e2", 100),
    "the largest": ("1E6", 1_000_000),
    "a negative exponent": ("200e-2", 2),
    "all of it": ("0.00002E+5", 2),
}
"""Whole numbers that are not written as such: to JSON Schema, and so to the API's document, they are integers."""


@pytest.fixture(scope="module", autouse=True)
def tables(aws):  # noqa: ARG001
    """One pair of tables for all tests here, with an account in it. After them all not a byte of it is another."""
    with fresh_tables():
        with stopped_clock():
            api = Api()
            api.open()
            api.spend(key="before")
        seen = everything()
        yield
        assert everything() == seen


def body_of(name, **fields):
    """The body of an event file with these fields, as text, so that a number can be written in any way."""
    written = {field: json.dumps(value) for field, value in json.loads(event(name)["body"]).items()} | fields
    return "{" + ", ".join(f'"{field}": {text}' for field, text in written.items()) + "}"


def refused_at(answer, *where):
    """A refusal whose every complaint names its place, and the first the place that is meant."""
    assert answer.refused == INVALID
    assert all(set(error) == {"loc", "msg"} and error["loc"] and error["msg"] for error in answer.body["errors"])
    assert answer.body["errors"][0]["loc"] in where
    return True


@pytest.mark.parametrize("amount", AMOUNTS.values(), ids=AMOUNTS)
@pytest.mark.parametrize(("name", "field"), [("spend", "amount"), ("purchase", "quantity"), ("put_job", "price")])
def test_an_amount_is_a_whole_number_from_1_to_1000000(api, name, field, amount):
    answer = api.call(name, key="k", raw=body_of(name, **{field: amount}))
    assert refused_at(answer, f"body.{field}", "body")


@pytest.mark.parametrize(
    "amount", [*(amount for amount in AMOUNTS.values() if amount not in {"-6", "-6.0"}), "-1000001"]
)
def test_an_adjustment_is_a_whole_number_up_to_1000000_up_or_down(api, amount):
    answer = api.call("adjustment", claims=STAFF, key="k", raw=body_of("adjustment", amount=amount))
    assert refused_at(answer, "body.amount", "body")


def test_an_adjustment_down_to_the_end_of_the_range_is_one(api):
    answer = api.call("adjustment", claims=STAFF, key="k", raw=body_of("adjustment", amount="-1000000"))
    assert answer.refused == (409, "insufficient_connects")


@pytest.mark.parametrize("price", [amount for amount in AMOUNTS.values() if amount not in {"0", "0.0", "-0.0"}])
def test_a_price_that_was_seen_is_an_amount_or_0_for_what_is_free(api, price):
    answer = api.call("spend", key="k", raw=body_of("spend", expected_price=price))
    assert refused_at(answer, "body.expected_price", "body")


@pytest.mark.parametrize("amount", ["1", "1000000"])
def test_the_ends_of_the_range_are_amounts(api, amount):
    answer = api.call("spend", key="k", raw=body_of("spend", amount=amount, expected_price="2"))
    assert answer.refused == (409, "price_changed")


@pytest.mark.parametrize(("text", "number"), WHOLE.values(), ids=WHOLE)
def test_a_whole_number_is_one_however_it_is_written(api, text, number):
    answer = api.call("spend", key="k", raw=body_of("spend", amount=text, expected_price="1"))
    assert answer.refused == (409, "price_changed")
    assert repr(answer.body["price"]) == repr(number)


def _integer(_, value):
    whole = isinstance(value, Decimal) and value == value.to_integral_value()
    return (isinstance(value, int) and not isinstance(value, bool)) or whole


EXACT = validators.extend(
    Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _integer)
)
"""JSON Schema's own rule, by the digits: a number is an integer if its fractional part is zero."""
NUMBERS = [
    *(text for text in AMOUNTS.values() if HUGE not in text and text not in {"NaN", "Infinity"}),
    *(text for text, _ in WHOLE.values()),
    *("1", "1000000", "-1000000", "-1000000.0", "1e-1", "9007199254740991", "9007199254740991.0", "9007199254740993.0"),
    *("false", "null", "0e5", "1e15"),
]


@pytest.mark.parametrize("text", NUMBERS)
@pytest.mark.parametrize(
    ("name", "call", "field"),
    [
        ("spend", "POST /accounts/ann/spends", "amount"),
        ("spend", "POST /accounts/ann/spends", "expected_price"),
        ("put_job", "PUT /jobs/j-1", "budget_cents"),
        ("badge", "PUT /accounts/ann/badge", "max_per_week"),
        ("put_promo", "PUT /promos/SPRING", "max_redemptions"),
    ],
)
def test_a_number_is_taken_or_refused_as_the_document_says(api, name, call, field, text):
    """Where it is taken, what is missed is the body's other fields."""
    schema = resolved(resolved(operation(call)["requestBody"]["content"]["application/json"]["schema"]))
    known = schema["properties"][field]
    answer = api.call(name, key="k", claims=_claims(name), raw=f'{{"{field}": {text}}}')
    taken = answer.body["errors"][0]["loc"] != f"body.{field}"
    assert answer.refused == INVALID
    assert taken == EXACT(known).is_valid(json.loads(text, parse_float=Decimal))


def test_fewer_connects_than_are_sold_at_least_are_not_sold(api):
    assert refused_at(api.buy(9), "body.quantity")
    assert refused_at(api.buy(1), "body.quantity")


@pytest.mark.parametrize("name", WRITES)
def test_an_unknown_field_is_refused_by_its_name(api, name):
    answer = api.send(name, _with_body(name, json.loads(event(name)["body"]) | {"amout": 6}))
    assert refused_at(answer, "body.amout")


@pytest.mark.parametrize("field", ["a`b", "two\nlines", "`", "", "a.b"])
def test_an_unknown_field_is_refused_by_its_name_however_odd(api, field):
    answer = api.call("refund", key="k", body={"reason": "fraud", field: 6})
    assert refused_at(answer, f"body.{field}")


@pytest.mark.parametrize("kind", ["interview", "certification"])
@pytest.mark.parametrize("reference", [{}, {"spend_id": None, "certificate": None}])
def test_a_reward_says_what_it_is_for(api, kind, reference):
    where = {"interview": "spend_id", "certification": "certificate"}[kind]
    answer = api.call("reward", key="k", body={"kind": kind, "reference": reference})
    assert refused_at(answer, f"body.reference.{where}")


def test_a_certificate_that_is_not_configured_is_refused_by_its_name(api):
    assert refused_at(api.reward("certification", certificate="juggling"), "body.reference.certificate")


@pytest.mark.parametrize("missing", ["amount", "reason"])
def test_an_adjustment_needs_an_amount_and_a_reason(api, missing):
    body = {"amount": 5, "reason": "because"}
    del body[missing]
    assert refused_at(api.call("adjustment", claims=STAFF, key="k", body=body), f"body.{missing}")


def test_an_unknown_field_inside_another_is_refused_by_its_name(api):
    reference = {"type": "proposal", "proposal_id": "p", "job_id": "j", "note": "x"}
    assert refused_at(api.spend(reference=reference), "body.reference.note")


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize(
    "text",
    ["{", "", " ", "nonsense", '{"a": 1,}', "{'a': 1}", "[" * 5000, '{"a":' * 1500 + "1" + "}" * 1500, "\x00", "{}{}"],
    ids=["cut off", "empty", "blank", "no JSON", "comma", "quotes", "open lists", "deep", "NUL", "two"],
)
def test_broken_json_is_refused(api, name, text):
    assert refused_at(api.call(name, key="k", claims=_claims(name), raw=text), "body")


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("text", ["[]", '"text"', "6", "null", "true", "NaN", '[{"amount": 6}]'])
def test_json_that_is_not_an_object_is_refused(api, name, text):
    assert api.call(name, key="k", claims=_claims(name), raw=text).refused == INVALID


@pytest.mark.parametrize("name", WRITES)
def test_no_body_at_all_is_refused(api, name):
    sent = event(name)
    del sent["body"]
    assert refused_at(api.send(name, sent), "body")


@pytest.mark.parametrize("name", WRITES)
def test_no_body_is_missed_whatever_it_is_declared_as(api, name):
    answer = api.call(name, key="k", claims=_claims(name), raw="", headers={"content-type": "text/plain"})
    assert refused_at(answer, "body")


@pytest.mark.parametrize("name", WRITES)
def test_bytes_that_are_not_utf_8_are_refused(api, name):
    assert refused_at(api.call(name, key="k", claims=_claims(name), raw=b'{"plan": "\xff\xfe"}'), "body")


def test_a_body_that_is_not_the_base64_it_says_it_is_is_refused(api):
    sent = event("spend") | {"isBase64Encoded": True}
    assert refused_at(api.send("spend", sent), "body")


def test_half_of_a_surrogate_pair_is_refused(api):
    reference = r'{"type": "proposal", "proposal_id": "\ud800", "job_id": "j"}'
    assert refused_at(api.call("spend", key="k", raw=body_of("spend", reference=reference)), "body")


@pytest.mark.parametrize("encode", [str, str.encode], ids=["text", "base64"])
def test_a_body_of_over_10_kb_is_refused_however_valid(api, encode):
    padded = body_of("spend") + " " * 10_240
    assert refused_at(api.call("spend", key="k", raw=encode(padded)), "body")


def test_the_size_of_a_body_is_counted_in_bytes(api):
    reference = json.dumps({"type": "proposal", "proposal_id": "é" * 5_200, "job_id": "j"}, ensure_ascii=False)
    answer = api.call("spend", key="k", raw=body_of("spend", reference=reference))
    assert refused_at(answer, "body")
    assert "10240 bytes" in answer.body["detail"]


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "text/json"]
)
def test_a_body_that_is_not_declared_as_json_is_refused(api, name, content_type):
    answer = api.call(name, key="k", claims=_claims(name), headers={"content-type": content_type})
    assert refused_at(answer, "header.Content-Type")


@pytest.mark.parametrize("header", ["content-type", "Content-Type", "CONTENT-TYPE"])
@pytest.mark.parametrize("value", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_json_may_be_declared_in_any_case(api, header, value):
    answer = api.call("spend", key="k", body={}, headers={"content-type": None, header: value})
    assert refused_at(answer, "body.reference")


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("open_account", "account_id", '"two words"'),
        ("open_account", "account_id", '"ann\\n"'),
        ("open_account", "account_id", '""'),
        ("open_account", "account_id", json.dumps("a" * 65)),
        ("open_account", "account_id", '"annä"'),
        ("open_account", "kind", '"company"'),
        ("open_account", "plan", '"gold"'),
        ("open_account", "joined_on", '"2026-13-01"'),
        ("open_account", "joined_on", '"2026-02-29"'),
        ("open_account", "joined_on", '"2026-W10-1"'),
        ("open_account", "joined_on", '"20260301"'),
        ("open_account", "joined_on", '"2026-03-01T00:00:00Z"'),
        ("open_account", "joined_on", "20260301"),
        ("open_account", "joined_on", '"2100-01-01"'),
        ("change_account", "plan", "null"),
        ("change_account", "plan", '"gold"'),
        ("change_account", "status", '"frozen"'),
        ("change_account", "status", "null"),
        ("change_account", "effective", '"later"'),
        ("change_account", "at", '"2026-11-22T10:05:00.001Z"'),
        ("change_account", "at", '"2026-11-22T10:00:00"'),
        ("change_account", "at", '"1969-12-31T23:59:59Z"'),
        ("change_account", "at", "1795341600"),
        ("open_account", "at", '"2026-11-22T10:05:00.001Z"'),
        ("open_account", "at", '"yesterday"'),
        ("purchase", "payment", '{"source": "cash"}'),
        ("purchase", "payment", '{"source": ["billing_method", "earnings_balance"]}'),
        ("purchase", "payment", "{}"),
        ("purchase", "payment", '"billing_method"'),
        ("spend", "reference", '{"type": "badge", "proposal_id": "p", "job_id": "j"}'),
        ("spend", "reference", '{"type": "proposal", "proposal_id": "p/1", "job_id": "j"}'),
        ("spend", "reference", '{"type": "proposal", "job_id": "j"}'),
        ("refund", "reason", '"changed_my_mind"'),
        ("put_job", "version", "-1"),
        ("put_job", "version", '"1"'),
        ("put_job", "version", "1.5"),
        ("put_job", "version", str(2**53)),
        ("put_job", "version", "null"),
        ("put_job", "size", '"huge"'),
        ("put_job", "scope", '"odd"'),
        ("put_job", "scope", "null"),
        ("put_job", "size", '""'),
        ("put_job", "budget_cents", "-1"),
        ("put_job", "price", "0"),
        ("put_job", "price", "1000001"),
        ("put_job", "posted_at", '"yesterday"'),
        ("put_job", "posted_at", "1795341600"),
        ("put_job", "posted_at", '"2026-11-22T09:30:00"'),
        ("put_job", "posted_at", '"0001-01-01T00:00:00+14:00"'),
        ("put_job", "posted_at", '"9999-12-31T23:59:59-14:00"'),
        ("job_event", "type", '"opened"'),
        ("boost", "bid", "0"),
        ("boost", "bid", "1.5"),
        ("boost", "job_id", '"two words"'),
        ("boost", "proposal_id", "null"),
        ("job_event", "account_id", '"two words"'),
        ("refund", "reason", "NaN"),
        ("reward", "kind", '"courtesy"'),
        ("reward", "kind", "null"),
        ("reward", "kind", '"interview"'),  # of no proposal
        ("reward", "kind", '"certification"'),  # of no certificate
        ("reward", "reference", '{"spend_id": "two words"}'),
        ("reward", "reference", '{"certificate": ""}'),
        ("reward", "reference", '{"job_id": "j"}'),
        ("reward", "reference", '"python"'),
        ("reward", "reference", "null"),
        ("adjustment", "reason", '""'),
        ("adjustment", "reason", '" \\n\\t "'),
        ("adjustment", "reason", '"\\u00a0"'),
        ("adjustment", "reason", "null"),
        ("adjustment", "reason", "6"),
        ("adjustment", "reason", '"\\ud800"'),
        ("adjustment", "reason", json.dumps("a" * 501)),
        ("sandbox_clock", "advance", '"a week"'),
        ("sandbox_clock", "advance", "86400"),
        ("sandbox_clock", "advance", '"-P1D"'),
        ("sandbox_clock", "advance", '"P99999999D"'),
        ("sandbox_clock", "advance", '"P999999999D"'),
        ("sandbox_clock", "advance", '"P9999999999999D"'),
        ("sandbox_clock", "advance", '"P200Y"'),
        ("sandbox_clock", "advance", "null"),
        ("sandbox_clock", "now", '"2026-11-23T00:00:00Z"'),  # besides advance
    ],
)
def test_a_field_takes_only_what_it_is_for(api, name, field, value):
    answer = api.call(name, key="k", claims=_claims(name), raw=body_of(name, **{field: value}))
    assert answer.refused == INVALID
    assert answer.body["errors"][0]["loc"].startswith("body")


@pytest.mark.parametrize(
    ("name", "changed", "says"),
    [
        ("purchase", {"quantity": "6"}, "body.quantity: must be an integer, not a string"),
        ("purchase", {"quantity": None}, "body.quantity: must be an integer, not null"),
        ("purchase", {"quantity": 0}, "body.quantity: must be an integer of at least 1"),
        ("purchase", {"quantity": 1_000_001}, "body.quantity: must be an integer of at most 1000000"),
        ("purchase", {"amonut": 6}, "body.amonut: is not known"),
        ("spend", {"reference": 3}, "body.reference: must be an object, not an integer"),
        ("spend", {"reference": {"type": "proposal"}}, "body.reference.proposal_id: is required"),
        ("spend", {"reference": {"type": "job"}}, "body.reference.type: must be one of proposal, not 'job'"),
        ("change_account", {"plan": "gold"}, "body.plan: must be one of basic, plus, not 'gold'"),
        ("change_account", {"effective": "soon"}, "body.effective: must be one of now, not 'soon'"),
        ("change_account", {"at": "today"}, "body.at: must be a time like 2026-11-22T10:00:00Z"),
        ("change_account", {"at": "2026-11-22T10:00:00"}, "body.at: must be a time like 2026-11-22T10:00:00Z"),
        ("open_account", {"joined_on": "today"}, "body.joined_on: must be a date like 2026-11-22"),
        ("badge", {"enabled": "yes"}, "body.enabled: must be true or false, not a string"),
    ],
)
def test_a_refusal_says_in_the_words_of_json_what_is_wrong_and_what_is_allowed(api, name, changed, says):
    body = body_of(name, **{field: json.dumps(value) for field, value in changed.items()})
    answer = api.call(name, key="k", claims=_claims(name), raw=body)
    assert [f"{error['loc']}: {error['msg']}" for error in answer.body["errors"]] == [says]


@pytest.mark.parametrize("body", [{}, {"effective": "now"}, {"effective": "now", "status": "active"}])
def test_a_change_of_an_account_says_what_changes(api, body):
    assert refused_at(api.call("change_account", body=body), "body", "body.effective")


@pytest.mark.parametrize(
    "instant",
    [
        "2026-11-21T00:00:00Z",
        "2026-11-23T00:00:00",
        "2226-11-23T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "tomorrow",
    ],
)
def test_the_clock_takes_an_instant_ahead_with_an_offset(api, instant):
    answer = api.call("sandbox_clock", claims=_claims("sandbox_clock"), body={"now": instant})
    assert answer.refused == INVALID


@pytest.mark.parametrize(
    "name",
    ["read_account", "history", "change_account", "audit", "purchase", "spend", "refund", "reward", "adjustment"],
)
@pytest.mark.parametrize("account", ["two words", "a" * 65, "ann%0A", "é", "ann.", "ann;"])
def test_an_id_in_the_path_is_one(api, name, account):
    answer = api.call(name, key="k", claims=_claims("audit"), path={"account_id": account})
    assert refused_at(answer, "path.account_id")


@pytest.mark.parametrize("path", ["/", "/accounts/", "/accounts/ann/", "/account/ann", "//accounts/ann"])
def test_what_is_no_call_is_not_found(api, path):
    sent = event("read_account") | {"rawPath": path}
    sent["requestContext"]["http"]["path"] = path
    assert api.send("read_account", sent).refused == (404, "not_found")


def _claims(name):
    return event(name)["requestContext"]["authorizer"]["jwt"]["claims"]


def _with_body(name, body):
    return event(name) | {"body": json.dumps(body)}
