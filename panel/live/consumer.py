"""/ws/events: what changed, as "kind, id"; the page fetches anew. Rights are looked at again and again."""

import asyncio
from contextlib import suppress
from typing import Any

import structlog
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import DatabaseError
from redis import RedisError

from panel.environments.models import Environment
from panel.events import PLATFORM_GROUP, RIGHTS_GROUP, environment_group, tenant_group
from panel.live.auth import Doubt, actor_now, actor_of_scope
from panel.live.places import PAGES
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.askers import asker_of
from panel.serving.fair_queue import Asker
from panel.tenants.models import Tenant

log = structlog.get_logger()

RECHECK_EVERY_S = 1.5
CLOSED_BY_RIGHTS, TOO_MANY = 4401, 4429
_MOST_GROUPS = 1000


class EventConsumer(AsyncJsonWebsocketConsumer):
    """One per page. Closed with 4401 within two seconds of a sign-out or a revoked token."""

    groups_joined: set[str]
    checker: "asyncio.Task[None] | None" = None
    place: Asker | None = None
    """On whose account one of the places is taken."""

    async def connect(self) -> None:
        self.groups_joined = set()
        self.doubt = Doubt()
        actor, asker = await database_sync_to_async(_who)(self.scope)
        if actor is None or asker is None:
            await self.close(CLOSED_BY_RIGHTS)
            return
        await self.accept()
        if not PAGES.take(asker):  # after the handshake, since a browser is told nothing of one that is refused
            await self.send_json({"kind": "error", "message": "Too many pages are open: close some of them."})
            await self.close(TOO_MANY)
            return
        self.place = asker
        await self._join(actor)
        self.checker = asyncio.create_task(self._recheck())
        await self.send_json({"kind": "hello"})

    async def _join(self, actor: Actor) -> None:
        wanted = await database_sync_to_async(_groups)(actor)
        for group in wanted - self.groups_joined:
            await self.channel_layer.group_add(group, self.channel_name)
        for group in self.groups_joined - wanted:
            await self.channel_layer.group_discard(group, self.channel_name)
        self.groups_joined = wanted

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_EVERY_S)
            if not await self._still_good():
                return

    async def _still_good(self) -> bool:
        try:
            actor = await database_sync_to_async(actor_now)(self.scope)
            if actor is not None:
                await self._join(actor)
        except (DatabaseError, RedisError, OSError) as away:
            log.warning("rights not looked at", error=type(away).__name__)
            if self.doubt.may_go_on():
                return True
            actor = None
        else:
            self.doubt.cleared()
        if actor is None:
            await self.close(CLOSED_BY_RIGHTS)
        return actor is not None

    async def disconnect(self, code: int) -> None:
        if self.checker is not None:
            self.checker.cancel()
        if self.place is not None:
            PAGES.give_back(self.place)
            self.place = None
        with suppress(RedisError, OSError):
            for group in self.groups_joined:
                await self.channel_layer.group_discard(group, self.channel_name)

    async def receive_json(self, content: Any, **_: Any) -> None:
        """Only `{"type": "ping"}` is expected; anything else is answered with an error."""
        if content == {"type": "ping"}:
            await self.send_json({"kind": "pong"})
        else:
            await self.send_json({"kind": "error", "message": "Only {“type”: “ping”} is understood here."})

    @classmethod
    async def decode_json(cls, text_data: str) -> Any:
        try:
            return await super().decode_json(text_data)
        except (ValueError, RecursionError):
            return None

    async def wadah_event(self, message: dict[str, Any]) -> None:
        await self.send_json(message["event"])

    async def wadah_rights(self, message: dict[str, Any]) -> None:
        await self._still_good()


def _who(scope: Any) -> tuple[Actor | None, Asker | None]:
    actor = actor_of_scope(scope)
    return actor, asker_of(actor) if actor is not None else None


def _groups(actor: Actor) -> set[str]:
    if actor.is_platform_administrator:
        return {RIGHTS_GROUP, PLATFORM_GROUP}
    reach = actor.scope(Permission.ENVIRONMENT_VIEW)
    tenants = Tenant.objects.for_actor(actor, Permission.ENVIRONMENT_VIEW).values_list("pk", flat=True)
    single = (
        reach.shared
        if reach.only is None
        else set(Environment.objects.for_actor(actor).filter(pk__in=reach.only).values_list("pk", flat=True))
    )
    return {
        RIGHTS_GROUP,
        *(tenant_group(pk) for pk in tenants[:_MOST_GROUPS]),
        *(environment_group(pk) for pk in sorted(single)[:_MOST_GROUPS]),
    }
