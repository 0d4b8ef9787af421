"""Reads of environments: what lists and pages need, in a fixed number of queries."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from django.db.models import Q, UUIDField
from django.utils.translation import gettext as _

from panel.audit.models import AuditRecord
from panel.environments import answers
from panel.environments.models import Environment, Environments, EnvironmentTag
from panel.environments.options import whole
from panel.environments.search import matching
from panel.environments.states import State
from panel.errors import Invalid, NotFound
from panel.prepared import Given, Prepared
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.said import shown
from panel.tenants.models import Tenant
from runtime.contract import ENFORCE_STATFS, SECURE_LEVEL, EventCode, Kind

_ONE = Prepared(
    lambda: Environment.objects.living().select_related("tenant", "node").filter(pk=Given("pk", UUIDField()))
)
_SORTS = {"name", "-name", "created_at", "-created_at", "image", "-image"}


def environments(actor: Actor, filters: Mapping[str, Any] | None = None) -> Environments:
    """Living environments that the actor may see, those in the trash included. Filters: `name`, `tenant`,
    `state`, `node`, `image`, `tag` (several, and all of them count), `search`, `trashed` (whether; None: both),
    `sort`; an unknown state or sort is refused."""
    rows = (
        Environment.objects.for_actor(actor)
        .living()
        .select_related("tenant", "node", "usage", "plan_version__plan")
        .prefetch_related("tags")
    )
    wanted = {key: value for key, value in (filters or {}).items() if value}
    is_trashed = (filters or {}).get("trashed")
    if is_trashed is not None and wanted.get("state") != State.TRASHED:
        rows = rows.filter(trashed_at__isnull=not is_trashed)
    if "name" in wanted:
        rows = rows.filter(name=wanted["name"])
    if "tenant" in wanted:
        rows = rows.filter(tenant=_tenant_condition(wanted["tenant"]))
    if "node" in wanted:
        rows = rows.filter(node__name=wanted["node"])
    if "image" in wanted:
        rows = rows.filter(image=wanted["image"])
    for tag in filter(None, wanted.get("tag", ())):
        rows = rows.filter(with_tag(tag))
    if "search" in wanted:
        rows = rows.filter(matching(wanted["search"]))
    if "state" in wanted:
        rows = rows.in_state(_state(wanted["state"]))
    sort = wanted.get("sort", "name")
    if sort not in _SORTS:
        raise Invalid(_("sort is one of %(sorts)s.") % {"sorts": ", ".join(sorted(_SORTS))}, field="sort")
    return rows.order_by(sort, "id")


def living_one(actor: Actor, environment_id: UUID) -> Environment:
    """With its `tenant` and `node`; `NotFound` for strangers and for what is gone."""
    return seen_by(actor, _ONE.first(pk=environment_id))


def seen_by(actor: Actor, row: Environment | None) -> Environment:
    """The row, which has its `tenant` with it; `NotFound` for strangers and for None. Of one that is fetched it
    says what `for_actor` says of those that nobody has fetched yet."""
    if row is None or not actor.can(Permission.ENVIRONMENT_VIEW, row):
        raise NotFound(_("This environment"))
    return row


def with_tag(name: str) -> Q:
    return Q(pk__in=EnvironmentTag.objects.filter(name=name).values("environment"))


def tags_in_use(actor: Actor, tenant: Tenant | None, most: int = 100) -> list[str]:
    """Words on what the actor sees that still is, below the tenant where one is given."""
    rows = EnvironmentTag.objects.for_actor(actor).filter(
        environment__deleted_at=None, environment__trashed_at=None
    )
    if tenant is not None:
        rows = rows.filter(tenant__path__startswith=tenant.path)
    return list(rows.order_by("name").values_list("name", flat=True).distinct()[:most])


def _tenant_condition(text: str) -> Any:
    try:
        return UUID(text)
    except ValueError:
        return Tenant.objects.filter(slug=text).values("id")[:1]


def _state(text: str) -> State:
    if text not in State.values:
        raise Invalid(_("state is one of %(state)s.") % {"state": ", ".join(State.values)}, field="state")
    return State(text)


def node_events(environment: Environment, limit: int = 50) -> list[AuditRecord]:
    """What its node repaired, or saw happen to it, by itself; newest first."""
    actions = [f"environment.{code}" for code in EventCode]
    records = AuditRecord.objects.filter(target_id=str(environment.pk), action__in=actions)
    return list(records.order_by("-at")[:limit])


def shown_app(row: Environment) -> answers.OfApp:
    """Of an app the digest that its image was resolved to, and what runs; null until its node said so."""
    if row.kind != Kind.APP:
        return {}
    seen = row.app or {}
    digest = seen.get("digest") or row.image.partition("@")[2] or None
    ports = seen.get("ports", [])
    return {
        "digest": digest,
        "command": seen.get("command"),
        "exposed_ports": ports,
        "health": row.health,
        "logs": _logs(row),
    }


def _logs(row: Environment) -> answers.LogsOfApp | None:
    seen = row.logs
    if seen is None:
        return None
    since = None if seen.since is None else seen.since.isoformat()
    return {
        "state": seen.state.value,
        "since": since,
        "message": shown(seen.message),
        "lost_bytes": seen.lost_bytes,
    }


def shown_jail(row: Environment) -> answers.OfJail:
    if row.kind != Kind.JAIL:
        return {}
    return {"enforce_statfs": ENFORCE_STATFS, "securelevel": SECURE_LEVEL}


def show(
    row: Environment, shown: Mapping[str, Any], *, tags: Sequence[str] | None = None, is_new: bool = False
) -> answers.ListedEnvironment:
    """An environment as the API gives it, with what features have `shown` of it.

    No query when `tenant`, `node`, `plan_version`, `usage` and `tags` came with it, or when it `is_new` (nobody
    has measured it) and its `tags` are given.
    """
    usage = None if is_new else getattr(row, "usage", None)
    return {
        "id": str(row.pk),
        "name": row.name,
        "description": row.description,
        "tenant": str(row.tenant_id),
        "tenant_slug": row.tenant.slug,
        "node": row.node.name,
        "state": row.state.value,
        "desired_state": row.desired_state,
        "kind": row.kind,
        "kernel": row.kernel,
        "image": row.image,
        "tags": [tag.name for tag in row.tags.all()] if tags is None else list(tags),
        **cast("answers.Options", whole(row.intent)),
        **shown_app(row),
        **shown_jail(row),
        "plan": row.plan_version.plan.slug if row.plan_version is not None else None,
        "plan_version": row.plan_version.number if row.plan_version is not None else None,
        "follows_plan": row.follows_plan,
        "plan_problem": row.plan_problem,
        "traffic_state": row.traffic_state or None,
        **cast("answers.OfFeatures", shown),
        "ssh_keys": row.ssh_keys,
        "pending_restart": row.pending,
        "version": row.version,
        "generation": row.generation,
        "observed_generation": row.observed_generation,
        "code": row.code,
        "message": row.message,
        "next_step": row.next_step,
        "started_at": row.started_at.isoformat() if row.started_at else None,
        "restarts": row.restarts,
        "exit_code": row.exit_code,
        "created_at": row.created_at.isoformat(),
        "trashed_at": row.trashed_at.isoformat() if row.trashed_at else None,
        "trash_ends_at": row.trash_ends_at.isoformat() if row.trash_ends_at else None,
        "changed_at": row.changed_at.isoformat(),
        "operation": str(row.operation_id) if row.operation_id else None,
        "usage": None
        if usage is None
        else {
            "at": usage.at.isoformat(),
            "cpu": usage.cpu,
            "memory_bytes": usage.memory_bytes,
            "memory_max_bytes": usage.memory_max_bytes,
            "processes": usage.processes,
            "disk_bytes": usage.disk_bytes,
            "network_in_bytes": usage.network_in_bytes,
            "network_out_bytes": usage.network_out_bytes,
            "oom_kills": usage.oom_kills,
        },
    }
