"""A rollout, step by step: each takes the row from one state to the next, whichever worker takes it.

One copy after another: it gets no new request, those under way have their time, it is replaced, and once it
runs and is well it gets requests again. One that doesn't become well takes all back to what they ran.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from panel import events, words
from panel.audit.services import record
from panel.clock.services import AHEAD
from panel.domains import table
from panel.domains.models import DomainTarget
from panel.environments.models import Environment
from panel.environments.services.intent import advance, intent_of
from panel.environments.states import Healthiness, has_failed
from panel.operations import services as operations
from panel.operations.models import Operation, OperationKind, OperationState
from panel.stages.models import OPEN, Phase, Rollout, RolloutState, Stage, StageVersion
from panel.tenants.models import TenantState
from runtime.contract import DesiredState, ObservedState, Reference, Rescue
from runtime.contract.said import Said

#: A copy that isn't well by then never is.
_WELL_WITHIN = timedelta(minutes=15)
#: One without a health check has so long to take connections.
_STARTS_WITHIN = timedelta(seconds=3)
#: Of one stage; older ones are forgotten.
MOST_VERSIONS = 100


def running_image(environment: Environment) -> str:
    """With the digest that its node found; empty while that isn't known."""
    digest = (environment.app or {}).get("digest")
    if not digest:
        return ""
    known = Reference.parse(environment.image)
    return f"{known.name}@{digest}"


def step(rollout_id: UUID) -> bool:
    """One step; False where it waits for something, or has ended."""
    with transaction.atomic():
        rows = Rollout.objects.select_for_update(of=("self",)).select_related("stage__tenant", "operation")
        row = rows.filter(pk=rollout_id, state__in=(RolloutState.ROLLING, RolloutState.BACK)).first()
        if row is None:
            return False
        moved = _next(row)
        if moved:
            row.save()
            events.publish("stage", row.stage_id, row.stage.tenant_id)
    if moved and row.phase in (Phase.REPLACE, Phase.DRAIN):
        table.write()  # who is taken out of the front is out before anything else happens
    return moved


def _next(row: Rollout) -> bool:
    if not row.todo:
        _end(row)
        return True
    environment = (
        Environment.objects.select_related("tenant", "node", "plan_version__plan")
        .select_for_update(of=("self",))
        .filter(pk=row.todo[0])
        .first()
    )
    if environment is None or environment.deleted_at is not None or environment.trashed_at is not None:
        return _skip(row)
    return {Phase.DRAIN: _drain, Phase.REPLACE: _replace, Phase.SETTLE: _settle}[Phase(row.phase)](
        row, environment
    )


def _skip(row: Rollout) -> bool:
    """One that was deleted meanwhile has nothing to replace."""
    row.todo, row.phase, row.phase_at = row.todo[1:], Phase.DRAIN, timezone.now()
    return True


def wanted_of(row: Rollout, environment: Environment) -> str:
    is_back = row.state == RolloutState.BACK
    return str(row.before.get(str(environment.pk), "")) if is_back else row.image


def _drain(row: Rollout, environment: Environment) -> bool:
    """Where nobody else is behind the name, new requests wait in the front until it is there again."""
    DomainTarget.objects.filter(environment=environment).update(is_drained=True)
    row.phase, row.phase_at = Phase.REPLACE, timezone.now()
    return True


def _replace(row: Rollout, environment: Environment) -> bool:
    assert row.phase_at is not None
    is_drained = DomainTarget.objects.filter(environment=environment, is_drained=True).exists()
    if is_drained and timezone.now() < row.phase_at + timedelta(seconds=row.stage.drain_s):
        return False
    image = wanted_of(row, environment)
    refused = _refused(environment)
    if refused or not image:
        return _went_wrong(row, environment, refused or "what it ran isn't known")
    before = intent_of(environment)
    environment.image = image
    environment.intent = {**environment.intent, "rescue": Rescue.OFF.value}
    environment.installs += 1
    environment.keep_old_root = False
    environment.desired_state = DesiredState.RUNNING
    environment.credentials_revision += 1
    told = {"image": image, "keep_old": False, "rollout": str(row.operation_id)}
    operation = advance(None, environment, OperationKind.REINSTALL, details=told, before=before)
    record(
        None,
        "environment.reinstall",
        tenant_id=environment.tenant_id,
        target=environment,
        after={"image": image},
        operation_id=operation.pk,
    )
    row.generation = environment.generation
    row.phase, row.phase_at = Phase.SETTLE, timezone.now()
    return True


def _refused(environment: Environment) -> str:
    if environment.tenant.state == TenantState.SUSPENDED:
        return "its tenant is suspended"
    return "it is protected" if environment.intent.get("protected") else ""


