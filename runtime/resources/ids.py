"""The range of 65,536 user and group ids that belongs to one environment alone."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import drift, refusals, steps
from runtime.errors import RuntimeFault
from runtime.files import exclusive
from runtime.glance import Glance
from runtime.node import IDS_PER_SLOT, Node
from runtime.resources.base import Found, Sandboxed
from runtime.state import Records


class IdRange(Sandboxed):
    """A claim file per slot, taken and given back under one lock. It is given back only when nothing can run in
    the environment any more: then no process has an id of the range."""

    name = "id range"
    lifetime = "environment"

    def _claim(self, slot: int) -> Path:
        return _claim(self.node, slot)

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        settings = self.node.settings
        if not settings.first_slot <= spec.slot < settings.first_slot + settings.slots:
            raise RuntimeFault(
                refusals.slot_foreign(
                    spec.slot, settings.first_slot, last=settings.first_slot + settings.slots - 1
                ),
                code="slot_foreign",
                retryable=False,
            )
        with exclusive(self.node, "slots"):
            return self._take(spec)

    def _take(self, spec: EnvironmentSpec) -> Said | None:
        claim = self._claim(spec.slot)
        try:
            owner = claim.read_text()
        except FileNotFoundError:
            owner = None
        if owner == str(spec.id):
            return None
        if owner:
            raise RuntimeFault(refusals.slot_taken(), code="slot_taken")
        # cut off before the id is in it, it is free
        with os.fdopen(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(str(spec.id))
        return steps.user_ids(IDS_PER_SLOT)

    def remove(self, environment_id: UUID) -> Said | None:
        with exclusive(self.node, "slots"):
            slots = _slots_of(self.node, environment_id)
            if slots and self.sandbox.holds_processes(environment_id):
                raise RuntimeFault(refusals.ids_in_use(), code="busy")
            for slot in slots:
                os.truncate(self._claim(slot), 0)  # kept, empty: free
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        for slot in _slots_of(self.node, environment_id):
            return {"slot": slot, "first_uid": self.node.first_uid(slot), "count": IDS_PER_SLOT}
        return None

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        with suppress(OSError):
            if self._claim(spec.slot).read_text() == str(spec.id):
                return None
        return drift.gone(steps.named(self.name))

    def inventory(self) -> Iterable[Found]:
        for slot, owner in _claims(self.node):
            if owner:
                yield Found(self.name, UUID(owner), f"slot {slot}")


def claimed_uids(node: Node, environment_id: UUID) -> list[int]:
    """Where the ranges of host ids that an environment has claimed begin: one, as a rule."""
    return [node.first_uid(slot) for slot in _slots_of(node, environment_id)]


def _slots_of(node: Node, environment_id: UUID) -> list[int]:
    """Of those that are claimed. Its spec says which; only without one all claims are read."""
    wanted = str(environment_id)
    spec = Records(node, environment_id).wanted()
    if spec is not None:
        with suppress(OSError):
            if _claim(node, spec.slot).read_text() == wanted:
                return [spec.slot]
    return [slot for slot, owner in _claims(node) if owner == wanted]


def _claim(node: Node, slot: int) -> Path:
    return node.root / "slots" / f"{slot:04d}"


def _claims(node: Node) -> Iterable[tuple[int, str]]:
    for entry in os.scandir(node.root / "slots"):
        with suppress(OSError, ValueError):
            yield int(entry.name), Path(entry.path).read_text()
