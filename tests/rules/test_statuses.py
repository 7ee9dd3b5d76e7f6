"""Active, suspended, closed: what an account may do, what comes to it, and what it keeps."""

import pytest

SUSPENDED, CLOSED = (403, "account_suspended"), (403, "account_closed")
REFUSED = {"suspended": SUSPENDED, "closed": CLOSED}


@pytest.fixture
def ann(freelancer, api, at):
    """She joined on 22 November 2026."""
    at("2026-11-22T10:00:00Z")
    api.post(price=7, posted_at="2026-11-22T10:00:00Z")
    return freelancer()


def test_an_account_shows_its_status(ann, agency):
    assert ann.shown["status"] == "active"
    for status in ("suspended", "active", "closed"):
        assert ann.becomes(status).body["status"] == status
    acme = agency()
    acme.falls_back()
    assert acme.shown["status"] == "frozen"
    assert acme.becomes("suspended").body["status"] == "suspended"
    assert acme.becomes("active").body["status"] == "frozen"


def test_only_an_active_account_gets_monthly_connects_and_no_cycle_is_made_up_for(ann, at, scheduled):
    at("2026-12-21T23:59:59.999Z")
    ann.becomes("suspended")
    at("2027-01-25")
    scheduled("monthly_grant")
    ann.becomes("active")
    assert ann.balance == 50
    at("2027-02-22")
    assert ann.balance == 60


def test_a_cycle_that_begins_before_a_suspension_is_granted(ann, at):
    at("2026-12-22T00:00:00.001Z")
    ann.becomes("suspended")
    assert ann.balance == 60


def test_a_closed_account_gets_no_monthly_connects_and_none_are_due(ann, at, scheduled):
    ann.becomes("closed")
    assert ann.shown["cycle"]["next_grant_on"] is None
    at("2027-02-25")
    scheduled("monthly_grant")
    assert ann.balance == 50


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_a_suspended_or_closed_account_spends_bids_buys_and_redeems_nothing(ann, api, status):
    api.put_promo()
    ann.becomes(status)
    for refused in (ann.spends(1), ann.proposes(), ann.boosts(5), ann.buys(40), ann.redeems("SPRING"), ann.badge()):
        assert refused.refused == REFUSED[status]
    assert (ann.balance, ann.held) == (50, 0)


def test_an_account_that_is_active_again_does_all_of_it(ann, api):
    api.put_promo()
    ann.becomes("suspended")
    ann.becomes("active")
    for done in (ann.spends(1), ann.proposes(), ann.boosts(5), ann.buys(40), ann.redeems("SPRING")):
        assert done.status == 201
    assert ann.badge().status == 200


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_a_suspended_or_closed_accounts_badge_goes_off_with_a_notice(ann, notices, at, scheduled, status):
    ann.badge()
    ann.becomes(status)
    assert not ann.shown["badge"]["enabled"]
    (notice,) = notices("badge_off")
    assert (notice["why"], notice["balance"]) == (f"account_{status}", 46)
    at("2026-11-29T10:00:00Z")
    scheduled("badge_renewals")
    assert ann.balance == 46


@pytest.mark.parametrize("status", ["active", "suspended", "closed"])
def test_refunds_and_expiry_continue_whatever_the_status(ann, at, scheduled, status):
    spend = ann.spends(8)
    ann.becomes(status)
    assert ann.refunded(spend).status == 201
    assert ann.balance == 50
    at("2027-11-23")
    scheduled("expiry_sweep")
    assert ann.rows("expiry") == [("2027-11-23", -50)]


@pytest.mark.parametrize(("status", "captured"), [("suspended", True), ("closed", False)])
def test_the_holds_of_a_suspended_account_run_on_and_those_of_a_closed_one_are_released(ann, api, status, captured):
    ann.boosts(10)
    ann.becomes(status)
    assert ann.held == (10 if captured else 0)
    api.tell("hired")
    ends = [(entry["type"], entry["amount"]) for entry in ann.entries("capture", "release")]
    assert ends == ([("capture", 0)] if captured else [("release", 10)])
    assert (ann.balance, ann.held) == (40 if captured else 50, 0)


