"""Every refusal that the API's document tells of does occur, and each scenario here is of one that it tells of.

The other way round, that nothing is refused which the document does not tell of, is held by every answer of these tests
(tests/document.py).
"""

import pytest

from shared.http.problems import STATUS
from tests.document import document, resolved
from tests.faults import BATCH_GET, GET, PUT, QUERY, TRANSACT, UPDATE, request_lost
from tests.functions.events import FOLDER, NO_TOKEN, STAFF, event, http, user

NAMES = {sent["routeKey"]: path.stem for path in FOLDER.glob("*.json") if "routeKey" in (sent := event(path.stem))}
"""Of the event files, by their calls."""


def documented():
    """Each call, by the name of its event file, with each code that it may be refused with."""
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            for response in map(resolved, operation["responses"].values()):
                problem = response["content"].get("application/problem+json", {}).get("schema", {"oneOf": []})
                for one in problem.get("oneOf", [problem]):
                    yield NAMES[f"{method.upper()} {path}"], resolved(one)["properties"]["code"]["const"]


# --- For reasons that any call may have


def ids(call, value):
    return dict.fromkeys(event(call).get("pathParameters", {}), value)


def invalid(api, call):
    path = ids(call, "x" * 65)
    return api.call(call, claims=STAFF, **({"path": path} if path else {"raw": "{"}))


def forbidden(api, call):
    return api.call(call, claims=NO_TOKEN if call == "read_job" else user("stranger"))


def of_staff(**changes):
    return lambda api, call: api.call(call, claims=STAFF, **changes)


ANY = {
    "invalid_request": invalid,
    "forbidden": forbidden,
    "not_found": lambda api, call: api.call(call, claims=STAFF, path=ids(call, 'no"id')),
    "account_not_found": of_staff(path={"account_id": "nobody"}),
    "idempotency_key_missing": of_staff(headers={"idempotency-key": None}),
    "internal_error": of_staff(),
    "busy": of_staff(),
}
"""By code. What goes wrong for the last two is in `at_fault`."""


@pytest.fixture
def at_fault(api, restart, faults, monkeypatch, code):
    if code == "internal_error":
        restart(TABLE_NAME=None)
    if code == "busy":
        monkeypatch.setattr(api, "left_ms", 2_900)
        for operation in (GET, BATCH_GET, QUERY, PUT, UPDATE, TRANSACT):
            faults.on(operation, *[request_lost] * 60)


# --- For reasons of a call's own: Ann has 50 Connects


def last(*answers):
    return answers[-1]


def order(api, code):
    return api.buy(body={"quantity": 40, "payment": {"source": "billing_method"}, "promo_code": code})


def frozen(api):
    """An agency with Connects that it bought while it was on plus."""
    api.open("acme", kind="agency", plan="plus")
    api.buy(account="acme", key="before")
    api.change("acme", plan="basic", effective="now")
    return "acme"


def suspended(api):
    api.change(status="suspended")
    return api


def gone(api):
    api.change(status="closed")
    return api


def over(api):
    api.put_promo(to="2026-11-22T10:00:00Z")
    return "SPRING"


def exhausted(api):
    api.put_promo(max_redemptions=0)
    return "SPRING"


def used(api):
    api.put_promo()
    api.redeem(key="before")
    return "SPRING"


def closed(api):
    api.tell("filled")
    return "j-1"


def posted(api):
    api.post(price=7)
    return api


def spent(api, amount=8, key="before"):
    return api.spend(amount, key).body["id"]


def refunded(api):
    spend_id = spent(api, 12)
    api.refund(spend_id, "before")
    return spend_id


def interview(api, spend_id, key="reward"):
    return api.reward("interview", key, spend_id=spend_id)


def invited(api):
    return api.propose(reference={"channel": "invitation"}).body["id"]


def badge_paid(api):
    api.badge()
    return api.entries()[0]["id"]


def open_again(api, key, kind):
    return api.call("open_account", key=key, body={"account_id": "ann", "kind": kind, "plan": "basic"})


def without_a_payment_method(api):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.sandbox.payments.SandboxProvider.needs_payment_method", True)
        return api.buy()


