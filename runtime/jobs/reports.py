"""Which message to the panel tells of a job."""

from collections.abc import Hashable
from typing import Any

from runtime.contract import PANEL_OBSERVE_JOB, JobReport


def message_of(report: JobReport) -> tuple[Hashable, str, dict[str, Any]] | None:
    """Key (of messages with the same one only the newest waits while the panel is away), task and document;
    None of a job that the panel didn't ask for."""
    if report.operation_id is None:
        return None
    return ("job", report.id), PANEL_OBSERVE_JOB, report.model_dump(mode="json")
