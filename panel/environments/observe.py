"""Taking in what a node saw: the only writer of the second half of an environment's row."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from panel import events
from panel.audit.services import record
from panel.environments import services
from panel.environments.models import Environment, EnvironmentUsage
from panel.networks import services as networks
from panel.networks.models import Address, PortForward
from panel.nodes import placement
from panel.nodes.models import Node
from panel.operations import services as operations
from panel.operations.models import Operation, OperationKind, OperationState
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from runtime.contract import DesiredState, ObservedState, Report, Usage, UsageReport

log = structlog.get_logger()

_OBSERVED = [
    "observed_state",
    "observed_generation",
    "attempted_generation",
    "observed_sequence",
    "observed_at",
    "is_at_work",
    "code",
    "message",
    "next_step",
    "init_pid",
    "started_at",
    "restarts",
    "exit_code",
    "oom_kills",
]
#: Cause of a report about work that was dropped for a newer intent: says nothing about that intent.
_SUPERSEDED = "superseded"


def observe(report: Report) -> bool:
    """Write down a report; False when it was stale, or about something that isn't on that node."""
    with transaction.atomic():
        environment = (
            Environment.objects.select_related("tenant", "node")
            .select_for_update(of=("self",))
            .filter(pk=report.environment_id)
            .first()
        )
        if environment is None or environment.deleted_at is not None:
            return False
        if environment.node.name != report.node:
            log.warning(
                "report about another node's environment refused",
                node=report.node,
                environment=str(report.environment_id),
            )
            return False
        if report.sequence <= environment.observed_sequence:
            return False
        _take_in(environment, report)
        if _is_gone(environment, report):
            _finish_deletion(environment)
        else:
            environment.save(update_fields=_OBSERVED)
        _move_operations(environment, report)
        events.publish(
            "environment",
            environment.pk,
            environment.tenant_id,
            generation=environment.generation,
            sequence=report.sequence,
            state=str(environment.state),
        )
    return True


def _take_in(environment: Environment, report: Report) -> None:
    environment.observed_sequence = report.sequence
    environment.observed_at = report.at
    environment.observed_state = report.state
    environment.observed_generation = report.generation
    environment.attempted_generation = max(report.attempted_generation, report.generation)
    environment.is_at_work = not report.final
    environment.init_pid = report.init_pid
    environment.started_at = report.started_at
    environment.restarts = report.restarts
    environment.exit_code = report.exit_code
    environment.oom_kills = report.oom_kills
    is_old_news = report.code == _SUPERSEDED
    environment.code = "" if is_old_news else report.code
    environment.message = "" if is_old_news else report.message
    environment.next_step = "" if is_old_news else report.next_step


def _is_gone(environment: Environment, report: Report) -> bool:
    return (
        report.state is ObservedState.DELETED
        and report.final
        and environment.desired_state == DesiredState.DELETED
        and report.generation >= environment.generation
    )


def _finish_deletion(environment: Environment) -> None:
    """Nothing is left on the node: give everything back, keep the row for its history and its slot's rest."""
    limits = environment.contract_limits()
    amounts = quotas.amounts_of(limits)
    addresses = Address.objects.filter(environment=environment, released_at=None, family=4).count()
    forwards = PortForward.objects.filter(environment=environment).count()
    quotas.release(environment.tenant, {**amounts, Resource.ADDRESSES: addresses, Resource.FORWARDS: forwards})
    placement.take(environment.node, -amounts[Resource.CPU], -limits.memory_mb, -limits.disk_mb, placed=-1)
    networks.release_all(environment)
    EnvironmentUsage.objects.filter(environment=environment).delete()
    environment.deleted_at = timezone.now()
    environment.ssh_keys = []
    environment.root_password_hash = ""
    environment.save(update_fields=[*_OBSERVED, "deleted_at", "ssh_keys", "root_password_hash"])


def _move_operations(environment: Environment, report: Report) -> None:
    """Those that the node has brought about have succeeded; the one it gave up on has failed."""
    attempted = max(report.attempted_generation, report.generation)
    for operation in operations.open_operations(environment):
        is_reported = operation.pk == report.operation_id
        if is_reported:
            _take_steps(operation, report)
        if operation.generation <= report.generation and (report.final or not is_reported):
            operations.close(operation, OperationState.SUCCEEDED)
        elif operation.generation <= attempted and report.final and report.code and report.code != _SUPERSEDED:
            _fail(environment, operation, report)
        elif is_reported:
            operation.save(update_fields=["state", "started_at", "steps"])
            operations.announce(operation)


