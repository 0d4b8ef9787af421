"""RFC 9457 problem details: the one shape of every error of the API."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse

from panel.errors import Refused

CONTENT_TYPE = "application/problem+json"
#: For what will be otherwise by itself: a busy tenant, a node or database that is away.
RETRY_AFTER_S = 5


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    field: str = "",
    next_step: str = "",
    errors: Sequence[dict[str, str]] = (),
    retry_after_s: int = 0,
) -> HttpResponse:
    """`errors`: `{"field", "message"}` for each bad input. `retry_after_s`: zero is what fits the status."""
    body: dict[str, Any] = {
        "type": f"urn:wadah:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if field:
        body["field"] = field
    if next_step:
        body["next_step"] = next_step
    if errors:
        body["errors"] = list(errors)
    answer = HttpResponse(json.dumps(body), status=status, content_type=CONTENT_TYPE)
    if retry_after_s or status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        answer["Retry-After"] = str(retry_after_s or RETRY_AFTER_S)
    return answer


def refused(error: Refused) -> HttpResponse:
    return problem(
        error.status,
        error.code,
        error.message,
        field=error.field,
        next_step=error.next_step,
        errors=error.errors,
    )
