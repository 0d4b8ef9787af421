"""Stacks made, changed, scaled, stopped, started and deleted: each an operation, which `work` carries out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from panel import words
from panel.audit.services import record
from panel.environments.inputs import check_name
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid, NotFound
from panel.operations import services as operations
from panel.operations.models import OPEN_STATES, Operation, OperationKind, OperationState, SubjectType
from panel.operations.services import Subject
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.stacks import work
from panel.stacks.compose import Project
from panel.stacks.models import LONGEST_NAME, Stack, Wanted
from panel.stacks.refusals import project_of
from panel.stacks.room import check_room, node_for
from panel.stacks.wanted import Change, changes, copies_of
from panel.tenants.models import Tenant
from panel.tenants.selectors import refuse_suspended

MOST = 100
_WITHIN = timedelta(minutes=60)
DEFAULT_VOLUME_MB = 1024
_MOST_FILES, _MOST_BYTES = 64, 512 * 1024


@dataclass(frozen=True)
class Asked:
    """What somebody sent; None: as it is."""

    compose: str | None = None
    env: str | None = None
    variables: Mapping[str, str] | None = None
    files: Mapping[str, str] | None = None
    profiles: Sequence[str] | None = None
    scale: Mapping[str, int] | None = None
    plan: str | None = None
    limits: Mapping[str, Any] | None = None
    volume_mb: int | None = None


@dataclass(frozen=True)
class Preview:
    """What a change would do."""

    changes: list[Change]
    project: Project
    volumes: list[str] = field(default_factory=list)
    """Names of those that would be made."""


def create_stack(
    actor: Actor, tenant: Tenant, *, name: str, asked: Asked, node: str = "", catalogue: str = ""
) -> tuple[Stack, Operation]:
    """Raises `BadCompose` with all that can't be had, and `QuotaExceeded` before anything is made."""
    stack, project = _new(actor, tenant, name=name, asked=asked, node=node)
    stack.catalogue = catalogue
    with transaction.atomic():
        if Stack.objects.filter(tenant=tenant).count() >= MOST:
            raise Conflict(_("There are %(most)s stacks already.") % {"most": MOST}, code="too_many")
        found = changes(copies_of(stack, project), [])
        _require(actor, stack, project, found)
        check_room(actor, stack, project, found)
        _save(stack, insert=True)
        return stack, _ask(actor, stack, OperationKind.DEPLOY, told(found))


def preview_new(actor: Actor, tenant: Tenant, *, name: str, asked: Asked, node: str = "") -> Preview:
    stack, project = _new(actor, tenant, name=name, asked=asked, node=node)
    return _preview(stack, project)


def change_stack(
    actor: Actor, stack_id: UUID, asked: Asked, *, version: int | None = None
) -> tuple[Stack, Operation | None]:
    """Only services that are other than before are made anew; volumes stay. None: nothing is other."""
    with transaction.atomic():
        stack = locked(actor, stack_id)
        _refuse_going(stack)
        if version is not None and version != stack.version:
            raise Conflict(_("It was changed meanwhile: look at it anew."), code="stale")
        was = stack.as_asked
        project = _lay(stack, asked)
        found = changes(copies_of(stack, project), list(stack.members.select_related("environment")))
        _require(actor, stack, project, found)
        check_room(actor, stack, project, found)
        is_same = was == stack.as_asked
        if is_same and stack.wanted == Wanted.RUNNING and all(one.does == "keep" for one in found):
            return stack, None
        stack.wanted = Wanted.RUNNING
        if not is_same:
            stack.keep(was)
        _save(stack)
        return stack, _ask(actor, stack, OperationKind.DEPLOY, told(found))


def roll_back(actor: Actor, stack_id: UUID) -> tuple[Stack, Operation | None]:
    """To what it was before its last change; once more leads back again. Raises `Conflict` where it never was
    changed."""
    with transaction.atomic():
        before = locked(actor, stack_id).before
        if not before:
            raise Conflict(_("There is no version before this one."), code="no_version")
        return change_stack(actor, stack_id, Asked(**before))


