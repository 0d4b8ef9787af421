"""Reports of jobs, and mending what a lost message left behind."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from celery import shared_task
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from panel import words
from panel.database_retry import until_stored
from panel.jobs import observe as observing
from panel.jobs import services
from panel.jobs.models import Job
from panel.nodes.models import SILENT_AFTER
from panel.nodes.sealed import from_node
from panel.operations import services as operations
from panel.operations.models import OPEN_STATES, Operation, OperationState
from runtime.contract import PANEL_OBSERVE_JOB, JobReport
from runtime.contract.transport import AGAIN

log = structlog.get_logger()

#: First wait before a job is sent again; it doubles with each attempt up to the longest. A node keeps in its
#: files what it has taken in, and tells how a job that it is asked for again has ended.
RESEND_AFTER, RESEND_AT_MOST = timedelta(seconds=4), timedelta(seconds=600)
_MOST_PER_TICK = 500


@shared_task(name=PANEL_OBSERVE_JOB)
@until_stored
@from_node(PANEL_OBSERVE_JOB, JobReport)
def observe(report: JobReport) -> None:
    observing.observe(report)


@shared_task(name="panel.jobs")
def look_after() -> None:
    """Sends again what no node has said the end of, and ends operations that nobody will end."""
    resend()
    end_overdue()


def resend() -> int:
    """Jobs that their node has not ended, and that nothing was heard of lately. How many."""
    now = timezone.now()
    waiting = (
        Job.objects.filter(is_over=False, node__last_seen_at__gt=now - SILENT_AFTER)
        .select_related("node")
        .order_by(F("sent_at").asc(nulls_first=True))[:_MOST_PER_TICK]
    )
    sent = 0
    for job in waiting:
        if not _is_due(job, now):
            continue
        with transaction.atomic():
            claimed = Job.objects.filter(pk=job.pk, is_over=False, send_attempts=job.send_attempts).update(
                sent_at=now, send_attempts=F("send_attempts") + 1
            )
            if claimed:
                services.send(job, AGAIN)
                sent += 1
    return sent


def _is_due(job: Job, now: datetime) -> bool:
    if job.sent_at is None:
        return True
    wait = min(RESEND_AFTER * 2 ** min(max(job.send_attempts - 1, 0), 8), RESEND_AT_MOST)
    times = [at for at in (job.sent_at, job.heard_at) if at is not None and at <= now + RESEND_AT_MOST]
    return not times or max(times) <= now - wait


def end_overdue() -> int:
    """Operations past their deadline have failed, with the likeliest cause. How many."""
    now = timezone.now()
    overdue = Operation.objects.filter(state__in=OPEN_STATES, deadline__lt=now, jobs__isnull=False)
    ended = 0
    for pk in list(overdue.order_by().values_list("pk", flat=True).distinct()[:_MOST_PER_TICK]):
        with transaction.atomic():
            rows = Job.objects.select_for_update(of=("self",)).filter(operation=pk, is_over=False)
            ended += _give_up(pk, list(rows.select_related("node").order_by("pk")), now)
    return ended


def _give_up(operation_id: UUID, waiting: Sequence[Job], now: datetime) -> int:
    """It is asked on: when the nodes do it after all, the operation says so."""
    operation = Operation.objects.select_for_update().get(pk=operation_id)
    if not operation.is_open:
        return 0
    silent = next((job.node for job in waiting if not job.node.is_online(now)), None)
    if silent is None:
        code, message, next_step = "deadline_passed", words.node_late(), words.try_again_or_ask()
    else:
        code, message = "node_silent", words.node_silent(silent.name)
        next_step = words.when_the_node_is_back()
    operations.close(operation, OperationState.FAILED, code=code, message=message, next_step=next_step)
    return 1
