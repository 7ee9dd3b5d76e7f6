"""Stripe as a function has it: with the key that is stored, which may be replaced while the function runs."""

import json
from datetime import timedelta

import pytest

from local.stripe_twin import StripeTwin
from shared.aws import secrets
from shared.aws.secrets import KEPT_AT_LEAST
from shared.aws.wiring import stripe_provider, wiring
from shared.config import ConfigurationError
from shared.payments import PaymentState
from tests.functions.conftest import SETTINGS, client
from tests.functions.events import PAYMENT_SECRET
from tests.stripe.engines import OnTwin

RETURN_URL = "https://shop.example/paid"


@pytest.fixture
def twin(clock):
    with StripeTwin(lambda: clock.at) as twin:
        yield twin
        assert twin.problems == []


def store(secret):
    client("secretsmanager").put_secret_value(SecretId=SETTINGS["PAYMENT_SECRET_ARN"], SecretString=secret)


def of_stripe(key):
    return json.dumps({"api_key": key, "webhook_secrets": ["whsec_of_stripe_as_long_as_one_is"]})


@pytest.fixture
def provider(twin, restart):
    secrets._named.cache_clear()
    store(of_stripe(twin.api_key))
    restart(
        STAGE="production",
        PAYMENT_PROVIDER="stripe",
        RETURN_URL=RETURN_URL,
        ACTION_MINUTES="20",
        STRIPE_API_BASE=twin.url,
    )
    stripe_provider.cache_clear()
    yield stripe_provider(wiring().settings)
    stripe_provider.cache_clear()
    store(PAYMENT_SECRET)
    secrets._named.cache_clear()


@pytest.fixture
def charge(twin):
    return OnTwin(twin).charge("authenticationRequired")


def test_the_buyer_is_sent_to_the_bank_and_back_within_the_time_that_is_set(provider, charge, clock, twin):
    ref = provider.prepare(charge)
    payment = provider.confirm(ref, charge, present=True)
    assert payment.state is PaymentState.NEEDS_BUYER
    assert payment.action.until == clock.at + timedelta(minutes=20)
    assert twin.account.get("payment_intent", ref)["next_action"]["redirect_to_url"]["return_url"] == RETURN_URL


def test_a_payment_names_the_stage_of_its_ledger(provider, charge, twin):
    assert twin.account.get("payment_intent", provider.prepare(charge))["metadata"] == {
        "account_id": "ann",
        "purchase_id": charge.purchase_id,
        "attempt": "1",
        "app": "connects-ledger/production",
    }


def test_a_replaced_key_is_used_once_stripe_refuses_the_former(provider, charge, clock, twin):
    ref = provider.prepare(charge)
    twin.api_keys[:] = ["rk_test_the_next"]
    store(of_stripe("rk_test_the_next"))
    clock.at += KEPT_AT_LEAST
    assert provider.look(ref, charge).state is PaymentState.DECLINED, "it is not confirmed yet"


def test_a_key_that_stripe_refuses_is_read_anew_twice_a_minute_at_most(provider, charge, clock, twin):
    ref = provider.prepare(charge)
    twin.api_keys[:] = ["rk_test_the_next"]
    asked = []
    service = secrets._named(SETTINGS["PAYMENT_SECRET_ARN"])._client
    service.meta.events.register("before-call.secrets-manager.GetSecretValue", lambda **_: asked.append(1))
    for _ in range(61):
        with pytest.raises(ConfigurationError, match="AuthenticationError"):
            provider.look(ref, charge)
        clock.go(seconds=1)
    assert len(asked) == 2


def test_a_secret_without_a_key_is_a_wrong_setting(provider, charge, clock):
    store(PAYMENT_SECRET)
    clock.go(minutes=5)
    with pytest.raises(ConfigurationError, match="no api_key"):
        provider.prepare(charge)
