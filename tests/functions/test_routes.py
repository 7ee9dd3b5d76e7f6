"""A route's right is part of its declaration, and checked before it runs."""

import inspect
import re
from pathlib import Path

import pytest
from aws_lambda_powertools.event_handler import api_gateway

from shared.http.api import Router, answer
from shared.http.requests import Body, Id
from shared.ledger.model import Request
from tests.functions.api import Context
from tests.functions.events import NO_TOKEN, SERVICE, http, user

ROOT = Path(__file__).parents[2]
CALL = "POST /accounts/{account_id}/spends"
SPEND = "A route at the path of the event file `spend`"


class AnyBody(Body, forbid_unknown_fields=False):
    amount: int


def no_key(account_id: Id):
    raise AssertionError(account_id)


def with_key(account_id: Id, body: AnyBody, request: Request):
    raise AssertionError(account_id, body, request)


def code_of(app, sent):
    answered = app.serve()(sent, Context("new"))
    return re.search(r'"code": "(\w+)"', answered["body"])[1]


def test_a_route_without_a_right_cannot_be_declared():
    with pytest.raises(TypeError, match="who"):
        Router().route(CALL, "spend", SPEND, answers={})  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"POST .*/spends: who may call it is one of anyone, self, .*, not everyone"):
        Router().route(CALL, "spend", SPEND, who="everyone", answers={})(no_key)  # type: ignore[arg-type]


def test_a_router_has_no_other_way_to_declare_a_route():
    ways = {"get", "post", "put", "patch", "delete", "head", "any", "route", "include_router", "use"}
    assert {name for name in ways if hasattr(Router(), name)} == {"route"}


def test_a_route_for_an_account_itself_names_the_account_in_its_path():
    with pytest.raises(ValueError, match="the path names the account_id"):
        Router().route("GET /balance", "balance", "Balance", who="self", answers={})(no_key)


@pytest.mark.parametrize(("route", "keyed_as"), [(no_key, "spend"), (with_key, None)])
def test_a_route_takes_a_request_if_it_is_keyed_and_only_then(route, keyed_as):
    with pytest.raises(ValueError, match="keyed_as takes a Request"):
        Router().route(CALL, "spend", SPEND, who="service", answers={}, keyed_as=keyed_as)(route)


@pytest.mark.parametrize("who", ["anyone", "self", "service", "staff", "provider"])
def test_no_right_lets_a_caller_without_a_token_run_a_route(who):
    app = Router()
    app.route(CALL, "spend", SPEND, who=who, answers={})(no_key)
    expected = "signature_invalid" if who == "provider" else "forbidden"
    assert code_of(app, http("spend", claims=NO_TOKEN)) == expected


def test_the_form_of_a_request_is_checked_then_the_right_then_the_key():
    app = Router()
    app.route(CALL, "spend", SPEND, who="service", answers={}, keyed_as="spend")(with_key)
    without_key: dict[str, str | None] = {"idempotency-key": None}
    stranger = user("bob")
    assert code_of(app, http("spend", claims=stranger, headers=without_key, body={})) == "invalid_request"
    assert code_of(app, http("spend", claims=stranger, headers=without_key)) == "forbidden"
    assert code_of(app, http("spend", claims=SERVICE, headers=without_key)) == "idempotency_key_missing"


def test_a_route_is_handed_the_request_under_its_stored_name():
    app, handed_in = Router(), []

    @app.route(CALL, "new_name", SPEND, who="service", answers={}, keyed_as="stored_name")
    def spend(account_id: Id, body: AnyBody, request: Request):
        handed_in.append((account_id, body.amount, request.operation, request.key, request.actor))
        return answer({})

    app.serve()(http("spend", claims=SERVICE, key="k"), Context("new"))  # type: ignore[arg-type]
    assert handed_in == [("ann", 6, "stored_name", "k", f"client:{SERVICE['client_id']}")]


def test_nothing_private_of_powertools_is_used():
    """It may change with any release of theirs."""
    source = inspect.getsource(api_gateway)
    private = set(re.findall(r"(?:self\.|append_context\()(_[a-z]\w+)", source))
    assert {"_static_routes", "_dynamic_routes", "_route", "_route_args"} <= private
    of_another = re.compile(rf"(?<!self)\.(?:{'|'.join(private)})\b|context\[\W_|aws_lambda_powertools\S* import\s_")
    files = [path for folder in ("shared", "functions", "local", "tests") for path in (ROOT / folder).rglob("*.py")]
    used = {path: of_another.findall(path.read_text()) for path in files if "node_modules" not in path.parts}
    assert {path: names for path, names in used.items() if names} == {}
