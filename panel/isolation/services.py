"""Asks a node what its kernel has of an environment. Whoever sees the environment may see it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from panel.environments.models import Environment, EnvironmentUsage
from panel.environments.selectors import living_one
from panel.isolation.answers import Beancounter, Walls
from panel.nodes.agent import Agent
from panel.rights.actor import Actor
from panel.serving.shares import LOOKS, Place
from runtime.contract import Kernel, Rescue

_BLOCKS_OF_A_MIB = 1024
#: The order of OpenVZ's table (proc_user_beancounters), and the disk, which vzquota counts in such blocks.
ORDER = ("kmemsize", "numproc", "physpages", "swappages", "tcpbuf", "diskspace")
#: Of whoever is in a directory, which has no process to look at otherwise: as the node makes each session
#: (`runtime.oci.directory`, held together by tests/panel/isolation).
DIRECTORY_WALLS: Final[dict[str, Any]] = {
    "namespaces": ("user", "pid", "network", "mount", "uts", "ipc", "cgroup"),
    "ids": 65_536,
}


@dataclass(frozen=True)
class Asked:
    """What a node will say, and the place that the question takes until then. Awaited, raises `NodeAway`."""

    environment: Environment
    result: Callable[[], Awaitable["Seen"]]
    place: Place


@dataclass(frozen=True)
class Seen:
    walls: Walls | None
    """`{"kernel", "namespaces", "ids", "capabilities", "filters", "no_new_privileges"}` of its first process;
    None when it doesn't run."""
    counters: list[Beancounter]
    """`{"resource", "unit", "held", "maxheld", "barrier", "limit", "failcnt"}` of each, in OpenVZ's order; of
    what was never started, the disk alone."""


def look(actor: Actor, environment_id: UUID) -> Asked:
    """Raises `NotFound`, and `TooMany` when the actor or his tenant asks as much as may be."""
    row = living_one(actor, environment_id)
    usage = EnvironmentUsage.objects.filter(environment=row).first()
    agent, payer, disk, failed = Agent(row.node), row.tenant.payer, _disk(row, usage), _failed(usage)

    async def result() -> Seen:
        found = await agent.kernel(row.pk, user=actor.name, tenant_id=payer)
        counted = {**found["counters"], "diskspace": disk}
        counters = [
            {"resource": name, **counted[name], "last_failed_at": failed.get(name)}
            for name in ORDER
            if name in counted
        ]
        return Seen(found["walls"], cast("list[Beancounter]", counters))

    return Asked(row, result, LOOKS.take(actor, row.tenant_id, row.tenant.path))


def runs_on(row: Environment) -> str:
    """The kernel of what it runs: a rescue system has the host's own, whatever the environment has."""
    return row.kernel if row.wanted.rescue is Rescue.OFF else Kernel.SHARED.value


def _failed(usage: EnvironmentUsage | None) -> dict[str, datetime]:
    """When each was last asked for beyond its limit."""
    if usage is None:
        return {}
    times = {"physpages": usage.memory_hit_at, "numproc": usage.process_hit_at}
    return {name: at for name, at in times.items() if at is not None}


def _disk(row: Environment, usage: EnvironmentUsage | None) -> dict[str, Any]:
    return {
        "unit": "1k-blocks",
        "held": usage.disk_bytes // 1024 if usage is not None else 0,
        "maxheld": None,
        "barrier": None,
        "limit": row.contract_limits().disk_mb * _BLOCKS_OF_A_MIB,
        "failcnt": None,
    }
