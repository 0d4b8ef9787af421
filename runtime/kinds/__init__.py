"""The kinds of environment that this version offers, by name."""

from collections.abc import Mapping
from typing import TypeVar, cast

from runtime.contract import Kind as KindName
from runtime.contract.words import refusals
from runtime.errors import HostLacks
from runtime.kinds.base import Kind
from runtime.kinds.system import System
from runtime.node import Node
from runtime.resources.base import Resource
from runtime.sandboxes import Sandbox
from runtime.sandboxes.shared import SharedSandbox

R = TypeVar("R", bound=Resource)

_KINDS: dict[KindName, Kind] = {one.name: one for one in (System(),)}


def kind_of(name: KindName, kinds: Mapping[KindName, Kind] = _KINDS) -> Kind:
    """Raises `HostLacks` for one that this node doesn't offer."""
    kind = kinds.get(name)
    if kind is None:
        raise HostLacks(refusals.kind_not_offered(name), code="kind_unavailable", retryable=False)
    return kind


def available() -> list[KindName]:
    return list(_KINDS)


def every_resource(kinds: Mapping[KindName, Kind] = _KINDS) -> list[type[Resource]]:
    """All resource classes of all kinds, each once, in the order of `ensure`."""
    return list(dict.fromkeys(resource for kind in kinds.values() for resource in kind.resources))


class Toolbox:
    """What a node works with: kinds, sandbox and resources, each made when it is first needed."""

    def __init__(
        self, node: Node, *, kinds: Mapping[KindName, Kind] | None = None, sandbox: Sandbox | None = None
    ):
        self.node = node
        self._kinds = _KINDS if kinds is None else kinds
        self.sandbox = SharedSandbox(node) if sandbox is None else sandbox
        self._made: dict[type[Resource], Resource] = {}

    def kind(self, name: KindName) -> Kind:
        """Raises `HostLacks` for one that this node doesn't offer."""
        return kind_of(name, self._kinds)

    def one(self, kind: type[R]) -> R:
        if kind not in self._made:
            self._made[kind] = kind(self.node)
        return cast(R, self._made[kind])

    def of(self, kind: KindName) -> list[Resource]:
        """Those of an environment of this kind, in the order of `ensure`."""
        return [self.one(resource) for resource in self.kind(kind).resources]

    def all(self) -> list[Resource]:
        """Those of all kinds, each once, in the order of `ensure`."""
        return [self.one(resource) for resource in every_resource(self._kinds)]

    def in_order_of_removal(self) -> list[Resource]:
        """Processes first, since with them go their namespaces, and with those the link; then backwards."""
        process = self.one(self.sandbox.resource)
        return [process, *(one for one in reversed(self.all()) if one is not process)]
