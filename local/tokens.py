"""`make token`: access tokens from the stack's own user pool, for end users, services and staff.

`python -m local.tokens --account ann --agencies acme,foo` or `--client service`.
"""

import argparse
import base64
import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

from local.aws import client
from local.stack import describe


class TokenError(Exception):
    """Why there is no token, in a line for a person."""


def user_token(stack: dict[str, Any], account: str, agencies: list[str] | None = None) -> str:
    """Sign an end user in, who is created if needed and made a member of exactly these agencies."""
    pool = client("cognito-idp", stack["endpoint_url"])
    user = {"UserPoolId": stack["user_pool_id"], "Username": account}
    with suppress(pool.exceptions.UsernameExistsException):
        pool.admin_create_user(**user, MessageAction="SUPPRESS")
    join_agencies(pool, user, set(agencies or []))
    password = f"Aa1-{secrets.token_urlsafe(24)}"  # a new one each time, so that none has to be stored
    pool.admin_set_user_password(**user, Password=password, Permanent=True)
    answer = pool.admin_initiate_auth(
        UserPoolId=stack["user_pool_id"],
        ClientId=stack["user_client_id"],
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": account, "PASSWORD": password},
    )
    return str(answer["AuthenticationResult"]["AccessToken"])


def join_agencies(pool: Any, user: dict[str, str], wanted: set[str]) -> None:  # noqa: ANN401
    """An agency is a group of the pool: its members' tokens name it."""
    groups = pool.admin_list_groups_for_user(**user)["Groups"]
    present = {group["GroupName"] for group in groups}
    for agency in sorted(wanted - present):
        with suppress(pool.exceptions.GroupExistsException):
            pool.create_group(UserPoolId=user["UserPoolId"], GroupName=agency)
        pool.admin_add_user_to_group(**user, GroupName=agency)
    for agency in sorted(present - wanted):
        pool.admin_remove_user_from_group(**user, GroupName=agency)


def client_token(stack: dict[str, Any], name: str) -> str:
    """Ask the token endpoint with the credentials of the `service` or `staff` client."""
    pool = client("cognito-idp", stack["endpoint_url"])
    described = pool.describe_user_pool_client(UserPoolId=stack["user_pool_id"], ClientId=stack[f"{name}_client_id"])[
        "UserPoolClient"
    ]
    basic = base64.b64encode(f"{described['ClientId']}:{described['ClientSecret']}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{stack['endpoint_url']}/oauth2/token",
        data=urllib.parse.urlencode({"grant_type": "client_credentials", "scope": f"connects/{name}"}).encode(),
        headers={"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
        return str(json.load(answer)["access_token"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="make token")
    parser.add_argument("--account", default="")
    parser.add_argument("--agencies", default="")
    parser.add_argument("--client", default="", choices=["", "service", "staff"])
    asked = parser.parse_args()
    if bool(asked.account) == bool(asked.client):
        raise TokenError("say whose: ACCOUNT=ann [AGENCIES=acme,foo], or CLIENT=service, or CLIENT=staff")
    stack = describe()
    if not stack:
        raise TokenError("there is no stack yet: `make up` first")
    if asked.client:
        print(client_token(stack, asked.client))
    else:
        print(user_token(stack, asked.account, [name for name in asked.agencies.split(",") if name]))


if __name__ == "__main__":
    try:
        main()
    except (EndpointConnectionError, urllib.error.URLError):
        raise SystemExit("the stack is not up: `make up` first") from None
    except (TokenError, ClientError) as error:
        raise SystemExit(str(error)) from None
