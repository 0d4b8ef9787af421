"""The protocol: https://restic.readthedocs.io/en/stable/100_references.html#rest-backend"""

import asyncio
import base64
import binascii
import os
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from io import RawIOBase
from pathlib import Path
from typing import TypeVar

import jwt
import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from runtime.backup_server.connections import Connections
from runtime.backup_server.store import CONFIG, SORTS, Coming, Full, Gone, Refused, Repository, is_file, opened
from runtime.contract.backup_pass import BackupPass
from runtime.node import Node

log = structlog.get_logger()
T = TypeVar("T")
_PIECE = 2**20
_LIST = "application/vnd.x.restic.rest.v2"
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")
#: Files of one asker that are read or written at once; a node's restic has five of each.
_AT_ONCE = 16
#: Until the next piece of a body comes: who sends nothing holds one of his own turns, and not for ever.
PIECE_S = 60.0


class _Turned(Exception):
    def __init__(self, status: int):
        self.status = status


class BackupServer:
    def __init__(self, node: Node, directory: Path):
        self._node, self._directory = node, directory
        self.connections = Connections()
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))
        """Of each asker: those that had a pass of the panel's, the nodes of the installation."""

    def application(self) -> Starlette:
        at = "/{tenant:uuid}/{name}/"
        return Starlette(
            routes=[
                Route(at, self._answering(self._make), methods=["POST"]),
                Route(f"{at}{CONFIG}", self._answering(self._file), methods=["HEAD", "GET", "POST"]),
                Route(f"{at}{{sort}}/", self._answering(self._list), methods=["GET"]),
                Route(
                    f"{at}{{sort}}/{{file}}",
                    self._answering(self._file),
                    methods=["HEAD", "GET", "POST", "DELETE"],
                ),
            ]
        )

    def _answering(
        self, handle: Callable[[Request, BackupPass], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                known = self._pass_of(request)
                if not self.connections.proved(request.client, known.asker):
                    raise _Turned(503)
                async with self._turns[known.asker]:
                    return await handle(request, known)
            except _Turned as turned:
                return Response(status_code=turned.status)
            except Gone:
                return Response(status_code=404)
            except Full:
                return Response(status_code=507)
            except Refused:
                return Response(status_code=403)
            except ClientDisconnect:
                return Response(status_code=499)
            except TimeoutError:
                return Response(status_code=408)
            except OSError as error:
                log.warning("backup server", error=str(error))
                return Response(status_code=507 if error.errno in _NO_ROOM else 500)

        return answer

    def _pass_of(self, request: Request) -> BackupPass:
        """For this repository and no other. Raises `_Turned`."""
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            if kind.lower() != "basic":
                raise ValueError(kind)
            token = base64.b64decode(text, validate=True).decode("ascii").partition(":")[2]
            key = self._node.ticket_key.read_text()
            known = BackupPass.verify(token, public_key_pem=key, node=self._node.name)
        except (ValueError, binascii.Error, OSError, jwt.InvalidTokenError) as error:
            raise _Turned(401) from error
        asked = request.path_params
        if (known.tenant_id, known.name) != (asked["tenant"], asked["name"]):
            log.warning("another repository was asked for", asker=known.asker, path=request.url.path[:200])
            raise _Turned(403)
        return known

    async def _make(self, request: Request, known: BackupPass) -> Response:
        if request.query_params.get("create") != "true":
            raise _Turned(400)

        def make() -> None:
            with opened(self._directory, known.tenant_id, known.name, makes=True) as repository:
                repository.make()

        await asyncio.to_thread(make)
        log.info("repository", asker=known.asker, tenant=str(known.tenant_id), name=known.name)
        return Response()

    async def _list(self, request: Request, known: BackupPass) -> Response:
        sort = request.path_params["sort"]
        if sort not in SORTS:
            raise _Turned(404)
        found = await self._within(known, lambda repository: repository.listed(sort))
        is_new = _LIST in request.headers.get("accept", "")
        rows = [{"name": name, "size": size} if is_new else name for name, size in found]
        return JSONResponse(rows, media_type=_LIST if is_new else "application/vnd.x.restic.rest.v1")

    async def _file(self, request: Request, known: BackupPass) -> Response:
        sort = request.path_params.get("sort", CONFIG)
        name = request.path_params.get("file", CONFIG)
        if not is_file(sort, name):
            raise _Turned(404)
        if request.method == "POST":
            await self._take(request, known, sort, name)
            return Response()
        if request.method == "DELETE":
            await self._within(known, lambda repository: repository.remove(sort, name))
            return Response()
        found, size = await self._within(known, lambda repository: repository.open(sort, name))
        if request.method == "HEAD":
            os.close(found)
            return Response(headers={"Content-Length": str(size)})
        return _sent(request, found, size)

    async def _take(self, request: Request, known: BackupPass, sort: str, name: str) -> None:
        """What comes, whole or not at all."""
        with ExitStack() as undo:

            def begin() -> Coming:
                repository = undo.enter_context(opened(self._directory, known.tenant_id, known.name))
                return undo.enter_context(repository.coming(sort, name))

            coming = await asyncio.to_thread(begin)
            async for piece in _in_pieces(request.stream()):
                await asyncio.to_thread(coming.write, piece)
            await asyncio.to_thread(coming.keep)

    async def _within(self, known: BackupPass, work: Callable[[Repository], T]) -> T:
        def run() -> T:
            with opened(self._directory, known.tenant_id, known.name) as repository:
                return work(repository)

        return await asyncio.to_thread(run)


_NO_ROOM = (28, 122)  # ENOSPC, EDQUOT


async def _in_pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Larger ones, since each is written by a thread. Raises `TimeoutError` where none comes."""
    kept = bytearray()
    coming = aiter(stream)
    while True:
        try:
            async with asyncio.timeout(PIECE_S):
                kept += await anext(coming)
        except StopAsyncIteration:
            break
        if len(kept) >= _PIECE:
            yield bytes(kept)
            kept.clear()
    if kept:
        yield bytes(kept)


def _sent(request: Request, descriptor: int, size: int) -> Response:
    first, last, status = 0, size - 1, 200
    headers = {}
    if (asked := request.headers.get("range")) is not None:
        parts = _RANGE.fullmatch(asked)
        if parts is None or int(parts[1]) >= size:
            os.close(descriptor)
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        first, status = int(parts[1]), 206
        last = min(last, int(parts[2])) if parts[2] else last
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    length = max(0, last - first + 1)
    headers["Content-Length"] = str(length)
    # a file: who goes before it is read has it closed all the same
    pieces = _read(os.fdopen(descriptor, "rb", buffering=0), first, length)
    return StreamingResponse(pieces, status, headers, media_type="application/octet-stream")


def _read(of: RawIOBase, at: int, length: int) -> Iterator[bytes]:
    with of as file:
        file.seek(at)
        while length > 0:
            piece = file.read(min(_PIECE, length))
            if not piece:
                return
            length -= len(piece)
            yield piece
