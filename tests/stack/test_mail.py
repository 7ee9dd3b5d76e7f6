"""Notices by e-mail: from a change of an account, over the bus and the user pool, to what SES was handed."""

from typing import Any

import httpx

from tests.stack.machinery import Machinery, eventually
from tests.stack.marketplace import Marketplace


def address_of(account: str) -> str:
    return f"{account}@example.com"


def sign_up(machinery: Machinery, stack: dict[str, Any], account: str, *, verified: bool) -> None:
    attributes = {"email": address_of(account), "email_verified": "true" if verified else "false"}
    machinery.client("cognito-idp").admin_create_user(
        UserPoolId=stack["user_pool_id"],
        Username=account,
        UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
        MessageAction="SUPPRESS",
    )


def mails(stack: dict[str, Any]) -> list[dict[str, Any]]:
    """All that SES was handed, by ministack's own account of it."""
    accounts = httpx.get(f"{stack['endpoint_url']}/_ministack/ses/messages").json()["messages"]
    return [mail for sent in accounts.values() for mail in sent]


def test_an_owner_is_mailed_a_notice_and_who_has_no_verified_address_is_not(
    marketplace: Marketplace, machinery: Machinery, stack: dict[str, Any]
):
    known, unverified, unknown = (marketplace.open() for _ in range(3))
    sign_up(machinery, stack, unverified, verified=False)
    sign_up(machinery, stack, known, verified=True)

    for account in (unknown, unverified, known):
        marketplace.reward(account, "rising_talent", "r")

    def to(account: str) -> list[dict[str, Any]]:
        return [mail for mail in mails(stack) if address_of(account) in mail["To"]]

    eventually(lambda: [mail for mail in to(known) if "Rising Talent" in mail["BodyText"]])
    [mail] = [mail for mail in to(known) if "Rising Talent" in mail["BodyText"]]
    assert (mail["Source"], mail["Subject"]) == ("connects@example.com", "30 Connects came")
    assert f"30 Connects came into your account {known}: Rising Talent." in mail["BodyText"]
    assert to(unknown) == to(unverified) == []
