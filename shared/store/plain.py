"""Reads the items of queries at a tenth of the cost: as the JSON of the answer has them.

botocore walks through every value of an answer by its model, which takes 120 us of processor an entry; JSON alone takes
13 us and gives the very same values, as long as none is binary, and the ledger has none. botocore
reads the rest of an answer, and every refusal, as before. With a botocore without that event, queries are only slow.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.client import BaseClient

OK = 200


def take_items_plainly(client: BaseClient) -> None:
    """Make this client read the items of every query this way. A second call changes nothing."""
    client.meta.events.register("before-parse.dynamodb.Query", _take_items, unique_id="take_items_plainly")


def _take_items(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    if response_dict["status_code"] != OK:
        return
    answer = json.loads(response_dict["body"])
    customized_response_dict["Items"] = answer.pop("Items", [])
    response_dict["body"] = json.dumps(answer).encode()