def preview_change(actor: Actor, stack_id: UUID, asked: Asked) -> Preview:
    with transaction.atomic():
        stack = locked(actor, stack_id)
        return _preview(stack, _lay(stack, asked))


def set_running(actor: Actor, stack_id: UUID, *, running: bool) -> tuple[Stack, Operation]:
    """In the order of `depends_on`, and back."""
    with transaction.atomic():
        stack = locked(actor, stack_id)
        _refuse_going(stack)
        actor.require(Permission.ENVIRONMENT_POWER, stack.tenant)
        stack.wanted = Wanted.RUNNING if running else Wanted.STOPPED
        _save(stack)
        return stack, _ask(actor, stack, OperationKind.START if running else OperationKind.STOP, {})


def delete_stack(actor: Actor, stack_id: UUID, *, with_volumes: bool = False) -> tuple[Stack, Operation]:
    """Its environments for good, without a rest in the trash; its volumes stay, unless `with_volumes`."""
    with transaction.atomic():
        stack = locked(actor, stack_id)
        actor.require(Permission.ENVIRONMENT_DELETE, stack.tenant)
        if with_volumes:
            actor.require(Permission.VOLUME_MANAGE, stack.tenant)
        stack.wanted = Wanted.DELETED
        _save(stack)
        return stack, _ask(actor, stack, OperationKind.DELETE, {"volumes": with_volumes})


def ask_again(actor: Actor, stack_id: UUID, failed: Operation) -> Operation:
    """The same once more: it goes on from what is there. The caller has asked anew what failed of it."""
    stack = locked(actor, stack_id)
    actor.require(Permission.ENVIRONMENT_CREATE, stack.tenant)
    return _ask(actor, stack, OperationKind(failed.kind), failed.details, retry_of=failed)


def locked(actor: Actor, stack_id: UUID) -> Stack:
    """Raises `NotFound` for one that the actor may not see, `Forbidden` for who may change none."""
    seen = Stack.objects.for_actor(actor).filter(pk=stack_id).values_list("pk", flat=True).first()
    rows = Stack.objects.select_for_update(of=("self",)).select_related("tenant", "node")
    row = rows.filter(pk=seen).first() if seen else None
    if row is None:
        raise NotFound(_("This stack"))
    actor.require(Permission.ENVIRONMENT_CHANGE, row.tenant)
    refuse_suspended(row.tenant)
    return row


def told(found: Sequence[Change]) -> dict[str, Any]:
    """For the operation and the record: names by what becomes of them."""
    return {
        does: [one.name for one in found if one.does == does]
        for does in ("create", "remake", "remove")
        if any(one.does == does for one in found)
    }


def _new(actor: Actor, tenant: Tenant, *, name: str, asked: Asked, node: str) -> tuple[Stack, Project]:
    actor.require(Permission.ENVIRONMENT_CREATE, tenant)
    refuse_suspended(tenant)
    if len(check_name(name)) > LONGEST_NAME:
        raise Invalid(_("A stack's name has %(most)s letters at most.") % {"most": LONGEST_NAME}, field="name")
    stack = Stack(tenant=tenant, name=name, compose="", volume_mb=DEFAULT_VOLUME_MB, created_by=actor.user)
    project = _lay(stack, asked)
    stack.node = node_for(stack, project, node)
    return stack, project


def _lay(stack: Stack, asked: Asked) -> Project:
    """What is given laid over what is, and the file read anew."""
    stack.compose = stack.compose if asked.compose is None else asked.compose
    known = stack.values
    values = {
        "env": known["env"] if asked.env is None else asked.env,
        "variables": known["variables"] if asked.variables is None else dict(asked.variables),
        "files": known["files"] if asked.files is None else dict(asked.files),
    }
    if values != known or not stack.given:
        _check_values(values)
        stack.keep_values(values)
    for field_name in ("profiles", "scale", "plan", "limits", "volume_mb"):
        given = getattr(asked, field_name)
        if given is not None:
            setattr(stack, field_name, given)
    project = project_of(stack.source)
    unknown = sorted(set(stack.scale) - {one.name for one in project.services})
    if unknown:
        raise Invalid(_("There is no service %(name)s.") % {"name": unknown[0][:60]}, field="scale")
    longest = max((one.name for one in copies_of(stack, project)), key=len, default="")
    if len(longest) > 63:
        raise Invalid(
            _("%(name)s would be too long for an environment's name: 63 letters at most.")
            % {"name": longest[:100]},
            field="name",
        )
    return project


