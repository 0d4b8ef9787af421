"""Taking in what nodes say of their jobs."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from panel import words
from panel.jobs.kinds import kind_of
from panel.jobs.models import Job
from panel.operations import services as operations
from panel.operations.models import CANCELLING, Operation, OperationState
from runtime.contract import JobOutcome, JobReport
from runtime.contract.said import NOTHING

log = structlog.get_logger()

#: Nothing newer for so long: a lower count of the node is a new beginning, not an old message.
_DEAF_AFTER = timedelta(seconds=60)
#: Of all jobs of one operation together.
_MOST_STEPS = 200


def observe(report: JobReport) -> bool:
    """False when it was stale, or about a job that this node wasn't asked for."""
    with transaction.atomic():
        operation = Operation.objects.filter(jobs=report.id).first()
        if operation is None:
            return False
        kind = kind_of(operation)
        kind.hold(operation)
        # all of them, since two nodes may tell the last of one operation at the same time
        rows = Job.objects.select_for_update(of=("self",)).filter(operation=operation)
        jobs = list(rows.select_related("node").order_by("pk"))
        job = next(one for one in jobs if one.pk == report.id)
        if job.node.name != report.node:
            log.warning("report about another node's job refused", node=report.node, job=str(report.id))
            return False
        now = timezone.now()
        if job.is_over or not _is_news(job, report, now):
            return False
        job.sequence, job.heard_at, job.is_over = report.sequence, now, report.outcome is not None
        job.said = report.model_dump(mode="json")
        job.save(update_fields=["sequence", "heard_at", "is_over", "said"])
        kind.reported(job, report)
        _move(Operation.objects.select_for_update().get(pk=operation.pk), _united(jobs, report))
    return True


def _united(jobs: Sequence[Job], report: JobReport) -> JobReport:
    """One report of all jobs of an operation: at work until the last has ended, and failed when one has."""
    if len(jobs) == 1:
        return report
    said = [one for one in (job.report for job in jobs) if one is not None]
    outcome = None
    if all(job.is_over for job in jobs):
        order = (JobOutcome.FAILED, JobOutcome.CANCELLED, JobOutcome.SUCCEEDED)
        outcome = min((one.outcome for one in said if one.outcome), key=order.index)
    told = next((one for one in said if outcome is not None and one.outcome is outcome), report)
    steps = tuple(step for one in said for step in one.steps)[:_MOST_STEPS]
    progress = sum(one.progress for one in said) / len(jobs)
    return told.model_copy(update={"outcome": outcome, "steps": steps, "progress": progress})


def _is_news(job: Job, report: JobReport, now: datetime) -> bool:
    is_deaf = job.heard_at is not None and job.heard_at < now - _DEAF_AFTER
    return report.sequence > job.sequence or (is_deaf and report.sequence != job.sequence)


def _move(operation: Operation, report: JobReport) -> None:
    if not operation.is_open:
        if report.outcome is JobOutcome.SUCCEEDED:
            operations.close_late(operation)
        return
    _take_steps(operation, report)
    operation.save(update_fields=["state", "started_at", "deadline", "steps", "progress", "doing"])
    if report.outcome is None:
        operations.announce(operation)
    elif report.outcome is JobOutcome.CANCELLED:
        who = str(operation.details.get("cancelled_by", "wadah"))
        operations.close(operation, OperationState.CANCELLED, code="cancelled", message=words.cancelled(who))
    elif report.outcome is JobOutcome.FAILED:
        operations.close(
            operation,
            OperationState.FAILED,
            code=report.code or "failed",
            message=report.message,
            next_step=report.next_step,
            is_retryable=report.retryable,
        )
    else:
        operations.close(operation, OperationState.SUCCEEDED)


def _take_steps(operation: Operation, report: JobReport) -> None:
    """The node's deadline counts from where it began: who waited for his turn has his time from then on."""
    if report.steps:
        operation.steps = [step.model_dump(mode="json") for step in report.steps]
        operation.state = OperationState.RUNNING
    if operation.started_at is None and report.steps:
        operation.started_at = min(step.started_at for step in report.steps)
        operation.deadline = max(operation.deadline, _deadline_from(operation))
    operation.progress = report.progress
    operation.doing = NOTHING if report.code else report.message
    if operation.code != CANCELLING:
        operation.message = NOTHING


def _deadline_from(operation: Operation) -> datetime:
    return timezone.now() + (operation.deadline - operation.created_at)
