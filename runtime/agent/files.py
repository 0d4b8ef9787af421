"""The agent's addresses for files of environments and of their snapshots.

Paths are base64 of their bytes. Without a snapshot the environment's own disk is meant.
"""

import asyncio
import os
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from dataclasses import asdict, replace
from io import FileIO
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runtime.agent.bodies import body_of, entered
from runtime.agent.locks import Locks
from runtime.agent.tickets import TicketRefused
from runtime.agent.tree_places import Place, TreePlaces
from runtime.contract import Purpose, Ticket
from runtime.contract.words import agent as words
from runtime.errors import RuntimeFault
from runtime.storage.arranging import MOST_FOUND, ArchiveWanted, Arranging, Wanted
from runtime.storage.files import MOST_ENTRIES, Files
from runtime.storage.trees import MOST_CHANGES, MOST_UPLOAD_BYTES, PACK_S, Trees

if TYPE_CHECKING:
    from runtime.agent.app import Agent

#: Directories that are packed at once, of the node and of one tenant: each is a container while it is read.
PACKS, PACKS_PER_TENANT = 6, 2
#: Trees that are compared or written into at once, of the node, and one of a tenant: each is a container for
#: seconds, for ten minutes at most, and where others wait for half of one. They have threads of their own, so
#: that nobody's look at a directory waits behind them.
WORKS = 8
_PIECE_BYTES = 256 * 1024
_MOST_PATHS_BYTES = 3 * 2**20


