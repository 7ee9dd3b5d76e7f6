"""Notices by e-mail: each once, to an address that is verified; a refused one fails alone and comes again."""

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from shared.services.mailing import TEXTS, compose
from tests.functions.conftest import client
from tests.functions.events import event
from tests.functions.stream import SCHEMAS
from tests.table import create_table

FUNCTION = "mailer"
SENDER = "connects@example.com"
ADDRESS_OF_ANN = {"email": "ann@example.com", "email_verified": "true"}
NOTICES = {
    "came": {"amount": 10, "balance": 60, "reason": "Monthly Connects, basic plan"},
    "badge_off": {"why": "price_changed", "price": 7, "max_per_week": 6, "balance": 60},
    "expired": {"amount": 10, "balance": 60},
    "outbid": {"job_id": "j-1", "proposal_id": "p-1", "bid": 12, "balance": 60},
    "expiring": {"amount": 10, "balance": 60, "expires_on": "2027-11-23", "days_ahead": 7, "days_left": 7},
    "purchase_completed": {"purchase_id": "p-1", "quantity": 40, "amount_cents": 605, "currency": "USD"},
    "purchase_declined": {"purchase_id": "p-1", "quantity": 40, "amount_cents": 600, "currency": "USD"},
}


@dataclass
class World:
    """In the place of Cognito and SES, behind their real clients: whom the pool knows, and what was sent."""

    users: dict[str, dict[str, str]] = field(default_factory=lambda: {"ann": ADDRESS_OF_ANN})
    sent: list[dict[str, Any]] = field(default_factory=list)
    refuses: bool = False

    def attach(self, post):
        for one, service, operation, answer in (
            (post._users, "cognito-identity-provider", "AdminGetUser", self._user),
            (post._ses, "sesv2", "SendEmail", self._send),
        ):
            events = one.meta.events
            events.register(f"provide-client-params.{service}.{operation}", partial(self._asked, answer))
            events.register(f"before-call.{service}.{operation}", lambda **_: self._answer)

    def _asked(self, answer, params, **_):
        status, body = answer(params)
        self._answer = AWSResponse("", status, {}, None), body

    def _user(self, asked):
        assert asked["UserPoolId"] == "pool"
        if asked["Username"] not in self.users:
            return 400, {"Error": {"Code": "UserNotFoundException", "Message": "no such user"}}
        attributes = self.users[asked["Username"]].items()
        return 200, {"UserAttributes": [{"Name": name, "Value": value} for name, value in attributes]}

    def _send(self, asked):
        if self.refuses:
            return 400, {"Error": {"Code": "MessageRejected", "Message": "not verified"}}
        self.sent.append(asked)
        return 200, {"MessageId": str(len(self.sent))}

    @property
    def mails(self):
        """Of each its receivers, subject and text."""
        contents = [(mail, mail["Content"]["Simple"]) for mail in self.sent]
        return [
            (mail["Destination"]["ToAddresses"], simple["Subject"]["Data"], simple["Body"]["Text"]["Data"])
            for mail, simple in contents
        ]


@pytest.fixture(autouse=True)
def world(aws, monkeypatch):  # noqa: ARG001
    from functions.mailer import app  # noqa: PLC0415 - after Powertools' settings are there

    create_table(client("dynamodb"), "mails", "MailsTable")
    for name, value in {"SENDER_ADDRESS": SENDER, "USER_POOL_ID": "pool", "MAILS_TABLE_NAME": "mails"}.items():
        monkeypatch.setenv(name, value)
    app._post.cache_clear()
    world = World()
    world.attach(app._post())
    yield world
    client("dynamodb").delete_table(TableName="mails")
    app._post.cache_clear()


def notice(kind="came", account="ann", number=1):
    (record,) = event(FUNCTION)["Records"]
    detail = {"version": 1, "id": f"{number}.{kind}", "account_id": account, "at": "2026-11-22T10:00:00.000Z"}
    return json.dumps(json.loads(record["body"]) | {"detail-type": f"notice.{kind}", "detail": detail | NOTICES[kind]})


def deliver(api, *bodies):
    (record,) = event(FUNCTION)["Records"]
    sent = {"Records": [record | {"messageId": f"message-{n}", "body": body} for n, body in enumerate(bodies)]}
    return [each["itemIdentifier"] for each in api.invoke(FUNCTION, sent)["batchItemFailures"]]


@pytest.mark.parametrize("kind", NOTICES)
def test_an_owner_is_mailed(api, world, kind):
    assert deliver(api, notice(kind)) == []
    ((to, subject, text),) = world.mails
    assert (to, world.sent[0]["FromEmailAddress"]) == (["ann@example.com"], SENDER)
    assert subject == compose(kind, {"account_id": "ann", **NOTICES[kind]}).subject
    assert "ann" in text
    assert "$" not in subject + text


def test_what_was_paid_is_told_in_whole_money(api, world):
    deliver(api, notice("purchase_completed"))
    assert "6.05 USD" in world.mails[0][2]


def test_a_notice_for_which_there_is_no_time_comes_again_unsent(api, world, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(api, "left_ms", 5_000)
        assert deliver(api, notice()) == ["message-0"]
    assert world.sent == []
    assert deliver(api, notice()) == []


def test_a_notice_that_comes_again_is_not_mailed_again(api, world):
    assert deliver(api, notice(), notice()) == []
    assert deliver(api, notice(), notice(number=2)) == []
    assert len(world.sent) == 2


@pytest.mark.parametrize(
    "attributes",
    [None, {}, {"email": "bob@example.com"}, {"email": "bob@example.com", "email_verified": "false"}],
    ids=["no user", "no address", "never verified", "not verified"],
)
def test_nobody_is_mailed_where_there_is_no_verified_address(api, world, attributes):
    if attributes is not None:
        world.users["bob"] = attributes
    assert deliver(api, notice(account="bob")) == []
    assert world.sent == []


def test_a_mail_that_is_refused_comes_again(api, world):
    world.refuses = True
    assert deliver(api, notice()) == ["message-0"]
    world.refuses = False
    assert deliver(api, notice()) == []
    assert len(world.sent) == 1


def test_what_is_no_notice_fails_alone(api, world):
    assert deliver(api, "nonsense", notice().replace("notice.came", "notice.gossip"), notice()) == [
        "message-0",
        "message-1",
    ]
    assert len(world.sent) == 1


def test_every_notice_has_a_text_and_every_text_is_of_one():
    kinds = {file.stem.removeprefix("notice.") for file in SCHEMAS.glob("notice.*.json")}
    assert {file.stem for file in TEXTS.glob("*.txt")} == kinds == set(NOTICES)


def test_the_event_file_works(api, world):
    assert api.invoke(FUNCTION, event(FUNCTION)) == {"batchItemFailures": []}
    assert len(world.sent) == 1
