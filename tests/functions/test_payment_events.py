"""The payment provider's events: who signs, is heard; and what became of a charge is asked for, never believed."""

import json
from datetime import timedelta

import pytest
import stripe
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from shared.aws.secrets import PaymentSecret, secret_of
from shared.config import ConfigurationError
from shared.http.signatures import sign
from shared.payments import NoAnswerError, Payment, PaymentState
from shared.sandbox.payments import SandboxProvider
from tests.functions.conftest import SETTINGS, START, charges, client, everything
from tests.functions.events import PAYMENT_SECRET, STAFF, http, signed

WEBHOOK = "payment_events"
INVALID = (401, "signature_invalid")
NOTHING = 50
WITH_IT = 90
NEW_SECRET = "whsec_c29tZWJvZHkncyBuZXh0IHNlY3JldCBvZiBtYW55IGxldHRlcnM="
OTHER_SECRET = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA=="


@pytest.fixture(autouse=True)
def ann(api):
    api.open()


@pytest.fixture
def pending(api):
    """The id of a purchase of 40 whose charge the provider settles when it is asked again."""
    return api.buy(sandbox="late").body["purchase_id"]


def told(charge_id, account="ann", happened="charge.settled", **more):
    return {"type": happened, "account_id": account, "charge_id": charge_id, **more}


def tell(api, charge_id, *about, **more):
    return api.call(WEBHOOK, body=told(charge_id, *about, **more))


def provider_says(monkeypatch, *said):
    """What `look` answers from now on, one after the other, or raises."""
    answers = iter(said)

    def look(_, __, ___):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(SandboxProvider, "look", look)


def never_asked(monkeypatch):
    provider_says(monkeypatch)


# --- Who is heard


def test_the_signature_is_that_of_the_standard():
    """Its own example."""
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_the_same_with_and_without_its_prefix():
    text = "c2V2ZW4gdGltZXMgc2V2ZW4gbGV0dGVycw=="
    assert secret_of(f" whsec_{text}\n") == secret_of(text) == b"seven times seven letters"


@pytest.mark.parametrize("text", ["", "whsec_", "c2hvcnQ=", "not base64, however long it may be", "é" * 40])
def test_a_secret_that_could_be_guessed_is_none(text):
    with pytest.raises(ConfigurationError, match="the payment provider's secret"):
        secret_of(text)


def refused_and_nothing_touched(api, monkeypatch, sent):
    never_asked(monkeypatch)
    before = everything()
    answer = api.send(WEBHOOK, sent)
    assert answer.refused == INVALID
    assert answer.body == api.send(WEBHOOK, http(WEBHOOK, headers={"webhook-signature": None})).body, "tells why"
    assert everything() == before
    return True


def test_a_body_that_was_tampered_with_is_refused(api, monkeypatch, pending):
    sent = signed(http(WEBHOOK, body=told(f"{pending}-1")))
    assert refused_and_nothing_touched(api, monkeypatch, sent | {"body": sent["body"] + " "})


def test_a_body_that_another_secret_signed_is_refused(api, monkeypatch, pending):
    sent = signed(http(WEBHOOK, body=told(f"{pending}-1")), secret=OTHER_SECRET)
    assert refused_and_nothing_touched(api, monkeypatch, sent)


@pytest.mark.parametrize("ago", [301, 86_400, -301, -86_400])
def test_a_signature_of_more_than_five_minutes_ago_or_ahead_is_refused(api, monkeypatch, pending, ago):
    sent = signed(http(WEBHOOK, body=told(f"{pending}-1")), at=START - timedelta(seconds=ago))
    assert refused_and_nothing_touched(api, monkeypatch, sent)


@pytest.mark.parametrize("ago", [300, -300])
def test_a_signature_of_five_minutes_ago_or_ahead_is_good(api, pending, ago):
    sent = signed(http(WEBHOOK, body=told(f"{pending}-1")), at=START - timedelta(seconds=ago))
    assert api.send(WEBHOOK, sent).status == 200


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize(
    "value", [None, "", "0", "-1", "now", "1795341601", "9" * 20, "9" * 5000, "v1,", "é", "\ud800"]
)
def test_a_header_that_is_missing_or_another_is_refused(api, monkeypatch, pending, header, value):
    sent = signed(http(WEBHOOK, body=told(f"{pending}-1")))
    headers = {name: text for name, text in (sent["headers"] | {header: value}).items() if text is not None}
    assert refused_and_nothing_touched(api, monkeypatch, sent | {"headers": headers})


