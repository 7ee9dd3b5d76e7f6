"""The template's parameters allow nothing that the functions would refuse, as far as a template can express it."""

import re

import pytest

from tests.parameters import ENDS, PARAMETERS, filled, product, variable
from tests.template.transform import of_type, transform

ENVIRONMENT = 4096
"""Bytes that a function's environment may have in all."""
AROUND = 6
"""Bytes of a variable besides its name and value, as it is sent: quotes, a colon, a comma."""
LONGEST_NAME = 255
"""Of a resource, with the stack's name in it, and of a queue's address or an ARN: none is longer here."""


def matches(parameter: str, value: str) -> bool:
    """CloudFormation takes a value that matches the pattern whole."""
    allowed = PARAMETERS[parameter]
    pattern = allowed.get("AllowedPattern", ".*")
    return re.fullmatch(pattern, value) is not None and len(value) <= allowed.get("MaxLength", 4096)


def is_text(parameter: str) -> bool:
    return PARAMETERS[parameter]["Type"] == "String" and "AllowedValues" not in PARAMETERS[parameter]


@pytest.mark.parametrize("parameter", [name for name in product() if is_text(name)])
def test_a_text_may_be_its_default_and_its_ends(parameter):
    for value in [PARAMETERS[parameter]["Default"], *(end for name, end in ENDS if name == parameter)]:
        assert matches(parameter, value), value


@pytest.mark.parametrize(
    ("parameter", "wrong"),
    [
        ("ExpiryNoticeDays", ""),
        ("ExpiryNoticeDays", "0"),
        ("ExpiryNoticeDays", "1000"),
        ("ExpiryNoticeDays", "30,7,"),
        ("ExpiryNoticeDays", "30,30"),
        ("ExpiryNoticeDays", "30,7,1,7"),
        ("ExpiryNoticeDays", "1,2,3,4,5,6,7,8,9,10,11"),
        ("CertificationConnects", "python"),
        ("CertificationConnects", "python=10,python=5"),
        ("CertificationConnects", "go=1,python=10,design=5,python=5"),
        ("JobPrices", ""),
        ("JobPrices", "small/simple=0"),
        ("JobPrices", "small/simple=1,large/simple=2,small/simple=3"),
        ("Currency", "usd"),
    ],
)
def test_a_text_that_the_functions_would_refuse_is_no_parameter(parameter, wrong):
    assert not matches(parameter, wrong)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("ExpiryNoticeDays", "30,3,13,1,130,301"),
        ("CertificationConnects", "python=10,python-2=10,my-python=10,n=10"),
        ("JobPrices", "small/simple=2,xsmall/simple=2,small/simple-2=2"),
    ],
)
def test_a_name_that_is_part_of_another_is_no_repeat(parameter, value):
    assert matches(parameter, value)


@pytest.mark.parametrize("parameter", ["CertificationConnects", "JobPrices"])
def test_a_list_one_longer_than_its_limit_is_refused(parameter):
    longest = filled(parameter, "{}/s" if parameter == "JobPrices" else "{}")
    assert matches(parameter, longest)
    assert not matches(parameter, f"{longest},{'n' * 9}/s=999999")


def test_every_function_is_given_each_parameter_under_its_own_name(written):
    variables = written["Globals"]["Function"]["Environment"]["Variables"]
    given = {name: value["Ref"] for name, value in variables.items() if value.get("Ref") in PARAMETERS}
    of_all = [*product(), "Stage", "DueShards", "PromoCounters", "AccountClaim", "AgenciesClaim"]
    assert given == {variable(name): name for name in of_all} | {"POWERTOOLS_LOG_LEVEL": "LogLevel"}


@pytest.mark.parametrize("url", ["http://shop.example/paid", "shop.example", "https://", "https://shop.example/a b"])
def test_a_page_to_come_back_to_is_one_by_https(url):
    assert matches("ReturnUrl", "https://shop.example/paid?by=card")
    assert matches("ReturnUrl", "")
    assert not matches("ReturnUrl", url)


def longest_of(parameter: str) -> int:
    allowed = PARAMETERS[parameter]
    if "AllowedValues" in allowed:
        return max(len(str(value)) for value in allowed["AllowedValues"])
    if allowed["Type"] == "Number":
        return len(str(allowed["MaxValue"]))
    return allowed.get("MaxLength", max((len(end) for name, end in ENDS if name == parameter), default=LONGEST_NAME))


def longest(value: object) -> int:
    match value:
        case {"Ref": str(name)} if name in PARAMETERS:
            return longest_of(name)
        case str(text):
            return len(text)
    return LONGEST_NAME


def test_all_that_a_function_is_told_fits_its_environment_with_every_parameter_at_its_longest():
    for stage in ("production", "sandbox"):
        stack = transform(Stage=stage, SenderAddress="connects@example.com")
        for name, function in of_type(stack, "AWS::Lambda::Function").items():
            variables = function.get("Environment", {}).get("Variables", {})
            size = sum(len(key) + longest(value) + AROUND for key, value in variables.items())
            assert size <= ENVIRONMENT, (name, size)
