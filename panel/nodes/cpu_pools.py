"""Pools of a node's processors: what is wanted is a row each; a node is told until it says that it holds
them."""

from functools import partial

from django.db import transaction

from panel import dispatch
from panel.nodes.models import CpuPool, Node
from runtime.contract import CpuPool as Told
from runtime.contract import CpuPools, NodeReport


def wanted(node: Node) -> CpuPools:
    rows = CpuPool.objects.filter(node=node).order_by("name")
    pools = tuple(Told(name=row.name, processors=tuple(row.processors)) for row in rows)
    return CpuPools(revision=node.pools_revision, pools=pools)


def tell_on_commit(node: Node) -> None:
    document = wanted(node).model_dump(mode="json")
    transaction.on_commit(partial(dispatch.hold_cpu_pools, node.name, document), robust=True)


def keep_told(node: Node, report: NodeReport) -> None:
    """For `panel.nodes.listeners`. A node that was made anew, or that a message didn't reach, holds others."""
    held = report.facts.cpu_pools
    if held.revision == node.pools_revision:
        return
    if held.revision > node.pools_revision:  # this database is older than what the node was told
        Node.objects.filter(pk=node.pk).update(pools_revision=held.revision + 1)
        node.pools_revision = held.revision + 1
    tell_on_commit(node)


def has(node: Node, pool: str) -> bool:
    """Whether it says that it holds a pool of this name; none at all (empty) every node has."""
    return not pool or pool in names(node)


def names(node: Node) -> list[str]:
    """Of those that it says it holds."""
    return [one["name"] for one in (node.facts.get("cpu_pools") or {}).get("pools", ())]
