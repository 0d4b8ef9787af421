"""Taking in what a node saw: the only writer of the second half of an environment's row."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import UUIDField
from django.utils import timezone

from panel import events, words
from panel.audit.services import record
from panel.environments import placement, secret_values, services, trash
from panel.environments.features import FEATURES
from panel.environments.models import Environment, EnvironmentUsage
from panel.environments.options import at_start
from panel.environments.services.intent import announce
from panel.operations import services as operations
from panel.operations.models import Operation, OperationKind, OperationState
from panel.prepared import Given, Prepared, PreparedUpdate
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.said import read
from runtime.contract import DesiredState, ObservedState, Report
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import steps, ways

log = structlog.get_logger()

_OBSERVED = [
    "observed_state",
    "observed_generation",
    "attempted_generation",
    "observed_sequence",
    "observed_at",
    "heard_at",
    "is_at_work",
    "code",
    "message",
    "next_step",
    "init_pid",
    "started_at",
    "restarts",
    "exit_code",
    "oom_kills",
    "held",
    "app",
]
#: Nothing newer for so long: a lower count of the node is a new beginning, not an old message.
DEAF_AFTER = timedelta(seconds=60)
#: Cause that the panel finds itself: the node has no record of an environment that it had.
LOST = "lost_on_node"
#: Told of an operation that succeeded: what was asked to shut down didn't, and was killed.
FORCED = "forced"
#: Likewise: keys or a password that were taken let nobody in.
NO_WAY_IN = "no_way_in"
_SHUT = frozenset(one(NOTHING).code for one in (ways.keys_let_nobody_in, ways.password_lets_nobody_in))
#: Cause of a report about work that was dropped for a newer intent: says nothing about that intent.
_SUPERSEDED = "superseded"
#: Causes that tell how an init ended by itself: nobody gave up on what was asked for because of it.
_ENDS = frozenset({"init_crashed", "out_of_memory", "halted_inside", "app_done", "app_ended", "unhealthy"})

_OBSERVED_ONE = Prepared(
    lambda: (
        Environment.objects.select_related("tenant", "node")
        .select_for_update(of=("self",))
        .filter(pk=Given("pk", UUIDField()))
    )
)


_WRITE = PreparedUpdate.of_row(Environment, _OBSERVED)


def observe(report: Report) -> bool:
    """Write down a report; False when it was stale, or about something that isn't on that node."""
    with transaction.atomic():
        environment = _OBSERVED_ONE.first(pk=report.environment_id)
        if environment is None or environment.deleted_at is not None:
            return False
        if environment.node.name != report.node:
            log.warning(
                "report about another node's environment refused",
                node=report.node,
                environment=str(report.environment_id),
            )
            return False
        now = timezone.now()
        if not _is_news(environment, report, now):
            return False
        environment.heard_at = now
        _take_in(environment, report)
        _note_events(environment, report)
        if _is_gone(environment, report):
            _finish_deletion(environment)
        else:
            _WRITE.run(pk=environment.pk, **{name: getattr(environment, name) for name in _OBSERVED})
        for feature in FEATURES:
            feature.reported(environment, report)
        trash.settle(environment, report)
        if environment.secrets and environment.is_settled and secret_values.prune(environment):
            environment.save(update_fields=["secrets"])
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


def _is_news(environment: Environment, report: Report, now: datetime) -> bool:
    """By the node's own count. One whose count began anew (made anew, its clock set back) isn't left unheard:
    after a minute without anything newer it is believed again."""
    if report.sequence > environment.observed_sequence:
        return True
    is_deaf = environment.heard_at is None or environment.heard_at < now - DEAF_AFTER
    is_same = report.sequence == environment.observed_sequence
    return is_deaf and not is_same and report.generation >= environment.observed_generation


def _take_in(environment: Environment, report: Report) -> None:
    environment.observed_sequence = report.sequence
    environment.observed_at = report.at
    environment.observed_state = report.state
    environment.observed_generation = report.generation
    environment.attempted_generation = _attempted(report)
    environment.is_at_work = not report.final
    if report.started_at is not None and report.started_at != environment.started_at:
        environment.held = at_start(_intent_at(environment, report.generation))
    environment.init_pid = report.init_pid
    environment.started_at = report.started_at
    environment.restarts = report.restarts
    environment.exit_code = report.exit_code
    environment.oom_kills = report.oom_kills
    if report.app is not None:
        environment.app = report.app.model_dump(mode="json")
    is_old_news = report.code == _SUPERSEDED
    environment.code = "" if is_old_news else report.code
    environment.message = NOTHING if is_old_news else report.message
    environment.next_step = NOTHING if is_old_news else report.next_step


