"""What the functions read from their environment: a setting that makes no sense is named before anything is done."""

from dataclasses import fields

import pytest

from shared.config import ConfigurationError, Settings
from shared.ledger.policy import Policy
from tests.functions.conftest import SETTINGS
from tests.parameters import (
    DEFAULTS,
    ENDS,
    NO_MORE_THAN,
    OTHER_SETTINGS,
    PARAMETERS,
    policy_of,
    product,
    told,
    variable,
)


@pytest.fixture(autouse=True)
def tables():
    """Nothing here asks for one."""


def certifications(text):
    return Settings.read(SETTINGS | {"CERTIFICATION_CONNECTS": text}).policy.certifications


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("python=10", {"python": 10}),
        ("python=10,design=5", {"python": 10, "design": 5}),
        (" python = 10 , design=5, ", {"python": 10, "design": 5}),
        ("go-2_x=0", {"go-2_x": 0}),
    ],
)
def test_certificates_are_read_as_names_and_whole_numbers(text, expected):
    assert certifications(text) == expected


def test_without_that_setting_no_certificate_brings_anything():
    environ = {name: value for name, value in SETTINGS.items() if name != "CERTIFICATION_CONNECTS"}
    assert Settings.read(environ).policy.certifications == {}


@pytest.mark.parametrize(
    "text",
    [
        "python",
        "python=",
        "=10",
        "=",
        "python=ten",
        "python=-1",
        "python=1.5",
        "python=1e3",
        "python=10=5",
        "python=10;design=5",
        "python=10,design",
        "python=10,python=10",
        "python=10, python =5",
        '{"python": 10}',
    ],
)
def test_certificates_that_make_no_sense_are_refused_by_their_setting(text):
    with pytest.raises(ConfigurationError, match="CERTIFICATION_CONNECTS"):
        certifications(text)


NUMBERED = [
    name for name in [*product(), "DueShards", "PromoCounters"] if {"MinValue", "MaxValue"} <= PARAMETERS[name].keys()
]


@pytest.mark.parametrize("name", [variable(name) for name in NUMBERED])
@pytest.mark.parametrize("value", [None, "", "-1", "1.5", "many"])
def test_a_number_that_is_missing_or_none_is_refused_by_its_setting(name, value):
    environ = {key: text for key, text in (SETTINGS | {name: value}).items() if text is not None}
    with pytest.raises(ConfigurationError, match=name):
        Settings.read(environ)


FIELDS = {name: variable(name).removesuffix("_CONNECTS").lower() for name in product()} | {
    "CertificationConnects": "certifications"
}
"""The field of the policy that each parameter sets."""


def as_parameter(value):
    match value:
        case dict():
            return ",".join(f"{name}={number}" for name, number in value.items())
        case tuple():
            return ",".join(map(str, value))
    return str(value)


def test_every_field_of_the_policy_has_a_parameter():
    assert sorted(FIELDS.values()) == sorted(field.name for field in fields(Policy))


def test_the_defaults_of_the_parameters_are_those_of_the_policy():
    assert Settings.read(OTHER_SETTINGS | DEFAULTS).policy == Policy()


@pytest.mark.parametrize(("parameter", "value"), ENDS)
def test_a_parameter_at_its_ends_is_taken_and_sets_its_field(parameter, value):
    assert as_parameter(getattr(policy_of(parameter, value), FIELDS[parameter])) == value


@pytest.mark.parametrize("parameter", NUMBERED)
@pytest.mark.parametrize(("end", "beyond"), [("MinValue", -1), ("MaxValue", 1)])
def test_a_number_that_the_template_refuses_the_functions_refuse_by_its_name(parameter, end, beyond):
    wrong = {variable(parameter): str(PARAMETERS[parameter][end] + beyond)}
    with pytest.raises(ConfigurationError) as refused:
        Settings.read(SETTINGS | wrong)
    name = variable(parameter)
    assert name in str(refused.value) or name.removesuffix("_CONNECTS").lower() in str(refused.value)


@pytest.mark.parametrize(("less", "more"), NO_MORE_THAN)
def test_numbers_that_contradict_each_other_are_refused_by_their_names(less, more):
    numbers = SETTINGS | told(less, str(int(PARAMETERS[more]["Default"]) + 1))
    with pytest.raises(ConfigurationError) as refused:
        Settings.read(numbers)
    for name in (less, more):
        assert variable(name).removesuffix("_CONNECTS").lower() in str(refused.value)


@pytest.mark.parametrize("days", ["", "0", "30,0", "-1", "1000", "30,7,30", ",".join(map(str, range(1, 12)))])
def test_days_ahead_that_make_no_sense_are_refused_by_their_setting(days):
    with pytest.raises(ConfigurationError, match=r"(?i)expiry_notice_days"):
        Settings.read(SETTINGS | {"EXPIRY_NOTICE_DAYS": days})


@pytest.mark.parametrize("prices", ["", "small/simple=0", "small/simple=1000001", "small/simple=1,small/simple=2"])
def test_prices_that_make_no_sense_are_refused_by_their_setting(prices):
    with pytest.raises(ConfigurationError, match=r"(?i)job_prices"):
        Settings.read(SETTINGS | {"JOB_PRICES": prices})


@pytest.mark.parametrize("provider", PARAMETERS["PaymentProvider"]["AllowedValues"])
def test_a_payment_provider_that_the_template_allows_is_taken(provider):
    assert Settings.read(SETTINGS | {"PAYMENT_PROVIDER": provider}).payment_provider == provider


@pytest.mark.parametrize("provider", ["", "paypal", "Stripe"])
def test_a_payment_provider_that_there_is_not_is_refused_by_its_setting(provider):
    with pytest.raises(ConfigurationError, match="PAYMENT_PROVIDER"):
        Settings.read(SETTINGS | {"PAYMENT_PROVIDER": provider})


@pytest.mark.parametrize(("text", "url"), [("", None), ("https://shop.example/paid", "https://shop.example/paid")])
def test_a_page_to_come_back_to_may_be_left_out(text, url):
    assert Settings.read(SETTINGS | {"RETURN_URL": text}).return_url == url


def test_a_function_that_is_not_told_of_payments_has_the_default_of_the_template():
    silent = {name: value for name, value in SETTINGS.items() if name != "PAYMENT_PROVIDER"}
    assert Settings.read(silent).payment_provider == PARAMETERS["PaymentProvider"]["Default"]
