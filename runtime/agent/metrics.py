"""Use of every running environment, and the node's own facts, at fixed intervals."""

from datetime import UTC, datetime

from runtime.contract import NodeReport, Usage, UsageReport
from runtime.engine import Engine
from runtime.facts import collect
from runtime.host.oci import init_pid
from runtime.node import Node
from runtime.resources.cgroup import Cgroup
from runtime.resources.link import Link
from runtime.resources.volume import RootVolume
from runtime.state import known_environments


def usage_report(node: Node) -> UsageReport:
    """One reading of all environments; those that don't run only hold disk."""
    cgroup, volume, link = Cgroup(node), RootVolume(node), Link(node)
    usages: list[Usage] = []
    for environment_id in known_environments(node):
        usage = Usage(environment_id=environment_id)
        if init_pid(node, environment_id) is not None:
            inward, outward = link.traffic(environment_id)
            usage = cgroup.usage(environment_id).model_copy(
                update={"network_in_bytes": inward, "network_out_bytes": outward}
            )
        usages.append(usage.model_copy(update={"disk_bytes": volume.used_bytes(environment_id)}))
    return UsageReport(node=node.name, at=datetime.now(UTC), usages=tuple(usages))


def node_report(node: Node, engine: Engine) -> NodeReport:
    return NodeReport(
        at=datetime.now(UTC),
        facts=collect(node),
        leaks=len(engine.leaks()),
        environments=len(known_environments(node)),
    )
