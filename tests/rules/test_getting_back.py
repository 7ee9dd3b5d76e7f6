"""Refunds: when, in Connects and never in cash, into the lots they were taken from, and once."""

import pytest

from tests.functions.conftest import charges


@pytest.fixture
def two_proposals(api, freelancer):
    """Of two freelancers on one job, at 7 each."""
    api.post(price=7)
    both = [freelancer("ann"), freelancer("bob")]
    for each in both:
        each.proposes()
    return both


@pytest.mark.parametrize("happened", ["canceled", "removed"])
def test_every_proposal_is_refunded_if_the_client_cancels_or_the_post_is_removed(
    api, two_proposals, scheduled, happened
):
    api.tell(happened)
    scheduled("job_sweep")
    for each in two_proposals:
        assert (each.balance, each.rows("refund")) == (50, [("2026-11-22", 7)])
        assert each.entries()[-1]["reference"]["why"] == f"job_{happened}"


def test_a_post_that_broke_the_terms_is_refunded_also_when_that_is_found_out_later(
    api, two_proposals, clock, scheduled
):
    api.tell("filled")
    clock.go(days=3)
    api.tell("removed")
    scheduled("job_sweep")
    assert [each.balance for each in two_proposals] == [50, 50]


@pytest.mark.parametrize("happened", ["expired", "filled"])
def test_nothing_is_refunded_if_a_job_expires_without_a_hire_or_another_freelancer_is_hired(
    api, two_proposals, scheduled, happened
):
    api.tell(happened)
    scheduled("job_sweep")
    assert [each.balance for each in two_proposals] == [43, 43]


def test_one_proposal_is_refunded_for_what_the_client_did(freelancer):
    ann = freelancer()
    for reason in ("job_canceled", "job_removed", "fraud"):
        spend = ann.spends(6)
        refund = ann.refunded(spend, reason).body
        assert (refund["type"], refund["amount"]) == ("refund", 6)
        assert refund["reference"] == {"type": "spend", "spend_id": spend.body["id"], "why": reason}
    assert ann.balance == 50


def test_one_proposal_is_not_refunded_for_being_withdrawn_never_opened_or_not_chosen(freelancer):
    ann = freelancer()
    spend = ann.spends(6)
    for reason in ("withdrawn", "not_chosen", "job_expired", "job_filled"):
        assert ann.refunded(spend, reason).refused == (422, "not_refundable")
    assert ann.balance == 44


def test_a_refund_is_of_connects_and_never_of_cash(agency):
    acme = agency()
    acme.buys(40)
    acme.refunded(acme.spends(40))
    assert (acme.balance, list(charges().values())) == (40, [600])


def test_a_refund_goes_into_the_lots_that_the_spend_took_from_with_their_dates(agency, at):
    acme = agency()
    acme.buys(10)
    acme.given(5)
    at("2027-03-01")
    acme.buys(10)
    before = acme.shown["lots"]
    spend = acme.spends(20)
    at("2027-06-01")
    acme.refunded(spend)
    assert acme.shown["lots"] == before


@pytest.mark.parametrize(
    ("back_at", "lots"),
    [
        ("2027-11-22T23:59:59.999Z", [("2027-11-23", 10), ("2028-03-02", 5)]),
        ("2027-11-23T00:00:00.000Z", [("2027-12-23", 10), ("2028-03-02", 5)]),
        ("2028-01-10T12:00:00.000Z", [("2028-02-09", 10), ("2028-03-02", 5)]),
    ],
    ids=["on its last day", "as it expired", "weeks later"],
)
def test_a_refund_of_a_lot_that_has_expired_since_is_a_lot_that_lasts_30_days(agency, at, back_at, lots):
    acme = agency()
    acme.buys(10)
    at("2027-03-01")
    acme.given(5)
    spend = acme.spends(15)
    at(back_at)
    acme.refunded(spend)
    assert acme.lots == lots


def test_with_a_grace_of_0_days_a_refund_of_an_expired_lot_expires_at_once_as_two_rows(agency, at, restart):
    restart(REFUND_GRACE_DAYS="0")
    acme = agency()
    acme.buys(10)
    spend = acme.spends(10)
    at("2027-11-23")
    acme.refunded(spend)
    assert acme.rows("refund", "expiry") == [("2027-11-23", 10), ("2027-11-23", -10)]
    assert acme.balance == 0


def test_one_spend_is_refunded_once_whatever_mix_of_reasons_jobs_and_repeats_arrives(api, freelancer, clock, scheduled):
    ann = freelancer()
    api.post(price=7)
    spend = ann.proposes()
    assert ann.refunded(spend, "fraud", key="k").status == 201
    assert ann.refunded(spend, "fraud", key="k").replayed
    assert ann.refunded(spend, "job_canceled").refused == (409, "already_refunded")
    for happened in ("canceled", "removed", "canceled"):
        api.tell(happened)
        scheduled("job_sweep")
        clock.go(hours=1)
    assert (ann.balance, ann.rows("refund")) == (50, [("2026-11-22", 7)])


@pytest.mark.parametrize("first", ["the interview", "the end of the job"])
@pytest.mark.parametrize("price", [8, 10, 12, 16])
def test_an_interview_and_the_end_of_its_job_refund_a_proposal_whole_in_either_order(
    api, freelancer, scheduled, price, first
):
    """After an interview refunded 10 of 12, a canceled job refunds the other 2. For 8 it brings 10, with the reward."""
    ann = freelancer()
    api.post(price=price)
    spend = ann.proposes()

    if first == "the interview":
        ann.interviewed(spend)
    for _ in range(2):
        api.tell("canceled")
        scheduled("job_sweep")
        ann.interviewed(spend)
    assert ann.balance == 50 - price + max(price, 10)
    assert sum(amount for _, amount in ann.rows("refund")) == price


@pytest.mark.parametrize("reason", ["job_canceled", "job_removed", "fraud"])
def test_after_an_interview_refunded_10_of_12_any_reason_refunds_the_other_2_once(freelancer, reason):
    ann = freelancer()
    spend = ann.spends(12)
    ann.interviewed(spend)
    rest = ann.refunded(spend, reason, key="k")
    assert (rest.status, rest.body["amount"]) == (201, 2)
    assert ann.refunded(spend, reason, key="k").replayed
    for again in ("job_canceled", "job_removed", "fraud"):
        assert ann.refunded(spend, again).refused == (409, "already_refunded")
    assert ann.interviewed(spend).refused == (409, "already_awarded")
    assert ann.balance == 50


def test_a_refund_is_never_refunded(freelancer):
    ann = freelancer()
    refund = ann.refunded(ann.spends(6))
    assert ann.refunded(refund).refused == (404, "spend_not_found")
    assert ann.balance == 50


def test_a_badges_week_is_never_refunded_nor_rewarded_for_an_interview(api, freelancer):
    ann = freelancer()
    ann.badge()
    (week,) = ann.entries("spend")
    assert api.refund(week["id"]).refused == (422, "not_refundable")
    assert ann.rewarded("interview", spend_id=week["id"]).refused == (422, "not_refundable")
    assert ann.balance == 46
