"""A process inside a node's namespaces that answers, for each line read, what the kernel holds. Root.

    python -m tests.faults.support.observer HOME

One JSON line per answer: `{"environments": {id: {...}}, "leaks": [...], "missing": {...}, "busy": [...]}`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from runtime.engine import Engine
from runtime.known import known_environments
from runtime.node import Node
from runtime.prepare import enter
from runtime.state import Records


def _one(engine: Engine, records: Records) -> dict[str, Any] | None:
    spec, state = records.wanted(), records.state()
    if spec is None:
        return None
    observed, pid = engine.observe(records.id)
    with records.try_lock() as free:
        busy = not free
    return {
        "name": spec.name,
        "state": observed.value,
        "pid": pid,
        "desired": spec.desired.value,
        "generation": spec.generation,
        "applied": state.applied,
        "code": state.code,
        "busy": busy,
        "limits": {"memory_mb": spec.limits.memory_mb, "disk_mb": spec.limits.disk_mb},
        "resources": engine.inspect(records.id),
    }


def look(node: Node) -> dict[str, Any]:
    engine = Engine(node)
    environments = {}
    for environment_id in known_environments(node):
        seen = _one(engine, Records(node, environment_id))
        if seen is not None:
            environments[str(environment_id)] = seen
    return {
        "environments": environments,
        "leaks": [f"{one.resource}: {one.what} ({one.environment_id})" for one in engine.leaks()],
        "missing": {str(key): why for key, why in engine.missing().items()},
    }


def main() -> None:
    node = Node.load(Path(sys.argv[1]))
    enter(node)
    for _ in sys.stdin:
        try:
            answer = look(node)
        except OSError as error:  # something went away while it was looked at: ask again
            answer = {"again": str(error)}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
