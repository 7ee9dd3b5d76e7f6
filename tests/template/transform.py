"""The template as CloudFormation would see it: loops expanded, SAM's transform run, conditions decided. All offline."""

import json
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

Json = dict[str, Any]
TEMPLATE = Path(__file__).parents[2] / "template.yaml"
NOTHING = {"Ref": "AWS::NoValue"}
# What SAM attaches by itself: writing logs and traces, nothing else.
MANAGED_POLICIES = {
    name: f"arn:aws:iam::aws:policy/{name}"
    for name in ("service-role/AWSLambdaBasicExecutionRole", "AWSXRayDaemonWriteAccess")
}


def source(text: str | None = None) -> Json:
    """The template as it is written, or another, its short forms (`!Ref`) spelt out."""
    return json.loads(_as_json(text or TEMPLATE.read_text()))


@cache
def _as_json(text: str) -> str:
    from samcli.yamlhelper import yaml_parse  # noqa: PLC0415 - slow, and only needed where it is called

    return json.dumps(yaml_parse(text))


def transform(text: str | None = None, **parameters: str) -> Json:
    """The template of a stack with these parameters, nothing in it that a condition leaves out."""
    written = source(text)
    values = {name: str(each.get("Default", "")) for name, each in written["Parameters"].items()} | parameters
    expanded = written | {"Resources": unroll(written["Resources"])}
    expanded["Globals"]["Function"]["CodeUri"] = "s3://bucket/package"
    return decide(serverless(expanded, values), values)


def unroll(resources: Json) -> Json:
    """What AWS::LanguageExtensions makes of loops."""
    unrolled = {}
    for name, each in resources.items():
        if not name.startswith("Fn::ForEach::"):
            unrolled[name] = each
            continue
        variable, members, body = each
        for member in members:
            unrolled |= json.loads(json.dumps(body).replace(f"${{{variable}}}", member))
    return plain(unrolled)


def plain(node: Any) -> Any:
    """A substitution that has nothing left to substitute is its text."""
    match node:
        case {"Fn::Sub": str(text)} if "${" not in text:
            return text
        case dict():
            return {key: plain(value) for key, value in node.items()}
        case list():
            return [plain(each) for each in node]
    return node


def serverless(template: Json, values: dict[str, str]) -> Json:
    """What AWS::Serverless makes of the rest."""
    with warnings.catch_warnings(), patch.dict("os.environ", AWS_DEFAULT_REGION="us-east-1"):
        warnings.simplefilter("ignore")  # the tool's own
        from samtranslator.parser.parser import Parser  # noqa: PLC0415 - as above
        from samtranslator.translator.translator import Translator  # noqa: PLC0415

        return Translator(MANAGED_POLICIES, Parser()).translate(template, values)


def conditions_of(written: Json, parameters: dict[str, str]) -> dict[str, bool]:
    """What each condition is in a stack with these parameters."""
    values = {name: str(each.get("Default", "")) for name, each in written["Parameters"].items()} | parameters
    return {name: holds(each, values) for name, each in written["Conditions"].items()}


def decide(template: Json, values: dict[str, str]) -> Json:
    conditions = {name: holds(each, values) for name, each in template["Conditions"].items()}
    kept = {
        section: {name: each for name, each in template[section].items() if conditions.get(each.get("Condition"), True)}
        for section in ("Resources", "Outputs")
    }
    return settle(template | kept, conditions)


def holds(condition: Json, values: dict[str, str]) -> bool:
    match condition:
        case {"Fn::Equals": [{"Ref": parameter} | {"Fn::Join": ["", {"Ref": parameter}]}, value]}:
            return values[parameter] == str(value)
        case {"Fn::Not": [other]}:
            return not holds(other, values)
        case {"Fn::And": all_of}:
            return all(holds(each, values) for each in all_of)
    raise NotImplementedError(condition)


def settle(node: Any, conditions: dict[str, bool]) -> Any:
    match node:
        case {"Fn::If": [str(condition), when_true, when_false]}:
            return settle(when_true if conditions[condition] else when_false, conditions)
        case dict():
            settled = {key: settle(value, conditions) for key, value in node.items()}
            return {key: value for key, value in settled.items() if value != NOTHING}
        case list():
            return [each for each in (settle(value, conditions) for value in node) if each != NOTHING]
    return node


def of_type(template: Json, kind: str) -> dict[str, Json]:
    return {name: each["Properties"] for name, each in template["Resources"].items() if each["Type"] == kind}


def walk(node: Any) -> Iterator[Any]:
    yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from walk(child)
