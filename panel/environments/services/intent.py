"""The intent of an environment: locked, changed, counted up, sent; and put back when it can't be made so."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import UUIDField
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import dispatch, events
from panel.audit.services import record
from panel.contract_input import parse_limits
from panel.environments import placement
from panel.environments.kinds import refuse_change
from panel.environments.models import Environment
from panel.environments.options import of_the_node, whole
from panel.environments.selectors import seen_by
from panel.environments.services.checks import refuse_taken_name
from panel.environments.specs import APP_DEADLINE_S, spec_of
from panel.environments.trash import refuse_trashed
from panel.errors import Conflict, Refused, Stale
from panel.operations import services as operations
from panel.operations.models import Operation, OperationKind, SubjectType
from panel.operations.services import Subject
from panel.plans.terms import TrafficAction
from panel.prepared import Given, Prepared
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.selectors import refuse_suspended
from runtime.contract import DesiredState, Kind, Limits
from runtime.contract.transport import AGAIN

#: Fields of the intent that cancelling or a failed update puts back.
INTENT = (
    "desired_state",
    "intent",
    "name",
    "kernel",
    "boots",
    "follows_plan",
    "plan_version_id",
)


_LOCKED = Prepared(
    lambda: (
        Environment.objects.living()
        .select_related("tenant", "node", "plan_version__plan")
        .select_for_update(of=("self",))
        .filter(pk=Given("pk", UUIDField()))
    )
)


class TrafficUsedUp(Refused):
    code = "traffic_used_up"
    status = 403

    def __init__(self, environment: Environment) -> None:
        version = environment.plan_version
        amount = version.parsed_allowances.traffic_gb if version is not None else None
        super().__init__(
            _("Its traffic of %(amount)s GB for this month is used up, so it stays stopped.")
            % {"amount": f"{amount or 0:g}"},
            next_step=_("It runs again when the month is over, or at once with a plan that has more traffic."),
        )


@dataclass(frozen=True)
class Changed:
    """What a change hands back: the row, the operation (None: the node has nothing to do), and a secret."""

    environment: Environment
    operation: Operation | None
    root_password: str | None = None
    """Made by the panel; shown once and kept nowhere."""
    new: "New | None" = None
    """Of one that was made just now: all that belongs to it, so that nobody has to look."""
    left_plan: str = ""
    """Slug of the plan that it follows no more since this change."""


@dataclass(frozen=True)
class New:
    shown: Mapping[str, Any]
    """What features show of it."""
    tags: Sequence[str]


#: Changes that make it run.
_STARTING = (OperationKind.START, OperationKind.RESTART, OperationKind.RESUME, OperationKind.RESCUE)
#: Changes that what is being deleted, or whose tenant is suspended, may see.
_ENDING = (OperationKind.DELETE, OperationKind.TRASH)
#: Changes that one in the trash may see.
_OF_TRASH = (*_ENDING, OperationKind.UNDELETE)
#: Changes the intent of a locked row; says what was asked for.
Mutation = Callable[[Environment], dict[str, Any]]


def change(
    actor: Actor,
    environment_id: UUID,
    permission: Permission,
    kind: OperationKind,
    mutate: Mutation,
    *,
    retry_of: Operation | None = None,
    even_deleting: bool = False,
    version: int | None = None,
) -> Changed:
    """Lock, check, mutate, count up the generation, open an operation, audit, send after the commit.

    `version`: what the asker has read; `Stale` when it was changed since.
    """
    with counting_refusals(), transaction.atomic():
        environment = locked(actor, environment_id)
        actor.require(permission, environment)
        refuse_stale(environment, version)
        refuse_change(environment.kind, kind)
        if kind not in _ENDING:
            refuse_suspended(environment.tenant)
        if environment.desired_state == DesiredState.DELETED and not even_deleting:
            raise Conflict(_("This environment is being deleted."), code="deleting")
        if kind not in _OF_TRASH:
            refuse_trashed(environment)
        if kind in (*_ENDING, OperationKind.REINSTALL):
            refuse_protected(environment)
        if kind in _STARTING and environment.traffic_state == TrafficAction.SUSPEND:
            raise TrafficUsedUp(environment)
        before = intent_of(environment)
        known, was = audited(environment), _for_node(environment)
        text = environment.description
        environment.stop_within_s = None
        details = mutate(environment)
        if retry_of is None and _is_so_already(environment, kind, was):
            if audited(environment) != known or environment.description != text:
                _save_own(actor, environment, known, text)
            return Changed(environment, None)
        operation = advance(actor, environment, kind, details=details, before=before, retry_of=retry_of)
        changed_from, changed_to = difference(known, audited(environment))
        record(
            actor,
            f"environment.{kind}",
            tenant_id=environment.tenant_id,
            target=environment,
            before=changed_from,
            after=changed_to,
            operation_id=operation.pk,
        )
    return Changed(environment, operation)


#: Kinds that ask for a state, and nothing else.
_STATES = frozenset({OperationKind.START, OperationKind.STOP, OperationKind.PAUSE, OperationKind.RESUME})


def _for_node(environment: Environment) -> dict[str, Any]:
    """Of a row all that its node hears of, and what follows from it."""
    names = (
        "name",
        "kernel",
        "desired_state",
        "image",
        "boots",
        "installs",
        "ssh_keys",
        "credentials_revision",
    )
    of_plan = {"plan": environment.plan_version_id, "follows": environment.follows_plan}
    own = {name: getattr(environment, name) for name in names}
    return {**own, **of_plan, **of_the_node(environment.intent), "traffic": environment.traffic_state}


def _is_so_already(environment: Environment, kind: OperationKind, was: Mapping[str, Any]) -> bool:
    """Whether a change makes no difference to the node; a state counts only where it was reported."""
    if kind == OperationKind.UPDATE:
        return _for_node(environment) == was
    is_there = environment.is_settled and environment.observed_state == environment.desired_state
    return kind in _STATES and is_there and not environment.code and _for_node(environment) == was


def _save_own(actor: Actor, environment: Environment, known: dict[str, Any], text: str) -> None:
    """What is the panel's own: the node has nothing to do."""
    environment.version += 1
    environment.save(update_fields=["description", "intent", "version", "changed_at"])
    before, after = difference(known, audited(environment))
    if environment.description != text:
        before, after = {**before, "description": text}, {**after, "description": environment.description}
    record(
        actor,
        "environment.update",
        tenant_id=environment.tenant_id,
        target=environment,
        before=before,
        after=after,
    )
    announce(environment)


