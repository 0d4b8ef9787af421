"""What surrounds API requests: `Idempotency-Key`, CSRF only where a cookie speaks, errors as problem+json."""

import json
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from panel.api.idempotency import once
from panel.http.problem import problem
from panel.rights.asking import actor_of

_PREFIX = "/api/"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class ApiMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.csrf = CsrfViewMiddleware(lambda _: HttpResponse())

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(_PREFIX):
            return self.get_response(request)
        if request.method == "HEAD":  # RFC 9110, 9.3.2: as GET; the server sends the headers alone
            request.method = "GET"
            answer = _as_problem(self.get_response(request))
            request.method = "HEAD"
            return answer
        if request.method not in _SAFE and "Authorization" not in request.headers:
            reason = self.csrf.process_view(request, _nothing, (), {})
            if reason is not None:
                return problem(403, "csrf", "A session needs the CSRF token with this method.")
        key = request.headers.get("Idempotency-Key")
        if request.method in _SAFE or key is None:
            return _as_problem(self.get_response(request))
        asker = actor_of(request)
        if asker is None:
            return _as_problem(self.get_response(request))
        return once(request, key, asker, lambda: _as_problem(self.get_response(request)))


def _nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def _as_problem(answer: HttpResponse) -> HttpResponse:
    """What the framework answers by itself (405, a path that leads nowhere) looks like all other errors."""
    if answer.status_code < 400 or answer.headers.get("Content-Type", "").startswith("application/problem"):
        return answer
    detail = answer.reason_phrase
    try:
        document = json.loads(answer.content)
        detail = str(document.get("detail", detail)) if isinstance(document, dict) else detail
    except ValueError:
        pass
    made = problem(answer.status_code, f"http_{answer.status_code}", detail)
    if "Allow" in answer.headers:
        made["Allow"] = answer.headers["Allow"]
    return made
