"""The agent's HTTP and WebSocket addresses. Every one but `/healthz` wants a ticket of its own."""

import asyncio
import codecs
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from runtime.agent import followed
from runtime.agent.backups import OF_TARGETS, BackupRoutes
from runtime.agent.bodies import body_of, hung_up
from runtime.agent.builds import BuildRoutes
from runtime.agent.docker_routes import LookRoutes
from runtime.agent.files import FileRoutes
from runtime.agent.images import ImageRoutes
from runtime.agent.jail_bases import JailBaseRoutes
from runtime.agent.locks import Locks
from runtime.agent.piped import Piped, Wanted
from runtime.agent.session import Session
from runtime.agent.streams import Streams, TooMany
from runtime.agent.tickets import TicketOffice, TicketRefused
from runtime.agent.uploads import UploadRoutes
from runtime.console import recording
from runtime.console.exec import MAX_WORDS, STDIN_BYTES, Outcome, Stop
from runtime.console.inside import Inside
from runtime.console.sessions import session
from runtime.contract import Purpose, Ticket
from runtime.contract.logs import MOST_TAIL
from runtime.contract.words import advice, agent
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from runtime.sandboxes.base import Inner

log = structlog.get_logger()

#: At once, of one environment and of the node: one thread each, which mostly sleeps. The panel sees to it that
#: no tenant takes all of them (`panel.serving.shares.EXECS`).
EXECS_PER_ENVIRONMENT, EXECS = 8, 128
#: Sessions of people who came by SSH, likewise.
SESSIONS_PER_ENVIRONMENT, SESSIONS = 32, 256
#: Looks at terminals and files at once, of one environment and of one tenant; those of others have threads of
#: their own then. A terminal that opens in an environment that doesn't answer takes one until its deadline.
LOOKS_PER_ENVIRONMENT, LOOKS_PER_TENANT, LOOKS = 4, 8, 24
#: Directories of snapshots at once, of the node, and one of a tenant: each may have very many names.
LISTINGS = 2
#: Records and files that are being read: so many at once make their next piece, one of a tenant.
READS = 2
#: A command is begun by one turn of its tenant at a time. Beginning takes the OCI runtime so long, all of it
#: processor time of the node's own; what it does afterwards is the environment's.
BEGIN_S = 0.02
MAX_BODY_BYTES = 2 * STDIN_BYTES
_STATUS = {
    "ticket_refused": 401,
    "not_found": 404,
    "not_running": 409,
    "too_many_terminals": 409,
    "too_many": 429,
    "gave_way": 429,
    "bad_command": 422,
    "bad_name": 422,
    **dict.fromkeys(
        (
            *("no_space", "not_empty", "in_the_way", "not_allowed", "too_long", "too_many_entries"),
            *("bad_archive", "exists", "into_itself", "no_such_user", "no_trash", "name_too_long"),
            "too_many_uploads",
        ),
        422,
    ),
    **dict.fromkeys(OF_TARGETS, 422),
}


_RECORDINGS = {"text": recording.text, "cast": recording.cast}


class LinesAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    stream: Literal["", "stdout", "stderr"] = ""
    since: Annotated[float, Field(ge=0, le=1e11)] = 0.0
    until: Annotated[float, Field(ge=0, le=1e11)] | None = None
    """Seconds since the epoch, both."""
    words: Annotated[str, Field(max_length=200)] = ""
    tail: Annotated[int, Field(ge=0, le=MOST_TAIL)] | None = None
    """Of those the newest."""
    follow: bool = False
    """Then what comes, as long as it is read."""


class ExecRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: Annotated[list[str], Field(min_length=1, max_length=MAX_WORDS)]
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    stdin: Annotated[str, Field(max_length=STDIN_BYTES)] = ""
    encoding: Literal["text", "base64"] = "text"
    """Of stdout and stderr in the answer."""