@pytest.mark.parametrize("version", ["v1a", "v2", "V1", ""])
def test_a_signature_of_another_kind_is_refused(api, monkeypatch, pending, version):
    sent = signed(http(WEBHOOK, body=told(f"{pending}-1")))
    sent["headers"]["webhook-signature"] = sent["headers"]["webhook-signature"].replace("v1", version)
    assert refused_and_nothing_touched(api, monkeypatch, sent)


def test_a_token_stands_for_no_signature(api, monkeypatch, pending):
    sent = http(WEBHOOK, claims=STAFF, body=told(f"{pending}-1"))
    assert refused_and_nothing_touched(api, monkeypatch, sent)


@pytest.mark.parametrize("raw", ["", "{", "null", "\ud800", b"\xff"])
def test_what_is_not_signed_is_not_even_read(api, monkeypatch, raw):
    assert refused_and_nothing_touched(api, monkeypatch, http(WEBHOOK, raw=raw))


def test_one_good_signature_of_several_will_do(api, pending):
    """While a secret is replaced by another, a provider signs with both."""
    sent = signed(http(WEBHOOK, body=told(f"{pending}-1")))
    sent["headers"]["webhook-signature"] = f"v1a,xyz v1,{'A' * 43}= {sent['headers']['webhook-signature']}"
    assert api.send(WEBHOOK, sent).status == 200


def test_a_body_that_the_gateway_sends_in_base64_is_signed_as_the_provider_sent_it(api, pending):
    assert api.call(WEBHOOK, raw=json.dumps(told(f"{pending}-1")).encode()).body["status"] == "completed"


def test_a_signature_goes_by_the_real_clock_not_by_the_products(api, monkeypatch):
    api.call("sandbox_clock", claims=STAFF, body={"advance": "P31D"})
    purchase_id = api.buy(sandbox="late").body["purchase_id"]
    sent = signed(http(WEBHOOK, body=told(f"{purchase_id}-1")), at=START + timedelta(days=31))
    with monkeypatch.context() as patch:
        assert refused_and_nothing_touched(api, patch, sent)
    assert tell(api, f"{purchase_id}-1").body["status"] == "completed"


# --- Whose secret it is by


@pytest.fixture
def secrets():
    """Secrets Manager, which counts how often it is asked; the tests' secret is as it was in the end."""
    from shared.aws import secrets  # noqa: PLC0415 - after Powertools' settings are there

    asked = []
    secrets._named.cache_clear()
    service = secrets._named(SETTINGS["PAYMENT_SECRET_ARN"])._client
    service.meta.events.register("before-call.secrets-manager.GetSecretValue", lambda **_: asked.append(1))
    service.asked = asked
    yield service
    client("secretsmanager").put_secret_value(SecretId=SETTINGS["PAYMENT_SECRET_ARN"], SecretString=PAYMENT_SECRET)
    secrets._named.cache_clear()


def rotate(secret=NEW_SECRET):
    client("secretsmanager").put_secret_value(SecretId=SETTINGS["PAYMENT_SECRET_ARN"], SecretString=secret)


def sent_by(api, secret, at):
    return api.send(WEBHOOK, signed(http(WEBHOOK, body={"type": "payout.paid"}), secret=secret, at=at)).status


def test_a_secret_is_read_once_for_many_events(api, clock, secrets):
    assert {sent_by(api, PAYMENT_SECRET, clock.at) for _ in range(20)} == {200}
    assert len(secrets.asked) == 1


def test_an_event_by_a_new_secret_is_heard_at_once(api, clock, secrets):
    assert sent_by(api, PAYMENT_SECRET, clock.at) == 200
    clock.go(seconds=30)
    rotate()
    assert sent_by(api, NEW_SECRET, clock.at) == 200
    assert sent_by(api, PAYMENT_SECRET, clock.at) == 401
    assert len(secrets.asked) == 2


