"""From an SSH channel to the node's agent and back, with back-pressure on both sides."""

import asyncio
import json
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncssh
from channels.db import database_sync_to_async
from django.db import transaction
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from panel.audit.services import record
from panel.errors import Refused
from panel.gateway.guests import Guest
from panel.gateway.turns import Line
from panel.nodes.agent import Agent
from panel.rights.permissions import Permission
from runtime.contract import Purpose

_CONNECT_S = 5.0
#: The agent takes no more than 64 KiB in one message.
_PIECE_BYTES = 32 * 1024
STDERR = 2
#: As sshd says that it couldn't.
_FAILED = 255


@dataclass
class Carried:
    """What a session was, for the record."""

    what: str
    came: int = 0
    went: int = 0
    exit_code: int | None = None


async def serve(process: "asyncssh.SSHServerProcess[bytes]", guest: Guest) -> None:
    """One session, from its request to its end. Audited at both."""
    carried = Carried(_what(process))
    begun = time.monotonic()
    needed = Permission.ENVIRONMENT_CONSOLE if carried.what == "shell" else Permission.ENVIRONMENT_EXEC
    try:
        if process.subsystem not in (None, "sftp"):
            await _refuse(process, "There is no such subsystem.")
        elif not await database_sync_to_async(guest.may)(needed):
            await _refuse(process, "You may not do this here.")
        else:
            await database_sync_to_async(_note)(
                guest, "environment.ssh", {"what": carried.what, "by": guest.by}
            )
            try:
                await _carry(process, guest, carried)
            finally:
                told = {
                    "what": carried.what,
                    "bytes_in": carried.came,
                    "bytes_out": carried.went,
                    "exit_code": carried.exit_code,
                    "seconds": round(time.monotonic() - begun, 1),
                }
                await database_sync_to_async(_note)(guest, "environment.ssh_end", told)
    except (OSError, InvalidHandshake, TimeoutError):
        await _refuse(process, "The node can't be reached right now.")
    except Refused as refused:
        await _refuse(process, f"{refused.message} {refused.next_step}".strip())
    except (asyncssh.Error, ConnectionError):
        return  # the other side is gone


def _what(process: "asyncssh.SSHServerProcess[bytes]") -> str:
    """`sftp`, `shell`, or the first word of a command."""
    if process.subsystem:
        return str(process.subsystem)[:40]
    if process.command is None:
        return "shell"
    return (process.command.split() or [""])[0][-40:]


def _note(guest: Guest, action: str, after: dict[str, Any]) -> None:
    environment = guest.environment
    with transaction.atomic():
        record(guest.actor, action, tenant_id=environment.tenant_id, target=environment, after=after)


async def _refuse(process: "asyncssh.SSHServerProcess[bytes]", sentence: str) -> None:
    with suppress(asyncssh.Error, OSError):
        process.stderr.write(f"wadah: {sentence}\r\n".encode())
        process.exit(_FAILED)


async def _carry(process: "asyncssh.SSHServerProcess[bytes]", guest: Guest, carried: Carried) -> None:
    is_terminal = process.command is None and process.subsystem is None and process.term_type is not None
    name = f"ssh-{secrets.token_hex(4)}"
    path, purpose = (f"terminals/{name}", Purpose.TERMINAL) if is_terminal else ("session", Purpose.EXEC)
    environment = guest.environment
    agent = Agent(environment.node)
    payer = environment.tenant.payer
    ticket = agent.ticket(environment.pk, purpose, guest.actor.name, tenant_id=payer)
    async with unix_connect(
        agent.path,
        f"ws://agent/v1/environments/{environment.pk}/{path}",
        additional_headers={"Authorization": f"Bearer {ticket}"},
        compression=None,
        open_timeout=_CONNECT_S,
        ping_interval=20,
        max_size=2**20,
        max_queue=4,
    ) as node:
        await _begin(process, node, is_terminal)
        to_node = asyncio.create_task(_to_node(process, node, carried, is_terminal))
        from_node = asyncio.create_task(_from_node(process, node, carried, is_terminal))
        gone = asyncio.create_task(process.wait_closed())
        try:
            await asyncio.wait({from_node, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (to_node, from_node, gone):
                task.cancel()
            await asyncio.gather(to_node, from_node, gone, return_exceptions=True)
            if is_terminal:
                with suppress(Refused):
                    await agent.close_terminal(environment.pk, name, user=guest.actor.name, tenant_id=payer)


async def _begin(
    process: "asyncssh.SSHServerProcess[bytes]", node: ClientConnection, is_terminal: bool
) -> None:
    if is_terminal:
        await _resize(process, node)
        return
    wanted = {"line": process.command or "", "sftp": process.subsystem == "sftp"}
    await node.send(json.dumps(wanted))


async def _resize(process: "asyncssh.SSHServerProcess[bytes]", node: ClientConnection) -> None:
    columns, rows = process.term_size[:2]
    await node.send(json.dumps({"type": "resize", "cols": columns or 80, "rows": rows or 24}))


async def _to_node(
    process: "asyncssh.SSHServerProcess[bytes]", node: ClientConnection, carried: Carried, is_terminal: bool
) -> None:
    while True:
        try:
            data = await process.stdin.read(4096 if is_terminal else _PIECE_BYTES)
        except asyncssh.TerminalSizeChanged:
            await _resize(process, node)
            continue
        except (asyncssh.BreakReceived, asyncssh.SignalReceived):
            continue
        if not data:
            break
        carried.came += len(data)
        await node.send(data)
    if not is_terminal:
        await node.send(json.dumps({"type": "eof"}))


async def _from_node(
    process: "asyncssh.SSHServerProcess[bytes]", node: ClientConnection, carried: Carried, is_terminal: bool
) -> None:
    seen = 0
    line: Line = process.get_extra_info("line")
    try:
        async for message in node:
            if isinstance(message, bytes):
                is_error = not is_terminal and message[0] == STDERR
                piece = message if is_terminal else message[1:]
                carried.went += len(piece)
                writer = process.stderr if is_error else process.stdout
                await line.writable.wait()  # a client that reads nothing may have said that it takes gigabytes
                writer.write(piece)
                await writer.drain()
                if is_terminal:
                    seen += len(piece)
                    with suppress(ConnectionClosed):  # it may be through: how it ended waits to be read
                        await node.send(json.dumps({"type": "ack", "offset": seen}))
                continue
            told = json.loads(message)
            if told.get("type") == "exit":
                carried.exit_code = told.get("code")
                process.exit(_FAILED if told.get("code") is None else told["code"])
                return
            if told.get("type") == "error":
                await _refuse(process, str(told.get("message", "")))
                return
            if told.get("type") in ("start", "gap"):
                seen = int(told.get("offset", told.get("to", seen)))
    except ConnectionClosed:
        pass
    await _refuse(process, "The session ended: its node closed it.")
