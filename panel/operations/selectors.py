"""Reads of operations."""

from typing import Any, cast

from panel.operations import answers
from panel.operations.models import Operation, SubjectType
from panel.said import read


def show(row: Operation) -> answers.Operation:
    return {**show_listed(row), "steps": [cast("answers.Step", _step(one)) for one in row.steps]}


def _step(kept: dict[str, Any]) -> dict[str, Any]:
    """Those of a node have a detail, those of a stack's work none."""
    return {**kept, "detail": str(read(kept["detail"]))} if "detail" in kept else kept


def show_listed(row: Operation) -> answers.ListedOperation:
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "state": row.state,
        "subject": {"type": row.subject_type, "id": row.subject_id, "name": row.subject_name},
        "environment": str(row.environment_id) if row.environment_id else None,
        "environment_name": row.subject_name if row.subject_type == SubjectType.ENVIRONMENT else "",
        "tenant": str(row.tenant_id) if row.tenant_id else None,
        "who": row.who_name,
        "from": row.from_where,
        "generation": row.generation,
        "created_at": row.created_at.isoformat(),
        "started_at": row.started_at.isoformat() if row.started_at else None,
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
        "deadline": row.deadline.isoformat(),
        "progress": row.progress,
        "doing": row.doing,
        "details": row.details,
        "code": row.code,
        "message": row.message,
        "next_step": row.next_step,
        "is_retryable": row.is_retryable,
        "retry_of": str(row.retry_of_id) if row.retry_of_id else None,
    }
