"""E-mail through SES, to addresses that the Cognito user pool knows, remembered in a table of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from shared.services.mailing import Mail

REMEMBERED_S = 30 * 24 * 3600
"""Longer than anything repeats an event: dead letters are kept for 14 days."""


class SesPost:
    def __init__(self, sender: str, user_pool: str, table: str) -> None:
        self._sender = sender
        self._user_pool = user_pool
        self._table = table
        self._users: Any = boto3.client("cognito-idp")
        self._ses: Any = boto3.client("sesv2")
        self._dynamodb = boto3.client("dynamodb")

    def address_of(self, account_id: str) -> str | None:
        try:
            user = self._users.admin_get_user(UserPoolId=self._user_pool, Username=account_id)
        except self._users.exceptions.UserNotFoundException:
            return None
        attributes = {each["Name"]: each["Value"] for each in user["UserAttributes"]}
        return attributes.get("email") if attributes.get("email_verified") == "true" else None

    def was_sent(self, notice_id: str) -> bool:
        found = self._dynamodb.get_item(TableName=self._table, Key={"pk": {"S": notice_id}}, ConsistentRead=True)
        return "Item" in found

    def send(self, notice_id: str, address: str, mail: Mail) -> None:
        self._ses.send_email(
            FromEmailAddress=self._sender,
            Destination={"ToAddresses": [address]},
            Content={"Simple": {"Subject": {"Data": mail.subject}, "Body": {"Text": {"Data": mail.text}}}},
        )
        forget_at = str(int(time.time()) + REMEMBERED_S)
        self._dynamodb.put_item(TableName=self._table, Item={"pk": {"S": notice_id}, "forget_at": {"N": forget_at}})