def test_a_secret_that_was_taken_back_is_good_for_five_minutes_at_most(api, clock, secrets):
    assert sent_by(api, PAYMENT_SECRET, clock.at) == 200
    rotate()
    clock.go(minutes=4, seconds=59)
    assert sent_by(api, PAYMENT_SECRET, clock.at) == 200
    clock.go(seconds=1)
    assert sent_by(api, PAYMENT_SECRET, clock.at) == 401
    assert len(secrets.asked) == 2


def test_bad_signatures_have_the_secret_read_twice_a_minute_however_many_they_are(api, clock, secrets):
    for _ in range(60):
        assert sent_by(api, OTHER_SECRET, clock.at) == 401
        clock.go(seconds=1)
    assert len(secrets.asked) == 2


def test_a_new_secret_that_is_none_changes_nothing(api, clock, secrets, log):
    assert sent_by(api, PAYMENT_SECRET, clock.at) == 200
    rotate("too short")
    clock.go(minutes=5)
    assert sent_by(api, PAYMENT_SECRET, clock.at) == 200
    assert "the secret could not be read anew" in log.text
    assert len(secrets.asked) == 2


def test_a_secret_that_cannot_be_read_anew_is_what_it_was(api, clock, secrets, log):
    assert sent_by(api, PAYMENT_SECRET, clock.at) == 200
    error = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}
    refused = AWSResponse("", 400, HTTPHeaders(), None), error
    secrets.meta.events.register("before-call.secrets-manager.GetSecretValue", lambda **_: refused)
    clock.go(minutes=5)
    assert [sent_by(api, secret, clock.at) for secret in (PAYMENT_SECRET, OTHER_SECRET)] == [200, 401]
    assert log.text.count("the secret could not be read anew") == 1


def test_without_its_secret_the_function_names_it_in_its_log_and_answers_500(api, log, restart):
    for setting, said in (("no-such-secret", "ResourceNotFoundException"), (None, "PAYMENT_SECRET_ARN is not set")):
        restart(PAYMENT_SECRET_ARN=setting)
        answer = tell(api, "p-1")
        assert answer.refused == (500, "internal_error")
        assert said in log.text
        assert said not in answer.text


def test_where_no_provider_is_connected_nothing_can_be_settled(api, restart, pending):
    restart(STAGE="production")
    assert tell(api, f"{pending}-1").refused == (500, "internal_error")
    assert api.send(WEBHOOK, http(WEBHOOK, body=told(f"{pending}-1"))).refused == INVALID


# --- Stripe's signatures

STRIPE_SECRET = "whsec_of_stripe_as_long_as_one_is"
NEXT_STRIPE_SECRET = "whsec_of_stripe_while_it_is_replaced"
OF_NO_INTEREST = {"id": "evt_1", "object": "v2.core.event", "type": "payout.paid", "who": "Zoë"}


def of_stripe(*secrets, api_key="rk_test_1"):
    return json.dumps({"api_key": api_key, "webhook_secrets": secrets})


@pytest.fixture
def stripes(restart, secrets):
    """Stripe is the provider, whose one secret is stored."""
    secrets.asked.clear()
    rotate(of_stripe(STRIPE_SECRET))
    restart(PAYMENT_PROVIDER="stripe")


def signature(*secrets, at=START, raw=None):
    """The header, as Stripe's own client makes it."""
    made = [generate(json.dumps(OF_NO_INTEREST) if raw is None else raw, each, int(at.timestamp())) for each in secrets]
    return ",".join([made[0].partition(",")[0], *(each.partition(",")[2] for each in made)])


generate = stripe.WebhookSignature.generate_signature_header


def sent_by_stripe(api, header, raw=None):
    sent = http(WEBHOOK, raw=json.dumps(OF_NO_INTEREST) if raw is None else raw, headers={"stripe-signature": header})
    return api.send(WEBHOOK, sent).status


