"""A page of another origin: its browser asks first, without a token, and shows it what it may read."""

import pytest

ALLOWED = "http://localhost:3000"
"""As samconfig.toml allows it on the local stack."""


def preflight(http, origin):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}
    return http.options("/accounts/ann/promo-redemptions", headers={"Origin": origin} | asked)


def test_a_browser_may_ask_without_a_token(http):
    answer = preflight(http, ALLOWED)
    assert answer.status_code in {200, 204}
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    allowed = answer.headers["access-control-allow-headers"].lower().split(",")
    assert {"authorization", "content-type", "idempotency-key", "x-sandbox-payment"} == set(allowed)
    assert "POST" in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize("origin", ["http://localhost:3001", "https://localhost:3000", "https://evil.example"])
def test_no_other_origin_may(http, origin):
    assert "access-control-allow-origin" not in preflight(http, origin).headers


def test_a_page_may_read_an_answer_and_the_headers_that_matter(http, tokens):
    authorization = {"Authorization": f"Bearer {tokens['service']}"}
    answer = http.get("/accounts/nobody", headers={"Origin": ALLOWED} | authorization)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (404, ALLOWED)
    exposed = set(answer.headers["access-control-expose-headers"].split(","))
    assert exposed == {"Idempotent-Replayed", "X-Request-Id", "X-Next-Cursor", "Retry-After", "Vary"}


def test_a_page_without_a_token_is_refused_as_anybody(http):
    assert http.get("/accounts/ann", headers={"Origin": ALLOWED}).status_code == 401
