"""An interview brings 10 in all: the refund of the proposal, and a reward for the rest."""

import pytest


@pytest.mark.parametrize(
    ("cost", "back_and_awarded"),
    [
        (8, [("refund", 8), ("reward", 2)]),
        (1, [("refund", 1), ("reward", 9)]),
        (10, [("refund", 10)]),
        (12, [("refund", 10)]),
    ],
    ids=["8 + 2", "1 + 9", "10 + 0", "10 of 12 + 0"],
)
def test_an_interview_brings_10_in_all_including_the_refund_of_the_proposal(freelancer, cost, back_and_awarded):
    ann = freelancer()
    brought = ann.interviewed(ann.spends(cost)).body["entries"]
    assert [(entry["type"], entry["amount"]) for entry in brought] == back_and_awarded
    assert ann.balance == 50 - cost + 10


def test_an_interviews_refund_goes_into_the_lots_of_the_spend_and_its_reward_is_a_lot_of_today(agency, at):
    acme = agency()
    acme.buys(10)
    at("2027-01-10")
    acme.interviewed(acme.spends(8))
    assert acme.lots == [("2027-11-23", 10), ("2028-01-11", 2)]


@pytest.mark.parametrize("channel", ["invitation", "offer", "catalogue", "enterprise"])
def test_there_is_no_reward_for_a_proposal_of_a_free_channel(freelancer, api, happens, channel):
    ann = freelancer()
    api.post(price=7)
    sent = ann.proposes(reference={"channel": channel})
    assert ann.interviewed(sent).refused == (422, "not_refundable")
    happens("interview.won", account_id="ann", spend_id=sent.body["id"])
    assert ann.rows("refund", "reward") == []


@pytest.mark.parametrize(("cost", "awarded"), [(8, 2), (9, 1)])
def test_after_a_refund_an_interview_brings_only_what_is_missing_to_10(freelancer, cost, awarded):
    ann = freelancer()
    spend = ann.spends(cost)
    ann.refunded(spend)
    brought = ann.interviewed(spend).body["entries"]
    assert [(entry["type"], entry["amount"]) for entry in brought] == [("reward", awarded)]


def test_after_a_refund_of_10_or_more_an_interview_brings_nothing(freelancer, happens):
    ann = freelancer()
    spend = ann.spends(12)
    ann.refunded(spend)
    assert ann.interviewed(spend).refused == (409, "already_refunded")
    happens("interview.won", account_id="ann", spend_id=spend.body["id"])
    assert ann.balance == 50


def test_a_proposal_has_one_interview_and_is_not_refunded_after_it(freelancer):
    ann = freelancer()
    spend = ann.spends(8)
    ann.interviewed(spend)
    assert ann.interviewed(spend).refused == (409, "already_awarded")
    assert ann.refunded(spend).refused == (409, "already_refunded")
    assert ann.balance == 52


def test_interviews_bring_an_account_at_most_50_in_any_7_days(freelancer, at):
    ann, bob = freelancer(), freelancer("bob")
    for day in (22, 22, 23, 24, 25):
        at(f"2026-11-{day}T12:00:00Z")
        assert ann.interviewed(ann.spends(8)).status == 201
    proposal = ann.spends(8)
    assert ann.interviewed(proposal).refused == (409, "reward_cap_reached")
    assert bob.interviewed(bob.spends(8)).status == 201
    at("2026-11-29T11:59:59.999Z")
    assert ann.interviewed(proposal).refused == (409, "reward_cap_reached")
    at("2026-11-29T12:00:00.000Z")
    assert ann.interviewed(proposal).status == 201


DAYS_APART = [f"2026-12-{day:02}T12:00:00Z" for day in (1, 9, 17, 25)] + [
    "2027-01-02T12:00:00Z",
    "2027-01-10T12:00:00Z",
]


@pytest.mark.parametrize(
    "told_in", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (3, 0, 5, 1, 4, 2)], ids=["order", "reverse", "a mix"]
)
@pytest.mark.parametrize("by_event", [False, True])
def test_six_interviews_8_days_apart_that_are_reported_together_bring_60(freelancer, at, happens, told_in, by_event):
    ann = freelancer()
    at("2027-01-20T12:00:00Z")
    before = ann.balance
    for number in told_in:
        spend = ann.spends(1)
        if by_event:
            happens("interview.won", account_id="ann", spend_id=spend.body["id"], at=DAYS_APART[number])
        else:
            assert ann.interviewed(spend, at=DAYS_APART[number]).status == 201
    assert ann.balance == before - 6 + 60


def test_interviews_of_one_week_bring_50_however_late_and_far_apart_they_are_reported(freelancer, at):
    ann = freelancer()
    for day in (23, 24, 25, 26, 27):
        at(f"2026-12-{day}T12:00:00Z")
        assert ann.interviewed(ann.spends(1), at=f"2026-11-{day}T12:00:00Z").status == 201
    refused = ann.interviewed(ann.spends(1), at="2026-11-29T12:00:00Z")
    assert refused.refused == (409, "reward_cap_reached")
    assert ann.interviewed(ann.spends(1), at="2026-12-04T12:00:00Z").status == 201


@pytest.mark.parametrize("by_event", [False, True])
@pytest.mark.parametrize(
    ("left", "brought"), [(9, [("refund", 8), ("reward", 1)]), (8, [("refund", 8)]), (3, [("refund", 3)])]
)
def test_an_interview_that_does_not_fit_whole_fills_up_to_the_cap_the_proposals_own_connects_first(
    freelancer, happens, left, brought, by_event
):
    ann = freelancer()
    for _ in range(4):
        ann.interviewed(ann.spends(1))
    gone = ann.spends(left)
    ann.refunded(gone)
    ann.interviewed(gone)
    before, spend = len(ann.entries()) + 1, ann.spends(8)
    if by_event:
        happens("interview.won", account_id="ann", spend_id=spend.body["id"])
    else:
        ann.interviewed(spend)
    assert [(entry["type"], entry["amount"]) for entry in ann.entries()[before:]] == brought
    # What is beyond is lost, by call and by event alike.
    assert ann.interviewed(spend).refused == (409, "already_awarded")
    happens("interview.won", account_id="ann", spend_id=spend.body["id"])
    assert len(ann.entries()) == before + len(brought)


def test_an_interview_of_which_nothing_fits_brings_nothing_by_call_and_by_event(freelancer, happens):
    ann = freelancer()
    for _ in range(5):
        ann.interviewed(ann.spends(1))
    spend = ann.spends(8)
    assert ann.interviewed(spend).refused == (409, "reward_cap_reached")
    happens("interview.won", account_id="ann", spend_id=spend.body["id"])
    assert ann.balance == 50 - 5 + 50 - 8


def test_the_reward_goes_to_the_account_that_sent_the_proposal_freelancer_or_agency(agency, freelancer):
    acme, ann = agency(), freelancer()
    acme.given(8)
    for sender, other in ((acme, ann), (ann, acme)):
        proposal = sender.spends(8)
        assert other.interviewed(proposal).refused == (404, "spend_not_found")
        assert sender.interviewed(proposal).status == 201
        assert sender.rows("refund", "reward") == [("2026-11-22", 8), ("2026-11-22", 2)]


def test_there_is_no_reward_for_an_invitation_without_a_proposal(freelancer):
    ann = freelancer()
    assert ann.rewarded("interview").refused == (400, "invalid_request")
    assert ann.rewarded("interview", spend_id="invited").refused == (404, "spend_not_found")
    assert ann.balance == 50
