"""More requests wait than there are threads, and others are answered all the same."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from panel.errors import NodeAway
from panel.http.problem import refused
from panel.serving import server as serving
from panel.serving import throttle
from panel.serving.bridge import LIMIT_BYTES, TooLong, body_of
from panel.serving.later import MAY_WAIT, Later
from panel.serving.server import Server
from tests.panel.serving.client import Call, Environ, Halls, Start, on, until

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PAUSE_S", 0)


def promising(work: Callable[[], Awaitable[HttpResponseBase]], *, is_kept: bool = False) -> Any:
    """An application whose `/later` is awaited, and which answers everything else at once."""

    def application(environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/html"), ("X-Request-Id", "seven")])
        if environ["PATH_INFO"] != "/later":
            return [b"at once"]
        assert environ[MAY_WAIT]
        promised = Later(HttpRequest(), work, refused)
        promised.is_kept = is_kept
        promised._resource_closers.append(lambda: application.closed.append(1))  # type: ignore[attr-defined]
        application.promised = promised  # type: ignore[attr-defined]
        return promised

    application.closed = []  # type: ignore[attr-defined]
    return application


async def test_others_are_answered_while_one_asks_for_more_than_there_is() -> None:
    halls = Halls()
    server = Server(halls)
    many = [Call(server, f"/wait/{number}", on("192.0.2.1")) for number in range(40)]
    await until(lambda: halls.entered)
    other = Call(server, "/list", on("192.0.2.2"))
    await asyncio.wait_for(other.task, 20)
    assert other.content == b"/list"
    assert not any(one.sent for one in many) and len(halls.entered) == 2
    halls.door.set()
    await asyncio.gather(*(one.task for one in many))
    assert {one.status for one in many} == {200}


async def test_commands_that_wait_take_no_thread() -> None:
    done = asyncio.Event()

    async def work() -> HttpResponse:
        await done.wait()
        return HttpResponse(b'{"exit_code": 0}', content_type="application/json")

    application = promising(work)
    server = Server(application)
    waiting = [Call(server, "/later", on("192.0.2.1")) for _ in range(30)]
    await until(lambda: not server.pages.turns._waiting)
    for _ in range(3):  # of the very same client too
        own = Call(server, "/list", on("192.0.2.1"))
        await asyncio.wait_for(own.task, 20)
        assert own.content == b"at once"
    assert not any(one.sent for one in waiting)
    done.set()
    await asyncio.gather(*(one.task for one in waiting))
    assert {one.content for one in waiting} == {b'{"exit_code": 0}'}
    assert waiting[0].answered["content-type"] == "application/json"
    assert waiting[0].answered["x-request-id"] == "seven", "what middleware has put on the promise"
    assert len(application.closed) == 30


async def test_a_refusal_comes_as_one() -> None:
    async def work() -> HttpResponse:
        raise NodeAway("The node can't be asked.")

    call = Call(Server(promising(work)), "/later")
    await call.task
    assert call.status == 503 and call.answered["content-type"] == "application/problem+json"
    assert call.answered["retry-after"] == "5"


@pytest.mark.parametrize("is_kept", [False, True], ids=["ends", "goes on under its key"])
async def test_who_hangs_up_ends_his_command_or_finds_its_answer(is_kept: bool) -> None:
    ended, end, settled = list[str](), asyncio.Event(), list[Any]()

    async def work() -> HttpResponse:
        try:
            await end.wait()
        except asyncio.CancelledError:
            ended.append("stopped")
            raise
        ended.append("finished")
        return HttpResponse(b"done")

    application = promising(work, is_kept=is_kept)
    server = Server(application)
    call = Call(server, "/later")
    await until(lambda: hasattr(application, "promised"))
    application.promised.then(settled.append)
    call.hang_up()
    if is_kept:
        await asyncio.sleep(0.05)
        assert not ended
        end.set()
    await asyncio.wait_for(call.task, 20)
    assert ended == ["finished" if is_kept else "stopped"]
    assert [getattr(one, "content", None) for one in settled] == [b"done" if is_kept else None]
    assert application.closed == [1] and not call.sent


async def test_who_doesnt_read_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty recordings that nobody reads; after a while they are given up."""
    given = list[int]()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            given.append(number)
            yield b"x" * 65_536

    async def work() -> HttpResponseBase:
        return StreamingHttpResponse(pieces())

    application = promising(work)
    server = Server(application)
    readers = [Call(server, "/later", on("192.0.2.1"), reads=False) for _ in range(40)]
    await until(lambda: all(one.sent for one in readers))
    own = Call(server, "/list", on("192.0.2.1"))
    await asyncio.wait_for(own.task, 20)
    assert own.content == b"at once"
    assert len(given) <= 40, "no more is made than is taken"
    for one in readers:
        one.hang_up()
    await asyncio.gather(*(one.task for one in readers), return_exceptions=True)
    assert len(application.closed) == 40


