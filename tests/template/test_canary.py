"""Why there is no canary: what SAM makes of an alias, seen with the template itself. See shared/DECISIONS.md."""

import pytest
from samtranslator.model.exceptions import InvalidDocumentException

from tests.template.transform import TEMPLATE, transform

HANDLER = "      Handler: functions.spend.app.handler\n"
PARAMETER = "\nParameters:\n  Canary:\n    Type: String\n    Default: ''\n"


def with_alias(alias, **parameters):
    written = TEMPLATE.read_text().replace(HANDLER, f"{HANDLER}      {alias}\n")
    return transform(written.replace("\nParameters:\n", PARAMETER, 1), **parameters)


@pytest.mark.parametrize(
    "alias",
    ["AutoPublishAlias: !Ref Canary", "AutoPublishAlias: !If [IsSandbox, live, !Ref AWS::NoValue]"],
    ids=["a parameter that is empty", "a condition"],
)
def test_an_alias_is_there_for_every_stack_or_for_none(alias):
    with pytest.raises(InvalidDocumentException):
        with_alias(alias)


@pytest.mark.parametrize("more", ["", "\n      AutoPublishAliasAllProperties: true"])
def test_an_alias_would_go_on_with_the_numbers_of_before_when_a_parameter_changes(more):
    """A version is published where the template has changed, not where a parameter has: the old price would go on."""
    versions = {
        name
        for price in ("15", "20")
        for name in with_alias(f"AutoPublishAlias: live{more}", UnitPriceCents=price)["Resources"]
        if name.startswith("SpendFunctionVersion")
    }
    assert len(versions) == 1
