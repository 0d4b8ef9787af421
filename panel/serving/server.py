"""The web process's application: ASGI outside, Django's threaded application inside, and a line before it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from panel.http.problem import problem
from panel.rights.asking import may_go_on
from panel.serving import gc_freeze
from panel.serving.askers import Askers
from panel.serving.bridge import Environ, Gone, Receive, Scope, Send, TooLong, body_of, environ_of, start_of
from panel.serving.fair_queue import Asker, Bounds
from panel.serving.lane import Full, Lane
from panel.serving.later import Later
from panel.serving.throttle import Throttle

log = structlog.get_logger()

Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[str, str]]
InThread = Callable[..., Awaitable[Any]]

#: A body is there within so long; the front sends it in one go.
BODY_S = 30.0
#: Who reads an answer takes a piece of it within so long.
PIECE_S, PIECE_BYTES = 60.0, 64 * 1024
#: Long answers that are being sent, of one person and of all.
MOST_READ, MOST_READ_BY_ALL = 16, 256
#: Whether who reads a long answer still may is looked at so often.
LOOK_AGAIN_S = 2.0
#: Who is told that he asks too much is told so after a moment, in which he doesn't ask again.
PAUSE_S, MOST_PAUSING = 1.0, 256


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, as the server hands it to us."""

    scope: Scope
    receive: Receive
    send: Send


@dataclass(eq=False, slots=True)
class Answer:
    """What Django's application said: all of it, or what is to be waited for or read piece by piece."""

    status: int
    headers: Headers
    body: bytes = b""
    rest: HttpResponseBase | None = None


class CutOff(Exception):
    """An answer ends before it is whole, which its reader sees; `str` says why, for the log."""


class RightsLost(CutOff):
    """Of who reads an answer, while he does."""


@dataclass(slots=True)
class Reader:
    """Of an answer that goes on for a while. What opened it may be gone before its end: a token revoked, a role
    taken away, a session over."""

    asker: Asker
    environ: Environ
    in_thread: InThread
    looked_at: float = field(default_factory=time.monotonic)

    async def still_may(self) -> None:
        """Looks now and then. Raises `RightsLost`: the answer ends there, and is seen not to be whole."""
        if time.monotonic() < self.looked_at + LOOK_AGAIN_S:
            return
        if not await self.in_thread(partial(may_go_on, self.environ)):
            raise RightsLost("rights lost")
        self.looked_at = time.monotonic()


