"""The kinds of environment that this version offers, by name."""

from runtime.contract import Kind as KindName
from runtime.errors import HostLacks
from runtime.kinds.base import Kind
from runtime.kinds.system import System
from runtime.resources.base import Resource

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
