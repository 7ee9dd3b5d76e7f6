"""Every call, made up from the API's document: nothing answers 5xx, or what the document does not say."""

from typing import Any

from tests.explore import SIGNED, explore
from tests.stack.marketplace import Marketplace

CLOCK = "/sandbox/clock"
"""Not to be moved by a century: it never goes back, and the stack lives on."""


def test_nothing_answers_5xx_or_what_the_document_does_not_say(marketplace: Marketplace, stack: dict[str, Any]):
    account = marketplace.open(plan="plus")
    spends = [marketplace.spend(account, 2, f"s{number}").json()["id"] for number in range(3)]
    known = {
        "path.account_id": [account],
        "path.spend_id": spends,
        "path.purchase_id": [marketplace.buy(account, 20, "b").json()["purchase_id"]],
        "path.code": ["MADE-UP"],
        "body.code": ["MADE-UP"],
        "body.from": ["2020-01-01T00:00:00Z"],
        "body.to": ["2220-01-01T00:00:00Z"],
        "body.reference.spend_id": spends,
    }

    wrong, answered = explore(marketplace.tokens["staff"], known, examples=5, but=(CLOCK, SIGNED), url=stack["api_url"])

    assert not wrong, "\n\n".join(wrong)
    assert answered.total() > 100
