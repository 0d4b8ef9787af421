"""Which message to the panel tells of a job."""

from collections.abc import Hashable
from datetime import UTC, datetime
from typing import Any

from runtime.clock import sequence
from runtime.contract import PANEL_OBSERVE_JOB, JobReport, JobSpec
from runtime.contract.words import jobs
from runtime.node import Node


def waiting(node: Node, spec: JobSpec) -> JobReport:
    """It was taken in, and another one about the same is at work."""
    return JobReport(
        node=node.name,
        id=spec.id,
        about=spec.about,
        operation_id=spec.operation_id,
        sequence=sequence(node),
        at=datetime.now(UTC),
        message=jobs.waiting_for_another(),
    )


def message_of(report: JobReport) -> tuple[Hashable, str, dict[str, Any]] | None:
    """Key (of messages with the same one only the newest waits while the panel is away), task and document;
    None of a job that the panel didn't ask for."""
    if report.operation_id is None:
        return None
    return ("job", report.id), PANEL_OBSERVE_JOB, report.model_dump(mode="json")