async def test_downloads_stand_back_for_who_wants_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast files can be read, and however many at once: for others their next pieces wait."""
    monkeypatch.setattr(throttle, "BETWEEN_PIECES_S", 10_000)

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b"x"

    async def work() -> HttpResponseBase:
        return StreamingHttpResponse(pieces())

    server = Server(promising(work))
    downloads = [Call(server, "/later", on("192.0.2.1")) for _ in range(4)]
    await until(lambda: all(len(one.sent) > 100 for one in downloads))
    await Call(server, "/list", on("192.0.2.2")).task
    await asyncio.sleep(0.01)
    before = [len(one.sent) for one in downloads]
    await asyncio.sleep(0.05)
    assert [len(one.sent) for one in downloads] == before, "none while others ask"
    for one in downloads:
        one.hang_up()
    await asyncio.gather(*(one.task for one in downloads), return_exceptions=True)


async def test_a_reader_who_falls_asleep_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PIECE_S", 0.05)

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b"x"

    async def work() -> HttpResponseBase:
        return StreamingHttpResponse(pieces())

    application = promising(work)
    call = Call(Server(application), "/later", reads=False)
    call.reads = True
    await until(lambda: len(call.sent) > 3)
    call.reads = False
    await asyncio.wait_for(call.task, 20)  # a line of ours in the log, and no traceback of the server's
    assert application.closed == [1]
    assert call.sent[-1].get("more_body"), "the reader sees that it isn't whole"


async def test_long_answers_that_nobody_reads_are_counted() -> None:
    def application(environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        return [b"x" * 1_000_000]

    server = Server(application)
    unread = [Call(server, "/", on("192.0.2.1"), reads=False) for _ in range(serving.MOST_READ)]
    await until(lambda: all(one.sent for one in unread))
    more = Call(server, "/api/v1/audit", on("192.0.2.1"))
    await asyncio.wait_for(more.task, 20)
    assert more.status == 429 and more.answered["retry-after"]
    other = Call(server, "/", on("192.0.2.2"))
    await asyncio.wait_for(other.task, 20)
    assert other.status == 200 and len(other.content) == 1_000_000
    for one in unread:
        one.task.cancel()
    await asyncio.gather(*(one.task for one in unread), return_exceptions=True)
    assert not server._reading


async def test_over_the_cap_one_is_told_so() -> None:
    halls = Halls()
    server = Server(halls)
    most = server.pages.turns.bounds.waiting_of_person
    many = [Call(server, "/wait", on("192.0.2.1")) for _ in range(most + 1)]
    await until(lambda: halls.entered)
    too_many = Call(server, "/api/v1/environments", on("192.0.2.1"))
    await asyncio.wait_for(too_many.task, 20)
    assert too_many.status == 429 and too_many.answered["content-type"] == "application/problem+json"
    assert too_many.answered["retry-after"] == "5" and b"too_many_requests" in too_many.content
    halls.door.set()
    await asyncio.gather(*(one.task for one in many))


async def test_sign_in_has_a_line_of_its_own() -> None:
    """A flood of passwords from everywhere, each slow to check; pages and health go on."""
    halls = Halls()

    def slow(environ: Environ, start: Start) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/accounts/"):
            halls.entered.append("sign-in")
            assert halls.door.wait(20)
        return halls({**environ, "PATH_INFO": "/page"}, start)

    server = Server(slow)
    flood = [Call(server, "/accounts/login/", on(f"192.0.2.{number}")) for number in range(50)]
    await until(lambda: len(halls.entered) == 2)
    for path in ("/environments/", "/healthz"):
        call = Call(server, path, on("192.0.2.1"))
        await asyncio.wait_for(call.task, 20)
        assert call.status == 200
    assert not any(one.sent for one in flood)
    halls.door.set()
    await asyncio.gather(*(one.task for one in flood))


@pytest.mark.parametrize("size", [LIMIT_BYTES, 3 * LIMIT_BYTES])
async def test_a_body_that_is_too_long_is_refused(size: int) -> None:
    call = Call(Server(Halls()), "/", method="POST", body=b"x" * size)
    await call.task
    assert call.status == 413


async def test_a_body_as_long_as_the_front_lets_through_is_read_to_its_end() -> None:
    """With its end unread the server would close, at times before the front has read why."""
    half = {"type": "http.request", "body": b"x" * (LIMIT_BYTES // 2), "more_body": True}
    coming = [half, half, {"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    with pytest.raises(TooLong):
        await body_of(receive)
    assert coming == []


async def test_what_the_application_is_told_is_what_was_asked() -> None:
    seen = dict[str, Any]()

    def application(environ: Environ, start: Start) -> Iterable[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read())
        start("204 No Content", [])
        return []

    headers = {
        "X_Forwarded_For": "203.0.113.9",
        "Content-Type": "text/plain",
        "Content-Length": "3",
        "X-A": "1",
    }
    call = Call(Server(application), "/%ff/%2F?q=%41", headers, method="POST", body=b"abc")
    await call.task
    assert seen["PATH_INFO"] == "/\xff//" and seen["QUERY_STRING"] == "q=%41" and seen["body"] == b"abc"
    assert seen["CONTENT_TYPE"] == "text/plain" and seen["CONTENT_LENGTH"] == "3" and seen["HTTP_X_A"] == "1"
    assert "HTTP_X_FORWARDED_FOR" not in seen, "only the front may set it"
    assert call.status == 204


async def test_an_error_of_the_application_ends_only_its_request() -> None:
    def application(environ: Environ, start: Start) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/bad":
            raise RuntimeError("bad")
        start("200 OK", [])
        return [b"good"]

    server = Server(application)
    bad = [Call(server, "/bad") for _ in range(5)]
    assert all(
        isinstance(one, RuntimeError)
        for one in await asyncio.gather(*(b.task for b in bad), return_exceptions=True)
    )
    good = Call(server, "/good")
    await asyncio.wait_for(good.task, 20)
    assert good.content == b"good"
