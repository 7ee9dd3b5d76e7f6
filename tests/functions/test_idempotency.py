"""Idempotency keys: required, visible ASCII, and at most one effect each, for ever."""

import json

import pytest

from tests.functions.conftest import everything
from tests.functions.events import STAFF, event, http

KEYED = ("open_account", "purchase", "spend", "boost", "refund", "reward", "adjustment")
STRANGER = "Idempotency-Key"


@pytest.fixture
def ann(api):
    api.open()


def _entries(api):
    return len(api.entries())


@pytest.mark.parametrize("name", KEYED)
@pytest.mark.usefixtures("ann")
def test_a_post_that_can_change_a_balance_needs_a_key(api, name):
    before = _entries(api)
    for missing in (None, ""):
        answer = api.send(name, http(name, headers={"idempotency-key": missing}))
        assert answer.refused == (400, "idempotency_key_missing")
    assert _entries(api) == before


@pytest.mark.parametrize(
    "key", ["k" * 129, "two words", " ", "schlüssel", "k\t", "k\x7f", "\N{CYRILLIC SMALL LETTER A}", "k\n"]
)
@pytest.mark.usefixtures("ann")
def test_a_key_is_1_to_128_visible_ascii_characters(api, key):
    answer = api.spend(key=key)
    assert answer.refused == (400, "invalid_request")
    assert answer.body["errors"][0]["loc"] == "header.Idempotency-Key"
    assert api.balance() == 50


@pytest.mark.parametrize("key", ["k" * 128, "k", "!#~{}[]%20/\\\"'", "0"])
@pytest.mark.usefixtures("ann")
def test_any_1_to_128_visible_ascii_characters_are_a_key(api, key):
    first, again = api.spend(key=key), api.spend(key=key)
    assert (first.status, again.status) == (201, 201)
    assert (first.replayed, again.replayed) == (False, True)
    assert api.balance() == 44


@pytest.mark.usefixtures("ann")
def test_a_whole_number_written_another_way_is_the_same_request(api):
    first = api.spend(6)
    for same in (6.0, 0.6e1):
        again = api.spend(same)
        assert (again.replayed, again.text) == (True, first.text)
    assert api.spend(7.0).refused == (422, "idempotency_key_reused")
    assert api.balance() == 44


@pytest.mark.usefixtures("ann")
def test_the_name_of_the_header_is_read_in_any_case(api):
    sent = http("spend", headers={"idempotency-key": None, STRANGER: "k", "X": "y"})
    assert api.send("spend", sent).status == 201


@pytest.mark.usefixtures("ann")
def test_a_repeat_answers_with_the_first_status_and_body(api):
    spent = [api.spend() for _ in range(3)]
    spend_id = spent[0].body["id"]
    refunded = [api.refund(spend_id) for _ in range(3)]
    bought = [api.buy() for _ in range(3)]
    adjusted = [api.adjust(-5) for _ in range(3)]
    talented = [api.reward("rising_talent", "talent") for _ in range(3)]
    certified = [api.reward("certification", "certificate", certificate="python") for _ in range(3)]
    proposals = [api.spend(cost, f"proposal-{cost}").body["id"] for cost in (8, 12)]
    interviewed = [[api.reward("interview", won, spend_id=won) for _ in range(3)] for won in proposals]
    for first, *repeats in (spent, refunded, bought, adjusted, talented, certified, *interviewed):
        assert (first.status, first.replayed) == (201, False)
        assert [(again.status, again.text, again.replayed) for again in repeats] == [(201, first.text, True)] * 2
    assert api.balance() == 90 - 5 + 30 + 10 + 2 - 2


@pytest.mark.usefixtures("ann")
def test_a_repeat_years_later_is_still_a_repeat(api, clock):
    first = api.spend()
    clock.go(days=800)
    assert (api.spend().text, api.spend().replayed) == (first.text, True)


@pytest.mark.usefixtures("ann")
def test_a_repeat_of_a_success_is_never_insufficient_or_frozen_or_refunded(api):
    spend_all = api.spend(50)
    assert api.spend(50).text == spend_all.text
    refund = api.refund(spend_all.body["id"])
    assert api.refund(spend_all.body["id"]).text == refund.text
    assert api.spend(50).text == spend_all.text
    assert api.balance() == 50


@pytest.mark.usefixtures("ann")
def test_a_repeat_written_differently_is_the_same_request(api):
    first = api.send("spend", event("spend"))
    body = json.loads(event("spend")["body"])
    for raw in (json.dumps(dict(reversed(body.items())), indent=4), json.dumps(body).encode()):
        again = api.call("spend", raw=raw)
        assert (again.text, again.replayed) == (first.text, True)


