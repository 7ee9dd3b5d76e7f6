"""The availability badge on the stack: switched by its owner, renewed by way of schedule and queue."""

import json

from tests.stack.machinery import Machinery, eventually
from tests.stack.marketplace import Marketplace, refusal

A_WEEK = {"days": 7}


def put(marketplace: Marketplace, account: str, **body: object):
    return marketplace.call(marketplace.token_of(account), "PUT", f"/accounts/{account}/badge", body)


def weeks(marketplace: Marketplace, account: str) -> list[str]:
    """When the weeks began that were paid for."""
    spends = marketplace.entries(account, type="spend")
    return [spend["reference"]["starts_at"] for spend in reversed(spends)]


def test_an_owner_switches_the_badge_and_is_charged_once_a_week(marketplace: Marketplace):
    account = marketplace.open()

    first, again = (put(marketplace, account, enabled=True, max_per_week=20) for _ in range(2))

    assert (first.status_code, first.json()) == (200, again.json())
    assert marketplace.of_type(account, "spend") == [-first.json()["price"]]
    assert marketplace.read(account)["badge"].items() <= first.json().items()
    assert put(marketplace, account, enabled=False).json()["renews_at"] is None
    assert put(marketplace, account, enabled=True, max_per_week=20).json() == first.json()
    assert len(weeks(marketplace, account)) == 1


def test_a_badge_above_the_maximum_or_of_somebody_else_is_refused(marketplace: Marketplace):
    account = marketplace.open()

    assert refusal(put(marketplace, account, enabled=True, max_per_week=1)) == (409, "price_changed")
    stranger = marketplace.token_of("somebody")
    answer = marketplace.call(stranger, "PUT", f"/accounts/{account}/badge", {"enabled": False})
    assert refusal(answer) == (403, "forbidden")


def test_a_badge_is_renewed_once_by_way_of_the_queue(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()
    renews_at = put(marketplace, account, enabled=True, max_per_week=20).json()["renews_at"]
    machinery.let_pass(**A_WEEK)

    for _ in range(2):
        machinery.run("BadgeRenewalsFunction")
        machinery.send("BadgeRenewalsQueue", json.dumps({"accounts": [account]}))

    eventually(lambda: len(weeks(marketplace, account)) == 2)
    assert weeks(marketplace, account)[1] == renews_at


def test_a_badge_that_cannot_be_paid_for_goes_off(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()
    put(marketplace, account, enabled=True, max_per_week=20)
    marketplace.spend(account, marketplace.balance(account), "all")
    machinery.let_pass(**A_WEEK)

    machinery.run("BadgeRenewalsFunction")

    eventually(lambda: not marketplace.read(account)["badge"]["enabled"])
    assert marketplace.balance(account) == 0
