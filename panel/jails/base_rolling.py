"""An update of bases, step by step: each takes the row from one state to the next, whichever worker takes it.

One jail after the other: it is told of its build and starts anew where it runs; once it is well the next one
has its turn. One that doesn't become well takes all back to what they were on.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from panel import events, words
from panel.audit.services import record
from panel.clock.services import AHEAD
from panel.environments.models import Environment
from panel.environments.services.intent import advance, intent_of
from panel.environments.states import has_failed
from panel.jails.models import OPEN, BaseUpdate, BaseUpdateState
from panel.operations import services as operations
from panel.operations.models import Operation, OperationKind, OperationState
from panel.tenants.models import TenantState
from runtime.contract import DesiredState, ObservedState
from runtime.contract.said import NOTHING, Said

#: A jail that isn't well by then never is.
_WELL_WITHIN = timedelta(minutes=15)
#: It has to run for so long.
_STAYS_FOR = timedelta(seconds=3)


def step(update_id: UUID) -> bool:
    """One step; False where it waits for something, or has ended."""
    with transaction.atomic():
        row = _locked(update_id)
        if row is None:
            return False
        moved = _next(row)
        if moved:
            row.save()
            events.publish("jails", row.pk, row.tenant_id)
    return moved


def _locked(update_id: UUID) -> BaseUpdate | None:
    rows = BaseUpdate.objects.select_for_update(of=("self",)).select_related("tenant", "operation")
    return rows.filter(pk=update_id, state__in=(BaseUpdateState.ROLLING, BaseUpdateState.BACK)).first()


def _next(row: BaseUpdate) -> bool:
    if not row.todo:
        _end(row)
        return True
    environment = at_hand(row, lock=True)
    if environment is None:
        _go_on(row)
        return True
    return (_settle if row.is_asked else _tell)(row, environment)


def at_hand(row: BaseUpdate, *, lock: bool = False) -> Environment | None:
    """The jail whose turn it is; None where it is gone meanwhile."""
    rows = Environment.objects.in_use().select_related("tenant", "node", "plan_version__plan")
    return (rows.select_for_update(of=("self",)) if lock else rows).filter(pk=row.todo[0]).first()


def _go_on(row: BaseUpdate) -> None:
    row.todo, row.is_asked, row.since, row.proven = row.todo[1:], False, timezone.now(), 0


def wanted_of(row: BaseUpdate, environment: Environment) -> str:
    builds = row.before if row.state == BaseUpdateState.BACK else row.after
    return str(builds.get(str(environment.pk), ""))


def _tell(row: BaseUpdate, environment: Environment) -> bool:
    if environment.tenant.state == TenantState.SUSPENDED:
        return _went_wrong(row, environment, "its tenant is suspended")
    before, build = intent_of(environment), wanted_of(row, environment)
    environment.intent = {**environment.intent, "jail": {**environment.intent["jail"], "build": build}}
    environment.boots += environment.desired_state != DesiredState.STOPPED
    told = {"build": build, "update": str(row.operation_id)}
    operation = advance(None, environment, OperationKind.UPDATE, details=told, before=before)
    record(
        None,
        "environment.update",
        tenant_id=environment.tenant_id,
        target=environment,
        after={"jail.build": build},
        operation_id=operation.pk,
    )
    row.generation, row.is_asked, row.since = environment.generation, True, timezone.now()
    return True


def _settle(row: BaseUpdate, environment: Environment) -> bool:
    assert row.since is not None
    jail = environment.wanted.jail
    if environment.generation != row.generation and (jail is None or jail.build != wanted_of(row, environment)):
        return _went_wrong(row, environment, "somebody else changed it meanwhile")
    if environment.attempted_generation >= row.generation and has_failed(environment):
        return _went_wrong(row, environment, str(environment.message) or "it could not be updated")
    if timezone.now() > row.since + _WELL_WITHIN:
        return _went_wrong(row, environment, "it was not well in time")
    if not is_up(row, environment) or is_to_be_proven(row, environment):
        return False
    _go_on(row)
    return True


def is_up(row: BaseUpdate, environment: Environment) -> bool:
    """It was brought about, and runs since a moment where it is to run."""
    assert row.since is not None
    if environment.observed_generation < row.generation or not environment.is_settled or environment.code:
        return False
    if environment.desired_state == DesiredState.STOPPED:
        return environment.observed_state == ObservedState.STOPPED
    if environment.desired_state == DesiredState.PAUSED:
        return environment.observed_state == ObservedState.PAUSED
    now, began = timezone.now(), environment.started_at
    if environment.observed_state != ObservedState.RUNNING or began is None:
        return False
    return now >= (row.since if began > now + AHEAD else max(began, row.since)) + _STAYS_FOR


def is_to_be_proven(row: BaseUpdate, environment: Environment) -> bool:
    """Whether the command has to end well in it. Not on the way back."""
    runs = environment.desired_state == DesiredState.RUNNING
    return bool(row.command) and runs and row.state == BaseUpdateState.ROLLING and row.proven != row.generation


def prove(update_id: UUID, jail_id: UUID, generation: int, problem: str) -> None:
    """How the command ended in the jail that was at hand then; empty: well."""
    with transaction.atomic():
        row = _locked(update_id)
        if row is None or row.generation != generation or row.todo[:1] != [str(jail_id)]:
            return
        environment = at_hand(row, lock=True)
        if problem and environment is not None:
            _went_wrong(row, environment, problem)
        else:
            row.proven = generation
        row.save()


def _went_wrong(row: BaseUpdate, environment: Environment, why: str) -> bool:
    """All that were updated go back, the one at hand first. On the way back the next one is gone on with."""
    if row.state == BaseUpdateState.BACK:
        _go_on(row)
        return True
    go_back(row, f"{environment.name}: {why}")
    return True


def go_back(row: BaseUpdate, why: str) -> None:
    """From wherever a locked one is."""
    row.problem = why[:400]
    if row.state == BaseUpdateState.CHECKING:
        row.state, row.todo = BaseUpdateState.FAILED, []
        finish(row, OperationState.CANCELLED)
        return
    at_hand_ = row.todo[:1] if row.is_asked else []
    row.state, row.todo = BaseUpdateState.BACK, [*at_hand_, *reversed(row.updated)]
    row.is_asked, row.since = False, timezone.now()


def _end(row: BaseUpdate) -> None:
    if row.state == BaseUpdateState.ROLLING:
        row.state = BaseUpdateState.DONE
        finish(row, OperationState.SUCCEEDED)
        return
    row.state = BaseUpdateState.FAILED
    is_cancelled = row.operation.code == "cancelling"
    finish(row, OperationState.CANCELLED if is_cancelled else OperationState.FAILED)


def finish(row: BaseUpdate, state: OperationState, message: Said | None = None) -> None:
    operation = Operation.objects.select_for_update().get(pk=row.operation_id)
    if state == OperationState.SUCCEEDED:
        operations.close(operation, state, message=message or NOTHING)
    else:
        said = message or words.bases_went_back(row.problem)
        operations.close(operation, state, code="rolled_back", message=said, is_retryable=False)
    record(
        None,
        "bases.updated",
        tenant_id=row.tenant_id,
        target=row,
        after={"image": row.image, "state": str(state), "why": row.problem},
        operation_id=operation.pk,
    )


def unfinished() -> Sequence[UUID]:
    return list(BaseUpdate.objects.filter(state__in=OPEN).values_list("pk", flat=True))
