"""The environment's user, network and time namespace, made before its first process.

So its network is made while the OCI runtime makes the container, on the other processor. All are pinned in the
node's mount namespace only until init runs, which holds them from then on (docs/decisions/0009).
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import drift
from runtime.glance import Glance
from runtime.host import mounts
from runtime.node import IDS_PER_SLOT
from runtime.resources.base import Found, Sandboxed, names_in

if TYPE_CHECKING:
    from runtime.sandboxes import Sandbox


#: Directories of what is pinned.
_KINDS = ("users", "networks", "times")


@contextmanager
def network_namespace(sandbox: "Sandbox", environment_id: UUID) -> Iterator[int]:
    """A descriptor of the environment's network namespace: pinned while its start is under way, else init's.

    Raises `RuntimeFault` when there is neither.
    """
    pin = sandbox.node.network_namespace(environment_id)
    if mounts.is_mounted(pin):
        namespace = os.open(pin, os.O_RDONLY | os.O_CLOEXEC)
    else:
        namespace = sandbox.open_namespace(environment_id, "net")
    try:
        yield namespace
    finally:
        os.close(namespace)


class Namespaces(Sandboxed):
    name = "namespaces"

    def _pins(self, environment_id: UUID) -> tuple[Path, Path, Path]:
        node = self.node
        of = (node.user_namespace, node.network_namespace, node.time_namespace)
        user, network, time = (one(environment_id) for one in of)
        return user, network, time

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        """Always new ones for a new init: nothing of what the last one set up in its network is found again,
        and the clocks begin with it."""
        if self.sandbox.is_there(spec.id):
            return None
        self.remove(spec.id)
        made = mounts.user_and_network_namespace(self.node.first_uid(spec.slot), IDS_PER_SLOT)
        *pins, of_time = self._pins(spec.id)
        mounts.pin_time_namespace(of_time)
        try:
            for namespace, pin in zip(made, pins, strict=True):
                mounts.pin_namespace(namespace, pin)
        finally:
            for namespace in made:
                os.close(namespace)
        return None

    def tidy(self, spec: EnvironmentSpec) -> None:
        if self.sandbox.is_there(spec.id):
            self.remove(spec.id)

    def remove(self, environment_id: UUID) -> Said | None:
        for pin in self._pins(environment_id):
            while mounts.unmount(pin):
                pass
            pin.unlink(missing_ok=True)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        if self.sandbox.is_there(environment_id):
            return {"held_by": "init"}
        pinned = [str(pin) for pin in self._pins(environment_id) if mounts.is_mounted(pin)]
        return {"pinned": pinned} if pinned else None

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        """A start that was cut off left its pins, which `tidy` of the next apply takes away."""
        left = any(str(spec.id) in names_in(glance, self.node.mounts / kind) for kind in _KINDS)
        return drift.pins_left() if left and self.sandbox.is_there(spec.id) else None

    def inventory(self) -> Iterable[Found]:
        for kind in _KINDS:
            directory = self.node.mounts / kind
            for entry in directory.iterdir() if directory.is_dir() else ():
                with suppress(ValueError):
                    yield Found(self.name, UUID(entry.name), f"{kind}/{entry.name}")