@pytest.mark.usefixtures("stripes")
def test_what_stripe_signs_is_heard(api):
    assert sent_by_stripe(api, signature(STRIPE_SECRET)) == 200


@pytest.mark.usefixtures("stripes")
@pytest.mark.parametrize("ago", [300, -300])
def test_a_signature_of_stripe_is_good_for_five_minutes_either_way(api, ago):
    assert sent_by_stripe(api, signature(STRIPE_SECRET, at=START - timedelta(seconds=ago))) == 200
    beyond = timedelta(seconds=ago + ago // 300)
    assert sent_by_stripe(api, signature(STRIPE_SECRET, at=START - beyond)) == 401


@pytest.mark.usefixtures("stripes")
def test_while_stripe_replaces_its_secret_either_will_do(api):
    """It signs with both; or only one of them is stored here yet."""
    assert sent_by_stripe(api, signature(NEXT_STRIPE_SECRET, STRIPE_SECRET)) == 200
    assert sent_by_stripe(api, signature(NEXT_STRIPE_SECRET)) == 401
    rotate(of_stripe(STRIPE_SECRET, NEXT_STRIPE_SECRET))


@pytest.mark.usefixtures("stripes")
def test_of_two_secrets_that_are_stored_either_will_do(api, clock):
    rotate(of_stripe(STRIPE_SECRET, NEXT_STRIPE_SECRET))
    clock.go(minutes=5)
    for secret in (STRIPE_SECRET, NEXT_STRIPE_SECRET):
        assert sent_by_stripe(api, signature(secret, at=clock.at)) == 200
    rotate(of_stripe(NEXT_STRIPE_SECRET))
    clock.go(minutes=5)
    assert sent_by_stripe(api, signature(STRIPE_SECRET, at=clock.at)) == 401


GOOD = signature(STRIPE_SECRET)


@pytest.mark.usefixtures("stripes")
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=,v1=",
        "v1=",
        GOOD.partition(",")[0],
        GOOD.partition(",")[2],
        GOOD.replace("v1=", "v0="),
        GOOD.replace("v1=", "V1="),
        GOOD.replace("t=", "t=0"),
        GOOD.replace("t=", "t=now"),
        GOOD.replace("t=1", "t=2"),
        "t=" + "9" * 5000 + ",v1=x",
        GOOD[:-1],
        GOOD.replace("v1=", "v1=é"),
        signature(NEXT_STRIPE_SECRET),
        signature(STRIPE_SECRET, raw="{}"),
    ],
)
def test_a_header_of_stripe_that_is_missing_or_another_is_refused(api, header):
    assert sent_by_stripe(api, header) == 401


@pytest.mark.usefixtures("stripes")
def test_a_body_of_stripe_that_was_tampered_with_is_refused(api):
    assert sent_by_stripe(api, GOOD, raw=json.dumps(OF_NO_INTEREST) + " ") == 401


@pytest.mark.usefixtures("stripes")
def test_where_stripe_is_the_provider_no_other_signature_will_do(api):
    sent = signed(http(WEBHOOK, body=OF_NO_INTEREST), secret=NEW_SECRET)
    rotate(of_stripe(NEW_SECRET))
    assert api.send(WEBHOOK, sent).status == 401


def test_where_stripe_is_not_the_provider_its_signature_will_not_do(api):
    assert sent_by_stripe(api, signature(PAYMENT_SECRET)) == 401


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{",
        '{"api_key": "rk_1"}',
        of_stripe(),
        of_stripe("whsec_short"),
        of_stripe(STRIPE_SECRET, "whsec_short"),
        of_stripe(STRIPE_SECRET, api_key=""),
        json.dumps({"api_key": "rk_1", "webhook_secrets": STRIPE_SECRET}),
        json.dumps({"api_key": 1, "webhook_secrets": [STRIPE_SECRET]}),
        json.dumps({"webhook_secrets": [STRIPE_SECRET]}),
    ],
)
def test_a_secret_of_stripe_that_is_not_whole_is_none_and_is_not_quoted(text):
    with pytest.raises(ConfigurationError, match="the payment provider's secret must be like") as refused:
        PaymentSecret.parse(text)
    assert "whsec" not in str(refused.value)