def advance(
    actor: Actor | None,
    environment: Environment,
    kind: OperationKind,
    *,
    details: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
    retry_of: Operation | None = None,
) -> Operation:
    """The next generation of a locked row: saved with its operation, sent after the commit."""
    is_undo = bool(details and details.get("undoes"))
    priority = operations.admit(None if is_undo else actor, environment.tenant_id)
    environment.generation += 1
    environment.sent_at, environment.send_attempts = timezone.now(), 1
    operation = operation_for(actor, environment, kind, details=details, before=before, retry_of=retry_of)
    environment.operation_id = operation.pk
    save_intent(environment)
    operation.save(force_insert=True)
    dispatch.apply_on_commit(spec_of(environment), priority=priority, if_lost=lambda: note_unsent(environment))
    operations.announce(operation)
    announce(environment)
    return operation


def operation_for(actor: Actor | None, environment: Environment, kind: OperationKind, **more: Any) -> Operation:
    """A pending one for the current generation of a row. The caller saves both, and its id there."""
    subject = Subject(
        SubjectType.ENVIRONMENT, str(environment.pk), environment.name, environment.tenant_id, environment.pk
    )
    within = operations.DEADLINE + timedelta(seconds=environment.stop_timeout_s)
    if environment.kind == Kind.APP:
        within += timedelta(seconds=APP_DEADLINE_S)
    generation = environment.generation
    return operations.open_operation(actor, subject, kind, generation=generation, within=within, **more)


def save_intent(environment: Environment) -> None:
    """Write the first half only: the second is `observe`'s."""
    environment.version += 1
    try:
        with transaction.atomic():
            environment.save(
                update_fields=[
                    *(name.removesuffix("_id") for name in INTENT),
                    "stop_within_s",
                    "plan_problem",
                    "plan_tried_at",
                    "traffic_state",
                    "trashed_at",
                    "trash_ends_at",
                    "trash",
                    "description",
                    "version",
                    "generation",
                    "ssh_keys",
                    "secrets",
                    "root_password_hash",
                    "credentials_revision",
                    "installs",
                    "image",
                    "keep_old_root",
                    "operation_id",
                    "sent_at",
                    "send_attempts",
                    "changed_at",
                ]
            )
    except IntegrityError as error:
        refuse_taken_name(environment.tenant, environment.name)
        raise Conflict(_("Another change got in between."), next_step=_("Try again.")) from error


