"""Bringing a plan's new version to the environments that follow it, one transaction each."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F, Max, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from panel.audit.services import record
from panel.environments.models import Environment
from panel.environments.services.change import take_version
from panel.environments.services.intent import advance, intent_of
from panel.errors import Refused
from panel.operations.models import OperationKind
from panel.plans import rules
from panel.plans.models import Plan, PlanVersion
from panel.queue import app
from runtime.contract import DesiredState

log = structlog.get_logger()

ROLL = "panel.roll_plans"
#: One that couldn't be given the new version is tried again after this long.
RETRY_AFTER = timedelta(hours=1)
_MOST_PER_TICK = 200


def followers(plan: Plan | None = None) -> QuerySet[Environment]:
    """Environments that follow a plan (this one, or any). One in the trash does so again when it is back."""
    rows = Environment.objects.in_use().exclude(desired_state=DesiredState.DELETED)
    if plan is not None:
        rows = rows.filter(plan_version__plan=plan)
    return rows.filter(follows_plan=True, plan_version__isnull=False)


def behind() -> QuerySet[Environment]:
    """Followers that are not on the newest version of their plan."""
    newest = (
        PlanVersion.objects.filter(plan=OuterRef("plan_version__plan"))
        .order_by()
        .values("plan")
        .annotate(top=Max("number"))
        .values("top")
    )
    return followers().annotate(newest=Subquery(newest)).filter(plan_version__number__lt=F("newest"))


def roll_on_commit(plan: Plan) -> None:
    """Begin at once; the beat goes on with what is left or was lost."""

    def send() -> None:
        try:
            app.send_task(ROLL, retry=False)
        except Exception as error:  # the broker is away: the beat does it
            log.warning("plan not sent", plan=plan.slug, error=type(error).__name__)

    transaction.on_commit(send, robust=True)


def roll(most: int = _MOST_PER_TICK) -> int:
    """Give the newest version to followers that are behind; how many got it."""
    now = timezone.now()
    due = behind().filter(Q(plan_tried_at=None) | Q(plan_tried_at__lt=now - RETRY_AFTER) | Q(plan_problem=""))
    done = 0
    for pk in list(due.order_by(F("plan_tried_at").asc(nulls_first=True)).values_list("pk", flat=True)[:most]):
        try:
            done += follow(pk)
        except Refused as refusal:
            Environment.objects.filter(pk=pk).update(plan_problem=refusal.message[:400], plan_tried_at=now)
    return done


def follow(environment_id: UUID) -> bool:
    """The newest version of its plan for one environment, live. False: it has it already.

    Raises `Refused` when it doesn't fit: the environment stays on its version.
    """
    with transaction.atomic():
        row = (
            followers()
            .select_related("tenant", "node", "plan_version__plan")
            .select_for_update(of=("self",))
            .filter(pk=environment_id)
            .first()
        )
        if row is None or row.plan_version is None:
            return False
        version = rules.newest(row.plan_version.plan_id)
        if version is None or version.number <= row.plan_version.number:
            return False
        before: dict[str, Any] = intent_of(row)
        old_limits, old_number = row.limits, row.plan_version.number
        undo = take_version(row, version)
        row.plan_problem, row.plan_tried_at = "", timezone.now()
        operation = advance(
            None,
            row,
            OperationKind.UPDATE,
            details={"plan": version.plan.slug, "version": version.number, **undo},
            before=before,
        )
        record(
            None,
            "environment.follow_plan",
            tenant_id=row.tenant_id,
            target=row,
            before={"version": old_number, "limits": old_limits},
            after={"version": version.number, "limits": row.limits},
            operation_id=operation.pk,
        )
    return True