@pytest.mark.usefixtures("ann")
def test_a_key_serves_no_other_request(api):
    spend_id = api.spend(6).body["id"]
    other_reference = {"type": "proposal", "proposal_id": "p-2", "job_id": "j-1"}
    api.refund(spend_id)
    api.buy(40)
    api.reward("rising_talent")
    api.adjust(5)
    reused = [
        api.spend(7),
        api.spend(6, expected_price=6),
        api.spend(6, reference=other_reference),
        api.refund(spend_id, reason="fraud"),
        api.refund(api.spend(3, "second").body["id"]),
        api.buy(41),
        api.reward("certification", certificate="python"),
        api.reward("interview", spend_id=spend_id),
        api.adjust(-5),
        api.adjust(5, reason="Another"),
        api.buy(body={"quantity": 40, "payment": {"source": "earnings_balance"}}),
        api.call("open_account", key="open-ann", body={"account_id": "ann", "kind": "freelancer", "plan": "plus"}),
    ]
    assert [answer.refused for answer in reused] == [(422, "idempotency_key_reused")] * len(reused)
    assert api.balance() == 50 + 40 - 3 + 30 + 5


@pytest.mark.usefixtures("ann")
def test_a_key_counts_for_its_account_and_operation_only(api):
    api.open("bob")
    assert [api.spend(key="same").status, api.spend(key="same", account="bob").status] == [201, 201]
    assert api.buy(key="same").status == 201
    assert not api.refund(api.spend(key="same").body["id"], "same").replayed
    assert not api.reward("rising_talent", "same").replayed
    assert not api.adjust(5, "same").replayed
    assert not api.reward("rising_talent", "same", "bob").replayed


@pytest.mark.usefixtures("ann")
def test_a_refusal_does_not_use_its_key_up(api):
    assert api.spend(60).refused == (409, "insufficient_connects")
    api.buy(40)
    assert (api.spend(60).status, api.spend(60).replayed) == (201, True)
    assert api.balance() == 30


@pytest.mark.usefixtures("ann")
def test_a_refused_request_leaves_its_key_to_another(api):
    assert api.spend(60).refused == (409, "insufficient_connects")
    assert api.spend(5).status == 201


def test_opening_an_account_again_answers_what_it_was_when_it_was_opened(api, clock):
    opened = api.open()
    api.spend()
    clock.go(days=40)
    api.call("change_account", body={"plan": "plus"})
    again = api.open()
    assert (again.text, again.replayed) == (opened.text, True)
    assert opened.body["balance"] == 50


def test_an_account_that_opens_with_nothing_is_opened_once_too(api):
    opened = api.open("acme", kind="agency")
    again = api.open("acme", kind="agency")
    assert (again.text, again.replayed, again.body["balance"]) == (opened.text, True, 0)


@pytest.mark.parametrize(
    ("name", "body", "fingerprint"),
    [
        ("open_account", {"account_id": "bob", "kind": "agency", "plan": "basic"}, "625de8c6820080eea7380f7872d28eda"),
        (
            "open_account",
            {"account_id": "bob", "kind": "freelancer", "plan": "plus", "joined_on": "2026-01-31"},
            "11bd6d02ff3f9b4b8c3d0b8b8659dfd2",
        ),
        (
            "spend",
            {"amount": 6, "reference": {"type": "proposal", "proposal_id": "p"}},
            "82f9bd22f2e5454a56a72ebb32037087",
        ),
        (
            "spend",  # the same, saying what goes without saying
            {
                "amount": 6,
                "reference": {"type": "proposal", "proposal_id": "p", "job_id": None, "channel": "search"},
                "expected_price": None,
            },
            "82f9bd22f2e5454a56a72ebb32037087",
        ),
        (
            "spend",
            {"reference": {"type": "proposal", "proposal_id": "p", "job_id": "j", "channel": "invitation"}},
            "134ef27672e3a752a86850a3188ba78e",
        ),
        ("purchase", {"quantity": 40, "payment": {"source": "billing_method"}}, "8fdcc2053d2c8ac11203a0c67fe53893"),
        (
            "purchase",
            {"quantity": 40, "payment": {"source": "earnings_balance"}, "promo_code": " spring "},
            "0db28d9c1b8be80749fa8bb75c396b32",
        ),
        ("redeem_promo", {"code": " Spring"}, "2219f8941eac18704daa5a31f6a2b5f2"),
        ("reward", {"kind": "rising_talent"}, "ca0ba8abff13266d3d99bccb8eca9fa4"),
        ("reward", {"kind": "rising_talent", "reference": {}}, "ca0ba8abff13266d3d99bccb8eca9fa4"),
        (
            "reward",
            {"kind": "certification", "reference": {"certificate": "python"}},
            "283533c6b2a211c5a3e0f217a44ed070",
        ),
        ("adjustment", {"amount": -5, "reason": "Zu spät \N{SNOWMAN}"}, "c9a77a1cb51f98afb44c3ff427818cca"),
    ],
)
@pytest.mark.usefixtures("ann")
def test_what_an_earlier_release_kept_under_a_key_is_found_again(api, name, body, fingerprint):
    """The fingerprints are those of the first release: one that another release computes otherwise is a key reused."""
    api.put_promo()
    before = _fingerprints()
    assert api.call(name, claims=STAFF, key="k", body=body).status == 201
    assert _fingerprints() - before == {fingerprint}


def _fingerprints():
    return {row["fingerprint"]["S"] for row in everything() if "fingerprint" in row}
