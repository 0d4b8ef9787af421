"""What runs inside, what was changed there, and what goes in and out: asked of the node, never kept."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Q
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _

from panel.audit.models import AuditRecord
from panel.audit.services import record
from panel.clock.ago import moment_of
from panel.environments.models import Environment, EnvironmentUsage
from panel.environments.selectors import living_one, node_events
from panel.errors import Conflict, Invalid
from panel.images.archives import Staged, discard
from panel.inside import answers
from panel.nodes.agent import Agent
from panel.operations.models import Operation
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.said import shown
from panel.serving.shares import DOWNLOADS, LOOKS, Place, Shares
from panel.storage import files
from panel.storage.answers import Changes
from panel.tenants.selectors import refuse_suspended
from runtime.contract import Kind, wants_of

_MIB = 2**20
#: Archives that come in at once, in the process that takes them: places for others than who has some.
COPIES = Shares(of_person=1, of_tenant=2, of_tree=2, places=8, code="too_many_copies")


@dataclass(frozen=True)
class Attached:
    """What the first process writes, and the place that listening takes."""

    answer: Callable[[], Awaitable[HttpResponseBase]]
    place: Place


def top(actor: Actor, environment_id: UUID) -> files.Asked[answers.Top]:
    """What runs inside now. Who may run commands inside may look. Awaited: `Conflict` when it doesn't run."""
    row = living_one(actor, environment_id)
    actor.require(Permission.ENVIRONMENT_EXEC, row)
    agent, payer = Agent(row.node), row.tenant.payer

    async def result() -> answers.Top:
        found = await agent.processes(row.pk, user=actor.name, tenant_id=payer)
        return {"items": found["processes"], "count": found["total"]}

    return files.Asked(result, LOOKS.take(actor, row.tenant_id, row.tenant.path))


def ways_in(actor: Actor, environment_id: UUID) -> files.Asked[answers.WaysIn]:
    """By which ways root gets in now, as its files and its kernel say. Whoever sees the environment may look.
    Raises `Invalid` for a kind that nobody signs in to."""
    row = living_one(actor, environment_id)
    if not has_ways_in(row):
        raise Invalid(_("Nobody signs in to an environment of this kind."), code="wrong_kind")
    agent, payer = Agent(row.node), row.tenant.payer

    async def result() -> answers.WaysIn:
        found = await agent.ways_in(row.pk, user=actor.name, tenant_id=payer)
        items: list[answers.WayIn] = [
            {"name": one.name, "is_open": one.is_open, "why": shown(one.why)} for one in found.ways
        ]
        return {"items": items, "count": len(items), "ssh_port": found.ssh_port}

    return files.Asked(result, LOOKS.take(actor, row.tenant_id, row.tenant.path))


def has_ways_in(row: Environment) -> bool:
    """Whether root has an account there, which keys and a password are for."""
    return wants_of(Kind(row.kind)).has_accounts


def diff(actor: Actor, environment_id: UUID, *, most: int = 1000) -> files.Asked[Changes]:
    """What is different from what it was made from: its image, or the snapshot that it is a clone of."""
    of = files.seen(actor, environment_id, "")

    async def result() -> Changes:
        return files.shown_changes(await of.changes_of_image(most=most))

    return files.Asked(result, files.place_of(actor, of.environment, LOOKS))


def copy_out(actor: Actor, environment_id: UUID, path: str, path64: str = "") -> files.Download:
    """A file, a link or a directory as a tar archive. Audited."""
    of, raw = files.seen(actor, environment_id, ""), files.raw_path(path, path64)
    place = files.noted(actor, of, "file_read", raw, DOWNLOADS)
    return files.Download(lambda: files.attachment(of.copied_out(raw), raw, ".tar", "application/x-tar"), place)


@dataclass(frozen=True)
class ComingIn:
    """An archive that may come in: how large at most."""

    most_mb: int
    place: Place


def may_copy_in(actor: Actor, environment_id: UUID, path: str, path64: str = "") -> Environment:
    """Raises what `copy_in` would, before anything of a body is read."""
    of = files.changeable(actor, environment_id)
    files.raw_path(path, path64)
    return of.environment


def coming_in(actor: Actor, environment_id: UUID, path: str, path64: str = "") -> ComingIn:
    """Raises `TooMany` when the actor or his tenant sends as many as may be."""
    row = may_copy_in(actor, environment_id, path, path64)
    return ComingIn(row.contract_limits().disk_mb, COPIES.take(actor, row.tenant_id, row.tenant.path))


