"""Answers that come later: the thread is given back, and what is waited for is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import get_resolver
from django.utils import timezone, translation

from panel.errors import Refused

if TYPE_CHECKING:
    from panel.serving.shares import Place

log = structlog.get_logger()

Result = TypeVar("Result")

#: Key of a request's META: the server can wait for a `Later`.
MAY_WAIT = "wadah.may_wait"

Work = Callable[[], Awaitable[HttpResponseBase]]
OnRefused = Callable[[Refused], HttpResponse]
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
Settle = Callable[[HttpResponseBase | None], None]
#: Of the promise that is being kept; where there is none, what waits is the thread itself.
_IN_THREAD: ContextVar[InThread] = ContextVar("in_thread", default=lambda work: sync_to_async(work)())


class Later(HttpResponseBase):
    """Stands for the answer while middleware runs; whatever headers it is given, the answer gets.

    `is_kept`: the work goes on when its client goes away, since it may ask for the answer again.
    """

    streaming = True  # middleware reads no content of it

    def __init__(self, request: HttpRequest, work: Work, on_refused: OnRefused) -> None:
        super().__init__()
        self._request = request
        del self["Content-Type"]
        self.is_kept = False
        self._work, self._on_refused = work, on_refused
        self._language, self._zone = translation.get_language(), timezone.get_current_timezone()
        self._settlers: list[Settle] = []

    def then(self, settle: Settle) -> None:
        """Calls it with the answer, in a thread of Django's. None: there is none, since the client went away or
        something broke."""
        self._settlers.append(settle)

    async def answer(self, in_thread: InThread) -> HttpResponseBase:
        """The answer itself. `in_thread` runs what asks the database or renders."""
        found: HttpResponseBase | None = None
        _IN_THREAD.set(lambda work: in_thread(partial(self._as_asked, work)))
        try:
            with self._reader():
                found = await self._work()
        except Refused as refusal:
            found = await in_thread(partial(self._as_asked, partial(self._on_refused, refusal)))
        except Exception as error:  # the edge of a request, as Django's own
            log.exception("promised answer failed", path=self._request.path)
            found = await in_thread(partial(self._as_asked, partial(self._fail, error)))
        finally:
            if self._settlers:
                await asyncio.shield(asyncio.ensure_future(in_thread(partial(self._settle, found))))
        return found

    @contextmanager
    def _reader(self) -> Iterator[None]:
        """The language and the time zone of who asked."""
        with translation.override(self._language), timezone.override(self._zone):
            yield

    def _as_asked(self, work: Callable[[], Result]) -> Result:
        """In a thread, which has those of whoever it served last."""
        with self._reader():
            return work()

    def _fail(self, error: Exception) -> HttpResponse:
        try:
            raise error
        except Exception:  # what it looks at
            answer: HttpResponse = get_resolver().resolve_error_handler(500)(self._request)
            return answer

    def _settle(self, found: HttpResponseBase | None) -> None:
        for settle in self._settlers:
            settle(found)


async def in_thread(work: Callable[[], Result]) -> Result:
    """For what is awaited: runs it in a thread of Django's, as a turn of whoever asks."""
    found: Result = await _IN_THREAD.get()(work)
    return found


def later(
    request: HttpRequest, work: Work, *, on_refused: OnRefused, place: Place | None = None
) -> HttpResponseBase:
    """The answer that `work` will give; a refusal becomes one by `on_refused`. The place is given back then.

    Under a server that can't wait (a test's client, `runserver`) it is waited for here, in the same way.
    """
    if not request.META.get(MAY_WAIT):
        try:
            return _at_once(work, on_refused)
        finally:
            if place is not None:
                place.give_back()
    promised = Later(request, work, on_refused)
    if place is not None:
        promised._resource_closers.append(place.give_back)  # type: ignore[attr-defined]
    return promised


def _at_once(work: Work, on_refused: OnRefused) -> HttpResponseBase:
    async def whole() -> HttpResponseBase:
        answer = await work()
        if isinstance(answer, StreamingHttpResponse) and answer.is_async:
            pieces: AsyncIterable[bytes] = answer.streaming_content  # type: ignore[assignment]
            made = HttpResponse(b"".join([piece async for piece in pieces]), status=answer.status_code)
            for name, value in answer.items():
                made[name] = value
            return made
        return answer

    try:
        return async_to_sync(whole)()
    except Refused as refusal:
        return on_refused(refusal)