class Server:
    """Three lines, so that none stands before another: sign-in with its slow hashes and mails, what supervisors
    ask, and everything else."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.askers = Askers()
        self.throttle = Throttle()
        self.pages = Lane("pages", 3, throttle=self.throttle)
        self.sign_in = Lane(
            "sign-in",
            2,
            Bounds(running_of_tree=1, waiting_of_person=16, waiting_of_tree=16, waiting=128),
            nice=10,
            throttle=self.throttle,
        )
        self.probes = Lane("probes", 1, Bounds(running_of_tree=1))
        self._pausing = 0
        self._asked = 0
        self._reading: Counter[Asker] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self._asked += 1
        gc_freeze.asked(self._asked)
        exchange = Exchange(scope, receive, send)
        try:
            async with asyncio.timeout(BODY_S):
                body = await body_of(receive)
        except (TimeoutError, Gone):
            return
        except TooLong:
            refusal = problem(413, "too_long", "The body of a request has less than 2 MB here.")
            await _send_whole(exchange, _whole(refusal))
            return
        try:
            await self._serve(exchange, environ_of(scope, body))
        except CutOff as why:  # no end is sent, so the server hangs up
            log.info("answer cut off", path=scope["path"], reason=str(why))

    async def _serve(self, exchange: Exchange, environ: Environ) -> None:
        path = exchange.scope["path"]
        asker, lane = self.askers.of(environ), self._lane(path)
        try:
            answer = await lane.run(asker, partial(self._ask, environ))
        except Full:
            await self._pause()
            await _send_whole(exchange, _whole(_too_many(path)))
            return
        if answer.rest is None:
            with self._read_by(asker, len(answer.body)) as is_allowed:
                await _send_whole(exchange, answer if is_allowed else _whole(_too_many(path)))
            return
        in_thread = partial(lane.run, asker, goes_on=True)
        try:
            await self._finish(exchange, answer, answer.rest, Reader(asker, environ, in_thread))
        finally:
            await asyncio.shield(in_thread(answer.rest.close))

    def _lane(self, path: str) -> Lane:
        if path.startswith("/accounts/"):
            return self.sign_in
        return self.probes if path in {"/healthz", "/readyz", "/metrics"} else self.pages

    @contextmanager
    def _read_by(self, asker: Asker, size: int) -> Iterator[bool]:
        """While it is sent: whether so much may still be kept in memory for one who takes his time."""
        if size <= PIECE_BYTES:
            yield True
            return
        may = self._reading[asker] < MOST_READ and self._reading.total() < MOST_READ_BY_ALL
        self._reading[asker] += 1
        try:
            yield may
        finally:
            self._reading[asker] -= 1
            if not self._reading[asker]:
                del self._reading[asker]

    def _ask(self, environ: Environ) -> Answer:
        """In a thread: the whole request, as a WSGI server would have it served."""
        heads: list[tuple[str, Headers]] = []

        def start(status: str, headers: Headers, exception: Any = None) -> None:
            heads.append((status, headers))

        found = self.application(environ, start)
        status, headers = int(heads[-1][0].split(" ", 1)[0]), heads[-1][1]
        self.askers.learn(environ)
        if isinstance(found, HttpResponseBase) and found.streaming:
            return Answer(status, headers, rest=found)
        try:
            return Answer(status, headers, b"".join(found))
        finally:
            if isinstance(found, HttpResponseBase):
                found.close()

    async def _finish(
        self, exchange: Exchange, answer: Answer, rest: HttpResponseBase, reader: "Reader"
    ) -> None:
        """Waits for what was promised, and sends it; no longer than its client is there."""
        gone = asyncio.ensure_future(_gone(exchange.receive))
        try:
            if isinstance(rest, Later):
                found = await self._awaited(rest, reader.in_thread, gone)
                if found is None:
                    return
                answer, rest = _completed(answer.headers, found), found
            if not isinstance(rest, StreamingHttpResponse):
                await _send_whole(exchange, answer)
                return
            sending = asyncio.ensure_future(self._send_pieces(exchange.send, answer, rest, reader))
            await _first(sending, gone)
            await _ended(sending)
        finally:
            gone.cancel()

    async def _send_pieces(
        self, send: Send, answer: Answer, stream: StreamingHttpResponse, reader: "Reader"
    ) -> None:
        """Each piece is made when the one before is taken: by a turn of its asker, or awaited.

        What comes from a node comes as fast as its disk: it lets those go first who want a page.
        """
        await send(start_of(answer.status, answer.headers))
        if stream.is_async:
            async for piece in stream.streaming_content:  # type: ignore[union-attr]
                await _send_piece(send, piece)
                await reader.still_may()
                if (pause_s := self.throttle.before_piece_s(reader.asker.tree)) > 0:
                    await asyncio.sleep(pause_s)
        else:
            pieces: Iterator[bytes] = iter(stream.streaming_content)  # type: ignore[arg-type]
            while (piece := await reader.in_thread(lambda: next(pieces, None))) is not None:
                await _send_piece(send, piece)
                await reader.still_may()
        await send({"type": "http.response.body", "body": b""})

    async def _awaited(
        self, promised: Later, in_thread: InThread, gone: "asyncio.Future[None]"
    ) -> HttpResponseBase | None:
        """None: nobody is there to hear it any more. Then the work is ended, or goes on by itself."""
        work = asyncio.ensure_future(promised.answer(in_thread))
        await _first(work, gone)
        if work.done():
            return work.result()
        if promised.is_kept:
            await asyncio.wait({work})
            return None
        await _ended(work)
        return None

    async def _pause(self) -> None:
        if self._pausing < MOST_PAUSING:
            self._pausing += 1
            try:
                await asyncio.sleep(PAUSE_S)
            finally:
                self._pausing -= 1


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first(*futures: "asyncio.Future[Any]") -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


async def _ended(task: "asyncio.Future[Any]") -> None:
    """Cancels what isn't done; what went wrong in it is raised, except that."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def _completed(headers: Headers, found: HttpResponseBase) -> Answer:
    """The promised answer with what middleware has put on the promise."""
    own = [*found.items(), *(("Set-Cookie", morsel.OutputString()) for morsel in found.cookies.values())]
    names = {name.lower() for name, _ in own}
    merged = [*((name, value) for name, value in headers if name.lower() not in names), *own]
    if isinstance(found, HttpResponse):
        merged = [one for one in merged if one[0].lower() != "content-length"]
        merged.append(("Content-Length", str(len(found.content))))
        return Answer(found.status_code, merged, found.content)
    return Answer(found.status_code, merged, rest=found)


def _whole(made: HttpResponse) -> Answer:
    headers = [*made.items(), ("Content-Length", str(len(made.content))), ("Cache-Control", "no-store")]
    return Answer(made.status_code, headers, made.content)


def _too_many(path: str) -> HttpResponse:
    words = "Many of your requests wait here already."
    if path.startswith("/api/"):
        return problem(429, "too_many_requests", words, next_step="Ask for less at once.")
    made = HttpResponse(f"{words} Wait a moment, then load the page again.", content_type="text/plain")
    made.status_code = HTTPStatus.TOO_MANY_REQUESTS
    made["Retry-After"] = "5"
    return made


async def _send_whole(exchange: Exchange, answer: Answer) -> None:
    await exchange.send(start_of(answer.status, answer.headers))
    body = b"" if exchange.scope["method"] == "HEAD" else answer.body
    while len(body) > PIECE_BYTES:
        await _send_piece(exchange.send, body[:PIECE_BYTES])
        body = body[PIECE_BYTES:]
    await exchange.send({"type": "http.response.body", "body": body})


async def _send_piece(send: Send, piece: bytes) -> None:
    try:
        async with asyncio.timeout(PIECE_S):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except TimeoutError:
        raise CutOff("its reader takes nothing") from None