def locked(actor: Actor, environment_id: UUID) -> Environment:
    """The row, locked until the transaction ends; `NotFound` for strangers and for what is gone."""
    return seen_by(actor, _LOCKED.first(pk=environment_id))


def refuse_stale(environment: Environment, version: int | None) -> None:
    """Raises `Stale` when a locked row isn't the version (None: any) that its asker has read."""
    if version is not None and version != environment.version:
        raise Stale


def refuse_protected(environment: Environment) -> None:
    """Raises `Conflict` for what somebody protects from being lost."""
    if environment.intent.get("protected"):
        raise Conflict(
            _("%(name)s is protected: it is neither deleted nor reinstalled, and its disk isn't made smaller.")
            % {"name": environment.name},
            code="protected",
            next_step=_("Take its protection off first, in its settings."),
        )


def move_reservation(
    environment: Environment, old: Limits, new: Limits, *, even_above_limit: bool = False
) -> None:
    before, after = quotas.amounts_of(old), quotas.amounts_of(new)
    deltas = {r: after[r] - before[r] for r in after}
    quotas.change(environment.tenant, deltas, even_above=even_above_limit)
    placement.take(
        environment.node,
        after[Resource.CPU] - before[Resource.CPU],
        new.memory_mb - old.memory_mb,
        new.disk_mb - old.disk_mb,
        placed=0,
        even_above=even_above_limit,
    )


def restore_intent(environment: Environment, before: Mapping[str, Any], *, is_wanted: bool = False) -> None:
    """Put the intent of a locked row back to `before`, reservations included. The caller saves.

    `is_wanted`: somebody asks for it, and gets no more than there is room for (`QuotaExceeded`, `NoRoom`). Else
    it is what the node has in any case.
    """
    limits = before.get("intent", {}).get("limits", environment.limits)
    if limits != environment.limits:
        old = parse_limits(limits)
        move_reservation(environment, environment.contract_limits(), old, even_above_limit=not is_wanted)
    for field in INTENT:
        if field in before:
            value = before[field]
            setattr(environment, field, UUID(value) if field == "plan_version_id" and value else value)


def intent_of(environment: Environment) -> dict[str, Any]:
    values = {field: getattr(environment, field) for field in INTENT}
    values["plan_version_id"] = str(values["plan_version_id"]) if values["plan_version_id"] else None
    return values


def announce(environment: Environment) -> None:
    events.publish("environment", environment.pk, environment.tenant_id, generation=environment.generation)


def resend(environment: Environment) -> None:
    """The same intent again, as it is now; for the resync."""
    dispatch.apply_on_commit(spec_of(environment), priority=AGAIN, if_lost=lambda: note_unsent(environment))


def note_unsent(environment: Environment) -> None:
    """The broker was away: the resync sends it as soon as it is back, without any wait."""
    rows = Environment.objects.filter(pk=environment.pk, generation=environment.generation)
    rows.update(sent_at=None, send_attempts=0)


def audited(environment: Environment) -> dict[str, Any]:
    """What the audit shows of the intent: no secret, keys as a count."""
    return {
        "name": environment.name,
        "image": environment.image,
        "kind": environment.kind,
        "kernel": environment.kernel,
        "desired_state": str(environment.desired_state),
        **whole(environment.intent),
        "app": _audited_app(environment.intent.get("app")),
        "ssh_keys": len(environment.ssh_keys),
        "credentials_revision": environment.credentials_revision,
    }


def _audited_app(app: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Of its variables and files the names: what they hold may be secret."""
    if app is None:
        return None
    return {**app, "env": sorted(app["env"]), "files": sorted(app.get("files", ()))}


def difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    changed = [key for key in after if before.get(key) != after[key]]
    return {k: before.get(k) for k in changed}, {k: after[k] for k in changed}
