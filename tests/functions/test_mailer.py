"""Notices by e-mail: each once, to an address that is verified; a refused one fails alone and comes again."""

import itertools
import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import MockRawResponse

from shared.config import ConfigurationError
from shared.services.notice_mail import TEXTS, compose
from tests.functions.conftest import client
from tests.functions.events import event
from tests.functions.stream import SCHEMAS
from tests.table import create_table

FUNCTION = "mailer"
SENDER = "connects@example.com"
ADDRESS_OF_ANN = {"email": "ann@example.com", "email_verified": "true"}
NOTICES: dict[str, dict[str, Any]] = {
    "came": {"amount": 10, "balance": 60, "reason": "Monthly Connects, basic plan"},
    "badge_off": {"why": "price_changed", "reason": "The price is 7 Connects now.", "max_per_week": 6, "balance": 60},
    "connects_reclaimed": {
        "amount": 30,
        "balance": 0,
        "owed": 10,
        "purchase_id": "p-1",
        "reason": "Payment disputed: 30 Connects taken back, 10 owed",
    },
    "connects_restored": {
        "amount": 30,
        "balance": 30,
        "owed": 0,
        "purchase_id": "p-1",
        "reason": "Dispute won: 30 Connects given back, 10 no longer owed",
    },
    "expired": {"amount": 10, "balance": 60},
    "outbid": {"job_id": "j-1", "proposal_id": "p-1", "bid": 12, "balance": 60},
    "boost_released": {
        "job_id": "j-1",
        "proposal_id": "p-1",
        "bid": 12,
        "why": "job_canceled",
        "reason": "Boost: job canceled",
        "balance": 60,
    },
    "expiring": {"amount": 10, "balance": 60, "expires_on": "2027-11-23", "days_ahead": 7, "days_left": 7},
    "purchase_completed": {"purchase_id": "p-1", "quantity": 40, "amount_cents": 605, "currency": "USD"},
    "purchase_declined": {"purchase_id": "p-1", "quantity": 40, "amount_cents": 600, "currency": "USD"},
}


SETTINGS = {
    "SENDER_ADDRESS": SENDER,
    "USER_POOL_ID": "pool",
    "MAILS_TABLE_NAME": "mails",
    "MAILS_PER_SECOND": "1",
    "MAIL_CONCURRENCY": "2",
}


@dataclass
class Waits:
    """In the place of the module `time`: time passes by waiting alone."""

    now: float = 1_800_000_000

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


@dataclass
class World:
    """In the place of Cognito and SES, behind their real clients: whom the pool knows, and what was sent."""

    users: dict[str, dict[str, str]] = field(default_factory=lambda: {"ann": ADDRESS_OF_ANN})
    sent: list[dict[str, Any]] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    refuses: bool = False
    waits: Waits = field(default_factory=Waits)

    def attach(self, mailer):
        for one, service, operation, answer in (
            (mailer._users, "cognito-identity-provider", "AdminGetUser", self._user),
            (mailer._ses, "sesv2", "SendEmail", self._send),
        ):
            events = one.meta.events
            events.register(f"provide-client-params.{service}.{operation}", partial(self._asked, answer))
            events.register(f"before-call.{service}.{operation}", self.answer)

    def _asked(self, answer, params, **_):
        status, body = answer(params)
        self._answer = AWSResponse("", status, HTTPHeaders(), None), body

    def answer(self, **_):
        return self._answer

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
        self.sent_at.append(self.waits.now)
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
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    waits = Waits()
    monkeypatch.setattr("shared.aws.mail.time", waits)
    monkeypatch.setattr("tests.functions.api.Context.get_remaining_time_in_millis", lambda _: 60_000)
    app._mailer.cache_clear()
    world = World(waits=waits)
    world.attach(app._mailer())
    yield world
    client("dynamodb").delete_table(TableName="mails")
    app._mailer.cache_clear()