class FileRoutes:
    def __init__(self, agent: "Agent"):
        self.agent = agent
        self.kept, self.trees = Files(agent.node), Trees(agent.node)
        self._packing, self._packing_of_tenant = asyncio.Semaphore(PACKS), Locks(PACKS_PER_TENANT)
        self._working, self._working_of_tenant = TreePlaces(WORKS), Locks(1)
        self.threads = ThreadPoolExecutor(WORKS + PACKS, thread_name_prefix="trees")

    def routes(self, at: str) -> list[Route]:
        of = f"{at}/snapshots/{{snapshot:uuid}}"
        return [
            *(Route(f"{one}/files", self.files) for one in (at, of)),
            *(Route(f"{one}/content", self.content, methods=["GET"]) for one in (at, of)),
            *(Route(f"{one}/archive", self.archive) for one in (at, of)),
            Route(f"{at}/content", self.put, methods=["PUT"]),
            Route(f"{at}/content", self.delete, methods=["DELETE"]),
            Route(f"{at}/arrange", self.arrange, methods=["POST"]),
            Route(f"{at}/pack", self.pack, methods=["POST"]),
            Route(f"{at}/trash", self.trash),
            *(Route(f"{one}/search", self.search) for one in (at, of)),
            Route(f"{of}/changes", self.changes),
            Route(f"{of}/put-back", self.put_back, methods=["POST"]),
        ]

    async def files(self, request: Request) -> Response:
        """A page of a directory: `path`, `after` and `most`."""
        ticket, environment_id, snapshot = self._asked(request)
        path, after = bytes_of(request, "path"), bytes_of(request, "after")
        most = number_of(request, "most", MOST_ENTRIES)
        found = await self.agent.look_long(
            environment_id,
            ticket.payer,
            lambda: JSONResponse(
                asdict(self.kept.listed(environment_id, snapshot, path, after=after, most=most))
            ),
        )
        return cast("Response", found)

    async def content(self, request: Request) -> Response:
        """One file, as it is. Its size is in `Content-Length`."""
        ticket, environment_id, snapshot = self._asked(request)
        path = bytes_of(request, "path")
        fd, size = await self.agent.look(
            environment_id, ticket.payer, lambda: self.kept.opened(environment_id, snapshot, path)
        )
        file = os.fdopen(fd, "rb", buffering=0)  # closed by itself when nobody begins to read
        return StreamingResponse(
            self.agent.in_turns(ticket.payer, _pieces(file, size)),
            media_type="application/octet-stream",
            headers={"Content-Length": str(size)},
        )

    async def archive(self, request: Request) -> Response:
        """A directory as a tar stream; with `any=1` a file or a link too."""
        ticket, environment_id, snapshot = self._asked(request)
        path, container = bytes_of(request, "path"), ExitStack()
        is_any = request.query_params.get("any") == "1"
        async with AsyncExitStack() as undo:
            await entered(request, undo, *self.packing(ticket.payer))
            undo.push_async_callback(asyncio.to_thread, container.close)
            pieces = await asyncio.get_running_loop().run_in_executor(
                self.threads,
                lambda: container.enter_context(
                    self.trees.packed(environment_id, snapshot, path, is_any=is_any)
                ),
            )
            return Streamed(self.agent.in_turns(ticket.payer, pieces), undo.pop_all().aclose)
        raise AssertionError  # for types: the stack swallows nothing

    async def changes(self, request: Request) -> Response:
        """What is different in the snapshot `to`, or, without, in the environment now: `most` of it."""
        ticket, environment_id, snapshot = self._asked(request)
        assert snapshot is not None
        other, most = request.query_params.get("to", ""), number_of(request, "most", MOST_CHANGES)
        try:
            to = UUID(other) if other else None
        except ValueError as error:
            raise RuntimeFault(words.no_snapshot(), code="not_found", retryable=False) from error
        found = await self.work(
            request,
            ticket,
            lambda trees: trees.compare(environment_id, snapshot, to, most=most).model_dump_json(),
        )
        return Response(found, media_type="application/json")

    async def put_back(self, request: Request) -> Response:
        ticket, environment_id, snapshot = self._asked(request, writes=True)
        path = bytes_of(request, "path")
        assert snapshot is not None
        done = await self.work(request, ticket, lambda trees: trees.put_back(environment_id, snapshot, path))
        return JSONResponse(done.model_dump())

    async def put(self, request: Request) -> Response:
        ticket, environment_id, _ = self._asked(request, writes=True)
        path, data = bytes_of(request, "path"), await body_of(request, MOST_UPLOAD_BYTES)
        done = await self.work(request, ticket, lambda trees: trees.put(environment_id, path, data))
        return JSONResponse(done.model_dump())

    async def delete(self, request: Request) -> Response:
        ticket, environment_id, _ = self._asked(request, writes=True)
        path, recursive = bytes_of(request, "path"), request.query_params.get("recursive") == "1"
        await self.work(request, ticket, lambda trees: trees.delete(environment_id, path, recursive=recursive))
        return Response(status_code=204)

    async def arrange(self, request: Request) -> Response:
        """Something done to several files; the body says what."""
        ticket, environment_id, _ = self._asked(request, writes=True)
        wanted = Wanted.model_validate_json(await body_of(request, _MOST_PATHS_BYTES))
        done = await self.work(
            request, ticket, lambda trees: Arranging(trees).arrange(environment_id, wanted.work)
        )
        return JSONResponse(done.told())

    async def pack(self, request: Request) -> Response:
        """An archive made of files of the environment, or one of them unpacked; the body says which."""
        ticket, environment_id, _ = self._asked(request, writes=True)
        wanted = ArchiveWanted.model_validate_json(await body_of(request, _MOST_PATHS_BYTES))
        done = await self.work(
            request, ticket, lambda trees: Arranging(trees).archive(environment_id, wanted.work)
        )
        return JSONResponse(done.model_dump())

    async def search(self, request: Request) -> Response:
        """Names, or with `content=1` content, that hold `text`, below `path`: `most` of them."""
        ticket, environment_id, snapshot = self._asked(request)
        path, text = bytes_of(request, "path"), bytes_of(request, "text")
        most, in_content = number_of(request, "most", MOST_FOUND), request.query_params.get("content") == "1"
        found = await self.work(
            request,
            ticket,
            lambda trees: Arranging(trees).search(
                environment_id, snapshot, path, text, in_content=in_content, most=most
            ),
        )
        return JSONResponse(found.model_dump())

    async def trash(self, request: Request) -> Response:
        """What was deleted, and can be had back."""
        ticket, environment_id, _ = self._asked(request)
        found = await self.work(request, ticket, lambda trees: Arranging(trees).trash(environment_id))
        return JSONResponse(found.model_dump())

    def packing(self, payer: UUID) -> Sequence[AbstractAsyncContextManager[Any]]:
        """Turns of who reads an archive."""
        return (self._packing_of_tenant.of(payer), self._packing)

    async def work(self, request: Request, ticket: Ticket, work: Callable[[Trees], Any]) -> Any:
        """What was begun goes on to its end, or until others have waited for its place; of who hangs up before
        that nothing is begun."""
        place = Place()
        trees = replace(self.trees, begun=place.begun)
        async with AsyncExitStack() as undo:
            await entered(request, undo, self._working_of_tenant.of(ticket.payer), self._working.of(place))
            return await asyncio.get_running_loop().run_in_executor(self.threads, work, trees)
        raise AssertionError  # for types: the stack swallows nothing

    def writing(self, request: Request) -> Ticket:
        """The ticket of who writes."""
        return self._asked(request, writes=True)[0]

    def looking(self, request: Request) -> Ticket:
        """The ticket of who looks."""
        return self._asked(request)[0]

    def _asked(self, request: Request, *, writes: bool = False) -> tuple[Ticket, UUID, UUID | None]:
        ticket = self.agent.ticket(request, Purpose.FILES)
        if writes and ticket.read_only:
            raise TicketRefused(words.watching_only())
        return ticket, request.path_params["id"], request.path_params.get("snapshot")


class Streamed(StreamingResponse):
    """Pieces of something that is closed after them, when nobody wants them any more, and after its time: who
    takes a byte now and then keeps no place of it from others."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        close: Callable[[], Awaitable[Any]],
        *,
        media_type: str = "application/x-tar",
    ):
        super().__init__(pieces, media_type=media_type)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(PACK_S):
                await super().__call__(scope, receive, send)
        finally:
            await asyncio.shield(asyncio.ensure_future(self._close()))


def bytes_of(request: Request, name: str) -> bytes:
    try:
        return b64decode(request.query_params.get(name, ""), validate=True)
    except ValueError as error:
        raise RuntimeFault(words.bad_name(), code="bad_name", retryable=False) from error


def number_of(request: Request, name: str, most: int) -> int:
    text = request.query_params.get(name, "")
    return min(int(text), most) if text.isdecimal() and len(text) <= len(str(most)) else most


def _pieces(file: FileIO, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes; the file is closed after them, or when nobody wants them any more."""
    with file:
        left = size
        while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece
