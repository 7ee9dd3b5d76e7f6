"""Opening, reading and changing an account."""

from tests.functions.events import STAFF


def test_a_freelancer_opens_with_sign_up_connects_and_the_cycles(api):
    account = api.open(joined_on="2026-11-05").body
    assert account == {
        "account_id": "ann",
        "kind": "freelancer",
        "plan": "basic",
        "next_plan": None,
        "status": "active",
        "balance": 50,
        "held": 0,
        "expiring": {"within_30_days": 0, "next": {"on": "2027-11-06", "amount": 10}},
        "lots": [
            {"expires_on": "2027-11-06", "paid": False, "amount": 10},
            {"expires_on": "2027-11-23", "paid": False, "amount": 40},
        ],
        "cycle": {"starts_on": "2026-11-05", "ends_on": "2026-12-04", "next_grant_on": "2026-12-05"},
        "badge": {"enabled": False, "max_per_week": None, "renews_at": None, "paid_until": None},
        "owed": 0,
    }
    assert api.read() == account


def test_an_agency_opens_with_nothing_and_no_grant_to_come(api):
    account = api.open("acme", kind="agency", plan="plus").body
    assert (account["balance"], account["lots"], account["cycle"]["next_grant_on"]) == (0, [], None)
    assert account["expiring"] == {"within_30_days": 0, "next": None}


def test_an_upgrade_brings_the_rest_of_the_cycle_at_once_and_once(api):
    api.open(joined_on="2026-11-12")  # 20 of 30 days are left
    first, again = (api.change(plan="plus") for _ in range(2))
    assert (first.status, first.body["plan"]) == (200, "plus")
    assert first.body["balance"] == 50 + 90 * 20 // 30
    assert again.body == first.body


def test_the_audit_names_each_invariant_and_finds_nothing_wrong(api):
    api.open()
    api.refund(api.spend().body["id"])
    audit = api.call("audit", claims=STAFF).body
    assert audit["ok"]
    assert len(audit["invariants"]) >= 6
    assert all(finding["ok"] and finding["invariant"] and finding["found"] == [] for finding in audit["invariants"])
