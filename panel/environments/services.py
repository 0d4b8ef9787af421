"""Every change of an environment: one function each, one transaction each, called by pages and API alike."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from panel import dispatch, events
from panel.accounts.actor import Actor
from panel.audit.services import record
from panel.environments import credentials, inputs
from panel.environments.models import Environment, EnvironmentUsage
from panel.environments.specs import spec_of
from panel.errors import Conflict, Invalid, NotFound, QuotaExceeded
from panel.networks import services as networks
from panel.networks.models import Address, PortForward
from panel.nodes import placement
from panel.nodes.agent import Agent
from panel.operations import services as operations
from panel.operations.models import OPEN_STATES, Operation, OperationKind, OperationState
from panel.plans.models import Plan, PlanVersion
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.tenants.models import Tenant, TenantState
from panel.tenants.permissions import Permission
from runtime.contract import DesiredState, Limits

_MIB = 2**20
#: Most addresses of one family that one environment gets.
_MOST_ADDRESSES = 16
#: Fields of the intent that cancelling or a failed update puts back.
_INTENT = (
    "desired_state",
    "limits",
    "network_options",
    "security",
    "restart",
    "stop_timeout_s",
    "name",
    "plan_version_id",
)
#: Operations that can be undone by asking for what was before.
_CANCELLABLE = {
    OperationKind.CREATE,
    OperationKind.UPDATE,
    OperationKind.START,
    OperationKind.STOP,
    OperationKind.PAUSE,
    OperationKind.RESUME,
}


@dataclass(frozen=True)
class Changed:
    """What a change hands back: the row, the operation (None: the node has nothing to do), and a secret."""

    environment: Environment
    operation: Operation | None
    root_password: str | None = None
    """Made by the panel; shown once and kept nowhere."""


# create -------------------------------------------------------------------------------------------


def create_environment(
    actor: Actor,
    tenant: Tenant,
    *,
    name: str,
    image: str,
    limits: Mapping[str, Any] | None = None,
    plan: str = "",
    kind: str = "system",
    kernel: str = "shared",
    description: str = "",
    ssh_keys: Sequence[str] = (),
    root_password: str = "",
    ipv4: int | None = None,
    ipv6: int | None = None,
    network: Mapping[str, Any] | None = None,
    security: Mapping[str, Any] | None = None,
    restart: Mapping[str, Any] | None = None,
    stop_timeout_s: float | None = None,
    is_started: bool = True,
) -> Changed:
    """Reserve, place and ask for a new environment.

    Without SSH key and password a root password is made. Refusals change nothing: `Invalid` for a bad
    value, `QuotaExceeded`, `NoRoom`, `Conflict` for a taken name.
    """
    actor.require(Permission.ENVIRONMENT_CREATE, tenant)
    _refuse_suspended(tenant)
    version, wanted = _limits_for(actor, tenant, limits, plan)
    environment = Environment(
        id=uuid.uuid4(),
        tenant=tenant,
        name=inputs.check_name(name),
        description=_short(description, "description"),
        image=image,
        kind=inputs.check_kind(kind),
        kernel=inputs.check_kernel(kernel),
        plan_version=version,
        limits=wanted.model_dump(mode="json"),
        ssh_keys=credentials.check_ssh_keys(ssh_keys),
        network_options=_network_options(actor, tenant, network),
        security=_security(actor, tenant, security),
        restart=inputs.parse_restart(restart or {}).model_dump(mode="json"),
        stop_timeout_s=_stop_timeout(30.0 if stop_timeout_s is None else stop_timeout_s),
        desired_state=DesiredState.RUNNING if is_started else DesiredState.STOPPED,
        created_by=actor.user,
        credentials_revision=1,
    )
    shown = _set_password(environment, root_password)
    counts = {4: _count(ipv4, "ipv4"), 6: _count(ipv6, "ipv6")}
    with counting_refusals(), transaction.atomic():
        operation = _place_and_save(actor, environment, wanted, counts)
    return Changed(environment, operation, shown)


def _place_and_save(
    actor: Actor, environment: Environment, limits: Limits, counts: dict[int, int | None]
) -> Operation:
    tenant = environment.tenant
    _refuse_taken_name(tenant, environment.name)
    now = timezone.now()
    node = placement.choose(
        placement.candidates_for(environment.image, now),
        kind=inputs.check_kind(environment.kind),
        kernel=inputs.check_kernel(environment.kernel),
        image=environment.image,
        limits=limits,
    )
    pools = networks.pools_of(node)
    wanted = {family: (1 if family in pools else 0) if n is None else n for family, n in counts.items()}
    for family, number in wanted.items():
        if number and family not in pools:
            raise Invalid(f"The node has no IPv{family} network; ask for 0.", field=f"ipv{family}")
    amounts = quotas.amounts_of(limits)
    quotas.reserve(tenant, {**amounts, Resource.ADDRESSES: wanted[4]})
    placement.take(node, amounts[Resource.CPU], limits.memory_mb, limits.disk_mb)
    environment.node = node
    environment.slot = placement.free_slot(node)
    environment.sent_at, environment.send_attempts = now, 1
    pools = networks.pools_of(node) if any(wanted.values()) else {}
    addresses = [
        address
        for family, number in wanted.items()
        if number
        for address in networks.lease(environment, tenant, pools[family], number)
    ]
    operation = operations.open_operation(
        actor,
        environment,
        OperationKind.CREATE,
        details={"image": environment.image, "limits": environment.limits},
        before={"desired_state": DesiredState.DELETED},
    )
    try:
        with transaction.atomic():
            environment.save(force_insert=True)
    except IntegrityError as error:
        _refuse_taken_name(tenant, environment.name)
        raise Conflict("Another change got in between.", next_step="Try again.") from error
    operation.save(force_insert=True)
    Address.objects.bulk_create(addresses)
    record(
        actor,
        "environment.create",
        tenant_id=tenant.pk,
        target=environment,
        after={**_audited(environment), "addresses": [a.address for a in addresses]},
        operation_id=operation.pk,
    )
    dispatch.apply_on_commit(
        spec_of(environment, addresses=addresses, forwards=[], envelope=quotas.envelope_of(tenant.chain))
    )
    announce(environment)
    return operation


def _limits_for(
    actor: Actor, tenant: Tenant, limits: Mapping[str, Any] | None, plan: str
) -> tuple[PlanVersion | None, Limits]:
    """A plan's newest version with `limits` laid over it, or `limits` alone."""
    if not plan:
        if not limits:
            raise Invalid("Give a plan, or limits with cpu, memory_mb and disk_mb.", field="limits")
        return None, inputs.parse_limits(limits)
    found = plan_version(actor, tenant, plan)
    return found, inputs.parse_limits({**found.limits, **(limits or {})})


