"""Which message to the panel tells of a job."""

from collections.abc import Hashable
from typing import Any

from runtime.contract import PANEL_OBSERVE_IMAGE, BuildImage, DeleteImage, JobReport, JobSpec
from runtime.jobs.images import report_of


def message_of(spec: JobSpec, report: JobReport) -> tuple[Hashable, str, dict[str, Any]] | None:
    """Key (of messages with the same one only the newest waits while the panel is away), task and document;
    None when nobody wants to hear of it."""
    work = spec.work
    if isinstance(work, BuildImage | DeleteImage):
        image = report_of(report, work.image)
        return ("image", image.name), PANEL_OBSERVE_IMAGE, image.model_dump(mode="json")
    return None
