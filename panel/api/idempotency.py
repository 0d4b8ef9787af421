"""One effect for many equal requests: the same `Idempotency-Key` and body give the same answer."""

import hashlib
import time
from collections.abc import Callable
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from panel.accounts.actor import Actor
from panel.api.models import IdempotencyRecord
from panel.api.problem import problem

MOST_CHARACTERS = 255
KEPT = timedelta(days=1)
#: A first request that is still at work after this has died with its process; the next one takes its place.
LEASE = timedelta(seconds=60)
#: How long one of several at once waits for the first one's answer.
WAIT_S = 15.0
_LOOK_EVERY_S = 0.02
#: Answers about the asker or the moment, not about the request: the next try is a new one.
_NOT_KEPT = frozenset({401, 403, 429})


def once(request: HttpRequest, key: str, asker: Actor, work: Callable[[], HttpResponse]) -> HttpResponse:
    """Do the work, or give the answer that it had. Keys of other users and tenants are other keys."""
    if len(key) > MOST_CHARACTERS or not key.isprintable():
        return problem(
            400,
            "invalid_key",
            f"Idempotency-Key has 1 to {MOST_CHARACTERS} printable characters.",
            field="Idempotency-Key",
        )
    scope = _scope(asker)
    text = f"{request.method} {request.get_full_path()}\n".encode() + _body_of(request)
    fingerprint = hashlib.sha256(text).hexdigest()
    until = time.monotonic() + WAIT_S
    while True:
        row, is_mine = _take(scope, key, fingerprint)
        if is_mine:
            return _work(row, work)
        if row.fingerprint != fingerprint:
            return problem(
                422,
                "key_reused",
                "This Idempotency-Key was used for another request.",
                field="Idempotency-Key",
                next_step="Use a new key for a new request.",
            )
        if row.status is not None:
            return _kept(row)
        if time.monotonic() > until:
            answer = problem(409, "in_progress", "The first request with this key is still at work.")
            answer["Retry-After"] = "1"
            return answer
        time.sleep(_LOOK_EVERY_S)


def _body_of(request: HttpRequest) -> bytes:
    """What two requests are compared by. A body that isn't JSON is an archive, which is read once and never
    held in memory: its length and the asker's own checksum (part of the path) stand for it."""
    if request.content_type == "application/octet-stream":
        return request.headers.get("Content-Length", "").encode()
    return request.body


def forget_old() -> int:
    """Drop answers older than a day; how many."""
    count, _ = IdempotencyRecord.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    return count


def _scope(asker: Actor) -> str:
    tenant = asker.token.tenant_id if asker.token is not None else None
    support = asker.support.pk if asker.support is not None else None
    return hashlib.sha256(f"{asker.user.pk} {tenant or ''} {support or ''}".rstrip().encode()).hexdigest()


def _take(scope: str, key: str, fingerprint: str) -> tuple[IdempotencyRecord, bool]:
    """The key's row, and whether the work is ours. The unique constraint picks one of many at once."""
    now = timezone.now()
    found = IdempotencyRecord.objects.filter(scope=scope, key=key).first()
    if found is not None and now - found.created_at > (LEASE if found.status is None else KEPT):
        IdempotencyRecord.objects.filter(pk=found.pk, created_at=found.created_at).delete()
        found = None
    if found is not None:
        return found, False
    try:
        with transaction.atomic():
            row = IdempotencyRecord.objects.create(
                scope=scope, key=key, fingerprint=fingerprint, created_at=now
            )
    except IntegrityError:
        return IdempotencyRecord(scope=scope, key=key, fingerprint=fingerprint), False
    return row, True


def _work(row: IdempotencyRecord, work: Callable[[], HttpResponse]) -> HttpResponse:
    try:
        answer = work()
    except BaseException:
        row.delete()
        raise
    if answer.status_code >= 500 or answer.status_code in _NOT_KEPT:
        row.delete()
    else:
        row.status = answer.status_code
        row.answer = _box().encrypt(answer.content)
        row.headers = {"Content-Type": answer.headers.get("Content-Type", "")}
        row.save(update_fields=["status", "answer", "headers"])
    return answer


def _kept(row: IdempotencyRecord) -> HttpResponse:
    try:
        body = _box().decrypt(bytes(row.answer or b""))
    except InvalidToken:
        return problem(409, "key_lost", "The answer to this key can't be read any more; use another key.")
    answer = HttpResponse(body, status=row.status, headers=row.headers)
    answer["Idempotent-Replayed"] = "true"
    return answer


def _box() -> MultiFernet:
    """An answer may hold a password or token that is shown once."""
    return MultiFernet([Fernet(key) for key in settings.SECRETS.field_keys])
