"""Rewards and adjustments over HTTP: what each answers, and every refusal with its status and code."""

import csv
import io
from datetime import timedelta

import pytest

from tests.functions.events import SERVICE, STAFF

AWARDED = (409, "already_awarded")


@pytest.fixture(autouse=True)
def ann(api):
    api.open()


def brought(answer):
    assert answer.status == 201, answer.text
    assert answer.body.keys() == {"entries"}
    return [(entry["type"], entry["amount"]) for entry in answer.body["entries"]]


def won(api, cost=8, key="proposal"):
    return api.spend(cost, key).body["id"]


def test_rising_talent_is_answered_with_its_entry(api):
    answer = api.reward("rising_talent")
    assert brought(answer) == [("reward", 30)]
    [entry] = answer.body["entries"]
    assert entry == api.entries()[0]
    assert entry["balance_after"] == api.balance() == 80
    assert entry["lots"] == [{"expires_on": "2027-11-23", "paid": False, "amount": 30}]
    assert (entry["reason"], entry["reference"]) == ("Rising Talent", {"type": "rising_talent"})


def test_rising_talent_needs_no_reference(api):
    assert brought(api.call("reward", key="k", body={"kind": "rising_talent"})) == [("reward", 30)]


def test_a_certificate_brings_what_is_configured_for_it_once(api):
    assert brought(api.reward("certification", "one", certificate="python")) == [("reward", 10)]
    assert brought(api.reward("certification", "two", certificate="design")) == [("reward", 5)]
    assert api.reward("certification", "three", certificate="python").refused == AWARDED
    assert api.entries()[0]["reference"] == {"type": "certification", "certificate": "design"}


@pytest.mark.parametrize(
    ("cost", "entries"),
    [(3, [("refund", 3), ("reward", 7)]), (8, [("refund", 8), ("reward", 2)]), (12, [("refund", 10)])],
)
def test_an_interview_brings_10_in_all(api, cost, entries):
    answer = api.reward("interview", spend_id=won(api, cost))
    assert brought(answer) == entries
    assert list(reversed(api.entries()[: len(entries)])) == answer.body["entries"]
    assert api.balance() == 50 - cost + 10


def test_there_is_no_interview_without_a_proposal_of_the_account(api):
    api.open("bob")
    for spend_id in ("made-up", api.entries()[0]["id"], api.spend(6, account="bob").body["id"]):
        assert api.reward("interview", spend_id, spend_id=spend_id).refused == (404, "spend_not_found")


def test_interviews_over_50_in_7_days_are_refused_with_the_numbers(api, clock):
    for number in range(5):
        api.reward("interview", str(number), spend_id=won(api, 8, str(number)))
    spend_id = won(api, 8, "one-more")
    refused = api.reward("interview", "one-more", spend_id=spend_id)
    assert refused.refused == (409, "reward_cap_reached")
    assert (refused.body["cap"], refused.body["awarded"]) == (50, 50)
    clock.at += timedelta(days=7)
    assert brought(api.reward("interview", "one-more", spend_id=spend_id)) == [("refund", 8), ("reward", 2)]


def test_an_interview_that_does_not_fit_whole_is_answered_with_what_fitted(api):
    for number in range(4):
        api.reward("interview", str(number), spend_id=won(api, 8, str(number)))
    came_back = won(api, 1, "came-back")
    api.refund(came_back)
    api.reward("interview", "came-back", spend_id=came_back)
    spend_id = won(api, 8, "near-the-cap")
    answer = api.reward("interview", "near-the-cap", spend_id=spend_id)
    assert brought(answer) == [("refund", 1)]
    assert api.reward("interview", "near-the-cap", spend_id=spend_id).body == answer.body
    assert api.refund(spend_id, "rest").body["amount"] == 7


