"""Who may call what. The gateway verifies tokens; every right is checked here once more, in one place."""

import pytest

from tests.functions.api import Api
from tests.functions.conftest import fresh_tables, stopped_clock
from tests.functions.events import NO_TOKEN, SERVICE, STAFF, http, user

SELF_ROUTES = ("read_account", "history", "purchase", "purchases", "read_purchase", "redeem_promo", "badge", "read_job")
SERVICE_ROUTES = (
    "open_account",
    "change_account",
    "put_billing_method",
    "spend",
    "boost",
    "refund",
    "reward",
    "put_job",
    "job_event",
)
STAFF_ROUTES = ("audit", "check_purchase", "adjustment", "put_promo", "sandbox_clock")
ROUTES = SELF_ROUTES + SERVICE_ROUTES + STAFF_ROUTES
OF_NO_ACCOUNT = {"open_account", "put_promo", "sandbox_clock", "put_job", "read_job", "job_event"}
ONE_ACCOUNT = [route for route in ROUTES if route not in OF_NO_ACCOUNT]

ALLOWED = {
    "self": SELF_ROUTES,
    "service": SELF_ROUTES + SERVICE_ROUTES,
    "staff": ROUTES,
    "nobody": (),
}
CLAIMS = {"self": user("ann"), "service": SERVICE, "staff": STAFF, "nobody": NO_TOKEN}
FORBIDDEN = (403, "forbidden")


@pytest.fixture(scope="module", autouse=True)
def tables(aws):  # noqa: ARG001
    """One pair of tables for all tests here: what a call may do does not depend on what was done before."""
    with fresh_tables():
        with stopped_clock():
            Api().open()
            Api().open("acme", kind="agency", plan="plus")
        yield


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("caller", ALLOWED)
def test_each_route_is_for_those_callers_and_no_other(api, caller, route):
    answer = api.send(route, http(route, claims=CLAIMS[caller]))
    assert (answer.status != 403) == (route in ALLOWED[caller])
    assert answer.status == 403 or answer.status < 500


@pytest.mark.parametrize("route", ONE_ACCOUNT)
def test_a_stranger_is_told_the_same_whether_the_account_exists_or_not(api, route):
    real, made_up = (
        api.send(route, http(route, claims=user("bob"), path={"account_id": account})) for account in ("ann", "nobody")
    )
    assert real.refused == made_up.refused == FORBIDDEN
    assert real.body == made_up.body
    assert "ann" not in real.text


@pytest.mark.parametrize("route", SELF_ROUTES)
@pytest.mark.parametrize("agencies", ["[acme foo]", "[acme,foo]", "acme", ["acme", "foo"], "[foo acme]"])
def test_a_member_of_an_agency_acts_for_it_however_the_gateway_writes_the_claim(api, route, agencies):
    sent = http(route, claims=user("ann", agencies), path={"account_id": "acme"})
    assert api.send(route, sent).status != 403


@pytest.mark.parametrize("agencies", [None, "", "[]", [], "[acme-2 foo]", "[acm e]"])
def test_who_is_no_member_of_an_agency_does_not_act_for_it(api, agencies):
    sent = http("read_account", claims=user("ann", agencies), path={"account_id": "acme"})
    assert api.send("read_account", sent).refused == FORBIDDEN


@pytest.mark.parametrize("name", ["Ann", "an", "annn", " ann", "", None])
def test_an_account_is_its_owners_by_its_exact_name(api, name):
    assert api.send("read_account", http("read_account", claims=user(name))).refused == FORBIDDEN


@pytest.mark.parametrize("scope", ["connects/staffing", "connects", "connects/service2", "x connects/", ""])
def test_a_scope_counts_by_its_exact_name(api, scope):
    assert api.send("read_account", http("read_account", claims={"scope": scope})).refused == FORBIDDEN


def test_a_scope_counts_among_others(api):
    sent = http("audit", claims={"scope": "openid connects/staff email"})
    assert api.send("audit", sent).status == 200


def test_the_names_of_the_claims_are_configuration(api, restart):
    restart(ACCOUNT_CLAIM="custom:account", AGENCIES_CLAIM="teams")
    claims = {"custom:account": "ann", "teams": "[acme]", "username": "somebody"}
    seen = [
        api.send("read_account", http("read_account", claims=claims, path={"account_id": account})).status
        for account in ("ann", "acme", "somebody")
    ]
    assert seen == [200, 200, 403]


@pytest.mark.parametrize("authorizer", [None, {}, {"jwt": None}, {"jwt": {}}, {"lambda": {"username": "ann"}}])
def test_an_event_that_no_jwt_authorizer_verified_is_nobodys(api, authorizer):
    sent = http("read_account")
    sent["requestContext"]["authorizer"] = authorizer
    assert api.send("read_account", sent).refused == FORBIDDEN
