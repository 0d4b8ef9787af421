"""The kinds of environment that this version offers, by name."""

from typing import TypeVar, cast

from runtime.contract import Kind as KindName
from runtime.errors import HostLacks
from runtime.kinds.base import Kind
from runtime.kinds.system import System
from runtime.node import Node
from runtime.resources.base import Resource

R = TypeVar("R", bound=Resource)

_KINDS: dict[KindName, Kind] = {one.name: one for one in (System(),)}


def kind_of(name: KindName) -> Kind:
    kind = _KINDS.get(name)
    if kind is None:
        raise HostLacks(f"kind: {name} is not offered by this node", code="kind_unavailable", retryable=False)
    return kind


def available() -> list[KindName]:
    return list(_KINDS)


def every_resource() -> list[type[Resource]]:
    """All resource classes of all kinds, each once, in the order of `ensure`."""
    return list(dict.fromkeys(resource for kind in _KINDS.values() for resource in kind.resources))


class Toolbox:
    """The resources of one node, each made once when it is first needed."""

    def __init__(self, node: Node):
        self.node = node
        self._made: dict[type[Resource], Resource] = {}

    def one(self, kind: type[R]) -> R:
        if kind not in self._made:
            self._made[kind] = kind(self.node)
        return cast(R, self._made[kind])

    def of(self, kind: KindName) -> list[Resource]:
        """Those of an environment of this kind, in the order of `ensure`."""
        return [self.one(resource) for resource in kind_of(kind).resources]

    def all(self) -> list[Resource]:
        return [self.one(resource) for resource in every_resource()]