def copy_in(
    actor: Actor, environment_id: UUID, path: str, path64: str, staged: Staged
) -> files.Asked[answers.CopiedIn]:
    """What is in the archive, into a directory that is there: what has the same name is replaced, all else
    stays. It runs or not. The archive is gone afterwards. Audited."""
    try:
        of, raw = files.changeable(actor, environment_id), files.raw_path(path, path64)
        place = files.noted(actor, of, "file_put", raw, LOOKS)
    except BaseException:
        discard(staged.id)
        raise

    async def result() -> answers.CopiedIn:
        try:
            found = await of.copied_in(raw, staged.id, staged.bytes)
        finally:
            discard(staged.id)
        return {"entries": found["entries"], "skipped": found["skipped"]}

    return files.Asked(result, place)


def stats(actor: Actor, environment_id: UUID) -> answers.Stats:
    """What it uses now of what it may, as its node told last. Raises `Conflict` before that."""
    row = living_one(actor, environment_id)
    usage = EnvironmentUsage.objects.filter(environment=row).first()
    if usage is None:
        raise Conflict(_("Its node has told nothing of it yet."), code="not_measured")
    limits = row.contract_limits()
    return {
        "at": usage.at.isoformat(),
        "cpu": usage.cpu,
        "cpu_limit": limits.cpu,
        "memory_bytes": usage.memory_bytes,
        "memory_limit_bytes": limits.memory_mb * _MIB,
        "memory_percent": round(100 * usage.memory_bytes / (limits.memory_mb * _MIB), 2),
        "processes": usage.processes,
        "processes_limit": limits.processes,
        "disk_bytes": usage.disk_bytes,
        "disk_limit_bytes": limits.disk_mb * _MIB,
        "network_in_bytes": usage.network_in_bytes,
        "network_out_bytes": usage.network_out_bytes,
        "oom_kills": usage.oom_kills,
    }


def events(actor: Actor, environment_id: UUID, *, since: str = "", most: int = 100) -> list[answers.Event]:
    """What was done to it and what happened by itself since a moment, oldest first: the newest of them."""
    row = living_one(actor, environment_id)
    begin = datetime.fromtimestamp(moment_of(since), UTC)
    asked = Operation.objects.for_actor(actor).filter(environment=row)
    asked = asked.filter(Q(created_at__gte=begin) | Q(finished_at__gte=begin)).order_by("-created_at")[:most]
    by_itself = [one for one in node_events(row, most) if one.at >= begin]
    found = [*map(_operation, asked), *map(_node_event, by_itself)]
    return sorted(found, key=lambda one: one["at"])[-most:]


def _operation(one: Operation) -> answers.Event:
    return {
        "at": (one.finished_at or one.created_at).isoformat(),
        "type": "operation",
        "what": one.kind,
        "state": one.state,
        "who": one.who_name,
        "operation": str(one.pk),
        "details": {},
    }


def _node_event(one: AuditRecord) -> answers.Event:
    return {
        "at": one.at.isoformat(),
        "type": "happening",
        "what": one.action.removeprefix("environment."),
        "state": "",
        "who": one.who,
        "operation": None,
        "details": one.after,
    }


def attach(actor: Actor, environment_id: UUID, *, stdin: str = "", timeout_s: float = 10.0) -> Attached:
    """Types it at the console of the first process, and streams what that writes from then on, for so long at
    most. Audited, without what was typed."""
    row = living_one(actor, environment_id)
    actor.require(Permission.ENVIRONMENT_CONSOLE, row)
    refuse_suspended(row.tenant)
    app = row.wanted.app
    if stdin and row.kind == Kind.APP and (app is None or not app.tty):
        raise Invalid(
            _("Standard input of an app without tty is empty: nothing can be typed."),
            field="stdin",
            next_step=_("Give it a terminal: app.tty."),
        )
    agent, payer = Agent(row.node), row.tenant.payer
    place = DOWNLOADS.take(actor, row.tenant_id, row.tenant.path)
    try:
        record(actor, "environment.attach", tenant_id=row.tenant_id, target=row, after={"typed": bool(stdin)})
    except BaseException:
        place.give_back()
        raise

    async def answer() -> HttpResponseBase:
        pieces = await agent.attach(row.pk, stdin=stdin, timeout_s=timeout_s, user=actor.name, tenant_id=payer)
        made = StreamingHttpResponse(pieces, content_type="application/octet-stream")
        made["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return made

    return Attached(answer, place)