def _intent_at(environment: Environment, generation: int) -> dict[str, Any]:
    """The document that the node started it by; of an older generation as the next change found it."""
    if generation < environment.generation:
        newer = Operation.objects.filter(
            environment=environment, generation__gt=generation, before__has_key="intent"
        )
        next_one = newer.order_by("generation").values_list("before", flat=True).first()
        if next_one is not None:
            found: dict[str, Any] = next_one["intent"]
            return found
    return dict(environment.intent)


def gave_up(report: Report, generation: int) -> bool:
    """Whether the node tried the intent of this generation to its end, and keeps to what was."""
    is_refusal = report.final and bool(report.code) and report.code != _SUPERSEDED
    return is_refusal and _attempted(report) >= generation > report.generation


def _attempted(report: Report) -> int:
    """The newest intent that the node tried to its end. An init that ended meanwhile says nothing of it."""
    tried = report.generation if report.code in _ENDS else report.attempted_generation
    return max(tried, report.generation)


def _note_events(environment: Environment, report: Report) -> None:
    """What happened by itself stays on record: a repair, a kill for lack of memory, a lost console."""
    for event in report.events:
        record(
            None,
            f"environment.{event.code}",
            tenant_id=environment.tenant_id,
            target=environment,
            after={"message": event.message.told(), "at": event.at.isoformat()},
            who=f"node {report.node}",
        )


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
    amounts = trash.held_amounts(environment)
    held: dict[str, int] = {
        resource: n for feature in FEATURES for resource, n in feature.gone(environment).items()
    }
    quotas.release(environment.tenant, {**amounts, **held})
    cpu, memory_mb = amounts.get(Resource.CPU, 0), amounts.get(Resource.MEMORY_MB, 0)
    placement.take(environment.node, -cpu, -memory_mb, -limits.disk_mb, placed=-1)
    EnvironmentUsage.objects.filter(environment=environment).delete()
    environment.deleted_at = timezone.now()
    environment.ssh_keys = []
    environment.secrets = {}
    environment.root_password_hash = ""
    environment.save(update_fields=[*_OBSERVED, "deleted_at", "ssh_keys", "secrets", "root_password_hash"])


def _move_operations(environment: Environment, report: Report) -> None:
    """Those that the node has brought about have succeeded; the one it gave up on has failed."""
    for operation in operations.touched_by(environment.pk, report.generation):
        is_reported = operation.pk == report.operation_id
        if not operation.is_open:
            if report.final:
                operations.close_late(operation)
            continue
        if is_reported:
            _take_steps(operation, report)
        if operation.generation <= report.generation and (report.final or not is_reported):
            _succeed(operation)
            if operation.details.get("undoes"):
                operations.note_undone(operation)
        elif gave_up(report, operation.generation):
            _fail(environment, operation, report)
        elif is_reported:
            operation.save(update_fields=["state", "started_at", "steps"])
            operations.announce(operation)


def _succeed(operation: Operation) -> None:
    """Said with it: that it was ended by force, where it was asked to shut down first; that keys or a password
    that were taken let nobody in."""
    told = list(_told(operation))
    shut = next((one for one in told if one.code in _SHUT), None)
    code, message, next_step = "", NOTHING, NOTHING
    if any(one.code == steps.forced().code for one in told):
        code, message, next_step = FORCED, words.ended_by_force(), words.give_it_longer()
    elif shut is not None:
        code, message, next_step = NO_WAY_IN, words.way_is_shut(shut), words.use_a_terminal()
    operations.close(operation, OperationState.SUCCEEDED, code=code, message=message, next_step=next_step)


def _told(operation: Operation) -> Iterator[Said]:
    """What its steps say, each thing alone."""
    for step in operation.steps:
        detail = read(step.get("detail"))
        yield detail
        parts = detail.values.get("parts", ())
        yield from (one for one in parts if isinstance(one, Said)) if isinstance(parts, tuple) else ()


def _take_steps(operation: Operation, report: Report) -> None:
    if report.steps or not report.final:
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
    if "version" in failed.details:
        environment.plan_problem, environment.plan_tried_at = failed.message[:400], timezone.now()
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


def note_lost(environments: Iterable[Environment]) -> int:
    """Mark those that their node no longer knows, though it had them: made anew, or its records are gone."""
    count = 0
    for one in environments:
        with transaction.atomic():
            row = Environment.objects.select_related("tenant").select_for_update(of=("self",)).get(pk=one.pk)
            if row.code == LOST or row.deleted_at is not None or row.observed_sequence != one.observed_sequence:
                continue
            row.observed_state, row.is_at_work, row.init_pid = ObservedState.FAILED, False, None
            row.code = LOST
            row.message = words.lost_on_node()
            row.next_step = words.start_it_anew()
            row.save(update_fields=_OBSERVED)
            record(None, "environment.lost", tenant_id=row.tenant_id, target=row)
            announce(row)
            count += 1
    return count
