"""Who may open a console, and the ticket for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from django.db import transaction
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.clock.ago import moment_of
from panel.console.answers import Terminal
from panel.console.places import PLACES
from panel.environments.kinds import refuse_console
from panel.environments.models import Environment
from panel.environments.selectors import living_one
from panel.errors import Invalid, NotFound
from panel.live.auth import actor_now
from panel.nodes.agent import Agent
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.shares import DOWNLOADS, FOLLOWED, LOOKS, Place
from runtime.contract import Purpose
from runtime.contract.base import NAME

if TYPE_CHECKING:
    from channels.consumer import _ChannelScope as Scope

Result = TypeVar("Result")

#: Media type and end of the name, by form. Escape sequences are kept, so that it is no text to a browser.
_FORMS = {"text": ("application/octet-stream", ".log"), "cast": ("application/x-asciicast", ".cast")}


_MOST_WORDS = 200


@dataclass(frozen=True)
class Way:
    """How to reach the console: where the agent listens, what to ask for, and the right to."""

    socket: str
    path: str
    ticket: str
    tenant_id: UUID


def open_console(actor: Actor, environment_id: UUID, name: str | None) -> Way:
    """For the environment's own console (`name` None) or a named terminal. Audited.

    Raises `NotFound` for what the actor can't see, `Forbidden` when he may look but not type: a console is a
    root shell, so there is no half of it; `TooMany` when he or the tenant has as many open as may be.
    """
    environment = _visible(actor, environment_id)
    if name is None:
        refuse_console(environment.kind)
    PLACES.check(actor.user.pk, environment.tenant_id)
    purpose = Purpose.CONSOLE if name is None else Purpose.TERMINAL
    agent = Agent(environment.node)
    with transaction.atomic():
        record(
            actor,
            "environment.console",
            tenant_id=environment.tenant_id,
            target=environment,
            after={"terminal": name} if name else {},
        )
    rest = "console" if name is None else f"terminals/{name}"
    return Way(
        socket=agent.path,
        path=f"/v1/environments/{environment.pk}/{rest}",
        ticket=agent.ticket(environment.pk, purpose, actor.name, tenant_id=environment.tenant.payer),
        tenant_id=environment.tenant_id,
    )


@dataclass(frozen=True)
class Asked(Generic[Result]):
    """What a node will say, and the place that the question takes until then. Awaited, raises `NodeAway`."""

    result: Callable[[], Awaitable[Result]]
    place: Place


@dataclass(frozen=True)
class Record:
    """What a console printed, as the download that it will be, and its place among those that are read."""

    answer: Callable[[], Awaitable[HttpResponseBase]]
    place: Place


def console_log(actor: Actor, environment_id: UUID, form: str) -> Record:
    """What its console printed, as a download: `text` as it came, or `cast` with its times. Audited.

    Raises as `open_console`, `Invalid` for another form, `TooMany` when the actor or his tenant reads as many
    as may be; and, awaited, `NodeAway`.
    """
    environment = _visible(actor, environment_id)
    if form not in _FORMS:
        raise Invalid(_("format is text or cast."), field="format")
    refuse_console(environment.kind)
    agent, payer = Agent(environment.node), environment.tenant.payer
    place = DOWNLOADS.take(actor, environment.tenant_id, environment.tenant.path)
    _note(actor, environment, "environment.console_log", place, after={"format": form})

    async def answer() -> HttpResponseBase:
        pieces = await agent.console_log(environment.pk, form, user=actor.name, tenant_id=payer)
        made = StreamingHttpResponse(pieces, content_type=_FORMS[form][0])
        made["Content-Disposition"] = f'attachment; filename="{environment.name}{_FORMS[form][1]}"'
        return made

    return Record(answer, place)


@dataclass(frozen=True)
class Some:
    """Which lines of a log."""

    stream: str = ""
    since: str = ""
    """A moment (ISO 8601), or how long ago (`90s`, `15m`, `2h`)."""
    until: str = ""
    """Another."""
    grep: str = ""
    tail: int | None = None
    """The newest of those."""
    follow: bool = False
    """And then what comes, for ten minutes at most."""


def log_lines(actor: Actor, environment_id: UUID, asked: Some) -> Record:
    """Lines of what its console printed, each with its time and stream. Audited, without the words. Raises as
    `console_log`."""
    stream, grep = asked.stream, asked.grep
    environment = _visible(actor, environment_id)
    if stream not in ("", "stdout", "stderr"):
        raise Invalid(_("stream is stdout or stderr."), field="stream")
    if len(grep) > _MOST_WORDS or any(not one.isprintable() for one in grep):
        raise Invalid(_("grep is words of a line, 200 letters at most."), field="grep")
    refuse_console(environment.kind)
    some = {"stream": stream, "since": f"{moment_of(asked.since):.6f}", "words": grep}
    if asked.until:
        some["until"] = f"{moment_of(asked.until, field='until'):.6f}"
    if asked.tail is not None:
        some["tail"] = str(asked.tail)
    if asked.follow:
        some["follow"] = "1"
    agent, payer = Agent(environment.node), environment.tenant.payer
    shares = FOLLOWED if asked.follow else DOWNLOADS
    place = shares.take(actor, environment.tenant_id, environment.tenant.path)
    _note(actor, environment, "environment.console_log", place, after={"format": "lines"})

    async def answer() -> HttpResponseBase:
        pieces = await agent.log_lines(environment.pk, some, user=actor.name, tenant_id=payer)
        made = StreamingHttpResponse(pieces, content_type="application/octet-stream")
        made["Content-Disposition"] = f'attachment; filename="{environment.name}.log"'
        return made

    return Record(answer, place)


def list_terminals(actor: Actor, environment_id: UUID) -> Asked[list[Terminal]]:
    """Shells that run inside, by age: `{"name", "created_at", "viewers"}`. Each may be gone on with anywhere.

    Raises as `open_console`, and `TooMany`.
    """
    environment = _visible(actor, environment_id)
    agent = Agent(environment.node)

    async def result() -> list[Terminal]:
        found = await agent.terminals(environment.pk, user=actor.name, tenant_id=environment.tenant.payer)
        return [
            {"name": one["name"], "created_at": one["created_at"], "viewers": one["viewers"]}
            for one in found
            if one["running"]
        ]

    return Asked(result, LOOKS.take(actor, environment.tenant_id, environment.tenant.path))


def close_terminal(actor: Actor, environment_id: UUID, name: str) -> Asked[None]:
    """Ends the shell of that name with all that runs in it; a no-op when there is none. Audited.

    Raises as `list_terminals`.
    """
    environment = _visible(actor, environment_id)
    if not NAME.fullmatch(name):
        raise NotFound(_("This terminal"))
    agent = Agent(environment.node)
    place = LOOKS.take(actor, environment.tenant_id, environment.tenant.path)
    _note(actor, environment, "environment.terminal_close", place, before={"terminal": name})
    payer = environment.tenant.payer
    return Asked(lambda: agent.close_terminal(environment.pk, name, user=actor.name, tenant_id=payer), place)


def _note(actor: Actor, environment: Environment, action: str, place: Place, **what: Any) -> None:
    """Audits what is about to be asked; the place is given back when that fails."""
    try:
        with transaction.atomic():
            record(actor, action, tenant_id=environment.tenant_id, target=environment, **what)
    except BaseException:
        place.give_back()
        raise


def may_stay(scope: Scope, environment_id: UUID) -> bool:
    """Whether who opened the socket may still have it: reads session, token, role and environment anew."""
    actor = actor_now(scope)
    if actor is None:
        return False
    rows = Environment.objects.living().for_actor(actor, Permission.ENVIRONMENT_CONSOLE)
    return rows.filter(pk=environment_id).exists()


def _visible(actor: Actor, environment_id: UUID) -> Environment:
    environment = living_one(actor, environment_id)
    actor.require(Permission.ENVIRONMENT_CONSOLE, environment)
    return environment