def test_every_open_hold_of_a_closed_account_is_released_and_what_was_captured_stays(ann, api):
    for number in range(3):
        api.post(f"k-{number}", price=7, posted_at="2026-11-22T10:00:00Z")
        ann.boosts(5, job=f"k-{number}")
    ann.boosts(8, job="k-1")
    api.tell("interaction", job="k-2", account_id="ann")
    assert (ann.balance, ann.held) == (32, 13)
    ann.becomes("closed")
    assert (ann.balance, ann.held) == (45, 0)
    assert ann.becomes("closed").body["balance"] == 45


def test_rewards_come_to_a_suspended_account_and_not_to_a_closed_one(ann):
    spends = [ann.spends(8) for _ in range(2)]
    ann.becomes("suspended")
    assert ann.rewarded("rising_talent").status == 201
    assert [entry["type"] for entry in ann.interviewed(spends[0]).body["entries"]] == ["refund", "reward"]
    ann.becomes("closed")
    assert ann.rewarded("certification", certificate="python").refused == CLOSED
    assert [entry["type"] for entry in ann.interviewed(spends[1]).body["entries"]] == ["refund"]
    assert ann.balance == 50 - 16 + 30 + 10 + 8


def test_staff_correct_a_suspended_account_both_ways_and_a_closed_one_down_only(ann):
    ann.becomes("suspended")
    assert (ann.given(5).status, ann.given(-5).status) == (201, 201)
    ann.becomes("closed")
    assert ann.given(5).refused == CLOSED
    assert ann.given(-5).status == 201
    assert ann.balance == 45


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_a_charge_that_went_through_ends_in_its_connects_and_without_its_promo_code(ann, api, clock, scheduled, status):
    api.put_promo()
    pending = ann.buys(40, sandbox="late", body={"promo_code": "SPRING"})
    assert pending.status == 202
    ann.becomes(status)
    clock.go(minutes=2)
    scheduled("purchase_reconcile")
    purchase = api.call("read_purchase", path={"account_id": "ann", "purchase_id": pending.body["purchase_id"]}).body
    assert (purchase["status"], purchase["promo"]) == ("completed", {"code": f"account_{status}"})
    assert ann.balance == 90


def test_an_upgrade_while_it_is_suspended_brings_nothing_and_counts_from_the_next_cycle(ann, at):
    ann.becomes("suspended")
    assert ann.changes_plan("plus").body["balance"] == 50
    ann.becomes("active")
    assert (ann.balance, ann.shown["plan"]) == (50, "plus")
    at("2026-12-22")
    assert ann.balance == 150


def test_a_plan_and_a_status_may_change_together(ann):
    ann.becomes("suspended")
    account = ann.becomes("active", plan="plus").body
    assert (account["status"], account["plan"], account["balance"]) == ("active", "plus", 140)


def test_a_downgrade_counts_from_the_next_cycle_and_at_once_where_a_payment_failed(agency, at):
    acme = agency(joined_on="2026-11-10")
    acme.buys(40)
    shown = acme.changes_plan("basic").body
    assert (shown["plan"], shown["next_plan"], shown["status"]) == ("plus", "basic", "active")
    at("2026-12-09T23:59:59.999Z")
    assert acme.spends(1).status == 201
    at("2026-12-10")
    assert (acme.shown["plan"], acme.shown["next_plan"], acme.shown["status"]) == ("basic", None, "frozen")
    assert acme.spends(1).refused == (403, "account_frozen")
    acme.changes_plan("plus")
    acme.changes_plan("basic")
    assert acme.changes_plan("plus").body["next_plan"] is None
    assert acme.falls_back().body["status"] == "frozen"
