"""Refusals as HTTP: RFC 9457 problem details. The one place where a code becomes a status."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

from shared.ledger.errors import InvalidRequestError, LedgerError

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 1

STATUS = {
    "invalid_request": 400,
    "idempotency_key_missing": 400,
    "signature_invalid": 401,
    "payment_declined": 402,
    "forbidden": 403,
    "plan_required": 403,
    "account_frozen": 403,
    "account_suspended": 403,
    "account_closed": 403,
    "not_found": 404,
    "account_not_found": 404,
    "spend_not_found": 404,
    "purchase_not_found": 404,
    "job_not_found": 404,
    "promo_not_found": 404,
    "insufficient_connects": 409,
    "billing_method_missing": 409,
    "price_changed": 409,
    "already_refunded": 409,
    "already_awarded": 409,
    "reward_cap_reached": 409,
    "promo_not_active": 409,
    "promo_used": 409,
    "promo_exhausted": 409,
    "already_exists": 409,
    "job_not_open": 409,
    "auction_closed": 409,
    "bid_too_low": 409,
    "idempotency_key_reused": 422,
    "not_refundable": 422,
    "internal_error": 500,
    "busy": 503,
}


def problem(code: str, detail: str, **more: Any) -> Response[str]:  # noqa: ANN401 - JSON
    """A problem+json answer: ``type, title, status, detail, code`` and the numbers that matter."""
    status = STATUS[code]
    body = {
        "type": f"urn:connects-ledger:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }
    headers: dict[str, str | list[str]] = {"Retry-After": str(RETRY_AFTER_S)} if code == "busy" else {}
    return Response(status, PROBLEM_JSON, json.dumps(body), headers)


def refusal(error: LedgerError) -> Response[str]:
    if isinstance(error, InvalidRequestError):
        return problem(error.code, error.detail, errors=[{"loc": error.loc, "msg": error.msg}])
    return problem(error.code, error.detail, **error.details)
