"""Targets made, and taken out again."""

import secrets
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from panel.at_rest import encrypted
from panel.audit.services import record
from panel.backups import servers
from panel.backups.answers import BackupTarget
from panel.backups.models import Backup, Target
from panel.environments.inputs import check_name
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid, NotFound
from panel.nodes.models import Node
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage.models import Schedule
from panel.tenants.models import Tenant
from panel.tenants.selectors import refuse_suspended
from panel.volumes.models import Volume

#: Of one tenant.
MOST = 50
#: Of one that is given: what others may read for years is tried at leisure.
LEAST_PASSWORD, MOST_PASSWORD = 12, 1024


def add_target(
    actor: Actor,
    tenant: Tenant,
    *,
    name: str,
    kind: str = "directory",
    node: str = "",
    password: str = "",
    inward: bool = False,
    **server: Any,
) -> tuple[Target, str]:
    """A target, and its password where that was made here: it is shown once, and opens the repository without
    any panel. With the password of a repository that is there already, that is gone on with. `server`: where it
    lies and what opens it, as `panel.backups.servers` names it. `inward`: where nobody from outside reaches,
    for administrators."""
    actor.require(Permission.BACKUP_MANAGE, tenant)
    if inward:
        actor.require(Permission.SECURITY_MANAGE, tenant)
    refuse_suspended(tenant)
    if kind not in Target.Kind.values:
        raise Invalid(_("A target is a %(kinds)s.") % {"kinds": ", ".join(Target.Kind.values)}, field="kind")
    servers.refuse_others(kind, server)
    made = "" if password else secrets.token_urlsafe(32)
    row = Target(
        tenant=tenant,
        name=check_name(name),
        kind=kind,
        password=encrypted(made or _checked(password)),
        created_by=actor.user,
    )
    if kind in (Target.Kind.DIRECTORY, Target.Kind.NODE):
        row.node = _node(node, for_others=kind == Target.Kind.NODE)
    elif node:
        raise Invalid(_("A server is of no node."), field="node")
    else:
        row.place = servers.place_of(kind, server, is_inward=inward).model_dump(mode="json")
        row.login = encrypted(servers.login_of(kind, server).model_dump_json())
    with transaction.atomic():
        if Target.objects.filter(tenant=tenant).count() >= MOST:
            raise Conflict(_("There are %(most)s targets already.") % {"most": MOST}, code="too_many")
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(
                _("A target is called %(name)s already.") % {"name": row.name}, code="name_taken", field="name"
            ) from error
        _record(actor, "backup_target.add", row)
    return row, made


#: What an administrator bounds.
BOUNDS = ("upload_mbit_s", "download_mbit_s")
MOST_MBIT_S = 100_000


def change_target(actor: Actor, target_id: UUID, **changed: Any) -> Target:
    """What is said anew of a server: where it lies, what opens it, whose key is believed (an empty `host_key`:
    that which is shown next), whether it may lie inward, what goes there at most. Raises a `Refused`."""
    row = found(actor, target_id)
    actor.require(Permission.BACKUP_MANAGE, row.tenant)
    bounds = {name: changed.pop(name) for name in BOUNDS if name in changed}
    if bounds or "inward" in changed:
        actor.require(Permission.SECURITY_MANAGE, row.tenant)
    with transaction.atomic():
        row = Target.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=row.pk)
        for name, most in bounds.items():
            if most is not None and not 1 <= most <= MOST_MBIT_S:
                raise Invalid(_("1 to %(most)s Mbit/s.") % {"most": MOST_MBIT_S}, field=name)
            setattr(row, name, most)
        if row.place is None and (changed or (row.only_node and any(bounds.values()))):
            raise Invalid(
                _("Of a directory there is nothing to change."), field=next(iter({**changed, **bounds}))
            )
        if changed:
            _change_server(actor, row, changed)
        row.save()
        said = {**bounds, **{name: changed[name] for name in changed if name in servers.PLACES[row.kind]}}
        _record(actor, "backup_target.change", row, **said)
    return row


def _change_server(actor: Actor, row: Target, changed: dict[str, Any]) -> None:
    servers.refuse_others(row.kind, {name: one for name, one in changed.items() if name != "inward"})
    before: dict[str, Any] = row.place or {}
    inward = bool(changed.get("inward", before.get("is_inward")))
    given = {**before, **{name: changed[name] for name in servers.PLACES[row.kind] if name in changed}}
    is_another = any(given.get(name) != before.get(name) for name in servers.OF_WHOM)
    if is_another and "host_key" not in changed:
        given["host_key"] = None
    place = servers.place_of(row.kind, given, is_inward=inward).model_dump(mode="json")
    if place != before and inward:
        actor.require(Permission.SECURITY_MANAGE, row.tenant)
    login = {name: changed[name] for name in servers.LOGINS[row.kind] if changed.get(name)}
    if is_another and not login:
        raise Invalid(
            _("Another server is told nothing that opened the old one: say what opens it too."),
            field=servers.LOGINS[row.kind][-1],
        )
    if login:
        row.login = encrypted(servers.login_of(row.kind, login).model_dump_json())
    row.place, row.problem = place, ""


