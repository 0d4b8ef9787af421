"""The kinds of environment that this version offers, by name."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from runtime.contract import EnvironmentSpec, Rescue
from runtime.contract import Kind as KindName
from runtime.contract.words import refusals
from runtime.errors import HostLacks
from runtime.kinds.app import App
from runtime.kinds.base import Kind
from runtime.kinds.directory import Directory
from runtime.kinds.jail import Jail
from runtime.kinds.rescue import rescue_config
from runtime.kinds.system import System
from runtime.node import Node
from runtime.resources.base import Resource
from runtime.sandboxes import Part, Sandbox, Sandboxes, sandbox_of
from runtime.sandboxes.shared import SharedSandbox

R = TypeVar("R", bound=Resource)

_KINDS: dict[KindName, Kind] = {one.name: one for one in (System(), App(), Jail(), Directory())}


def kind_of(name: KindName, kinds: Mapping[KindName, Kind] = _KINDS) -> Kind:
    """Raises `HostLacks` for one that this node doesn't offer."""
    kind = kinds.get(name)
    if kind is None:
        raise HostLacks(refusals.kind_not_offered(name), code="kind_unavailable", retryable=False)
    return kind


def available() -> list[KindName]:
    """Those that this host can offer."""
    return [name for name, kind in _KINDS.items() if kind.unavailable() is None]


def resources_of(kind: Kind, sandbox: Sandbox | type[Sandbox] = SharedSandbox) -> list[type[Resource]]:
    """Resource classes of a kind under a kernel, in the order of `ensure`."""
    return [sandbox.parts[one] if isinstance(one, Part) else one for one in kind.resources]


def every_resource(
    kinds: Mapping[KindName, Kind] = _KINDS, sandboxes: Sequence[Sandbox | type[Sandbox]] = (SharedSandbox,)
) -> list[type[Resource]]:
    """All resource classes of all kinds and kernels, each once, in the order of `ensure`."""
    pairs = [(kind, sandbox) for kind in kinds.values() for sandbox in sandboxes]
    return list(dict.fromkeys(one for kind, sandbox in pairs for one in resources_of(kind, sandbox)))


class Toolbox:
    """What a node works with: kinds, sandboxes and resources, each made when it is first needed."""

    def __init__(
        self,
        node: Node,
        *,
        kinds: Mapping[KindName, Kind] | None = None,
        sandboxes: Sequence[Sandbox] | None = None,
    ):
        self.node = node
        self._kinds = _KINDS if kinds is None else kinds
        self.sandbox = (
            sandbox_of(node, config=self._config) if sandboxes is None else Sandboxes(node, sandboxes)
        )
        """Of each environment its own."""
        self._made: dict[type[Resource], Resource] = {}

    def _config(self, spec: EnvironmentSpec) -> dict[str, Any]:
        if spec.rescue is not Rescue.OFF:
            return rescue_config(self.node, spec)
        return self.kind(spec.kind).config(self.node, spec)

    def kind(self, name: KindName) -> Kind:
        """Raises `HostLacks` for one that this node doesn't offer."""
        return kind_of(name, self._kinds)

    def one(self, kind: type[R]) -> R:
        """A part is handed the sandbox that it is a part of."""
        if kind not in self._made:
            of_parts = (one for one in self.sandbox.each if kind in one.parts.values())
            self._made[kind] = kind.on(self.node, next(of_parts, self.sandbox))
        return cast(R, self._made[kind])

    def of(self, spec: EnvironmentSpec) -> list[Resource]:
        """Those of an environment of its kind and kernel, in the order of `ensure`. Raises `HostLacks` for one
        that this node doesn't offer."""
        sandbox = self.sandbox.of_kernel(spec.runs_on)
        return [self.one(resource) for resource in resources_of(self.kind(spec.kind), sandbox)]

    def all(self) -> list[Resource]:
        """Those of all kinds, each once, in the order of `ensure`."""
        return [self.one(resource) for resource in every_resource(self._kinds, self.sandbox.each)]

    def in_order_of_removal(self) -> list[Resource]:
        """Processes first, since with them go their namespaces, and with those the link; then backwards."""
        processes = [self.one(kind) for kind in dict.fromkeys(one.resource for one in self.sandbox.each)]
        return [*processes, *(one for one in reversed(self.all()) if one not in processes)]
