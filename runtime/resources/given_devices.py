"""Devices of the host that an environment has: nodes of our own in its /dev, and what its control group lets it
open. They come and go while it runs."""

import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime import allowed_devices, devices
from runtime.contract import Access, DesiredState, EnvironmentSpec, Kernel, Rescue
from runtime.contract.said import Said
from runtime.contract.words import devices as words
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.host import devtree
from runtime.host.cgroup.device_program import Rules
from runtime.host.processes import Identity
from runtime.oci.jail import with_devices
from runtime.resources.base import Found, Sandboxed
from runtime.state import Records
from runtime.storage import shown_nodes
from runtime.storage.mounted import mounts_of


class GivenDevices(Sandboxed):
    """A directory of nodes for each environment that has any; what shows them goes with its mount namespace."""

    name = "devices"

    def check(self, spec: EnvironmentSpec) -> None:
        """What it had before is no reason to refuse: it is hidden while it can't be given."""
        if spec.desired is not DesiredState.RUNNING:
            return
        before = Records(self.node, spec.id).applied()
        had = {one.name for one in before.host_devices} if before else set()
        for one in spec.host_devices:
            why = allowed_devices.refusal(self.node, one.name) if one.name not in had else None
            if why:
                raise RuntimeFault(
                    why, code="device_unavailable", next_step=words.ask_an_administrator(), retryable=False
                )

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        place = self._place(spec.id)
        if not spec.host_devices and not place.exists():
            return None
        process = Identity.parse(self.sandbox.look(spec.id).identity)
        if process is None or spec.runs_on is not Kernel.SHARED:
            return None
        wanted, rules = self._wanted(spec)
        place.mkdir(mode=0o711, exist_ok=True)
        there = shown_nodes.shown_in(mounts_of(process).lines, place)
        old = [path for path, number in there.items() if wanted.get(path) != number]
        new = {path: number for path, number in wanted.items() if there.get(path) != number}
        self.sandbox.allow_devices(spec.id, rules)
        if old or new:
            namespace = self.sandbox.open_namespace(spec.id, "mnt")
            try:
                shown = {path: _node(place, number) for path, number in new.items()}
                first = self.node.first_uid(spec.slot)
                shown_nodes.change(spec.id, namespace, first, hidden=old, shown=shown)
            except RuntimeFault:
                kept = {number for path, number in there.items() if path not in old}
                self.sandbox.allow_devices(spec.id, _less(rules, wanted.values(), kept, spec))
                raise
            finally:
                os.close(namespace)
        self._forget(place, wanted.values())
        return _said(new, old)

    def _wanted(self, spec: EnvironmentSpec) -> tuple[dict[str, str], Rules]:
        """The number of each by its path inside, as far as it is there now; and all that may be opened."""
        found: dict[str, str] = {}
        rules = dict(_usual(spec))
        listed = allowed_devices.known(self.node)
        for one in spec.host_devices if spec.rescue is Rescue.OFF else ():
            allowed = listed.named(one.name)
            if allowed is None:
                continue
            with suppress(devtree.NoDevice):
                judged = allowed_devices.look(allowed)
                if judged.sort is not None:
                    number = judged.number
                    found[allowed.shown_as] = f"c{number}"
                    rules[number.major, number.minor] = "r" if one.access is Access.READ else "rw"
        return found, rules

    def _place(self, environment_id: UUID) -> Path:
        return self.node.given / str(environment_id)

    @staticmethod
    def _forget(place: Path, wanted: Iterable[str]) -> None:
        kept = set(wanted)
        for one in place.iterdir():
            if one.name not in kept:
                one.unlink()
        if not kept:
            place.rmdir()

    def remove(self, environment_id: UUID) -> Said | None:
        shutil.rmtree(self._place(environment_id), ignore_errors=True)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        with suppress(FileNotFoundError):
            return {"given": ", ".join(sorted(one.name for one in self._place(environment_id).iterdir()))}
        return None

    def inventory(self) -> Iterable[Found]:
        with suppress(FileNotFoundError):
            for one in self.node.given.iterdir():
                with suppress(ValueError):
                    yield Found(self.name, UUID(one.name), f"device nodes {one.name}")

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        """Also when one was plugged in again, or away."""
        if not spec.host_devices or spec.runs_on is not Kernel.SHARED:
            return None
        process = Identity.parse(self.sandbox.look(spec.id).identity)
        if process is None:
            return None
        wanted, rules = self._wanted(spec)
        place = self._place(spec.id)
        there = shown_nodes.shown_in(mounts_of(process).lines, place) if place.exists() else {}
        is_so = there == wanted and self.sandbox.allows_devices(spec.id, rules)
        return None if is_so else words.others()


def _usual(spec: EnvironmentSpec) -> Rules:
    return devices.allowed(with_devices(spec).devices)


def _less(rules: Rules, wanted: Iterable[str], kept: Iterable[str], spec: EnvironmentSpec) -> Rules:
    """Without those that could not be shown."""
    there, usual = set(kept), _usual(spec)
    gone = {one for one in wanted if one not in there}
    return {one: how for one, how in rules.items() if one in usual or f"c{one[0]}:{one[1]}" not in gone}


def _node(place: Path, number: str) -> Path:
    """Which the control group alone guards: anybody inside may open it."""
    path = place / number
    major, _, minor = number.removeprefix("c").partition(":")
    with suppress(FileExistsError):
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(int(major), int(minor)))
    path.chmod(0o666)
    return path


def _said(new: Iterable[str], old: Iterable[str]) -> Said | None:
    came, went = tuple(map(Said, new)), tuple(map(Said, old))
    if came and went:
        return words.exchanged(came, went)
    if came:
        return words.given(came)
    return words.taken(went) if went else None
