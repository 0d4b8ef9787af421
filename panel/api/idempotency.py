"""One effect for many equal requests: the same `Idempotency-Key` and body give the same answer.

As draft-ietf-httpapi-idempotency-key-header has it: 422 for another body, 409 while the first one is at work.
What was done and its answer are stored in one transaction, so that a crash leaves both or neither. Nothing is
kept of a refusal, which has changed nothing.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from panel import at_rest
from panel.accounts.models import Token
from panel.api.key_rows import Held, has_died, take
from panel.api.models import IdempotencyRecord
from panel.errors import Refused
from panel.gate.archives import ROUTES
from panel.http.problem import problem, refused
from panel.images.archives import PIECE
from panel.rights.actor import Actor, Need
from panel.rights.asking import admit
from panel.rights.permissions import EVERYTHING, Permission
from panel.rights.place import Place
from panel.serving.later import Later, in_thread
from panel.serving.promised import promised
from panel.serving.shares import REPEATS

MOST_CHARACTERS = 255
#: How long one of several at once waits for the first one's answer.
WAIT_S = 15.0
_LOOK_AGAIN_S, _LOOK_AT_LEAST_S = 0.02, 0.25
_AGAIN_S = 1
#: A string of the draft's kind (RFC 9651, 3.3.3) or, as nearly everybody sends it, the same without quotes.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_PLAIN = re.compile(r"[!#-~](?:[ -~]*[!-~])?")


def once(request: HttpRequest, key: str, asker: Actor, work: Callable[[], HttpResponse]) -> HttpResponse:
    """Do the work, or give the answer that it had. Keys of other users and tenants are other keys.

    Where the first request is still at work, its answer is awaited: that holds no thread.
    """
    name = _name_of(key)
    if not name:
        return problem(
            400,
            "invalid_key",
            f"Idempotency-Key has 1 to {MOST_CHARACTERS} printable ASCII characters, in quotes or without.",
            field="Idempotency-Key",
        )
    try:
        admit(asker)
        attempt = _Attempt(request, name, asker, work, _fingerprint(request))
    except Refused as refusal:
        return refused(refusal)
    except RequestDataTooBig:
        return problem(413, "too_long", "The body of a request has less than 1 MB here.")
    answer = attempt.look()
    if answer is not None:
        return answer
    tenant = asker.token.tenant if asker.token is not None else None
    try:
        place = REPEATS.take(asker, tenant.pk if tenant else None, tenant.path if tenant else "")
    except Refused as refusal:
        return refused(refusal)
    waited = promised(request, attempt.wait, place)
    if isinstance(waited, Later):
        waited.is_kept = True
    return waited


def _name_of(key: str) -> str:
    """The key itself, with or without its quotes; empty: it is none."""
    text = key.strip(" ")
    if quoted := _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    elif not _PLAIN.fullmatch(text):
        return ""
    return text if 0 < len(text) <= MOST_CHARACTERS else ""


def _is_archive(request: HttpRequest) -> bool:
    return request.path in ROUTES


def _fingerprint(request: HttpRequest) -> str:
    """What two requests are compared by.

    An archive is read once and never held in memory: its length stands for it here, and the digest that is
    taken while it is read is compared when it comes again.
    """
    length = request.headers.get("Content-Length", "").encode()
    body = length if _is_archive(request) else request.body
    head = f"{request.method} {request.get_full_path()}\n".encode(errors="surrogatepass")
    return hashlib.sha256(head + body).hexdigest()


@dataclass(frozen=True)
class _Attempt:
    """One request with a key: it does the work when nobody else does or did."""

    request: HttpRequest
    key: str
    asker: Actor
    work: Callable[[], HttpResponse]
    fingerprint: str

    def look(self) -> HttpResponse | None:
        """The answer; None while another request is at work on it."""
        try:
            row, held = take(_scope(self.asker), self.key, self.fingerprint, self.asker)
        except Refused as refusal:
            return refused(refusal)
        if held is not None:
            return self._work(held)
        if row.fingerprint != self.fingerprint or (row.body_digest and row.body_digest != self._digest()):
            return problem(
                422,
                "key_reused",
                "This Idempotency-Key was used for another request.",
                field="Idempotency-Key",
                next_step="Use a new key for a new request.",
            )
        if row.status is not None:
            return self._kept(row)
        if row.is_begun and has_died(row):
            return problem(
                409,
                "outcome_unknown",
                "The first request with this key was cut off while it was at work; it may have had its effect.",
                field="Idempotency-Key",
                next_step="Look what was done, and use a new key to ask once more.",
            )
        return None

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
        words = "The first request with this key is still at work."
        return problem(409, "in_progress", words, retry_after_s=_AGAIN_S)

    def _digest(self) -> str:
        """Of an archive that comes again, which is read to its end for it."""
        seen = hashlib.sha256()
        while piece := self.request.read(PIECE):
            seen.update(piece)
        return seen.hexdigest()

    def _work(self, held: Held) -> HttpResponse:
        try:
            return self._of_archive(held) if _is_archive(self.request) else self._at_one_go(held)
        except BaseException:
            held.release()
            raise

    def _at_one_go(self, held: Held) -> HttpResponse:
        """What is done and its answer become true together, if the row is still ours then."""
        answer: HttpResponse | None = None
        try:
            with transaction.atomic():
                answer = self.work()
                if answer.status_code >= 500:
                    transaction.set_rollback(True)
                elif isinstance(answer, Later):
                    is_ours = held.go_on(needs=_written(self.asker))
                    self._refuse_late(is_ours)
                elif answer.status_code < 400:
                    self._refuse_late(held.finish(**_answer(answer), needs=_written(self.asker)))
        except _TooLate:
            return problem(409, "in_progress", "Another request with this key is at work.")
        except DatabaseError:
            if answer is None or answer.status_code < 500:
                raise
        if isinstance(answer, Later):
            answer.is_kept = True
            answer.then(lambda said: keep(held, said))
        elif answer.status_code >= 400:
            held.release()
        return answer

    def _refuse_late(self, is_ours: bool) -> None:
        if not is_ours:
            raise _TooLate

    def _of_archive(self, held: Held) -> HttpResponse:
        """Takes minutes, so it has its own transactions. Done twice it has one effect: its name's image."""
        stream = _Seen(self.request._stream)
        self.request._stream = stream  # type: ignore[assignment]  # as one
        answer = self.work()
        if answer.status_code >= 400:
            held.release()
        else:
            held.finish(**_answer(answer), needs=_written(self.asker), body_digest=stream.seen.hexdigest())
        return answer

    def _kept(self, row: IdempotencyRecord) -> HttpResponse:
        """To who may have it now, as he asks now: it may hold a password that was shown once."""
        if not _covers(self.asker, row.token_id) or not self.asker.has_still(_read(row.needs)):
            return problem(
                403,
                "not_your_answer",
                "What was asked with this key is done; its answer is for more rights than you have now.",
                field="Idempotency-Key",
                next_step="Ask as you did at first, or look at what was made.",
            )
        if row.answer is None:
            return problem(
                409,
                "answer_dropped",
                "What was asked with this key was done; its answer was large, and others came since.",
                field="Idempotency-Key",
                next_step="Look at what was made, or use a new key to ask once more.",
            )
        try:
            body = at_rest.box().decrypt(bytes(row.answer))
        except InvalidToken:
            return problem(409, "key_lost", "The answer to this key can't be read any more; use another key.")
        answer = HttpResponse(body, status=row.status, headers=row.headers)
        answer["Idempotent-Replayed"] = "true"
        return answer


