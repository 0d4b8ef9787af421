"""What a node says of an environment."""

from datetime import UTC, datetime
from typing import Any

from panel.environments.models import Environment
from runtime.contract import (
    ObservedState,
    Report,
)


def report_of(row: Environment, sequence: int, **fields: Any) -> Report:
    values: dict[str, Any] = {
        "node": row.node.name,
        "environment_id": row.pk,
        "generation": row.generation,
        "attempted_generation": row.generation,
        "sequence": sequence,
        "at": datetime.now(UTC),
        "state": ObservedState.RUNNING,
    }
    return Report(**{**values, **fields})
