"""Reads of nodes."""

from collections import defaultdict

from panel.nodes.host_devices import all_names
from panel.nodes.models import Node, NodeState

_ABILITIES = ("kinds", "kernels", "devices")


def abilities() -> dict[str, set[str]]:
    """Which kinds, kernels and devices some node offers that isn't disabled, and which of hosts are allowed."""
    found: dict[str, set[str]] = defaultdict(set, {name: set() for name in _ABILITIES})
    for facts in Node.objects.exclude(state=NodeState.DISABLED).values_list("facts", flat=True):
        for name in _ABILITIES:
            found[name] |= set(facts.get(name, ()))
    return {**found, "host_devices": all_names()}