def _check_values(values: Mapping[str, Any]) -> None:
    files = values["files"]
    if len(files) > _MOST_FILES or sum(len(text) for text in files.values()) > _MOST_BYTES:
        raise Invalid(_("Files of a stack are 64 at most, with 512 KiB together."), field="files")
    if len(values["env"]) > _MOST_BYTES or sum(map(len, values["variables"].values())) > _MOST_BYTES:
        raise Invalid(_("Variables of a stack have 512 KiB together at most."), field="variables")


def _preview(stack: Stack, project: Project) -> Preview:
    members = list(stack.members.select_related("environment")) if not stack._state.adding else []
    found = changes(copies_of(stack, project), members)
    there = set() if stack._state.adding else set(stack.volumes.values_list("key", flat=True))
    made = [one.key for one in project.volumes if not one.external and one.key not in there]
    return Preview(found, project, made)


def _require(actor: Actor, stack: Stack, project: Project, found: Sequence[Change]) -> None:
    """All that the work will take, asked of whoever asks for it, and not only of his name later."""
    tenant = stack.tenant
    needed = {Permission.ENVIRONMENT_CREATE, Permission.ENVIRONMENT_POWER}
    if any(one.ports for one in project.services):
        needed.add(Permission.FORWARD_CHANGE)
    if project.volumes:
        needed.add(Permission.VOLUME_MANAGE)
    if any(one.nameservers for one in project.services):
        needed.add(Permission.NETWORK_CHANGE)
    if any(one.does in ("remake", "remove") for one in found):
        needed.add(Permission.ENVIRONMENT_DELETE)
    for permission in sorted(needed):
        actor.require(permission, tenant)
    names = [one.name for one in found if one.does == "create"]
    rows = Environment.objects.in_use().filter(tenant=tenant, name__in=names)
    taken = rows.exclude(member__stack=stack.pk).values_list("name", flat=True).first()
    if taken:
        raise Conflict(
            _("There is an environment named %(name)s already.") % {"name": taken},
            code="name_taken",
            field="name",
            next_step=_("Choose another name."),
        )


def _refuse_going(stack: Stack) -> None:
    if stack.wanted == Wanted.DELETED:
        raise Conflict(_("This stack is being deleted."), code="deleting")


def _save(stack: Stack, *, insert: bool = False) -> None:
    stack.version += 0 if insert else 1
    try:
        with transaction.atomic():
            stack.save(force_insert=insert)
    except IntegrityError as error:
        raise Conflict(
            _("A stack is called %(name)s already.") % {"name": stack.name}, code="name_taken", field="name"
        ) from error


def _ask(
    actor: Actor,
    stack: Stack,
    kind: OperationKind,
    details: Mapping[str, Any],
    retry_of: Operation | None = None,
) -> Operation:
    """The newest takes the place of one that is open: the work is towards what is wanted now."""
    operations.admit(actor, stack.tenant_id)
    open_ones = Operation.objects.filter(
        subject_type=SubjectType.STACK, subject_id=str(stack.pk), state__in=OPEN_STATES
    )
    for open_one in open_ones.select_for_update():
        operations.close(open_one, OperationState.CANCELLED, code="superseded", message=words.newer_is_wanted())
    subject = Subject(SubjectType.STACK, str(stack.pk), stack.name, stack.tenant_id)
    operation = operations.open_operation(
        actor, subject, kind, within=_WITHIN, details=dict(details), retry_of=retry_of
    )
    operation.save(force_insert=True)
    stack.operation_id = operation.pk
    stack.save(update_fields=["operation_id"])
    verb = {OperationKind.DEPLOY: "deploy"}.get(kind, kind.value)
    record(
        actor,
        f"stack.{verb}",
        tenant_id=stack.tenant_id,
        target=stack,
        after=dict(details),
        operation_id=operation.pk,
    )
    operations.announce(operation)
    work.look_on_commit(stack.pk)
    return operation