def test_a_secret_does_not_show_itself():
    secret = PaymentSecret.parse(of_stripe(STRIPE_SECRET))
    assert (secret.webhook_secrets, secret.api_key) == ((STRIPE_SECRET,), "rk_test_1")
    assert repr(secret) == "PaymentSecret()"


# --- What it does


@pytest.mark.parametrize("behaviour", ["late", "timeout"])
def test_a_pending_purchase_is_completed_before_any_schedule(api, behaviour):
    purchase_id = api.buy(sandbox=behaviour).body["purchase_id"]
    answer = tell(api, f"{purchase_id}-1")
    assert (answer.status, answer.body) == (200, {"purchase_id": purchase_id, "status": "completed"})
    assert (api.balance(), charges()) == (WITH_IT, {purchase_id: 600})


def test_told_twice_is_told_once(api, pending):
    sent = signed(http(WEBHOOK, body=told(f"{pending}-1")))
    first = api.send(WEBHOOK, sent)
    after = everything()
    again = [api.send(WEBHOOK, sent), tell(api, f"{pending}-1")]
    assert [answer.body for answer in again] == [first.body] * 2
    assert everything() == after


def test_what_an_event_says_of_the_charge_is_not_believed(api, monkeypatch, pending):
    provider_says(monkeypatch, Payment(PaymentState.IN_PROGRESS), Payment(PaymentState.NEEDS_BUYER))
    before = everything()
    for _ in range(2):
        answer = tell(api, f"{pending}-1", amount_cents=1, state="charged")
        assert answer.body == {"purchase_id": pending, "status": "pending"}
    assert everything() == before, "when it is asked again is as it was, too"


@pytest.mark.parametrize(
    "happened", ["charge.settled", "charge.failed", "charge.pending", "charge.", "charge.new_kind"]
)
def test_whatever_happened_to_the_charge_the_provider_is_asked(api, pending, happened):
    assert tell(api, f"{pending}-1", "ann", happened).body["status"] == "completed"
    assert api.balance() == WITH_IT


def test_while_the_provider_does_not_answer_an_event_is_answered_busy_and_comes_again(api, monkeypatch, pending):
    before = everything()
    with monkeypatch.context() as patch:
        provider_says(patch, NoAnswerError())
        assert tell(api, f"{pending}-1").refused == (503, "busy")
    assert everything() == before
    assert tell(api, f"{pending}-1").body["status"] == "completed"


def test_an_event_that_the_provider_has_to_explain_and_does_not_comes_again_too(api, monkeypatch, pending):
    """Some send the id of what happened, and no more."""

    def silent(*_):
        raise NoAnswerError

    with monkeypatch.context() as patch:
        patch.setattr(SandboxProvider, "hear", silent)
        assert tell(api, f"{pending}-1").refused == (503, "busy")
    assert tell(api, f"{pending}-1").body["status"] == "completed"


def test_a_charge_that_the_provider_declined_after_all_is_given_up_and_declines_its_purchase(api, monkeypatch):
    pending = api.buy(sandbox="abandon").body["purchase_id"]
    provider_says(monkeypatch, Payment(PaymentState.DECLINED, "the bank said no"))
    assert tell(api, f"{pending}-1").body == {"purchase_id": pending, "status": "declined"}
    shown = api.call("read_purchase", path={"purchase_id": pending}).body
    assert (shown["declined_because"], api.balance(), charges()) == ("the bank said no", NOTHING, {})


def test_a_declined_purchase_stays_declined(api, monkeypatch):
    purchase_id = api.buy(sandbox="decline").body["purchase_id"]
    never_asked(monkeypatch)
    before = everything()
    assert tell(api, f"{purchase_id}-1").body == {"purchase_id": purchase_id, "status": "declined"}
    assert everything() == before


@pytest.mark.parametrize("attempt", ["1", "3", "02", ""])
def test_an_event_of_another_attempt_does_nothing_to_the_one_under_way(api, monkeypatch, attempt):
    purchase_id = api.buy(sandbox="decline").body["purchase_id"]
    api.buy(sandbox="late")
    before = everything()
    with monkeypatch.context() as patch:
        never_asked(patch)
        assert tell(api, f"{purchase_id}-{attempt}").body == {}
    assert everything() == before
    assert tell(api, f"{purchase_id}-2").body["status"] == "completed"


