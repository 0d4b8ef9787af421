"""One effect for many equal requests: the same `Idempotency-Key` and body give the same answer."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone

from panel.accounts.actor import Actor
from panel.api.models import IdempotencyRecord
from panel.api.problem import problem, refused
from panel.api.promised import promised
from panel.errors import TooMany
from panel.serving.later import Later, in_thread
from panel.serving.shares import REPEATS

MOST_CHARACTERS = 255
KEPT = timedelta(days=1)
#: A first request that is still at work after this has died with its process; the next one takes its place.
LEASE = timedelta(seconds=60)
#: How long one of several at once waits for the first one's answer.
WAIT_S = 15.0
_LOOK_AGAIN_S, _LOOK_AT_LEAST_S = 0.02, 0.25
#: Answers about the asker or the moment, not about the request: the next try is a new one.
_NOT_KEPT = frozenset({401, 403, 429})


def once(request: HttpRequest, key: str, asker: Actor, work: Callable[[], HttpResponse]) -> HttpResponse:
    """Do the work, or give the answer that it had. Keys of other users and tenants are other keys.

    Where the first request is still at work, its answer is awaited: that holds no thread.
    """
    if len(key) > MOST_CHARACTERS or not key.isprintable():
        return problem(
            400,
            "invalid_key",
            f"Idempotency-Key has 1 to {MOST_CHARACTERS} printable characters.",
            field="Idempotency-Key",
        )
    text = f"{request.method} {request.get_full_path()}\n".encode() + _body_of(request)
    attempt = _Attempt(_scope(asker), key, hashlib.sha256(text).hexdigest(), work)
    answer = attempt.look()
    if answer is not None:
        return answer
    tenant = asker.token.tenant if asker.token is not None else None
    try:
        place = REPEATS.take(asker, tenant.pk if tenant else None, tenant.path if tenant else "")
    except TooMany as refusal:
        return refused(refusal)
    waited = promised(request, attempt.wait, place)
    if isinstance(waited, Later):
        waited.is_kept = True
    return waited


@dataclass(frozen=True)
class _Attempt:
    """One request with a key: it does the work when nobody else does."""

    scope: str
    key: str
    fingerprint: str
    work: Callable[[], HttpResponse]

    def look(self) -> HttpResponse | None:
        """The answer; None while another request is at work on it."""
        row, is_mine = _take(self.scope, self.key, self.fingerprint)
        if is_mine:
            return _work(row, self.work)
        if row.fingerprint != self.fingerprint:
            return problem(
                422,
                "key_reused",
                "This Idempotency-Key was used for another request.",
                field="Idempotency-Key",
                next_step="Use a new key for a new request.",
            )
        return None if row.status is None else _kept(row)

    async def wait(self) -> HttpResponseBase:
        until, pause = time.monotonic() + WAIT_S, _LOOK_AGAIN_S
        while time.monotonic() < until:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LOOK_AT_LEAST_S)
            answer: HttpResponseBase | None = await in_thread(self.look)
            if isinstance(answer, Later):
                return await _kept_promise(answer)
            if answer is not None:
                return answer
        return problem(409, "in_progress", "The first request with this key is still at work.", retry_after_s=1)


async def _kept_promise(promised: Later) -> HttpResponseBase:
    """Of work that became ours after all, since the first request failed."""
    try:
        return await promised.answer(in_thread)
    finally:
        await in_thread(promised.close)


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
    if isinstance(answer, Later):
        answer.is_kept = True
        answer.then(lambda said: _keep(row, said))
    else:
        _keep(row, answer)
    return answer


def _keep(row: IdempotencyRecord, answer: HttpResponseBase | None) -> None:
    """Writes the answer down for whoever repeats the request; nothing where there is none to be kept."""
    if not isinstance(answer, HttpResponse) or answer.status_code >= 500 or answer.status_code in _NOT_KEPT:
        row.delete()
    else:
        row.status = answer.status_code
        row.answer = _box().encrypt(answer.content)
        row.headers = {"Content-Type": answer.headers.get("Content-Type", "")}
        row.save(update_fields=["status", "answer", "headers"])


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
