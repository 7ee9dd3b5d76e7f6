"""What `make lint` finds in the template as it is deployed: what CloudFormation would refuse."""

import pytest

from tests.template.lint import STACKS, problems_of
from tests.template.transform import TEMPLATE, conditions_of


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        (
            '"Work that falls due, and work that comes all at once"',
            "Work that falls due, and all at once",
            "and all at once",
        ),
        ("MessageRetentionPeriod: 1209600 # 14 days", "MessageRetentionPeriod: # 14 days", "null"),
        ("deadLetterTargetArn: !GetAtt AuditDeadLetters.Arn", "deadLetterTargetArn: !GetAtt Nobody.Arn", "Nobody"),
        ('!GetAtt [!Sub "${Name}DeadLetters", Arn]', '!GetAtt [!Sub "${Name}Nobody", Arn]', "ExpirySweepNobody"),
        ("    VisibilityTimeout: 360", "    VisibilityTimeOut: 360", "VisibilityTimeOut"),
        ("Type: AWS::Events::Rule", "Type: AWS::Events::Ruler", "Ruler"),
    ],
    ids=[
        "a null in a label",
        "a null",
        "an attribute of nothing",
        "an attribute of nothing in a loop",
        "a property misspelt",
        "a type misspelt",
    ],
)
def test_what_cloudformation_would_refuse_is_found(right, wrong, found):
    written = TEMPLATE.read_text()
    assert right in written
    problems = problems_of(STACKS["production"], written.replace(right, wrong))
    assert [each for each in problems if found in each and each.startswith("E")]


def test_every_condition_is_true_in_one_stack_that_is_linted_and_false_in_another(written):
    decided = [conditions_of(written, stack) for stack in STACKS.values()]
    for name in written["Conditions"]:
        assert {each[name] for each in decided} == {True, False}, name
