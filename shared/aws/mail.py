"""E-mail through SES, to the addresses in the Cognito user pool. A table of its own records what was sent.

SES takes only so many mails a second from an account and refuses the others, so each process sends at its share of
that rate.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from shared.config import ConfigurationError

if TYPE_CHECKING:
    from shared.services.notice_mail import Mail

REMEMBERED_S = 30 * 24 * 3600
"""How long it is recorded that a mail was sent. Events are repeated for less: dead letters are kept for 14 days."""
TIMES = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})
"""The SDK retries a call that is throttled or not answered, which takes 15 s at the most."""
LONGEST_PAUSE_S = 2.0
LONGEST_MAIL_S = 20.0
"""The longest that one mail takes, its pause and retries included. With less time left, none is begun."""


class SesMailer:
    def __init__(self, sender: str, user_pool: str, table: str, *, mails_per_second: float) -> None:
        """``mails_per_second`` is this process's share of what SES takes.

        Raises:
            ConfigurationError: it is so small that a batch would not be mailed in time.
        """
        self._pause_s = 1 / mails_per_second
        if self._pause_s > LONGEST_PAUSE_S:
            raise ConfigurationError("MAIL_CONCURRENCY may be twice MAILS_PER_SECOND at the most")
        self._free_at = 0.0
        self._sender = sender
        self._user_pool = user_pool
        self._table = table
        self._users: Any = boto3.client("cognito-idp", config=TIMES)
        self._ses: Any = boto3.client("sesv2", config=TIMES)
        self._dynamodb = boto3.client("dynamodb", config=TIMES)

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
        self._wait()
        self._ses.send_email(
            FromEmailAddress=self._sender,
            Destination={"ToAddresses": [address]},
            Content={"Simple": {"Subject": {"Data": mail.subject}, "Body": {"Text": {"Data": mail.text}}}},
        )
        forget_at = str(int(time.time()) + REMEMBERED_S)
        self._dynamodb.put_item(TableName=self._table, Item={"pk": {"S": notice_id}, "forget_at": {"N": forget_at}})

    def _wait(self) -> None:
        """Until the next mail may go."""
        now = time.monotonic()
        time.sleep(max(self._free_at - now, 0))
        self._free_at = max(self._free_at, now) + self._pause_s