@pytest.fixture
def restarted(world, monkeypatch):
    """Have the function start anew with other settings."""
    from functions.mailer import app  # noqa: PLC0415 - after Powertools' settings are there

    def start(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        app._mailer.cache_clear()
        world.attach(app._mailer())

    return start


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


@pytest.mark.parametrize(("settings", "pause"), [(("1", "2"), 2), (("14", "2"), 1 / 7), (("50", "10"), 0.2)])
def test_mails_go_at_the_share_of_the_rate_that_ses_takes(api, world, restarted, settings, pause):
    restarted(MAILS_PER_SECOND=settings[0], MAIL_CONCURRENCY=settings[1])
    assert deliver(api, *(notice(number=number) for number in range(5))) == []
    assert deliver(api, notice(number=5)) == [], "the next batch waits for the last mail of the one before"
    gaps = [later - sooner for sooner, later in itertools.pairwise(world.sent_at)]
    assert gaps == [pytest.approx(pause)] * 5


def test_who_has_waited_long_enough_waits_no_more(api, world):
    deliver(api, notice(number=1))
    world.waits.now += 60
    before = world.waits.now
    deliver(api, notice(number=2))
    assert world.sent_at[-1] == before


def test_what_is_mailed_to_nobody_waits_for_nothing(api, world):
    before = world.waits.now
    assert deliver(api, *(notice(account="bob", number=number) for number in range(10))) == []
    assert world.waits.now == before


def test_a_mail_for_which_too_little_time_is_left_comes_again(api, world, monkeypatch):
    left = iter([60_000, 20_000, 19_999, 3_000])
    monkeypatch.setattr("tests.functions.api.Context.get_remaining_time_in_millis", lambda _: next(left))
    bodies = [notice(number=number) for number in range(4)]
    assert deliver(api, *bodies) == ["message-2", "message-3"]
    assert len(world.sent) == 2


def test_a_mail_that_ses_throttles_is_tried_again_within_its_time(api, world, monkeypatch):
    from functions.mailer import app  # noqa: PLC0415 - after Powertools' settings are there

    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    answers = [429, 429, 200]

    def answer(**_):
        body = b'{"MessageId": "1"}' if answers[0] == 200 else b'{"message": "Maximum sending rate exceeded."}'
        headers = HTTPHeaders.from_dict({"x-amzn-errortype": "TooManyRequestsException"})
        return AWSResponse("", answers.pop(0), headers, MockRawResponse(body))

    events = app._mailer()._ses.meta.events
    events.unregister("before-call.sesv2.SendEmail", world.answer)
    events.register_first("before-send.sesv2.SendEmail", answer)
    assert deliver(api, notice()) == []
    assert answers == []


def test_more_invocations_than_a_batch_has_time_for_are_refused_by_their_setting(restarted):
    restarted(MAILS_PER_SECOND="5", MAIL_CONCURRENCY="10")
    with pytest.raises(ConfigurationError, match="MAIL_CONCURRENCY"):
        restarted(MAILS_PER_SECOND="5", MAIL_CONCURRENCY="11")


def test_what_is_no_notice_fails_alone(api, world):
    assert deliver(api, "nonsense", notice()) == ["message-0"]
    assert len(world.sent) == 1


def test_a_notice_of_a_newer_release_that_was_taken_back_is_not_mailed_and_does_not_fail(api, world):
    assert deliver(api, notice().replace("notice.came", "notice.gossip"), notice(number=2)) == []
    assert len(world.sent) == 1


def test_every_notice_has_a_text_and_every_text_is_of_one():
    kinds = {file.stem.removeprefix("notice.") for file in SCHEMAS.glob("notice.*.json")}
    assert {file.stem for file in TEXTS.glob("*.txt")} == kinds == set(NOTICES)


def test_the_event_file_works(api, world):
    assert api.invoke(FUNCTION, event(FUNCTION)) == {"batchItemFailures": []}
    assert len(world.sent) == 1
