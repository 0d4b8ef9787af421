"""Pools of a node's processors: what is wanted is a row each; a node is told until it says that it holds
them."""

from typing import Any

from panel import dispatch
from panel.nodes.held import HeldList
from panel.nodes.models import CpuPool, Node
from runtime.contract import CpuPool as Told
from runtime.contract import CpuPools


def wanted(node: Node) -> CpuPools:
    rows = CpuPool.objects.filter(node=node).order_by("name")
    pools = tuple(Told(name=row.name, processors=tuple(row.processors)) for row in rows)
    return CpuPools(revision=node.pools_revision, pools=pools)


def _send(node: str, document: dict[str, Any]) -> None:
    dispatch.hold_cpu_pools(node, document)


LIST = HeldList("pools_revision", "cpu_pools", wanted, send=_send)


def has(node: Node, pool: str) -> bool:
    """Whether it says that it holds a pool of this name; none at all (empty) every node has."""
    return not pool or pool in names(node)


def names(node: Node) -> list[str]:
    """Of those that it says it holds."""
    return [one["name"] for one in (node.facts.get("cpu_pools") or {}).get("pools", ())]
