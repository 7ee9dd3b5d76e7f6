"""Notices by e-mail, from the change of an account to what SES was handed: by the bus, the queue and the user pool."""

from typing import Any

import httpx

from tests.stack.machinery import Machinery, eventually
from tests.stack.marketplace import Marketplace, refusal

WELCOME = ["10 Connects came", "40 Connects came"]


def address_of(account: str) -> str:
    return f"{account}@example.com"


def verify(machinery: Machinery, stack: dict[str, Any], account: str) -> None:
    """The pool's user of this account has an address that was verified."""
    attributes = [{"Name": "email", "Value": address_of(account)}, {"Name": "email_verified", "Value": "true"}]
    machinery.client("cognito-idp").admin_create_user(
        UserPoolId=stack["user_pool_id"], Username=account, UserAttributes=attributes, MessageAction="SUPPRESS"
    )


def mails_to(stack: dict[str, Any], account: str) -> list[dict[str, Any]]:
    sent = httpx.get(f"{stack['endpoint_url']}/_ministack/ses/messages").json()["messages"]
    return [mail for mail in sent if address_of(account) in mail["To"]]


def test_an_owner_with_an_address_is_mailed_each_notice_once(
    marketplace: Marketplace, machinery: Machinery, stack: dict[str, Any]
):
    account = marketplace.open()
    print(httpx.get(f"{stack['endpoint_url']}/_ministack/ses/messages").text[:2000])
    verify(machinery, stack, account)
    marketplace.reward(account, "rising_talent", "r")
    eventually(lambda: mails_to(stack, account))
    print(mails_to(stack, account))
    assert refusal(marketplace.reward(account, "rising_talent", "again")) == (409, "already_awarded")
    assert 0
