"""The whole API as its document describes it, tried with what nobody thought of.

Nothing answers 5xx, and nothing comes that the document does not say: status, type, headers or body. What the document
forbids is refused. In the end, as after every test, every account holds to every invariant.
"""

from collections.abc import Callable
from typing import Any

from tests.explore import SIGNED, explore, never_succeeded
from tests.functions.api import Api
from tests.functions.conftest import Clock
from tests.functions.wsgi import gateway

IGNORED_AUTH = "ignored_auth"
"""Fails by itself where the API is a WSGI application (a TypeError). The stack's tests make this check."""


def known_to(api: Api) -> dict[str, list[str]]:
    api.open("ann", plan="plus")
    api.open("acme", kind="agency", plan="plus")
    api.put_promo()
    api.post(price=7, posted_at="2126-11-22T00:00:00Z")  # the clock is moved far ahead
    spends = [api.spend(2, f"spend-{number}").body["id"] for number in range(3)]
    return {
        "path.account_id": ["ann", "acme"],
        "path.spend_id": spends,
        "path.purchase_id": [api.buy().body["purchase_id"]],
        "path.code": ["SPRING"],
        "body.code": ["SPRING"],
        "body.job_id": ["j-1"],
        "body.bid": [3, 5, 8],
        "body.from": ["2026-11-01T00:00:00Z"],
        "body.to": ["2126-12-01T00:00:00Z"],
        "body.reference.spend_id": spends,
        "body.reference.certificate": ["python"],
    }


def test_nothing_answers_5xx_or_what_the_document_does_not_say(
    api: Api, clock: Clock, received: Callable[[], list[str]], scheduled: Callable[[str], Any]
):
    wrong, answered = explore("staff", known_to(api), examples=20, but=(SIGNED,), unasked=(IGNORED_AUTH,), app=gateway)

    assert not wrong, "\n\n".join(wrong)
    assert never_succeeded(answered) == {f"POST {SIGNED}"}
    received()  # what calls have sent is of other kinds
    clock.go(hours=2)
    scheduled("purchase_reconcile")  # some of the purchases that it made up are pending
