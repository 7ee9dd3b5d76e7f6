"""The product's numbers as the template's parameters allow them: the defaults, and each at both of its ends."""

import re
from typing import Any

from shared.config import Settings
from shared.ledger.policy import Policy
from tests.table import template

PARAMETERS: dict[str, dict[str, Any]] = template()["Parameters"]
LONGEST = 64
"""Characters of a name in a list of prices, by its pattern."""


def product() -> list[str]:
    groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    return next(group["Parameters"] for group in groups if group["Label"]["default"] == "The product's numbers")


def variable(parameter: str) -> str:
    """Its name in a function's environment."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", parameter).upper()


def filled(parameter: str, each: str) -> str:
    """As long a list of names and the highest number as the parameter may be; ``each`` makes a name of its number."""
    texts = [f"{each.format(number)}=999999" for number in range(1000)]
    while len(text := ",".join(texts)) > PARAMETERS[parameter]["MaxLength"]:
        texts.pop()
    return text


def texts_of(parameter: str) -> list[str]:
    """Texts at the ends of what the pattern allows."""
    long = "n" * (LONGEST - 4)
    return {
        "CertificationConnects": [
            "",
            "a=0",
            filled("CertificationConnects", "{}"),
            filled("CertificationConnects", long + "{:04}"),
        ],
        "Currency": ["AAA", "ZZZ"],
        "ExpiryNoticeDays": [
            "1",
            "999",
            ",".join(str(999 - ahead) for ahead in range(10)),
            ",".join(map(str, range(10, 0, -1))),
            ",".join(map(str, range(300, 0, -30))),
        ],
        "JobPrices": ["a/b=1", filled("JobPrices", "{}/s"), filled("JobPrices", f"{long}{{:04}}/{long}")],
    }[parameter]


def ends_of(parameter: str) -> list[str]:
    allowed = PARAMETERS[parameter]
    if "AllowedValues" in allowed:
        return [str(value) for value in allowed["AllowedValues"]]
    if allowed["Type"] == "Number":
        return [str(allowed[end]) for end in ("MinValue", "MaxValue")]
    return texts_of(parameter)


ENDS = [(parameter, value) for parameter in product() for value in ends_of(parameter)]

NO_MORE_THAN = [
    ("MonthlyBasicConnects", "MonthlyPlusConnects"),
    ("MonthlyPlusFreeConnects", "MonthlyPlusConnects"),
    ("BadgeMinPrice", "BadgeMaxPrice"),
]
"""Numbers that contradict each other where the first is more than the second."""


DEFAULTS = {variable(name): str(PARAMETERS[name]["Default"]) for name in product()}
"""The functions' variables for the product's numbers where no parameter is set."""
OTHER_SETTINGS = {
    "TABLE_NAME": "ledger",
    "STAGE": "sandbox",
    "DUE_SHARDS": "4",
    "PROMO_COUNTERS": "4",
    "ACCOUNT_CLAIM": "username",
    "AGENCIES_CLAIM": "cognito:groups",
    "PAYMENT_PROVIDER": "none",
    "ACTION_MINUTES": "15",
}
"""The other variables that `Settings` does not do without."""


def told(parameter: str, value: str) -> dict[str, str]:
    """The same where one parameter has this value."""
    return DEFAULTS | {variable(parameter): value}


def without_contradiction(parameter: str, value: str) -> dict[str, str]:
    """The same, with numbers that would contradict it set to the same value."""
    numbers = told(parameter, value)
    for less, more in NO_MORE_THAN:
        if int(numbers[variable(less)]) > int(numbers[variable(more)]):
            numbers[variable(more if less == parameter else less)] = value
    return numbers


def all_at(end: int) -> dict[str, str]:
    """The functions' variables where every parameter is at its first, second or further end, counted in a circle."""
    return {variable(name): ends_of(name)[end % len(ends_of(name))] for name in product()}


MOST_ENDS = max(len(ends_of(name)) for name in product())


def policy_of(parameter: str, value: str) -> Policy:
    return Settings.read(OTHER_SETTINGS | without_contradiction(parameter, value)).policy