class Agent:
    """What the addresses share."""

    def __init__(
        self,
        node: Node,
        execs: ThreadPoolExecutor,
        looks: ThreadPoolExecutor,
        inside: Inside | None = None,
        reads: ThreadPoolExecutor | None = None,
    ):
        self.node = node
        self.inside = inside or Inside(node)
        self.tickets = TicketOffice(node)
        self.streams = Streams(node)
        self._pool, self._looks, self._reads = execs, looks, reads or looks
        self._execs: dict[UUID, int] = {}
        self._sessions: dict[UUID, int] = {}
        self._looking, self._looking_of_tenant = Locks(LOOKS_PER_ENVIRONMENT), Locks(LOOKS_PER_TENANT)
        self._beginning = Locks(1)
        self._reading_of_tenant = Locks(1)
        self._listing, self._listing_of_tenant = asyncio.Semaphore(LISTINGS), Locks(1)

    def application(self) -> Starlette:
        at, files = "/v1/environments/{id:uuid}", FileRoutes(self)
        return Starlette(
            routes=[
                Route("/healthz", self.healthz),
                Route(f"{at}/exec", self.exec, methods=["POST"]),
                Route(f"{at}/terminals", self.terminals),
                Route(f"{at}/terminals/{{name}}", self.close_terminal, methods=["DELETE"]),
                Route(f"{at}/console/log", self.console_log),
                *files.routes(at),
                *BackupRoutes(self, files).routes(at),
                *LookRoutes(self, files).routes(at),
                *UploadRoutes(self, files).routes(at),
                *BuildRoutes(self).routes(),
                *JailBaseRoutes(self).routes(at),
                *ImageRoutes(self).routes(),
                Route(f"{at}/kernel", self.kernel),
                WebSocketRoute(f"{at}/console", self.console),
                WebSocketRoute(f"{at}/terminals/{{name}}", self.terminal),
                WebSocketRoute(f"{at}/session", self.session),
            ],
            exception_handlers={RuntimeFault: _fault, ValidationError: _invalid, ClientDisconnect: _unheard},
        )

    def ticket(self, connection: HTTPConnection, *purposes: Purpose) -> Ticket:
        kind, _, token = connection.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise TicketRefused(agent.no_ticket())
        environment_id: UUID = connection.path_params["id"]
        ticket = self.tickets.check(token, environment_id, *purposes)
        if not self.node.environment(environment_id).is_dir():
            raise RuntimeFault(agent.no_environment(), code="not_found", retryable=False)
        return ticket

    async def look(self, environment_id: UUID, payer: UUID, work: Callable[[], Any]) -> Any:
        """What the work gives, from a thread, of which each environment and each payer has some at most."""
        async with self._looking.of(environment_id), self._looking_of_tenant.of(payer):
            return await asyncio.get_running_loop().run_in_executor(self._looks, work)

    async def look_long(self, environment_id: UUID, payer: UUID, work: Callable[[], Any]) -> Any:
        """The same for what may take long: few at once, and one of a payer, so that all take turns."""
        async with (
            self._looking.of(environment_id),
            self._looking_of_tenant.of(payer),
            self._listing_of_tenant.of(payer),
            self._listing,
        ):
            return await asyncio.get_running_loop().run_in_executor(self._looks, work)

    async def in_turns(self, payer: UUID, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces, each made when the one before was taken, and none of a payer's while another one is:
        threads that compute keep Python's lock from those that only want it for a moment. Commands that begin
        go first."""
        while True:
            await self.stand_back()
            async with self._reading_of_tenant.of(payer):
                piece = await asyncio.get_running_loop().run_in_executor(self._reads, next, pieces, None)
            if piece is None:
                return
            yield piece

    async def stand_back(self) -> None:
        """Lets all else of the loop go first, and commands that begin for a moment."""
        await asyncio.sleep(BEGIN_S if self._beginning.are_used else 0)

    # addresses -------------------------------------------------------------------------------

    async def healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "node": self.node.name, "viewers": self.streams.viewers})

    async def exec(self, request: Request) -> Response:
        """Runs one command and answers with what it said and how it ended."""
        ticket = self.ticket(request, Purpose.EXEC)
        wanted = ExecRequest.model_validate_json(await body_of(request, MAX_BODY_BYTES))
        environment_id: UUID = request.path_params["id"]
        with _counted(self._execs, environment_id, EXECS_PER_ENVIRONMENT, EXECS):
            log.info("exec", environment=str(environment_id), user=ticket.user, program=wanted.command[0][:100])
            done = await self._run(request, wanted, ticket.payer)
        return JSONResponse(executed(done, wanted.encoding))

    async def _run(self, request: Request, wanted: ExecRequest, payer: UUID) -> Outcome:
        """Waits for the command, and ends it when who asked has hung up."""
        environment_id: UUID = request.path_params["id"]
        with Stop() as stop:
            work = partial(
                self.inside.run,
                environment_id,
                wanted.command,
                timeout_s=wanted.timeout_s,
                stdin=wanted.stdin.encode(),
                stop=stop,
            )
            async with self._beginning.of(payer):
                command = asyncio.get_running_loop().run_in_executor(self._pool, work)
                await asyncio.wait({command}, timeout=BEGIN_S)
            gone: asyncio.Future[Any] = asyncio.ensure_future(hung_up(request))
            try:
                await asyncio.wait({command, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                if not command.done():
                    log.info("exec stopped", environment=str(environment_id))
                    stop.now()
            return await command

    async def terminals(self, request: Request) -> Response:
        ticket = self.ticket(request, Purpose.TERMINAL)
        environment_id = request.path_params["id"]
        found = await self.look(environment_id, ticket.payer, lambda: self.inside.terminals(environment_id))
        rows = []
        for one in found:
            row = asdict(one)
            row.pop("directory")
            row["viewers"] = self.streams.viewers_of(request.path_params["id"], one.name)
            rows.append(row)
        return JSONResponse({"terminals": rows})

    async def close_terminal(self, request: Request) -> Response:
        ticket = self.ticket(request, Purpose.TERMINAL)
        if ticket.read_only:
            raise TicketRefused(agent.watching_only())
        environment_id, name = request.path_params["id"], request.path_params["name"]
        closed = await self.look(
            environment_id, ticket.payer, lambda: self.inside.close_terminal(environment_id, name)
        )
        if not closed:
            raise RuntimeFault(agent.no_terminal(name), code="not_found", retryable=False)
        return Response(status_code=204)

    async def console(self, socket: WebSocket) -> None:
        """The environment's own console: before it runs, and over its reboots."""
        if (ticket := await self._admitted(socket, Purpose.CONSOLE)) is None:
            return
        environment_id: UUID = socket.path_params["id"]
        console = self.inside.console(environment_id)
        async with self.streams.watching(environment_id, None, console.log, console.keeper) as stream:
            await _run(Session(socket, stream, self.stand_back, read_only=ticket.read_only), socket)

    async def console_log(self, request: Request) -> Response:
        """What its console printed, `?format=text`, `cast` or `lines` (of which some), streamed."""
        ticket = self.ticket(request, Purpose.CONSOLE)
        asked = request.query_params
        place = self.inside.console(request.path_params["id"]).log
        if asked.get("format") == "lines":
            some = LinesAsked.model_validate({name: asked[name] for name in asked if name != "format"})
            which = some.model_dump(exclude={"follow"})
            if some.follow:
                coming = followed.paced(self.in_turns(ticket.payer, followed.lines(place, **which)))
                return StreamingResponse(coming, media_type="application/octet-stream")
            pieces = recording.lines(place, **which)
        else:
            write = _RECORDINGS.get(asked.get("format", "text"))
            if write is None:
                raise RuntimeFault(agent.bad_format(tuple(_RECORDINGS)), code="bad_name", retryable=False)
            pieces = write(place)
        return StreamingResponse(self.in_turns(ticket.payer, pieces), media_type="application/octet-stream")

    async def kernel(self, request: Request) -> Response:
        """What the kernel counts of it (`counters`), and what stands between it and the host (`walls`)."""
        ticket = self.ticket(request, Purpose.KERNEL)
        environment_id = request.path_params["id"]
        sandbox = sandbox_of(self.node)

        def seen() -> dict[str, object]:
            walls = sandbox.walls(environment_id)
            counters = sandbox.counters(environment_id)
            return {
                "walls": None if walls is None else asdict(walls),
                "counters": {name: asdict(one) for name, one in counters.items()},
            }

        return JSONResponse(await self.look(environment_id, ticket.payer, seen))

    async def terminal(self, socket: WebSocket) -> None:
        """A named root shell; made when there is none of that name."""
        if (ticket := await self._admitted(socket, Purpose.TERMINAL)) is None:
            return
        environment_id, name = socket.path_params["id"], socket.path_params["name"]
        try:
            known = await self.look(
                environment_id, ticket.payer, lambda: self.inside.find_terminal(environment_id, name)
            )
            if known is None or (not known.running and not ticket.read_only):
                if ticket.read_only:
                    raise RuntimeFault(agent.no_terminal(name), code="not_found", retryable=False)
                known = await self.look(
                    environment_id, ticket.payer, lambda: self.inside.open_terminal(environment_id, name)
                )
        except RuntimeFault as fault:
            await socket.send_json({"type": "error", "code": fault.code, "message": str(fault)})
            await socket.close(4409, fault.code)
            return
        directory = known.directory

        def exit_code() -> int | None:
            now = self.inside.find_terminal(environment_id, name)
            return now.exit_code if now else None

        async with self.streams.watching(environment_id, name, directory, directory) as stream:
            await _run(
                Session(socket, stream, self.stand_back, read_only=ticket.read_only, exit_code=exit_code),
                socket,
            )

    async def session(self, socket: WebSocket) -> None:
        """One command with pipes, as SSH has it; its words come as the first message."""
        if (ticket := await self._admitted(socket, Purpose.EXEC)) is None:
            return
        environment_id: UUID = socket.path_params["id"]
        piped = Piped(self.node, environment_id, socket)
        try:
            wanted = Wanted.model_validate_json((await socket.receive()).get("text") or "")
            with _counted(self._sessions, environment_id, SESSIONS_PER_ENVIRONMENT, SESSIONS):
                log.info("session", environment=str(environment_id), user=ticket.user, line=wanted.line[:100])
                await piped.run(lambda pid_file: self._inner(ticket, wanted, pid_file))
            await socket.close()
        except RuntimeFault as fault:
            with suppress(WebSocketDisconnect, RuntimeError):
                await socket.send_json({"type": "error", "code": fault.code, "message": str(fault)})
                await socket.close(4409, fault.code)
        except (ValidationError, WebSocketDisconnect, RuntimeError):
            return  # no first message, or nobody waits for an answer any more

    async def _inner(self, ticket: Ticket, wanted: Wanted, pid_file: Path) -> Inner:
        assert ticket.environment_id is not None
        work = partial(session, self.node, ticket.environment_id, pid_file, line=wanted.line, sftp=wanted.sftp)
        made: Inner = await self.look(ticket.environment_id, ticket.payer, work)
        return made

    async def _admitted(self, socket: WebSocket, purpose: Purpose) -> Ticket | None:
        """Accepts the WebSocket for a good ticket; else refuses before that (403) and gives None."""
        try:
            ticket = self.ticket(socket, purpose)
            self.streams.check_room(socket.path_params["id"])
        except (TicketRefused, TooMany, RuntimeFault) as refused:
            log.warning("socket refused", code=refused.code, reason=str(refused))
            await socket.close()
            return None
        await socket.accept()
        log.info("socket", purpose=purpose, environment=str(ticket.environment_id), user=ticket.user)
        return ticket


@contextmanager
def _counted(running: dict[UUID, int], environment_id: UUID, most: int, of_all: int) -> Iterator[None]:
    """Raises `RuntimeFault` (`too_many`) beyond so many of one environment, or of all."""
    of_it = running.get(environment_id, 0)
    if of_it >= most or sum(running.values()) >= of_all:
        raise RuntimeFault(agent.too_many_commands(of_it), code="too_many", next_step=advice.try_later())
    running[environment_id] = of_it + 1
    try:
        yield
    finally:
        running[environment_id] -= 1
        if not running[environment_id]:
            del running[environment_id]


def executed(done: Outcome, encoding: Literal["text", "base64"] = "text") -> dict[str, object]:
    """The answer to exec. As text, bytes that aren't UTF-8 become replacement characters, and `lossy` says so;
    what was cut in the middle of a character isn't lossy for that. As base64 every byte is there."""
    outputs = {"stdout": done.stdout, "stderr": done.stderr}
    if encoding == "base64":
        told = {name: b64encode(one).decode() for name, one in outputs.items()}
    else:
        told = {name: one.decode(errors="replace") for name, one in outputs.items()}
    is_lossy = encoding == "text" and any(not _is_text(one) for one in outputs.values())
    return {
        "exit_code": done.exit_code,
        **told,
        "encoding": encoding,
        "lossy": is_lossy,
        "truncated": done.truncated,
        "timed_out": done.timed_out,
        "duration_ms": round(done.duration_s * 1000, 3),
    }


def _is_text(output: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(output)
    except UnicodeDecodeError:
        return False
    return True


async def _run(session: Session, socket: WebSocket) -> None:
    try:
        await session.run()
        await socket.close()
    except (WebSocketDisconnect, RuntimeError):
        return  # the other side went away first


async def _fault(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, RuntimeFault)
    status = _STATUS.get(fault.code, 500)
    said = {"code": fault.code, "message": fault.said.told(), "next_step": fault.next_step.told()}
    return JSONResponse(said, status_code=status)


async def _unheard(request: Request, gone: Exception) -> Response:
    """Nobody reads it."""
    return Response(status_code=499)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return JSONResponse({"code": "bad_command", "message": f"{where}: {first['msg']}"}, status_code=422)
