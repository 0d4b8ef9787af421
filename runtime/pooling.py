"""Pools of processors brought about: for all environments of this node at once."""

from itertools import groupby

from runtime import cpu_pools
from runtime.contract import CpuPools, DesiredState
from runtime.kinds import Toolbox
from runtime.known import known_environments
from runtime.node import Node
from runtime.state import Records


def hold(node: Node, pools: CpuPools, tools: Toolbox | None = None) -> None:
    """Keeps them, and moves whoever runs to where he may. A no-op of pools that are known or older. One that
    can't be moved now, the reconciler finds."""
    if not cpu_pools.note(node, pools):
        return
    there = [Records(node, one).standing() for one in known_environments(node)]
    living = [spec for spec in there if spec is not None and spec.desired is not DesiredState.DELETED]
    every = (tools or Toolbox(node)).all()
    living.sort(key=lambda spec: str(spec.tenant_id))
    for _, of_tenant in groupby(living, lambda spec: spec.tenant_id):
        specs = list(of_tenant)
        for resource in every:
            resource.hold(specs)