def test_an_interview_is_told_with_the_time_it_was_at(api, clock):
    spend_id = won(api)
    clock.go(days=3)
    answer = api.reward("interview", at="2026-11-22T13:00:00.5+02:00", spend_id=spend_id)
    at = "2026-11-22T11:00:00.500Z"
    assert {entry["reference"]["at"] for entry in answer.body["entries"]} == {at}
    assert answer.body["entries"][1]["lots"] == [{"expires_on": "2027-11-23", "paid": False, "amount": 2}]


def test_a_reward_is_told_with_the_time_it_happened_at(api, clock):
    clock.go(days=3)
    for kind, reference in (("rising_talent", {}), ("certification", {"certificate": "python"})):
        [entry] = api.reward(kind, kind, at="2026-11-22T23:59:59Z", **reference).body["entries"]
        assert entry["lots"][0]["expires_on"] == "2027-11-23"


@pytest.mark.parametrize(
    "at", ["2026-11-22T10:05:00.001Z", "1969-12-31T23:59:59Z", "2026-11-22", "2026-11-22T10:00:00", 7]
)
def test_a_time_that_cannot_be_is_refused(api, at):
    for kind in ("rising_talent", "interview", "certification"):
        refused = api.reward(kind, kind, at=at, spend_id=won(api, 1, kind), certificate="python")
        assert refused.refused == (400, "invalid_request")
        assert refused.body["errors"][0]["loc"] == "body.at"


def test_five_minutes_ahead_count_as_now(api):
    answer = api.reward("interview", at="2026-11-22T10:05:00Z", spend_id=won(api))
    assert "at" not in answer.body["entries"][0]["reference"]


@pytest.mark.parametrize("amount", [5, -5, -50])
def test_an_adjustment_is_answered_with_its_entry(api, amount):
    answer = api.adjust(amount, reason="Sorry for the outage")
    assert (answer.status, answer.body) == (201, api.entries()[0])
    assert (answer.body["type"], answer.body["amount"]) == ("adjustment", amount)
    assert (answer.body["reason"], answer.body["reference"]) == ("Sorry for the outage", {"type": "adjustment"})
    assert answer.body["balance_after"] == api.balance() == 50 + amount


def test_an_adjustment_of_more_than_there_is_names_the_numbers(api):
    refused = api.adjust(-51)
    assert refused.refused == (409, "insufficient_connects")
    assert (refused.body["balance"], refused.body["required"]) == (50, 51)
    assert api.adjust(-50).status == 201


def test_a_frozen_agency_can_be_adjusted(api):
    api.open("acme", kind="agency", plan="plus")
    api.adjust(10, account="acme")
    api.change("acme", plan="basic", effective="now")
    assert api.adjust(-4, "less", account="acme").body["balance_after"] == 6


@pytest.mark.parametrize("reason", ["x", "e" * 500, "Für Zoë \N{PARTY POPPER}", 'a "quoted", two\nlined one', "=1+1"])
def test_a_reason_is_told_as_it_was_given(api, reason):
    assert api.adjust(1, reason=reason).body["reason"] == api.entries()[0]["reason"] == reason


def test_an_adjustment_and_its_reason_stand_in_the_csv(api):
    api.adjust(-5, reason='Credited to "bob", not ann')
    answer = api.call("history", query={"days": "7"}, headers={"accept": "text/csv"}, claims=SERVICE)
    row = next(csv.DictReader(io.StringIO(answer.text)))
    assert (row["type"], row["amount"], row["reason"]) == ("adjustment", "-5", 'Credited to "bob", not ann')


def test_history_is_asked_for_rewards_and_adjustments(api):
    api.reward("rising_talent")
    api.adjust(-5)
    assert [entry["amount"] for entry in api.entries(type="reward")] == [30]
    assert [entry["amount"] for entry in api.entries(type="adjustment")] == [-5]


def test_the_entry_of_an_adjustment_names_who_made_it_in_the_ledger_alone(api):
    """Its reason is for the account's owner, its actor for the audit of who did what."""
    answer = api.adjust(5)
    assert STAFF["client_id"] not in answer.text