def _settle(row: Rollout, environment: Environment) -> bool:
    assert row.phase_at is not None
    now = timezone.now()
    if environment.generation != row.generation and environment.image != wanted_of(row, environment):
        return _went_wrong(row, environment, "somebody else changed it meanwhile")
    if environment.attempted_generation >= row.generation and has_failed(environment):
        return _went_wrong(row, environment, environment.message or "it could not be replaced")
    if now > row.phase_at + _WELL_WITHIN:
        return _went_wrong(row, environment, "it was not well in time")
    if environment.observed_generation < row.generation:
        return False  # what is known of its health is of what it ran before
    if environment.healthiness is Healthiness.UNHEALTHY:
        return _went_wrong(row, environment, "it did not become healthy")
    if not is_well(environment):
        return False
    if environment.health is None and not _has_had_its_time(environment.started_at, row.phase_at, now):
        return False
    DomainTarget.objects.filter(environment=environment).update(is_drained=False)
    digest, asked = (environment.app or {}).get("digest"), Reference.parse(row.image)
    if row.state == RolloutState.ROLLING and digest and not asked.digest:
        # what the tag meant to the first copy it means to the others, and to who comes back to this version
        row.image = str(replace(asked, digest=digest))
    row.todo, row.phase, row.phase_at = row.todo[1:], Phase.DRAIN, now
    return True


def _has_had_its_time(started_at: datetime | None, since: datetime, now: datetime) -> bool:
    """A start that lies ahead is of a clock that was set back, or its node's goes wrong: it says nothing."""
    if started_at is None:
        return False
    began = since if started_at > now + AHEAD else max(started_at, since)
    return now >= began + _STARTS_WITHIN


def is_well(environment: Environment) -> bool:
    """It runs, and says that it is healthy where anybody asks."""
    if environment.observed_state != ObservedState.RUNNING or not environment.is_settled or environment.code:
        return False
    return environment.healthiness in (None, Healthiness.HEALTHY)


def _went_wrong(row: Rollout, environment: Environment, why: str) -> bool:
    """All that were replaced go back, the one at hand first. On the way back the next one is gone on with."""
    DomainTarget.objects.filter(environment=environment, is_drained=True).update(is_drained=False)
    if row.state == RolloutState.BACK:
        return _skip(row)
    row.problem = f"{environment.name}: {why}"[:400]
    done = [pk for pk in row.before if pk not in row.todo]
    at_hand = [str(environment.pk)] if row.phase == Phase.SETTLE else []
    row.state, row.todo = RolloutState.BACK, [*at_hand, *reversed(done)]
    row.phase, row.phase_at = Phase.DRAIN, timezone.now()
    return True


def go_back(row: Rollout, why: str) -> None:
    """Somebody takes a locked one back."""
    row.problem = why[:400]
    if row.state in (RolloutState.CHECKING, RolloutState.WAITING):
        row.state, row.todo = RolloutState.FAILED, []
        finish(row, OperationState.CANCELLED)
        return
    done = [pk for pk in row.before if pk not in row.todo]
    at_hand = row.todo[:1] if row.phase == Phase.SETTLE else []
    for pk in row.todo[:1]:
        DomainTarget.objects.filter(environment=pk, is_drained=True).update(is_drained=False)
    row.state, row.todo = RolloutState.BACK, [*at_hand, *reversed(done)]
    row.phase, row.phase_at = Phase.DRAIN, timezone.now()


def _end(row: Rollout) -> None:
    if row.state == RolloutState.BACK:
        row.state = RolloutState.FAILED
        is_cancelled = row.operation.code == "cancelling"
        finish(
            row,
            OperationState.CANCELLED if is_cancelled else OperationState.FAILED,
            words.went_back(row.problem),
        )
        return
    row.state = RolloutState.DONE
    number = row.number
    if number is None:
        newest = row.stage.versions.order_by("-number").values_list("number", flat=True).first()
        number = (newest or 0) + 1
    StageVersion.objects.create(
        stage=row.stage,
        number=number,
        image=row.image,
        came_from=row.source.name if row.source else "",
        who_name=row.operation.who_name,
        operation_id=row.operation_id,
    )
    forget_versions(row.stage)
    finish(row, OperationState.SUCCEEDED)


def forget_versions(stage: Stage) -> None:
    """All but the newest."""
    kept = list(stage.versions.values_list("pk", flat=True)[:MOST_VERSIONS])
    stage.versions.exclude(pk__in=kept).delete()


def finish(row: Rollout, state: OperationState, message: Said | None = None) -> None:
    operation = Operation.objects.select_for_update().get(pk=row.operation_id)
    if state == OperationState.SUCCEEDED:
        operations.close(operation, state)
    else:
        operations.close(
            operation,
            state,
            code="rolled_back",
            message=message or words.went_back(row.problem),
            is_retryable=False,
        )
    record(
        None,
        "stage.rolled",
        tenant_id=row.stage.tenant_id,
        target=row.stage,
        after={"image": row.image, "state": str(state), "why": row.problem},
        operation_id=operation.pk,
    )


def unfinished() -> Sequence[UUID]:
    return list(Rollout.objects.filter(state__in=OPEN).values_list("pk", flat=True))


def copies_of(stage: Stage) -> list[Environment]:
    rows = Environment.objects.in_use().filter(stage_copy__stage=stage).select_related("tenant", "node")
    return list(rows.order_by("stage_copy__pk"))