def plan_version(actor: Actor, tenant: Tenant, plan: str) -> PlanVersion:
    """The newest version of a plan named by slug or id that this tenant may use."""
    plans = Plan.objects.for_actor(actor).filter(retired_at=None)
    found = plans.filter(slug=plan).first()
    if found is None:
        try:
            found = plans.filter(pk=UUID(plan)).first()
        except ValueError:
            found = None
    if found is None or (found.tenant_id is not None and found.tenant_id not in tenant.chain):
        raise Invalid(f"There is no plan {plan[:63]}.", field="plan", code="unknown_plan")
    version = found.versions.order_by("-number").first()
    if version is None:
        raise Invalid(f"The plan {plan[:63]} has no limits yet.", field="plan")
    return version


def _set_password(environment: Environment, root_password: str) -> str | None:
    """Hash the given password, or make one when there is no other way in; what is to be shown."""
    if root_password:
        environment.root_password_hash = credentials.hash_password(credentials.check_password(root_password))
        return None
    if environment.ssh_keys:
        return None
    made = credentials.random_password()
    environment.root_password_hash = credentials.hash_password(made, is_random=True)
    return made


# change -------------------------------------------------------------------------------------------

#: Changes the intent of a locked row; says what was asked for.
Mutation = Callable[[Environment], dict[str, Any]]