OWN = {
    ("open_account", "already_exists"): lambda api: open_again(api, "another", "freelancer"),
    ("open_account", "idempotency_key_reused"): lambda api: open_again(api, "open-ann", "agency"),
    ("change_account", "account_closed"): lambda api: gone(api).change(status="active"),
    ("put_billing_method", "account_closed"): lambda api: last(gone(api), api.call("put_billing_method")),
    ("adjustment", "account_closed"): lambda api: gone(api).adjust(1),
    ("adjustment", "insufficient_connects"): lambda api: api.adjust(-51),
    ("adjustment", "idempotency_key_reused"): lambda api: last(api.adjust(1), api.adjust(2)),
    ("badge", "account_closed"): lambda api: gone(api).badge(),
    ("badge", "account_suspended"): lambda api: suspended(api).badge(),
    ("badge", "account_frozen"): lambda api: api.badge(account=frozen(api)),
    ("badge", "price_changed"): lambda api: api.badge(most=3),
    ("badge", "insufficient_connects"): lambda api: last(spent(api, 50), api.badge()),
    ("redeem_promo", "account_closed"): lambda api: last(api.put_promo(), gone(api).redeem()),
    ("redeem_promo", "account_suspended"): lambda api: last(api.put_promo(), suspended(api).redeem()),
    ("redeem_promo", "promo_not_found"): lambda api: api.redeem(),
    ("redeem_promo", "promo_not_active"): lambda api: api.redeem(over(api)),
    ("redeem_promo", "promo_used"): lambda api: api.redeem(used(api)),
    ("redeem_promo", "promo_exhausted"): lambda api: api.redeem(exhausted(api)),
    ("redeem_promo", "idempotency_key_reused"): lambda api: last(api.put_promo(), api.redeem(), api.redeem("OTHER")),
    ("purchase", "payment_declined"): lambda api: api.buy(sandbox="decline"),
    ("purchase", "billing_method_missing"): without_a_payment_method,
    ("purchase", "plan_required"): lambda api: last(api.open("acme", kind="agency"), api.buy(account="acme")),
    ("purchase", "account_closed"): lambda api: gone(api).buy(),
    ("purchase", "account_suspended"): lambda api: suspended(api).buy(),
    ("purchase", "account_frozen"): lambda api: api.buy(account=frozen(api)),
    ("purchase", "promo_not_found"): lambda api: order(api, "SPRING"),
    ("purchase", "promo_not_active"): lambda api: order(api, over(api)),
    ("purchase", "promo_used"): lambda api: order(api, used(api)),
    ("purchase", "promo_exhausted"): lambda api: order(api, exhausted(api)),
    ("purchase", "idempotency_key_reused"): lambda api: last(api.buy(40), api.buy(41)),
    ("check_purchase", "purchase_not_found"): lambda api: api.call("check_purchase", claims=STAFF),
    ("read_purchase", "purchase_not_found"): lambda api: api.call("read_purchase"),
    ("payment_events", "signature_invalid"): lambda api: api.send("payment_events", http("payment_events", raw="{}")),
    ("reward", "account_closed"): lambda api: gone(api).reward("rising_talent"),
    ("reward", "spend_not_found"): lambda api: interview(api, "s-1"),
    ("reward", "already_refunded"): lambda api: interview(api, refunded(api)),
    ("reward", "already_awarded"): lambda api: last(api.reward("rising_talent"), api.reward("rising_talent", "again")),
    ("reward", "reward_cap_reached"): lambda api: last(*[interview(api, spent(api, 1, k), k) for k in "abcdef"]),
    ("reward", "not_refundable"): lambda api: interview(api, invited(api)),
    ("reward", "idempotency_key_reused"): lambda api: last(interview(api, spent(api)), api.reward("rising_talent")),
    ("spend", "account_closed"): lambda api: gone(api).spend(),
    ("spend", "account_suspended"): lambda api: suspended(api).spend(),
    ("spend", "account_frozen"): lambda api: api.spend(account=frozen(api)),
    ("spend", "insufficient_connects"): lambda api: api.spend(51),
    ("spend", "price_changed"): lambda api: api.spend(6, expected_price=4),
    ("spend", "already_exists"): lambda api: last(api.propose(amount=6), api.propose(amount=6, key="again")),
    ("spend", "job_not_open"): lambda api: api.propose(amount=6, job=closed(api)),
    ("spend", "idempotency_key_reused"): lambda api: last(api.spend(6), api.spend(7)),
    ("boost", "account_closed"): lambda api: gone(posted(api)).boost(5),
    ("boost", "account_suspended"): lambda api: suspended(posted(api)).boost(5),
    ("boost", "account_frozen"): lambda api: posted(api).boost(5, frozen(api)),
    ("boost", "job_not_found"): lambda api: api.boost(5),
    ("boost", "insufficient_connects"): lambda api: posted(api).boost(51),
    ("boost", "auction_closed"): lambda api: posted(api).boost(5, job=closed(api)),
    ("boost", "bid_too_low"): lambda api: last(posted(api).boost(5), api.boost(5, key="again")),
    ("boost", "idempotency_key_reused"): lambda api: last(posted(api).boost(5), api.boost(6)),
    ("refund", "spend_not_found"): lambda api: api.refund("s-1"),
    ("refund", "already_refunded"): lambda api: api.refund(refunded(api)),
    ("refund", "not_refundable"): lambda api: api.refund(spent(api), reason="withdrawn"),
    ("refund", "idempotency_key_reused"): lambda api: last(
        api.refund(spent(api, key="a")), api.refund(spent(api, key="b"))
    ),
    ("read_job", "job_not_found"): lambda api: api.job(),
    ("job_event", "job_not_found"): lambda api: api.tell("interaction", account_id="ann"),
}


@pytest.mark.parametrize(("call", "code"), [each for each in documented() if each[1] in ANY])
@pytest.mark.usefixtures("at_fault")
def test_a_refusal_that_any_call_may_meet_occurs(api, call, code):
    assert ANY[code](api, call).refused == (STATUS[code], code)


@pytest.mark.parametrize(("call", "code"), OWN)
def test_a_refusal_of_a_calls_own_occurs(api, call, code):
    api.open()
    assert OWN[call, code](api).refused == (STATUS[code], code)


def test_these_are_all_refusals_that_the_document_tells_of():
    assert set(OWN) == {(call, code) for call, code in documented() if code not in ANY}