def remove_target(actor: Actor, target_id: UUID) -> None:
    """The panel forgets it, and the backups at it: what lies there stays, and opens with its password."""
    row = found(actor, target_id)
    actor.require(Permission.BACKUP_MANAGE, row.tenant)
    with transaction.atomic():
        row = Target.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=row.pk)
        backups = list(Backup.objects.select_for_update().filter(target=row))
        if any(one.made_at is None or one.is_going for one in backups):
            raise Conflict(
                _("Work on a backup at this target is under way."),
                code="busy",
                next_step=_("Wait until it has ended, or cancel it."),
            )
        Backup.objects.filter(target=row).delete()
        said = _("The target %(target)s was taken out.") % {"target": row}
        Schedule.objects.filter(target=row.pk).update(is_on=False, problem=said[:300])
        if backups:
            quotas.release(row.tenant, {Resource.BACKUPS: len(backups)})
        _record(actor, "backup_target.remove", row, backups=len(backups))
        row.delete()


def found(actor: Actor, target_id: UUID) -> Target:
    """Raises `NotFound` for one that the actor may not see."""
    row = Target.objects.for_actor(actor).select_related("tenant", "node").filter(pk=target_id).first()
    if row is None:
        raise NotFound(_("This target"))
    return row


def named_target(row: Environment | Volume, text: str) -> Target:
    """That the environment can be backed up to, by id or by name: the tenant's own first, then those above it.
    Raises `NotFound`, and `Conflict` for one of another node."""
    chain = list(reversed(row.tenant.chain))
    named = Q(name=text)
    with suppress(ValueError):
        named |= Q(pk=UUID(text))
    rows = list(Target.objects.filter(named, tenant_id__in=chain).select_related("node", "tenant"))
    if not rows:
        raise NotFound(_("This target"))
    target = min(rows, key=lambda one: chain.index(one.tenant_id))
    refuse_other_node(target, row)
    return target


def refuse_other_node(target: Target, row: Environment | Volume) -> None:
    """A no-op for a server, and for what all nodes get at."""
    if target.only_node not in (None, row.node):
        raise Conflict(
            _("%(target)s is a directory of %(node)s, and the environment is on another node.")
            % {"target": target, "node": target.only_node},
            code="other_node",
            next_step=_("Choose a target of its own node, a server, or one that other nodes get at."),
        )


def show(row: Target) -> BackupTarget:
    """As the API gives it: never the password."""
    return {
        "id": str(row.pk),
        "tenant": str(row.tenant_id),
        "name": row.name,
        "kind": row.kind,
        "node": str(row.node_id) if row.node_id else None,
        "where": row.where,
        "place": row.place,
        "host_key_fingerprint": row.fingerprint or None,
        "upload_mbit_s": row.upload_mbit_s,
        "download_mbit_s": row.download_mbit_s,
        "checked_at": row.checked_at.isoformat() if row.checked_at else None,
        "problem": row.problem,
        "is_made": bool(row.repository_id),
        "created_at": row.created_at.isoformat(),
    }


def _node(text: str, *, for_others: bool) -> Node:
    """By name or id; the only one there is, where none is named. Raises `Invalid`, also for one that says that
    it gives no directory, or lets the other nodes have nothing there."""
    nodes = list(Node.objects.all())
    named = [one for one in nodes if text in (one.name, str(one.pk)) or (not text and len(nodes) == 1)]
    if not named:
        raise Invalid(_("Name the node whose directory it is."), field="node")
    if named[0].facts.get("backup_directory") is False:
        raise Invalid(
            _("%(node)s gives no directory for backups: an administrator names one in its settings.")
            % {"node": named[0].name},
            field="node",
        )
    if for_others and not named[0].facts.get("backup_server"):
        raise Invalid(
            _("The node %(node)s lets other nodes have no backups there.") % {"node": named[0].name},
            field="node",
            next_step=_("An administrator names backup_directory and backup_server in its settings."),
        )
    return named[0]


def _checked(password: str) -> str:
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD or not password.isprintable():
        raise Invalid(
            _("The password of a repository has %(least)s to %(most)s letters, in one line.")
            % {"least": LEAST_PASSWORD, "most": MOST_PASSWORD},
            field="password",
        )
    return password


def _record(actor: Actor, action: str, row: Target, **more: object) -> None:
    said = {"kind": row.kind, "where": row.where, **more}
    before, after = (said, {}) if action.endswith("remove") else ({}, said)
    record(actor, action, tenant_id=row.tenant_id, target=row, before=before, after=after)
