"""A service says with which payment method, saved at the provider, an account pays."""

import pytest

from tests.functions.conftest import everything

CARD = {"provider": "stripe", "customer": "cus_1", "payment_method": "pm_1"}


@pytest.fixture(autouse=True)
def ann(api):
    api.open()


def put(api, **changes):
    return api.call("put_billing_method", body=CARD | changes)


def test_what_was_said_is_answered_and_a_repeat_changes_nothing(api):
    first = put(api)
    assert (first.status, first.body) == (200, CARD)
    after = everything()
    assert put(api).body == CARD
    assert everything() == after


def test_the_last_one_counts(api):
    put(api)
    put(api, payment_method="pm_2")
    (kept,) = [item for item in everything() if item["sk"]["S"] == "BILLING"]
    assert (kept["pk"], kept["payment_method"], kept["revision"]) == ({"S": "ann"}, {"S": "pm_2"}, {"N": "2"})


def test_a_suspended_account_may_have_its_card_replaced(api):
    api.change(status="suspended")
    assert put(api).status == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider", "paypal"),
        ("provider", None),
        ("customer", ""),
        ("customer", "cus 1"),
        ("customer", "../charges"),
        ("payment_method", "x" * 256),
        ("payment_method", 1),
        ("card", "4242424242424242"),
    ],
)
def test_what_is_no_saved_payment_method_is_refused_and_nothing_is_kept(api, field, value):
    before = everything()
    answer = put(api, **{field: value})
    assert answer.refused == (400, "invalid_request")
    assert answer.body["errors"][0]["loc"] == f"body.{field}"
    assert everything() == before


def test_the_longest_ids_of_the_provider_are_taken(api):
    assert put(api, payment_method="pm_" + "x" * 252).status == 200
