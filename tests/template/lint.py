"""Lints the template as CloudFormation sees it: loops expanded, SAM's transform run, conditions decided.

`sam validate --lint` lints the template as it is written. There cfn-lint misses what it finds in plain templates:
a null, for example, which CloudFormation refuses, is not looked for where AWS::LanguageExtensions is listed.
``python -m tests.template.lint`` prints what is wrong and fails if anything is; warnings count.
"""

import json
from collections.abc import Iterator

from tests.template.transform import Json, transform

STACKS = {
    "production": {"Stage": "production"},
    "sandbox that mails": {"Stage": "sandbox", "SenderAddress": "connects@example.com"},
    "staging, with all that is left empty by default": {
        "Stage": "staging",
        "LogLevel": "DEBUG",
        "ReservedConcurrency": "100",
        "CanaryRelease": "1.2.0",
        "WarmReadUnits": "12000",
        "WarmWriteUnits": "8000",
        "DueSchedule": "rate(1 hour)",
        "SenderAddress": "connects@example.com",
        "AllowedOrigins": "https://market.example,https://staff.example",
        "EventPublishers": "arn:aws:iam::123456789012:role/marketplace",
        "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
    },
    "production with an issuer of its own": {"Issuer": "https://id.example", "Audience": "connects"},
}
"""Between them, every condition is true and false."""
REGION = "us-east-1"
LINTED_AS_WRITTEN = {"Conditions", "Rules", "Transform", "Globals"}
"""Sections that have done their part once the template is transformed."""


def problems_of(parameters: dict[str, str], text: str | None = None) -> list[str]:
    """What is wrong with the template, or another one, in a stack with these parameters."""
    from cfnlint.api import ManualArgs, lint  # noqa: PLC0415 - slow, and only needed here

    stack = transform(text, **parameters)
    plain = {section: node for section, node in stack.items() if section not in LINTED_AS_WRITTEN}
    for section in ("Resources", "Outputs"):
        plain[section] = {name: _unconditional(each) for name, each in plain[section].items()}
    for name, value in parameters.items():
        plain["Parameters"][name] = plain["Parameters"][name] | {"Default": value}
    unused = ManualArgs(ignore_checks=["W2001"])  # a parameter that this stack has no use for
    found = lint(json.dumps(plain), regions=[REGION], config=unused)
    problems = [f"{each.rule.id} {each.message} ({'/'.join(map(str, each.path or ()))})" for each in found]
    return problems + [f"E0000 a null, which CloudFormation refuses ({path})" for path in _nulls(plain)]


def _nulls(node: object, path: str = "") -> Iterator[str]:
    """The paths of all nulls; cfn-lint looks for them in some places only."""
    if node is None:
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _nulls(child, f"{path}/{key}")


def _unconditional(node: Json) -> Json:
    return {key: each for key, each in node.items() if key != "Condition"}


def main() -> None:
    found = [f"{name}: {each}" for name, stack in STACKS.items() for each in problems_of(stack)]
    print("\n".join(found) or f"{len(STACKS)} stacks, nothing wrong")  # noqa: T201
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
