"""What is there though nobody wants it, and the reverse: a node's survey laid beside the panel's rows."""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from django.db.models import F
from django.utils import timezone

from panel.environments.models import Environment
from panel.environments.observe import LOST, note_lost
from panel.fleet import answers
from panel.nodes.models import Node
from panel.said import read
from runtime.contract import NodeReport, Survey

#: What was made, changed or deleted a moment ago may be on one side only.
SETTLE = timedelta(seconds=30)
#: A node that is behind for longer than this is worth a look.
BEHIND = timedelta(seconds=60)


@dataclass
class Findings:
    """Plain values, as they are kept in the node's row."""

    at: str = ""
    leaks: list[dict[str, Any]] = field(default_factory=list)
    """`resource`, `what`, `environment_id`: objects with the node's mark that no wanted environment owns."""
    lacking: list[dict[str, Any]] = field(default_factory=list)
    """`environment_id`, `name`, `why`: not as wanted; the node mends these by itself."""
    unknown: list[str] = field(default_factory=list)
    """Ids of environments that the node has and the panel doesn't."""
    lost: list[dict[str, Any]] = field(default_factory=list)
    """`environment_id`, `name`: environments that the panel has there and the node doesn't."""

    @property
    def looked_at(self) -> datetime | None:
        return datetime.fromisoformat(self.at) if self.at else None

    @property
    def count(self) -> int:
        return len(self.leaks) + len(self.unknown) + len(self.lost)


def compare(node: Node, survey: Survey) -> Findings:
    """Also marks as failed what the node has lost: its disk is gone, whatever the row said."""
    known = set(survey.known)
    rows = {row.pk: row for row in Environment.objects.filter(node=node, pk__in=known)}
    quiet = survey.at - SETTLE
    gone = [pk for pk in known if pk not in rows or _was_deleted(rows[pk], quiet)]
    lost = list(
        Environment.objects.living()
        .filter(node=node, observed_generation__gt=0, heard_at__lt=quiet, desired_state__in=_KEPT)
        .exclude(pk__in=known)
    )
    note_lost(row for row in lost if row.code != LOST)
    names = {str(pk): row.name for pk, row in rows.items()}
    return Findings(
        at=survey.at.isoformat(),
        leaks=[one.model_dump(mode="json") for one in survey.leaks],
        lacking=[
            {**one.model_dump(mode="json"), "name": names.get(str(one.environment_id), "")}
            for one in survey.lacking
        ],
        unknown=sorted(str(pk) for pk in gone),
        lost=[{"environment_id": str(row.pk), "name": row.name} for row in lost],
    )


_KEPT = ("running", "stopped", "paused")


def _was_deleted(row: Environment, before: datetime) -> bool:
    return row.deleted_at is not None and row.deleted_at < before


def findings(node: Node) -> Findings:
    return Findings(**{key: value for key, value in node.found.items() if key in Findings.__annotations__})


def behind(node: Node) -> list[answers.LateEnvironment]:
    """Environments whose newest intent the node has not brought about for a minute, and why."""
    rows = Environment.objects.living().filter(
        node=node, observed_generation__lt=F("generation"), changed_at__lt=timezone.now() - BEHIND
    )
    return [
        {
            "environment_id": str(row.pk),
            "name": row.name,
            "generation": row.generation,
            "observed_generation": row.observed_generation,
            "why": row.message,
        }
        for row in rows.order_by("changed_at")[:200]
    ]


def show(node: Node) -> answers.NodeLeaks:
    """As the API gives it."""
    found = cast("answers.NodeLeaks", asdict(findings(node)))
    lacking: list[answers.LackingEnvironment] = [
        {**one, "why": str(read(one["why"]))} for one in found["lacking"]
    ]
    return {**found, "lacking": lacking, "behind": behind(node)}


def take_in(node: Node, report: NodeReport) -> None:
    """What a survey found, into the node's row, which is about to be saved."""
    if report.survey is not None:
        node.found = asdict(compare(node, report.survey))
