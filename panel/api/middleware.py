"""What surrounds API requests: `Idempotency-Key`, CSRF only where a cookie speaks, errors as problem+json."""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone

from panel.accounts.auth import actor_of
from panel.api.models import IdempotencyRecord
from panel.api.problem import problem

_PREFIX = "/api/"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_KEY = 255
_KEPT = timedelta(days=1)


class ApiMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.csrf = CsrfViewMiddleware(lambda _: HttpResponse())
        self.box = MultiFernet([Fernet(key) for key in settings.SECRETS.field_keys])

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(_PREFIX):
            return self.get_response(request)
        if request.method not in _SAFE and "Authorization" not in request.headers:
            reason = self.csrf.process_view(request, _nothing, (), {})
            if reason is not None:
                return problem(403, "csrf", "A session needs the CSRF token with this method.")
        key = request.headers.get("Idempotency-Key", "")
        if request.method != "POST" or not key:
            return _as_problem(self.get_response(request))
        return self._once(request, key)

    def _once(self, request: HttpRequest, key: str) -> HttpResponse:
        """The same key and body give the same answer; one of many at once does the work."""
        asker = actor_of(request)
        if asker is None:
            return _as_problem(self.get_response(request))
        if len(key) > _MAX_KEY or not key.isprintable():
            return problem(
                400, "invalid_key", f"Idempotency-Key has 1 to {_MAX_KEY} printable characters.",
                field="Idempotency-Key",
            )  # fmt: skip
        scope = hashlib.sha256(f"{asker.user.pk}".encode()).hexdigest()
        text = f"{request.method} {request.get_full_path()}\n".encode() + request.body
        fingerprint = hashlib.sha256(text).hexdigest()
        now = timezone.now()
        IdempotencyRecord.objects.filter(scope=scope, key=key, created_at__lt=now - _KEPT).delete()
        try:
            with transaction.atomic():
                row = IdempotencyRecord.objects.create(
                    scope=scope, key=key, fingerprint=fingerprint, created_at=now
                )
        except IntegrityError:
            return self._again(IdempotencyRecord.objects.filter(scope=scope, key=key).first(), fingerprint)
        try:
            answer = _as_problem(self.get_response(request))
        except BaseException:
            row.delete()
            raise
        if answer.status_code >= 500:
            row.delete()
        else:
            row.status = answer.status_code
            row.answer = self.box.encrypt(answer.content)
            row.headers = {"Content-Type": answer.headers.get("Content-Type", "")}
            row.save(update_fields=["status", "answer", "headers"])
        return answer

    def _again(self, row: IdempotencyRecord | None, fingerprint: str) -> HttpResponse:
        if row is None:
            return problem(409, "in_progress", "The first request with this key ended just now; try again.")
        if row.fingerprint != fingerprint:
            return problem(
                422, "key_reused", "This Idempotency-Key was used for another request.", field="Idempotency-Key"
            )
        if row.status is None or row.answer is None:
            answer = problem(409, "in_progress", "The first request with this key is still at work.")
            answer["Retry-After"] = "1"
            return answer
        try:
            body = self.box.decrypt(bytes(row.answer))
        except InvalidToken:
            return problem(409, "key_lost", "The answer to this key can't be read any more; use another key.")
        kept = HttpResponse(body, status=row.status, headers=row.headers)
        kept["Idempotent-Replayed"] = "true"
        return kept


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
