"""Whether a function's policies allow what it asks of the ledger's table: as much of IAM as these policies use."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from tests.template.transform import Json, transform

LEDGER = "ledger"
"""The table's name in tests."""
TRANSACTION = {"Put": "PutItem", "Update": "UpdateItem", "ConditionCheck": "ConditionCheckItem"}


@dataclass(frozen=True)
class TableAction:
    """One action on the table, or on one of its indexes, and what IAM knows of it."""

    action: str
    resource: str
    keys: dict[str, set[str]] = field(default_factory=dict)


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def documents(stack: Json, function: str) -> list[Json]:
    """The policies of a function that the template writes, its own and those it shares."""
    role = stack["Resources"][f"{function}Role"]["Properties"]
    shared = [
        stack["Resources"][arn["Ref"]]["Properties"] for arn in role["ManagedPolicyArns"] if isinstance(arn, dict)
    ]
    return [policy["PolicyDocument"] for policy in [*shared, *role.get("Policies", [])]]


def statements(stack: Json, function: str) -> list[Json]:
    return [statement for document in documents(stack, function) for statement in document["Statement"]]


@cache
def in_the_sandbox(function: str) -> list[Json]:
    return statements(_sandbox(), function)


@cache
def _sandbox() -> Json:
    return transform(Stage="sandbox", SenderAddress="connects@example.com")


def denied(policy: list[Json], operation: str, params: Json) -> list[TableAction]:
    """What of a call to DynamoDB a policy does not allow."""
    return [asked for asked in actions(operation, params) if not allows(policy, asked)]


def allows(policy: list[Json], asked: TableAction) -> bool:
    effects = {statement["Effect"] for statement in policy if applies(statement, asked)}
    return effects == {"Allow"}


def actions(operation: str, params: Json) -> Iterator[TableAction]:
    match operation:
        case "TransactWriteItems":
            for item in params["TransactItems"]:
                ((kind, inner),) = item.items()
                yield action(TRANSACTION[kind], inner, EnclosingOperation={operation})
        case "BatchGetItem":
            for table, asked in params["RequestItems"].items():
                yield TableAction(operation, table, {"LeadingKeys": {key["pk"]["S"] for key in asked["Keys"]}})
        case _:
            yield action(operation, params)


def action(operation: str, params: Json, **more: set[str]) -> TableAction:
    resource, item = params.get("IndexName", params["TableName"]), params.get("Item", {})
    key = params.get("Key") or item or {"pk": params["ExpressionAttributeValues"][":0"]}
    attributes = set(params.get("ExpressionAttributeNames", {}).values()) | set(item)
    return TableAction(operation, resource, {"LeadingKeys": {key["pk"]["S"]}, "Attributes": attributes} | more)


def applies(statement: Json, asked: TableAction) -> bool:
    return (
        f"dynamodb:{asked.action}" in many(statement["Action"])
        and asked.resource in map(resource_name, many(statement["Resource"]))
        and all(
            holds(operator, asked.keys.get(key.removeprefix("dynamodb:"), set()), many(values))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def resource_name(resource: Json) -> str:
    match resource:
        case {"Fn::GetAtt": ["Table", "Arn"]}:
            return LEDGER
        case {"Fn::Sub": str(text)}:
            return text.removeprefix("${Table.Arn}/index/")
    return str(resource)


def holds(operator: str, found: set[str], wanted: list[str]) -> bool:
    """IAM's operators on sets: that all of none fulfil a condition, it says too."""
    sets, _, one = operator.partition(":")
    tests = {
        "StringEquals": lambda value: value in wanted,
        "StringNotEquals": lambda value: value not in wanted,
        "StringLike": lambda value: any(fnmatchcase(value, pattern) for pattern in wanted),
        "StringNotLike": lambda value: not any(fnmatchcase(value, pattern) for pattern in wanted),
    }
    return {"ForAllValues": all, "ForAnyValue": any}[sets](map(tests[one], found))
