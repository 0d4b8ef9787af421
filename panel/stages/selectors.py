"""How a stage is shown."""

from panel.stages import answers
from panel.stages.models import Rollout, Stage
from panel.stages.rolling import copies_of, is_well, running_image

_MOST_VERSIONS = 20


def show(row: Stage) -> answers.Stage:
    newest = row.rollouts.first()
    return {
        "id": str(row.pk),
        "tenant": str(row.tenant_id),
        "line": row.line,
        "name": row.name,
        "place": row.place,
        "needs_health": row.needs_health,
        "needs_yes": row.needs_yes,
        "command": row.command,
        "drain_s": row.drain_s,
        "copies": [
            {
                "environment": str(one.pk),
                "environment_name": one.name,
                "image": running_image(one),
                "is_well": is_well(one),
            }
            for one in copies_of(row)
        ],
        "versions": [
            {
                "number": one.number,
                "image": one.image,
                "came_from": one.came_from,
                "who": one.who_name,
                "at": one.at.isoformat(),
                "operation": str(one.operation_id) if one.operation_id else None,
            }
            for one in row.versions.all()[:_MOST_VERSIONS]
        ],
        "rollout": _rollout(newest) if newest is not None else None,
        "created_at": row.created_at.isoformat(),
    }


def _rollout(row: Rollout) -> answers.Rollout:
    return {
        "operation": str(row.operation_id),
        "image": row.image,
        "state": row.state,
        "todo": len(row.todo),
        "approved_by": row.approved_by,
        "problem": row.problem,
    }
