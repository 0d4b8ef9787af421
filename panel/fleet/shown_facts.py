"""What a node says of itself, as the API has it: the contract's fields, its sentences as text."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from panel.said import read
from runtime.contract import CheckLevel, DeviceClass, NodeFacts

#: Has a call of its own, which says it of nodes that tell nothing of it too: `GET /nodes/{id}/matrix`.
_ELSEWHERE = "matrix"


class NodeCheck(TypedDict):
    """One line of `doctor`."""

    name: str
    level: CheckLevel
    found: str
    why: str
    remedy: str


class NodeDevice(TypedDict):
    """A device of its host that is allowed, as the node holds it."""

    name: str
    sort: DeviceClass | None
    number: Annotated[str, Field(description="Empty while it isn't plugged in, or is refused.")]
    why_not: str
    refused: Annotated[bool, Field(description="It is there, and is nothing that may be given away.")]


class NodeDevices(TypedDict):
    revision: int
    devices: list[NodeDevice]


class NodeSeenDevice(TypedDict):
    """A device of its host that might be allowed."""

    path: str
    sort: DeviceClass
    number: str
    udev: list[str]


class NodeCpuPool(TypedDict):
    name: str
    processors: list[int]


class NodeCpuPools(TypedDict):
    """The pools of processors, as the node holds them."""

    revision: int
    pools: list[NodeCpuPool]


_SHOWN: dict[str, Any] = {
    "checks": list[NodeCheck],
    "cpu_pools": NodeCpuPools,
    "host_devices": NodeDevices,
    "seen_devices": list[NodeSeenDevice],
}
_SHAPES = {
    name: Annotated[_SHOWN.get(name, field.annotation), Field(description=field.description)]
    for name, field in NodeFacts.model_fields.items()
    if name != _ELSEWHERE
}
#: Any of them may be missing: all of a node that never reported, and of an older one what it knows nothing of.
FactsOfNode: Any = TypedDict("FactsOfNode", _SHAPES, total=False)  # type: ignore[misc]


def show(facts: Mapping[str, Any]) -> dict[str, Any]:
    """`facts` as a row of a node keeps them."""
    return {name: _as_text(value) for name, value in facts.items() if name != _ELSEWHERE}


def _as_text(value: Any) -> Any:
    """With each sentence in English, in place of its code and values."""
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    if isinstance(value, dict):
        if {"code", "text"} <= value.keys():
            return str(read(value))
        return {name: _as_text(one) for name, one in value.items()}
    return value