def _change(
    actor: Actor,
    environment_id: UUID,
    permission: Permission,
    kind: OperationKind,
    mutate: Mutation,
    *,
    retry_of: Operation | None = None,
    even_deleting: bool = False,
) -> Changed:
    """Lock, check, mutate, count up the generation, open an operation, audit, send after the commit."""
    with counting_refusals(), transaction.atomic():
        environment = locked(actor, environment_id)
        actor.require(permission, environment.tenant)
        if kind != OperationKind.DELETE:
            _refuse_suspended(environment.tenant)
        if environment.desired_state == DesiredState.DELETED and not even_deleting:
            raise Conflict("This environment is being deleted.", code="deleting")
        before = intent_of(environment)
        audited = _audited(environment)
        details = mutate(environment)
        operation = advance(actor, environment, kind, details=details, before=before, retry_of=retry_of)
        record(
            actor,
            f"environment.{kind}",
            tenant_id=environment.tenant_id,
            target=environment,
            **_difference(audited, _audited(environment)),
            operation_id=operation.pk,
        )
    return Changed(environment, operation)


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
    environment.generation += 1
    environment.sent_at, environment.send_attempts = timezone.now(), 1
    operation = operations.open_operation(
        actor, environment, kind, details=details, before=before, retry_of=retry_of
    )
    save_intent(environment)
    operation.save(force_insert=True)
    dispatch.apply_on_commit(spec_of(environment))
    operations.announce(operation)
    announce(environment)
    return operation


