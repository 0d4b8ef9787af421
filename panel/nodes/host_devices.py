"""Devices of a node's host that may be given to its environments: what is wanted is a row each; a node is told
until it says that it holds them."""

from collections.abc import Iterable, Mapping
from typing import Any

from panel import dispatch
from panel.nodes.held import HeldList
from panel.nodes.models import HostDevice, Node
from panel.said import read, shown
from runtime.contract import AllowedDevice, AllowedDevices


def allowed(row: HostDevice) -> AllowedDevice:
    return AllowedDevice.model_validate({"name": row.name, **row.known_by})


def wanted(node: Node) -> AllowedDevices:
    rows = HostDevice.objects.filter(node=node).order_by("name")
    return AllowedDevices(revision=node.devices_revision, devices=tuple(allowed(row) for row in rows))


def _send(node: str, document: dict[str, Any]) -> None:
    dispatch.allow_devices(node, document)


LIST = HeldList(
    "devices_revision",
    "host_devices",
    wanted,
    send=_send,
)


def states(node: Node) -> dict[str, Mapping[str, Any]]:
    """What the node says of those that it holds, by name."""
    return {one["name"]: one for one in (node.facts.get("host_devices") or {}).get("devices", ())}


def has(node: Node, names: Iterable[str]) -> bool:
    """Whether it says that it holds devices of all these names, and refuses none of them."""
    found = states(node)
    return all(name in found and not found[name]["refused"] for name in names)


def why_not(state: Mapping[str, Any] | None) -> str:
    """What a node says against one, in the reader's language."""
    return shown(read(state["why_not"])) if state and state.get("why_not") else ""


def seen(node: Node) -> list[Mapping[str, Any]]:
    """Of its host, that might be allowed."""
    return list(node.facts.get("seen_devices") or ())


def all_names() -> set[str]:
    return set(HostDevice.objects.values_list("name", flat=True))
