"""What `make lint` finds in the template as it is deployed: what CloudFormation would refuse."""

import pytest

from tests.template.lint import STACKS, problems_of
from tests.template.transform import TEMPLATE, conditions_of

MISTAKES = {
    "a null in a label": (
        '"Work that falls due, and work that comes all at once"',
        "Work that falls due, and all at once",
        "and all at once",
    ),
    "a null": ("MessageRetentionPeriod: 1209600 # 14 days", "MessageRetentionPeriod: # 14 days", "null"),
    "an attribute of nothing": (
        "deadLetterTargetArn: !GetAtt AuditDeadLetters.Arn",
        "deadLetterTargetArn: !GetAtt Nobody.Arn",
        "Nobody",
    ),
    "an attribute of nothing in a loop": (
        '!GetAtt [!Sub "${Name}DeadLetters", Arn]',
        '!GetAtt [!Sub "${Name}Nobody", Arn]',
        "ExpirySweepNobody",
    ),
    "a property misspelt": ("    VisibilityTimeout: 360", "    VisibilityTimeOut: 360", "VisibilityTimeOut"),
    "a type misspelt": ("Type: AWS::Events::Rule", "Type: AWS::Events::Ruler", "Ruler"),
}
"""What is right, what is written in its place, and what of it the linter names."""


@pytest.fixture(scope="module")
def problems() -> list[str]:
    """Of a template with every mistake: it is linted once, as that takes seconds."""
    written = TEMPLATE.read_text()
    for right, wrong, _ in MISTAKES.values():
        assert right in written
        written = written.replace(right, wrong)
    return problems_of(STACKS["production"], written)


@pytest.mark.parametrize("found", [found for _, _, found in MISTAKES.values()], ids=MISTAKES)
def test_what_cloudformation_would_refuse_is_found(found, problems):
    assert [each for each in problems if found in each and each.startswith("E")]


def test_every_condition_is_true_in_one_stack_that_is_linted_and_false_in_another(written):
    decided = [conditions_of(written, stack) for stack in STACKS.values()]
    for name in written["Conditions"]:
        assert {each[name] for each in decided} == {True, False}, name