def save_intent(environment: Environment) -> None:
    """Write the first half only: the second is `observe`'s."""
    try:
        with transaction.atomic():
            environment.save(
                update_fields=[
                    *_INTENT[:-1],
                    "plan_version",
                    "description",
                    "generation",
                    "ssh_keys",
                    "root_password_hash",
                    "credentials_revision",
                    "boots",
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
        _refuse_taken_name(environment.tenant, environment.name)
        raise Conflict("Another change got in between.", next_step="Try again.") from error


def locked(actor: Actor, environment_id: UUID) -> Environment:
    """The row, locked until the transaction ends; `NotFound` for strangers and for what is gone."""
    try:
        return (
            Environment.objects.for_actor(actor)
            .living()
            .select_related("tenant", "node")
            .select_for_update(of=("self",))
            .get(pk=environment_id)
        )
    except Environment.DoesNotExist as error:
        raise NotFound("This environment") from error


def update_environment(actor: Actor, environment_id: UUID, changes: Mapping[str, Any]) -> Changed:
    """Change what is given and leave the rest; live where the environment runs.

    Takes `name`, `description`, `limits` (in part), `plan`, `ssh_keys`, `network`, `security`, `restart`,
    `stop_timeout_s`. A node that can't make it so (a disk smaller than what is on it) refuses, and the
    row goes back to what was.
    """
    with transaction.atomic():
        environment = locked(actor, environment_id)
        actor.require(Permission.ENVIRONMENT_CHANGE, environment.tenant)
        if set(changes) <= {"description"}:
            return _describe(actor, environment, changes)

    def mutate(row: Environment) -> dict[str, Any]:
        if "name" in changes and changes["name"] != row.name:
            _refuse_taken_name(row.tenant, inputs.check_name(changes["name"]))
            row.name = changes["name"]
        if "description" in changes:
            row.description = _short(changes["description"] or "", "description")
        if changes.get("plan"):
            row.plan_version = plan_version(actor, row.tenant, changes["plan"])
            _resize(row, inputs.parse_limits({**row.plan_version.limits, **(changes.get("limits") or {})}))
        elif changes.get("limits"):
            _resize(row, inputs.parse_limits({**row.limits, **changes["limits"]}))
        if "ssh_keys" in changes:
            actor.require(Permission.ENVIRONMENT_CREDENTIALS, row.tenant)
            row.ssh_keys = credentials.check_ssh_keys(changes["ssh_keys"] or [])
            row.credentials_revision += 1
        if changes.get("network") is not None:
            options = _network_options(actor, row.tenant, changes["network"])
            row.network_options = {**row.network_options, **options}
        if changes.get("security") is not None:
            row.security = _security(actor, row.tenant, {**row.security, **changes["security"]})
        if changes.get("restart") is not None:
            row.restart = inputs.parse_restart({**row.restart, **changes["restart"]}).model_dump(mode="json")
        if changes.get("stop_timeout_s") is not None:
            row.stop_timeout_s = _stop_timeout(changes["stop_timeout_s"])
        return {key: value for key, value in changes.items() if key != "ssh_keys"}

    return _change(actor, environment_id, Permission.ENVIRONMENT_CHANGE, OperationKind.UPDATE, mutate)


def _describe(actor: Actor, environment: Environment, changes: Mapping[str, Any]) -> Changed:
    """Only the panel's own text: the node has nothing to do."""
    text = _short(changes.get("description") or "", "description")
    if text != environment.description:
        before = {"description": environment.description}
        environment.description = text
        environment.save(update_fields=["description", "changed_at"])
        record(
            actor,
            "environment.update",
            tenant_id=environment.tenant_id,
            target=environment,
            before=before,
            after={"description": text},
        )
        announce(environment)
    return Changed(environment, None)


def _resize(environment: Environment, wanted: Limits) -> None:
    """Reserve what is more, give back what is less. `Conflict` when the disk would be below what is used."""
    _refuse_below_used(environment, wanted)
    move_reservation(environment, environment.contract_limits(), wanted)
    environment.limits = wanted.model_dump(mode="json")


def move_reservation(
    environment: Environment, old: Limits, new: Limits, *, even_above_limit: bool = False
) -> None:
    before, after = quotas.amounts_of(old), quotas.amounts_of(new)
    more = {r: after[r] - before[r] for r in after if after[r] > before[r]}
    less = {r: before[r] - after[r] for r in after if after[r] < before[r]}
    if even_above_limit:
        quotas.take_anyway(environment.tenant, more)
    else:
        quotas.reserve(environment.tenant, more)
    quotas.release(environment.tenant, less)
    placement.take(
        environment.node,
        after[Resource.CPU] - before[Resource.CPU],
        new.memory_mb - old.memory_mb,
        new.disk_mb - old.disk_mb,
        placed=0,
    )


def _refuse_below_used(environment: Environment, wanted: Limits) -> None:
    """By the newest report; the node looks again and has the last word."""
    if wanted.disk_mb >= environment.contract_limits().disk_mb:
        return
    usage = EnvironmentUsage.objects.filter(environment=environment).first()
    if usage is not None and usage.disk_bytes > wanted.disk_mb * _MIB:
        used = -(-usage.disk_bytes // _MIB)
        raise Conflict(
            f"{wanted.disk_mb} MB of disk is below the {used} MB in use.",
            code="below_used",
            field="disk_mb",
            next_step=f"Delete files inside first, or ask for at least {used} MB.",
        )


# power --------------------------------------------------------------------------------------------


def start(actor: Actor, environment_id: UUID) -> Changed:
    """Also brings back one that crashed or was halted from inside."""

    def mutate(row: Environment) -> dict[str, Any]:
        row.desired_state = DesiredState.RUNNING
        return {}

    return _change(actor, environment_id, Permission.ENVIRONMENT_POWER, OperationKind.START, mutate)


def stop(actor: Actor, environment_id: UUID, *, timeout_s: float | None = None) -> Changed:
    """Politely until the deadline, then by force. `timeout_s` 0: by force at once."""

    def mutate(row: Environment) -> dict[str, Any]:
        row.desired_state = DesiredState.STOPPED
        if timeout_s is not None:
            row.stop_timeout_s = _stop_timeout(timeout_s)
        return {} if timeout_s is None else {"timeout_s": timeout_s}

    return _change(actor, environment_id, Permission.ENVIRONMENT_POWER, OperationKind.STOP, mutate)


def restart(actor: Actor, environment_id: UUID) -> Changed:
    """Stop, then start; starts one that is stopped."""

    def mutate(row: Environment) -> dict[str, Any]:
        row.desired_state = DesiredState.RUNNING
        row.boots += 1
        return {}

    return _change(actor, environment_id, Permission.ENVIRONMENT_POWER, OperationKind.RESTART, mutate)


def pause(actor: Actor, environment_id: UUID) -> Changed:
    def mutate(row: Environment) -> dict[str, Any]:
        if row.desired_state == DesiredState.STOPPED:
            raise Conflict("It is stopped; only a running environment can be paused.", code="not_running")
        row.desired_state = DesiredState.PAUSED
        return {}

    return _change(actor, environment_id, Permission.ENVIRONMENT_POWER, OperationKind.PAUSE, mutate)


def resume(actor: Actor, environment_id: UUID) -> Changed:
    def mutate(row: Environment) -> dict[str, Any]:
        if row.desired_state != DesiredState.PAUSED:
            raise Conflict("It isn't paused.", code="not_paused")
        row.desired_state = DesiredState.RUNNING
        return {}

    return _change(actor, environment_id, Permission.ENVIRONMENT_POWER, OperationKind.RESUME, mutate)


# what is inside -----------------------------------------------------------------------------------


def reinstall(
    actor: Actor,
    environment_id: UUID,
    *,
    image: str = "",
    keep_old: bool = False,
    root_password: str = "",
) -> Changed:
    """A new root from the image (the same or another); with `keep_old` the old tree is under /old."""
    shown: list[str | None] = [None]

    def mutate(row: Environment) -> dict[str, Any]:
        if image and image != row.image:
            found = placement.candidates_for(image, timezone.now())
            if not any(c.has_image and c.node.pk == row.node_id for c in found):
                raise Invalid(
                    f"The image {image[:64]} is not ready on this environment's node.",
                    field="image",
                    code="unknown_image",
                )
            row.image = image
        row.installs += 1
        row.keep_old_root = keep_old
        row.desired_state = DesiredState.RUNNING
        if root_password or not row.ssh_keys:
            shown[0] = _set_password(row, root_password)
        row.credentials_revision += 1
        return {"image": row.image, "keep_old": keep_old}

    changed = _change(actor, environment_id, Permission.ENVIRONMENT_REINSTALL, OperationKind.REINSTALL, mutate)
    return Changed(changed.environment, changed.operation, shown[0])


def set_credentials(
    actor: Actor,
    environment_id: UUID,
    *,
    ssh_keys: Sequence[str] | None = None,
    root_password: str | None = None,
) -> Changed:
    """New SSH keys (None: as they are) and root password (None: as it is; empty: one is made and shown)."""
    if ssh_keys is None and root_password is None:
        raise Invalid("Give ssh_keys, root_password, or both.", field="root_password")
    shown: list[str | None] = [None]
    checked = None if ssh_keys is None else credentials.check_ssh_keys(ssh_keys)
    hashed = ""
    if root_password is not None:
        if not root_password:
            shown[0] = credentials.random_password()
        text = shown[0] or credentials.check_password(root_password)
        hashed = credentials.hash_password(text, is_random=bool(shown[0]))

    def mutate(row: Environment) -> dict[str, Any]:
        if checked is not None:
            row.ssh_keys = checked
        if hashed:
            row.root_password_hash = hashed
        row.credentials_revision += 1
        return {"ssh_keys": len(row.ssh_keys), "root_password": bool(hashed)}

    changed = _change(
        actor, environment_id, Permission.ENVIRONMENT_CREDENTIALS, OperationKind.CREDENTIALS, mutate
    )
    return Changed(changed.environment, changed.operation, shown[0])


def add_forward(
    actor: Actor,
    environment_id: UUID,
    *,
    protocol: str = "tcp",
    port: int,
    node_port: int | None = None,
    description: str = "",
) -> tuple[PortForward, Operation | None]:
    """Live: no restart."""
    networks.check_forward(protocol, port, node_port)
    made: list[PortForward] = []

    def mutate(row: Environment) -> dict[str, Any]:
        quotas.reserve(row.tenant, {Resource.FORWARDS: 1})
        forward = networks.open_forward(
            row,
            protocol=protocol,
            port=port,
            node_port=node_port,
            description=_short(description, "description", 120),
        )
        made.append(forward)
        return {"add": {"protocol": protocol, "node_port": forward.node_port, "port": port}}

    changed = _change(actor, environment_id, Permission.FORWARD_CHANGE, OperationKind.FORWARDS, mutate)
    return made[0], changed.operation


def remove_forward(actor: Actor, environment_id: UUID, forward_id: UUID) -> Changed:
    def mutate(row: Environment) -> dict[str, Any]:
        forward = PortForward.objects.filter(pk=forward_id, environment=row).first()
        if forward is None:
            raise NotFound("This port forward")
        forward.delete()
        quotas.release(row.tenant, {Resource.FORWARDS: 1})
        return {
            "remove": {
                "protocol": forward.protocol,
                "node_port": forward.node_port,
                "port": forward.port,
            }
        }

    return _change(actor, environment_id, Permission.FORWARD_CHANGE, OperationKind.FORWARDS, mutate)


def execute(
    actor: Actor,
    environment: Environment,
    agent: Agent,
    *,
    command: Sequence[str],
    timeout_s: float,
    stdin: str,
) -> dict[str, Any]:
    """One command as root inside: its exit code and output. Who ran what is recorded, not what it said."""
    actor.require(Permission.ENVIRONMENT_EXEC, environment.tenant)
    _refuse_suspended(environment.tenant)
    with transaction.atomic():
        record(
            actor,
            "environment.exec",
            tenant_id=environment.tenant_id,
            target=environment,
            after={"command": " ".join(command)[:400]},
        )
    return agent.execute(environment.pk, list(command), user=actor.name, timeout_s=timeout_s, stdin=stdin)


# end ----------------------------------------------------------------------------------------------


def delete_environment(actor: Actor, environment_id: UUID) -> Changed:
    """Ask the node to leave nothing. Quota, name and forwards are free when it has. Asked again: a no-op."""
    with transaction.atomic():
        environment = locked(actor, environment_id)
        actor.require(Permission.ENVIRONMENT_DELETE, environment.tenant)
        if environment.desired_state == DesiredState.DELETED:
            current = Operation.objects.filter(
                environment=environment, kind=OperationKind.DELETE, state__in=OPEN_STATES
            ).first()
            if current is not None:
                return Changed(environment, current)

    def mutate(row: Environment) -> dict[str, Any]:
        row.desired_state = DesiredState.DELETED
        return {}

    return _change(
        actor,
        environment_id,
        Permission.ENVIRONMENT_DELETE,
        OperationKind.DELETE,
        mutate,
        even_deleting=True,
    )


# operations ---------------------------------------------------------------------------------------


def retry_operation(actor: Actor, operation_id: UUID) -> Changed:
    """Ask for the same once more. Only a failed or cancelled operation, and only while nothing is open."""
    operation = Operation.objects.get_for(actor, operation_id)
    actor.require(Permission.OPERATION_CONTROL, operation.tenant)
    if operation.is_open:
        raise Conflict("It is still at work; it can be cancelled.", code="still_open")
    if operation.state != OperationState.FAILED:
        raise Conflict(
            f"It has {operation.state}; only a failed operation can be tried again.", code="not_failed"
        )
    if operation.environment_id is None:
        raise Conflict("Its environment is gone.", code="gone")

    def mutate(row: Environment) -> dict[str, Any]:
        if operation.kind == OperationKind.UPDATE and operation.details.get("limits"):
            _resize(row, inputs.parse_limits({**row.limits, **operation.details["limits"]}))
        return dict(operation.details)

    permission = {
        OperationKind.DELETE: Permission.ENVIRONMENT_DELETE,
        OperationKind.REINSTALL: Permission.ENVIRONMENT_REINSTALL,
    }.get(OperationKind(operation.kind), Permission.OPERATION_CONTROL)
    return _change(
        actor,
        operation.environment_id,
        permission,
        OperationKind(operation.kind),
        mutate,
        retry_of=operation,
        even_deleting=operation.kind == OperationKind.DELETE,
    )


def cancel_operation(actor: Actor, operation_id: UUID) -> Changed:
    """Stop the work by asking for what was before: the node drops what it is at for the newer intent.

    A cancelled create is deleted. Deleting, reinstalling and restarting can't be taken back.
    """
    with transaction.atomic():
        operation = Operation.objects.select_related("tenant").get_for(actor, operation_id)
        actor.require(Permission.OPERATION_CONTROL, operation.tenant)
        if operation.environment_id is None:
            raise Conflict("Its environment is gone.", code="gone")
        environment = locked(actor, operation.environment_id)
        operation = Operation.objects.select_for_update().get(pk=operation_id)
        if not operation.is_open:
            raise Conflict(f"It has {operation.state} already.", code="not_open")
        if operation.kind not in _CANCELLABLE:
            raise Conflict(f"To {operation.get_kind_display()} can't be taken back.", code="not_cancellable")
        if environment.generation != operation.generation:
            raise Conflict(
                "A newer change of this environment is under way; cancel that one.", code="not_newest"
            )
        restore_intent(environment, operation.before)
        kind = OperationKind.DELETE if operation.kind == OperationKind.CREATE else OperationKind.UPDATE
        operations.close(
            operation,
            OperationState.CANCELLED,
            code="cancelled",
            message=f"Cancelled by {actor.name}.",
        )
        undo = advance(actor, environment, kind, details={"undoes": str(operation.pk)}, before=operation.before)
        record(
            actor,
            "operation.cancel",
            tenant_id=environment.tenant_id,
            target=operation,
            target_name=str(operation),
            operation_id=undo.pk,
        )
    return Changed(environment, undo)


def restore_intent(environment: Environment, before: Mapping[str, Any]) -> None:
    """Put the intent of a locked row back to `before`, reservations included. The caller saves."""
    if "limits" in before and before["limits"] != environment.limits:
        old = inputs.parse_limits(before["limits"])
        move_reservation(environment, environment.contract_limits(), old, even_above_limit=True)
    for field in _INTENT:
        if field in before:
            value = before[field]
            setattr(environment, field, UUID(value) if field == "plan_version_id" and value else value)


def push_tenant(tenant_ids: Iterable[UUID], kind: OperationKind | None = None) -> None:
    """A new intent for every environment of these tenants: suspension or a quota changed what all get."""
    rows = (
        Environment.objects.living()
        .filter(tenant_id__in=list(tenant_ids))
        .exclude(desired_state=DesiredState.DELETED)
        .select_related("tenant", "node")
        .select_for_update(of=("self",))
    )
    for environment in rows:
        default = (
            OperationKind.SUSPEND if environment.tenant.state == TenantState.SUSPENDED else OperationKind.UPDATE
        )
        advance(None, environment, kind or default)


# shared -------------------------------------------------------------------------------------------


class counting_refusals:
    """Counts a quota's refusal after the transaction inside was rolled back."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, QuotaExceeded):
            quotas.count_hit(error)


def intent_of(environment: Environment) -> dict[str, Any]:
    values = {field: getattr(environment, field) for field in _INTENT}
    values["plan_version_id"] = str(values["plan_version_id"]) if values["plan_version_id"] else None
    return values


def announce(environment: Environment) -> None:
    events.publish("environment", environment.pk, environment.tenant_id, generation=environment.generation)


def resend(environment: Environment) -> None:
    """The same intent again, as it is now; for the resync."""
    dispatch.apply_on_commit(spec_of(environment))


def _audited(environment: Environment) -> dict[str, Any]:
    """What the audit shows of the intent: no secret, keys as a count."""
    return {
        "name": environment.name,
        "image": environment.image,
        "kind": environment.kind,
        "kernel": environment.kernel,
        "desired_state": str(environment.desired_state),
        "limits": environment.limits,
        "network": environment.network_options,
        "security": environment.security,
        "restart": environment.restart,
        "ssh_keys": len(environment.ssh_keys),
        "credentials_revision": environment.credentials_revision,
    }


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, Any]]:
    changed = [key for key in after if before.get(key) != after[key]]
    return {"before": {k: before.get(k) for k in changed}, "after": {k: after[k] for k in changed}}


def _refuse_suspended(tenant: Tenant) -> None:
    if tenant.state == TenantState.SUSPENDED:
        raise Conflict(
            "This tenant is suspended; nothing of it can be started or changed.", code="tenant_suspended"
        )


def _refuse_taken_name(tenant: Tenant, name: str) -> None:
    if Environment.objects.living().filter(tenant=tenant, name=name).exists():
        raise Conflict(
            f"There is an environment named {name} already.",
            code="name_taken",
            field="name",
            next_step="Choose another name.",
        )


def _network_options(actor: Actor, tenant: Tenant, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Opening port 25 and private ranges is the provider's decision."""
    options = inputs.check_network_options(values or {})
    if options.get("allow_private") or options.get("allow_smtp"):
        actor.require(Permission.SECURITY_MANAGE, tenant)
    return options


def _security(actor: Actor, tenant: Tenant, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Lifting parts of the confinement is the provider's decision."""
    profile = inputs.parse_security(values or {})
    if profile.nesting or profile.firewall or profile.compat32:
        actor.require(Permission.SECURITY_MANAGE, tenant)
    return profile.model_dump(mode="json")


def _stop_timeout(value: float) -> float:
    if not 0 <= value <= 600:
        raise Invalid("stop_timeout_s is 0 to 600 seconds.", field="stop_timeout_s")
    return value


def _count(value: int | None, field: str) -> int | None:
    if value is not None and not 0 <= value <= _MOST_ADDRESSES:
        raise Invalid(f"{field} is 0 to {_MOST_ADDRESSES} addresses.", field=field)
    return value


def _short(text: str, field: str, most: int = 400) -> str:
    if len(text) > most or "\0" in text:
        raise Invalid(f"At most {most} characters, and no NUL.", field=field)
    return text
