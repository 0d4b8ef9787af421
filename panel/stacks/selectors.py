"""Reads of stacks: what each comes to now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from panel.environments.states import State
from panel.errors import NotFound
from panel.networks.feature import addresses_of
from panel.operations.models import OPEN_STATES, Operation, OperationState
from panel.operations.selectors import show as show_operation
from panel.rights.actor import Actor
from panel.said import shown
from panel.stacks import answers
from panel.stacks.compose import ComposeRefused, Note, Project, read
from panel.stacks.models import Member, Stack, StackState, Wanted
from panel.stacks.services import Preview


@dataclass(frozen=True)
class Seen:
    """One stack, with what is asked of the database once."""

    stack: Stack
    members: Sequence[Member]
    operation: Operation | None
    project: Project

    @property
    def state(self) -> StackState:
        return state_of(self.stack, self.members, self.operation)


def rows_of(actor: Actor) -> QuerySet[Stack]:
    return (
        Stack.objects.for_actor(actor)
        .select_related("tenant", "node")
        .prefetch_related("members__environment__tenant")
    )


def found(actor: Actor, pk: UUID) -> Stack:
    row = rows_of(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("This stack"))
    return row


def operations_of(rows: Sequence[Stack]) -> dict[UUID, Operation]:
    """The newest of each, by its stack; one query."""
    found = Operation.objects.in_bulk([one.operation_id for one in rows if one.operation_id is not None])
    return {one.pk: found[one.operation_id] for one in rows if one.operation_id in found}


def seen(stack: Stack) -> Seen:
    operation = operations_of([stack]).get(stack.pk)
    try:
        project = read(stack.source)
    except ComposeRefused:  # of an edition that takes less
        project = Project((), (), ())
    return Seen(stack, list(stack.members.all()), operation, project)


def state_of(stack: Stack, members: Sequence[Member], operation: Operation | None) -> StackState:
    if operation is not None and operation.state in OPEN_STATES:
        return StackState.DELETING if stack.wanted == Wanted.DELETED else StackState.WORKING
    states = {one.environment.state for one in members}
    if operation is not None and operation.state == OperationState.FAILED:
        return StackState.FAILED
    if not states or states == {State.STOPPED}:
        return StackState.STOPPED
    return StackState.RUNNING if all(is_well(one) for one in members) else StackState.PARTLY


def is_well(member: Member) -> bool:
    """It runs, or came to its end well and was to do so once."""
    row = member.environment
    return row.state == State.RUNNING or (row.state == State.STOPPED and row.code == "app_done")


def show_listed(stack: Stack, operation: Operation | None) -> answers.Listed:
    return {
        "id": str(stack.pk),
        "tenant": str(stack.tenant_id),
        "node": str(stack.node_id),
        "name": stack.name,
        "state": str(state_of(stack, list(stack.members.all()), operation)),
        "catalogue": stack.catalogue,
        "version": stack.version,
        "created_at": stack.created_at.isoformat(),
        "changed_at": stack.changed_at.isoformat(),
    }


def show(stack: Stack) -> answers.Stack:
    whole = seen(stack)
    values = stack.values
    addresses = addresses_of(one.environment_id for one in whole.members)
    return {
        **show_listed(stack, whole.operation),
        "compose": stack.compose,
        "variables": sorted(values["variables"]),
        "files": sorted(values["files"]),
        "profiles": list(stack.profiles),
        "scale": dict(stack.scale),
        "plan": stack.plan,
        "limits": dict(stack.limits),
        "volume_mb": stack.volume_mb,
        "services": [
            {
                "name": service.name,
                "image": service.image,
                "replicas": service.replicas,
                "waits_for": {name: wait.condition.value for name, wait in service.waits.items()},
                "environments": [_copy(one, addresses) for one in whole.members if one.service == service.name],
            }
            for service in whole.project.services
        ],
        "volumes": [
            {"key": one.key, "volume": str(one.volume_id), "name": one.volume.name}
            for one in stack.volumes.select_related("volume")
        ],
        "notes": [_note(one) for one in whole.project.notes],
        "operation": show_operation(whole.operation) if whole.operation is not None else None,
    }


def _copy(member: Member, addresses: Mapping[UUID, list[str]]) -> answers.Copy:
    row = member.environment
    return {
        "environment": str(row.pk),
        "name": row.name,
        "number": member.number,
        "state": str(row.state),
        "health": None if row.healthiness is None else str(row.healthiness),
        "addresses": addresses.get(row.pk, []),
    }


def _note(one: Note) -> answers.Note:
    return {"line": one.line, "place": one.place, "text": shown(one.text)}


def show_preview(preview: Preview) -> answers.StackPreview:
    return {
        "changes": [
            {
                "does": one.does,
                "service": one.service,
                "number": one.number,
                "name": one.name,
                "why": list(one.why),
            }
            for one in preview.changes
        ],
        "volumes": list(preview.volumes),
        "notes": [_note(one) for one in preview.project.notes],
    }
