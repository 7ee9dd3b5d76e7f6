"""Who gets past the gateway, and what a token allows once it is past."""

import pytest

from local.tokens import user_token
from tests.document import document
from tests.stack.machinery import Machinery
from tests.stack.marketplace import Marketplace, refusal, unique

FOR_ACCOUNTS = [
    ("GET", "/accounts/{account_id}"),
    ("GET", "/accounts/{account_id}/history"),
    ("POST", "/accounts/{account_id}/purchases"),
    ("GET", "/accounts/{account_id}/purchases"),
    ("GET", "/accounts/{account_id}/purchases/{purchase_id}"),
    ("POST", "/accounts/{account_id}/promo-redemptions"),
    ("PUT", "/accounts/{account_id}/badge"),
    ("GET", "/jobs/{job_id}"),
]
FOR_SERVICES = [
    ("POST", "/accounts"),
    ("PATCH", "/accounts/{account_id}"),
    ("PUT", "/accounts/{account_id}/billing-method"),
    ("POST", "/accounts/{account_id}/spends"),
    ("POST", "/accounts/{account_id}/spends/{spend_id}/refund"),
    ("POST", "/accounts/{account_id}/rewards"),
    ("POST", "/accounts/{account_id}/boosts"),
    ("PUT", "/jobs/{job_id}"),
    ("POST", "/jobs/{job_id}/events"),
]
FOR_STAFF = [
    ("POST", "/accounts/{account_id}/adjustments"),
    ("GET", "/accounts/{account_id}/audit"),
    ("POST", "/accounts/{account_id}/purchases/{purchase_id}/check"),
    ("PUT", "/promos/{code}"),
    ("POST", "/sandbox/clock"),
]
CALLS = FOR_ACCOUNTS + FOR_SERVICES + FOR_STAFF
SIGNED = [("POST", "/payments/webhook")]
"""No token opens it, and it takes none: see the contract's tests."""


def knock(marketplace: Marketplace, token: str | None, method: str, path: str) -> int:
    """The status of a call about Ann that asks for nothing in particular."""
    ids = {"account_id": "ann", "purchase_id": "p", "spend_id": "s", "job_id": "j", "code": "C"}
    return marketplace.call(token, method, path.format_map(ids)).status_code


def test_these_are_all_calls():
    paths = document()["paths"].items()
    assert sorted(CALLS + SIGNED) == sorted(
        (method.upper(), path) for path, operations in paths for method in operations
    )


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_no_call_is_open_to_a_caller_without_a_token(marketplace: Marketplace, method: str, path: str):
    assert knock(marketplace, None, method, path) == 401


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_call_is_open_to_those_it_is_for(marketplace: Marketplace, method: str, path: str):
    open_to = {
        "ann": (method, path) in FOR_ACCOUNTS,
        "service": (method, path) not in FOR_STAFF,
        "staff": True,
    }
    tokens = marketplace.tokens | {"ann": marketplace.token_of("ann")}
    assert {who: knock(marketplace, tokens[who], method, path) != 403 for who in open_to} == open_to


def test_a_broken_token_is_refused(marketplace: Marketplace):
    header, claims, signature = marketplace.tokens["staff"].split(".")
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    forged = f"{header}.{claims}.{signature[:middle]}{other}{signature[middle + 1 :]}"

    assert marketplace.call(forged, "GET", "/accounts/ann").status_code == 401
    assert marketplace.call("nonsense", "GET", "/accounts/ann").status_code == 401


def test_a_token_of_another_issuer_is_refused(marketplace: Marketplace, machinery: Machinery):
    pools = machinery.client("cognito-idp")
    pool_id = pools.create_user_pool(PoolName=unique("other"))["UserPool"]["Id"]
    made = pools.create_user_pool_client(
        UserPoolId=pool_id, ClientName="other", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )
    elsewhere = marketplace.stack | {
        "user_pool_id": pool_id,
        "user_client_id": made["UserPoolClient"]["ClientId"],
    }

    answer = marketplace.call(user_token(elsewhere, "ann"), "GET", "/accounts/ann")

    pools.delete_user_pool(UserPoolId=pool_id)
    assert answer.status_code == 401


def test_a_token_for_another_audience_is_refused(marketplace: Marketplace, machinery: Machinery):
    pools, pool_id = machinery.client("cognito-idp"), marketplace.stack["user_pool_id"]
    made = pools.create_user_pool_client(
        UserPoolId=pool_id, ClientName="other", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )
    client_id = made["UserPoolClient"]["ClientId"]

    token = user_token(marketplace.stack | {"user_client_id": client_id}, unique("t"))
    answer = marketplace.call(token, "GET", "/accounts/ann")

    pools.delete_user_pool_client(UserPoolId=pool_id, ClientId=client_id)
    assert answer.status_code == 401


def test_staff_may_do_what_services_do(marketplace: Marketplace):
    account = marketplace.open()

    changed = marketplace.staff("PATCH", f"/accounts/{account}", {"plan": "plus"})

    assert changed.status_code == 200


def test_an_end_user_reads_and_buys_for_the_own_account_alone(marketplace: Marketplace):
    own, other = marketplace.open(), marketplace.open()
    token = marketplace.token_of(own)

    assert marketplace.call(token, "GET", f"/accounts/{own}").status_code == 200
    assert marketplace.buy(own, 10, "b", token=token).status_code == 201
    assert marketplace.call(token, "GET", f"/accounts/{own}/history").status_code == 200
    for path in ("", "/history", "/purchases/p"):
        assert refusal(marketplace.call(token, "GET", f"/accounts/{other}{path}")) == (403, "forbidden")
    assert refusal(marketplace.buy(other, 10, "b", token=token)) == (403, "forbidden")


def test_a_wrong_account_gives_no_hint_of_whether_it_exists(marketplace: Marketplace):
    token = marketplace.token_of(unique("t"))

    there = marketplace.call(token, "GET", f"/accounts/{marketplace.open()}")
    not_there = marketplace.call(token, "GET", f"/accounts/{unique('t')}")

    assert refusal(there) == refusal(not_there) == (403, "forbidden")
    assert there.json() == not_there.json()


def test_a_member_acts_for_the_agencies_that_the_token_names(marketplace: Marketplace):
    mine, also_mine, other = (marketplace.open("agency", "plus") for _ in range(3))
    token = marketplace.token_of(unique("t"), mine, also_mine)

    assert marketplace.buy(mine, 150, "b", token=token).status_code == 201
    assert marketplace.call(token, "GET", f"/accounts/{also_mine}").status_code == 200
    assert refusal(marketplace.call(token, "GET", f"/accounts/{other}")) == (403, "forbidden")