async def _kept_promise(promised: Later) -> HttpResponseBase:
    """Of work that became ours after all, since the first request failed."""
    try:
        return await promised.answer(in_thread)
    finally:
        await in_thread(promised.close)


class _TooLate(Exception):
    """The row was taken by another while we were at work."""


class _Seen:
    """A request's body that is digested while it is read."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.seen = stream, hashlib.sha256()

    def read(self, *size: int) -> bytes:
        piece: bytes = self._stream.read(*size)
        self.seen.update(piece)
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def keep(held: Held, answer: Any) -> None:
    """Of what has ended: its answer for whoever repeats the request, where there is one to be kept."""
    if not isinstance(answer, HttpResponse) or answer.status_code >= 400:
        held.release()
    else:
        held.finish(**_answer(answer))


def _answer(answer: HttpResponse) -> dict[str, Any]:
    return {
        "status": answer.status_code,
        # which may hold a password or token that is shown once
        "answer": at_rest.box().encrypt(answer.content),
        "headers": {"Content-Type": answer.headers.get("Content-Type", "")},
    }


def _scope(asker: Actor) -> str:
    """A person's, in a tenant: a token that takes another's place in the middle of a retry finds its keys."""
    tenant = asker.token.tenant_id if asker.token is not None else None
    support = asker.support.pk if asker.support is not None else None
    return hashlib.sha256(f"{asker.user.pk} {tenant or ''} {support or ''}".rstrip().encode()).hexdigest()


def _covers(asker: Actor, token_id: UUID | None) -> bool:
    """Whether this token may all that the first asker's could, which was for the same tenant; a session may."""
    if asker.token is None or asker.token.pk == token_id or asker.speaks_for_its_person:
        return True
    first = Token.objects.filter(pk=token_id).first() if token_id is not None else None
    if first is None:
        return False
    wide, named = asker.token.permissions, asker.token.environments
    is_for_all = not named or bool(first.environments and set(first.environments) <= set(named))
    return is_for_all and (EVERYTHING in wide or set(first.permissions) <= set(wide))


def _written(asker: Actor) -> list[list[Any]]:
    return [[need.permission, *_place(need.place), need.is_given] for need in asker.used]


def _place(place: Place | None) -> list[str]:
    return [] if place is None else [place.path, str(place.tenant_id), str(place.environment_id or "")]


def _read(rows: list[list[Any]]) -> list[Need]:
    return [Need(Permission(one[0]), _read_place(one[1:-1]), is_given=one[-1]) for one in rows]


def _read_place(parts: list[str]) -> Place | None:
    if not parts:
        return None
    path, tenant, environment = parts
    return Place(path, UUID(tenant), UUID(environment) if environment else None)