def _take_steps(operation: Operation, report: Report) -> None:
    operation.steps = [step.model_dump(mode="json") for step in report.steps]
    if operation.state == OperationState.PENDING:
        operation.state = OperationState.RUNNING
    if operation.started_at is None:
        operation.started_at = min((step.started_at for step in report.steps), default=report.at)


def _fail(environment: Environment, operation: Operation, report: Report) -> None:
    operations.close(
        operation,
        OperationState.FAILED,
        code=report.code,
        message=report.message,
        next_step=report.next_step,
        is_retryable=report.retryable,
    )
    if operation.kind == OperationKind.UPDATE and operation.generation == environment.generation:
        _go_back(environment, operation)


def _go_back(environment: Environment, failed: Operation) -> None:
    """A change that the node refused is taken back, so that the row says what is really so.

    Not when the change undid another itself: two that fail in turn would go on for ever.
    """
    if failed.details.get("undoes") or not failed.before:
        return
    services.restore_intent(environment, failed.before)
    services.advance(
        None,
        environment,
        OperationKind.UPDATE,
        details={"undoes": str(failed.pk)},
        before={},
    )
    record(
        None,
        "environment.revert",
        tenant_id=environment.tenant_id,
        target=environment,
        after={"limits": environment.limits, "because": failed.code},
        operation_id=failed.pk,
    )


# use ----------------------------------------------------------------------------------------------


def observe_usage(report: UsageReport) -> int:
    """Keep the newest use of each environment of that node; tells each tenant once. How many were kept."""
    node = Node.objects.filter(name=report.node).first()
    if node is None:
        return 0
    tenants: dict[UUID, UUID] = dict(
        Environment.objects.living()
        .filter(node=node, pk__in=[u.environment_id for u in report.usages])
        .values_list("pk", "tenant_id")
    )
    before = EnvironmentUsage.objects.in_bulk(list(tenants))
    rows = [
        _row(usage, before.get(usage.environment_id), report.at)
        for usage in report.usages
        if usage.environment_id in tenants and not _is_older(before.get(usage.environment_id), report.at)
    ]
    fields = [f.name for f in EnvironmentUsage._meta.concrete_fields if not f.primary_key]
    with transaction.atomic():
        EnvironmentUsage.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["environment"], update_fields=fields
        )
        _announce(rows, tenants, report)
    return len(rows)


def _is_older(before: EnvironmentUsage | None, at: datetime) -> bool:
    return before is not None and before.at >= at


def _row(usage: Usage, before: EnvironmentUsage | None, at: datetime) -> EnvironmentUsage:
    row = EnvironmentUsage(at=at, **usage.model_dump())
    if before is not None:
        seconds = (at - before.at).total_seconds()
        row.cpu = _rate(usage.cpu_ns, before.cpu_ns, seconds) / 1e9
        row.network_in_bit_s = _rate(usage.network_in_bytes, before.network_in_bytes, seconds) * 8
        row.network_out_bit_s = _rate(usage.network_out_bytes, before.network_out_bytes, seconds) * 8
    return row


def _rate(now: int, before: int, seconds: float) -> float:
    """Per second; a counter that began anew counts from zero."""
    return (now - before if now >= before else now) / seconds if seconds > 0 else 0.0


def _announce(rows: Iterable[EnvironmentUsage], tenants: dict[UUID, UUID], report: UsageReport) -> None:
    """The values themselves, in short: a bar that moves isn't worth a request per environment."""
    by_tenant: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        short = {
            "cpu": round(row.cpu, 3),
            "memory_bytes": row.memory_bytes,
            "disk_bytes": row.disk_bytes,
            "processes": row.processes,
            "network_in_bit_s": round(row.network_in_bit_s),
            "network_out_bit_s": round(row.network_out_bit_s),
        }
        by_tenant.setdefault(tenants[row.environment_id], {})[str(row.environment_id)] = short
    for tenant_id, usages in by_tenant.items():
        events.publish("usage", report.node, tenant_id, at=report.at.isoformat(), usages=usages)