def test_an_event_that_overtakes_the_answer_of_its_charge_credits_once(api, monkeypatch):
    confirm = SandboxProvider.confirm

    def confirm_and_tell(provider, ref, charge, *, present):
        result = confirm(provider, ref, charge, present=present)
        assert tell(api, ref).body["status"] == "completed"
        return result

    monkeypatch.setattr(SandboxProvider, "confirm", confirm_and_tell)
    bought = api.buy()
    assert (bought.status, bought.body["status"], api.balance()) == (201, "completed", WITH_IT)


def test_an_event_that_meets_the_reconciliation_credits_once(api, clock, monkeypatch, pending, scheduled):
    look = SandboxProvider.look

    def look_while_the_schedule_runs(provider, ref, charge):
        monkeypatch.setattr(SandboxProvider, "look", look)
        assert scheduled("purchase_reconcile") == {"purchases": 1}
        return look(provider, ref, charge)

    monkeypatch.setattr(SandboxProvider, "look", look_while_the_schedule_runs)
    clock.go(minutes=2)
    assert tell(api, f"{pending}-1").body["status"] == "completed"
    assert scheduled("purchase_reconcile") == {"purchases": 0}
    assert api.balance() == WITH_IT


def test_a_purchase_with_a_promo_code_brings_it_too(api):
    api.put_promo()
    body = {"quantity": 40, "payment": {"source": "billing_method"}, "promo_code": "SPRING"}
    purchase_id = api.buy(body=body, sandbox="late").body["purchase_id"]
    assert tell(api, f"{purchase_id}-1").body["status"] == "completed"
    assert api.balance() == WITH_IT + 5


# --- What it does not take


@pytest.mark.parametrize(("charge_id", "strays"), [("nothing-1", [1]), ("nothing", None), ("-1", None), ("-", None)])
@pytest.mark.usefixtures("pending")
def test_a_purchase_that_there_is_not_is_answered_200_and_counted(api, log, charge_id, strays):
    log.metrics()
    answer = tell(api, charge_id)
    assert (answer.status, answer.body) == (200, {})
    assert log.metrics().get("ChargeWithoutPurchase") == strays


def test_a_purchase_is_found_under_its_own_account_alone(api, log, pending):
    log.metrics()
    assert tell(api, f"{pending}-1", "bob").body == {}
    assert (api.balance(), log.metrics()["ChargeWithoutPurchase"]) == (NOTHING, [1])


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"account_id": "ann"},
        {"charge_id": "p-1"},
        {"account_id": "ann", "charge_id": ""},
        {"account_id": "ann", "charge_id": "two words-1"},
        {"account_id": "JOB#j1", "charge_id": "p-1"},
        {"account_id": "ann", "charge_id": 1},
    ],
)
@pytest.mark.usefixtures("pending")
def test_an_event_that_names_no_payment_of_ours_is_of_no_interest(api, monkeypatch, about):
    never_asked(monkeypatch)
    before = everything()
    answer = api.call(WEBHOOK, body={"type": "charge.settled", **about})
    assert (answer.status, answer.body) == (200, {})
    assert everything() == before


@pytest.mark.parametrize("more", [{}, {"account_id": None, "charge_id": None, "payout": [{"amount": 1}]}])
@pytest.mark.usefixtures("pending")
def test_an_event_of_no_charge_is_of_no_interest(api, monkeypatch, more):
    never_asked(monkeypatch)
    before = everything()
    answer = api.call(WEBHOOK, body={"type": "payout.paid", **more})
    assert (answer.status, answer.body) == (200, {})
    assert everything() == before


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"type": null}',
        '{"type": "' + "x" * 262_144 + '"}',
        b"\xff\xfe",
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(api, raw):
    answer = api.call(WEBHOOK, raw=raw)
    assert answer.refused == (400, "invalid_request")
    assert answer.body["errors"]
