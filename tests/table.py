"""The stack's tables, made on any engine from the template itself, so that tests and deployment cannot drift."""

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
LEDGER, SANDBOX = "Table", "SandboxTable"
# What CreateTable takes as CloudFormation writes it, and what matters to a store.
SHAPE = ("BillingMode", "AttributeDefinitions", "KeySchema", "LocalSecondaryIndexes", "GlobalSecondaryIndexes")


class _Template(yaml.SafeLoader):
    """YAML in which `!Ref` and its like stand for nothing: the shape of a table has none."""


_Template.add_multi_constructor("!", lambda *_: None)


@cache
def template() -> dict[str, Any]:
    return yaml.load(TEMPLATE.read_text(), Loader=_Template)  # noqa: S506 - a safe loader, see above


@cache
def shape_of(logical_id: str) -> dict[str, Any]:
    properties = template()["Resources"][logical_id]["Properties"]
    return {name: properties[name] for name in SHAPE if name in properties}


def create_table(client: Any, name: str, logical_id: str = LEDGER, *, exist_ok: bool = False) -> None:
    """Make the table that the template calls `logical_id`. Every engine here has it ready at once."""
    with suppress(*[client.exceptions.ResourceInUseException] if exist_ok else []):
        client.create_table(TableName=name, **shape_of(logical_id))


def empty_table(client: Any, name: str, logical_id: str = LEDGER) -> None:
    """Delete what a table holds. Where that is little, it takes less time than to make the table anew."""
    keys = [key["AttributeName"] for key in shape_of(logical_id)["KeySchema"]]
    for item in client.scan(TableName=name, ConsistentRead=True)["Items"]:
        client.delete_item(TableName=name, Key={key: item[key] for key in keys})
