"""/ws/environments/{id}/console and /ws/environments/{id}/terminals/{name}.

Bytes go straight through, never by the channel layer. Each side is read only as fast as the other takes it, so
that the browser's pace reaches the pty; the agent counts what the browser acknowledges.
"""

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import structlog
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError
from redis import RedisError
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from panel.audit.services import record_denied
from panel.console.places import PLACES
from panel.console.services import Way, may_stay, open_console
from panel.errors import Conflict, Forbidden, NotFound, TooMany
from panel.events import RIGHTS_GROUP
from panel.live.auth import Doubt, actor_of_scope

log = structlog.get_logger()

#: Sign-out, a revoked role or token, a deleted environment: the socket is closed within two seconds.
RECHECK_EVERY_S = 1.5
#: Of typed bytes in one message, and of such messages in a second; more are made to wait.
TYPED_BYTES = 4096
CONTROL_BYTES = 1024
MESSAGES_PER_S = 100
_CONNECT_S = 5.0

CLOSED_BY_RIGHTS = 4401
NOT_FOUND = 4404
NOT_OF_THIS_KIND = 4409
TOO_MANY = 4429
NODE_AWAY = 4503


class ConsoleConsumer(AsyncWebsocketConsumer):
    """One browser on one console; `name` of the route is that of a terminal, or missing."""

    agent: ClientConnection | None = None
    user: Any = None
    tasks: "list[asyncio.Task[None]]"

    async def connect(self) -> None:
        """Refuses before the handshake is over (403) whoever may not."""
        self.tasks = []
        self.doubt = Doubt()
        route = self.scope["url_route"]["kwargs"]
        self.environment_id = route["environment_id"]
        actor = await database_sync_to_async(actor_of_scope)(self.scope)
        if actor is None:
            await self.close(CLOSED_BY_RIGHTS)
            return
        try:
            way = await database_sync_to_async(open_console)(actor, self.environment_id, route.get("name"))
        except (NotFound, Forbidden) as refused:
            log.info("console refused", user=actor.name, environment=str(self.environment_id), why=refused.code)
            if isinstance(refused, Forbidden):
                await database_sync_to_async(record_denied)(actor, refused, f"WebSocket {self.scope['path']}")
            await self.close(NOT_FOUND if isinstance(refused, NotFound) else CLOSED_BY_RIGHTS)
            return
        except (TooMany, Conflict) as refused:
            await self._turn_away(refused)
            return
        try:
            PLACES.take(actor.user.pk, way.tenant_id)
        except TooMany as refused:
            await self._turn_away(refused)
            return
        self.user, self.tenant_id = actor.user.pk, way.tenant_id
        self._allowance, self._counted_at = float(MESSAGES_PER_S), time.monotonic()
        await self.accept()
        await self._reach(way)

    async def _turn_away(self, refused: TooMany | Conflict) -> None:
        """After the handshake, since a browser is told nothing of one that is refused."""
        await self.accept()
        close = TOO_MANY if isinstance(refused, TooMany) else NOT_OF_THIS_KIND
        await self._fail(refused.code, f"{refused.message} {refused.next_step}", close)

    async def _reach(self, way: Way) -> None:
        try:
            self.agent = await unix_connect(
                way.socket,
                f"ws://agent{way.path}",
                additional_headers={"Authorization": f"Bearer {way.ticket}"},
                compression=None,
                open_timeout=_CONNECT_S,
                ping_interval=20,
                max_size=2**20,
                max_queue=4,
            )
        except InvalidStatus as refused:
            log.warning("agent refused", status=refused.response.status_code)
            await self._fail("refused", "The node refused the connection.", NODE_AWAY)
        except (OSError, InvalidHandshake, TimeoutError) as away:
            log.warning("agent away", error=type(away).__name__)
            await self._fail("node_away", "The node can't be reached right now.", NODE_AWAY)
        else:
            with suppress(RedisError, OSError):  # Redis is away: rights are looked at every second and a half
                await self.channel_layer.group_add(RIGHTS_GROUP, self.channel_name)
            self.tasks = [asyncio.create_task(self._from_agent()), asyncio.create_task(self._recheck())]

    async def _fail(self, code: str, message: str, close: int) -> None:
        await self.send(text_data=json.dumps({"type": "error", "code": code, "message": message}))
        await self.close(close)

    # to the browser --------------------------------------------------------------------------

    async def _from_agent(self) -> None:
        agent = self.agent
        assert agent is not None
        try:
            async for message in agent:
                if isinstance(message, bytes):
                    await self.send(bytes_data=message)
                else:
                    await self.send(text_data=message)
        except ConnectionClosed:
            log.info("agent went away", environment=str(self.environment_id))
        with suppress(RuntimeError):  # the browser has closed in this moment
            await self.close(agent.close_code or NODE_AWAY)

    # from the browser ------------------------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.agent is None:
            return
        if bytes_data is not None:
            if len(bytes_data) > TYPED_BYTES:
                await self._say("too_long", f"At most {TYPED_BYTES} bytes may come in one message.")
                return
            await self._take_turn()
        elif text_data is None or len(text_data) > CONTROL_BYTES:
            return
        if self.agent is not None:  # he may have been shut out meanwhile
            with suppress(ConnectionClosed):
                await self.agent.send(bytes_data if bytes_data is not None else text_data or "")

    async def _say(self, code: str, message: str) -> None:
        await self.send(text_data=json.dumps({"type": "error", "code": code, "message": message}))

    async def _take_turn(self) -> None:
        """Waits when more than `MESSAGES_PER_S` came in the last second."""
        now = time.monotonic()
        self._allowance = min(MESSAGES_PER_S, self._allowance + (now - self._counted_at) * MESSAGES_PER_S)
        self._counted_at = now
        self._allowance -= 1
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / MESSAGES_PER_S)

    # rights ----------------------------------------------------------------------------------

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_EVERY_S)
            if not await self._still_good():
                return

    async def _still_good(self) -> bool:
        try:
            good: bool = await database_sync_to_async(may_stay)(self.scope, self.environment_id)
        except DatabaseError as away:
            log.warning("rights not looked at", error=type(away).__name__)
            good = self.doubt.may_go_on()
        else:
            self.doubt.cleared()
        if not good:
            self._end_tasks()
            await self._let_go()  # first: a client need not answer the closing frame, and may go on to type
            with suppress(RuntimeError):
                await self.close(CLOSED_BY_RIGHTS)
        return good

    def _end_tasks(self) -> None:
        for task in self.tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def _let_go(self) -> None:
        """Of the node's end; a no-op when that is gone."""
        agent, self.agent = self.agent, None
        if agent is not None:
            with suppress(RedisError, OSError):
                await self.channel_layer.group_discard(RIGHTS_GROUP, self.channel_name)
            await agent.close()

    async def wadah_rights(self, message: dict[str, Any]) -> None:
        if self.user is not None and message.get("user") in (None, str(self.user)):
            await self._still_good()

    async def wadah_event(self, message: dict[str, Any]) -> None:
        """Events for everybody also come by the group of rights; they are none of a console's business."""

    async def disconnect(self, code: int) -> None:
        self._end_tasks()
        if self.user is not None:
            PLACES.give_back(self.user, self.tenant_id)
            self.user = None
        await self._let_go()
