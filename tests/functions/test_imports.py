"""What a function loads as it starts, seen by a process of its own."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.functions.conftest import SETTINGS
from tests.table import template

ROOT = Path(__file__).parents[2]
SCHEDULED = ("monthly_grant", "expiry_sweep", "expiry_notices", "job_sweep", "badge_renewals", "purchase_reconcile")
EVENTS = ("outbox", "marketplace_events", "mailer")
HTTP = (
    "accounts",
    "audit",
    "purchase",
    "spend",
    "refund",
    "rewards",
    "promos",
    "badge",
    "jobs",
    "boosts",
    "payment_events",
)
FUNCTIONS = {app.parent.name for app in ROOT.glob("functions/*/app.py")}


def loaded_by(function, environment=SETTINGS):
    return _loaded_by(function, tuple(environment.items()))


@cache
def _loaded_by(function, environment):
    script = f"import json, sys, functions.{function}.app; print(json.dumps(sorted(sys.modules)))"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "POWERTOOLS_"))}
    for setting in SETTINGS:
        inherited.pop(setting, None)
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        env=inherited | dict(environment),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize("function", [*SCHEDULED, *EVENTS])
def test_a_function_that_nobody_calls_over_http_never_loads_the_http_edge(function):
    assert not {"msgspec", "shared.http.api", "aws_lambda_powertools.event_handler"} & loaded_by(function)


@pytest.mark.parametrize("function", [*HTTP, "sandbox_clock"])
def test_no_function_loads_pydantic(function):
    """A third of the time that importing boto3 takes, and more where Powertools validates with it."""
    assert not {"pydantic", "pydantic_core"} & loaded_by(function)


@pytest.mark.parametrize("function", ["spend", "monthly_grant"])
def test_a_function_loads_no_tracer(function):
    assert "aws_xray_sdk" not in loaded_by(function)


@pytest.mark.parametrize("function", ["spend", "expiry_sweep"])
def test_a_function_can_be_loaded_where_nothing_is_set(function):
    """A wrong environment is for the first request to tell; a function that cannot be loaded tells nobody."""
    started_by_lambda = {"AWS_LAMBDA_FUNCTION_NAME": function, "AWS_REGION": "us-east-1"}
    assert f"functions.{function}.app" in loaded_by(function, started_by_lambda)


@pytest.mark.parametrize("function", HTTP)
def test_a_function_loads_nothing_of_the_document(function):
    assert not {name for name in loaded_by(function) if name.startswith("shared.openapi")}


def test_outside_the_sandbox_a_function_that_starts_loads_nothing_of_the_sandbox():
    production = SETTINGS | {"STAGE": "production", "AWS_LAMBDA_FUNCTION_NAME": "purchase"}
    assert not {name for name in loaded_by("purchase", production) if name.startswith("shared.sandbox")}


PAY = ("purchase", "payment_events", "purchase_reconcile", "audit")
"""The functions that the template gives the payment provider's secret."""
WITH_STRIPE = SETTINGS | {"STAGE": "production", "PAYMENT_PROVIDER": "stripe", "AWS_LAMBDA_FUNCTION_NAME": "any"}


def of_stripe(loaded):
    return {name for name in loaded if name.partition(".")[0] == "stripe" or name.startswith("shared.stripe")}


@pytest.mark.parametrize("function", PAY)
def test_a_function_that_pays_loads_stripe_as_it_starts_where_that_is_the_provider(function):
    assert {"stripe", "shared.stripe.provider"} <= loaded_by(function, WITH_STRIPE)


@pytest.mark.parametrize("function", PAY)
@pytest.mark.parametrize("otherwise", [{"STAGE": "sandbox"}, {"PAYMENT_PROVIDER": "none"}])
def test_nothing_of_stripe_is_loaded_in_the_sandbox_or_where_it_is_not_the_provider(function, otherwise):
    assert of_stripe(loaded_by(function, WITH_STRIPE | otherwise)) == set()


@pytest.mark.parametrize("function", sorted({*SCHEDULED, *EVENTS, *HTTP} - {*PAY}))
def test_a_function_that_never_pays_loads_nothing_of_stripe(function):
    environment = {name: value for name, value in WITH_STRIPE.items() if name != "PAYMENT_SECRET_ARN"}
    assert of_stripe(loaded_by(function, environment)) == set()


def test_the_functions_that_pay_are_those_that_are_given_the_secret():
    given = {
        name
        for name, resource in template()["Resources"].items()
        if name.endswith("Function")
        if "PAYMENT_SECRET_ARN" in resource["Properties"].get("Environment", {}).get("Variables", {})
    }
    assert given == {f"{name.title().replace('_', '')}Function" for name in PAY}


def test_every_function_is_of_one_of_the_kinds_that_are_tested_here():
    assert {*SCHEDULED, *EVENTS, *HTTP, "sandbox_clock"} == FUNCTIONS
