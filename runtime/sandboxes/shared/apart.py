"""A container for a program of the node's own, which reads what strangers sent."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from runtime.files import exclusive
from runtime.host import memory
from runtime.host.cgroup import GroupLimits, groups
from runtime.host.command import run
from runtime.node import Node
from runtime.sandboxes.base import Apart, Payer
from runtime.sandboxes.shared import program
from runtime.sandboxes.shared.cgroup import Cgroup, pool_device

#: Of all that is done behind environments together; theirs is 100 and more.
BACKGROUND_WEIGHT = 20
#: Of the machine's memory, for all that somebody waits for together, and once more for what is done behind
#: environments: a quarter each, and never less than the largest of them may want.
MEMORY_PART, LEAST_TOGETHER_BYTES = 4, 2**30
_LOCK = "apart"


@contextmanager
def apart(
    node: Node,
    place: Path,
    config: Mapping[str, Any],
    *,
    memory_bytes: int,
    processes: int,
    is_background: bool,
    payer: Payer | None = None,
) -> Iterator[Apart]:
    """As `Sandbox.apart`."""
    with ExitStack() as undo:
        control, group = groups(), _group(node, place.name, is_background, payer)
        undo.callback(_remove_groups, node, group)
        with exclusive(node, _LOCK):  # whoever is the last to go takes the group of all of them away
            control.create(group)
            control.limit(group.rpartition("/")[0], _of_all(node, is_background, payer))
        limits = GroupLimits(memory_bytes=memory_bytes, processes=processes)
        if payer is not None:
            limits = replace(limits, cpu=_cpu_of(payer), cpu_weight=BACKGROUND_WEIGHT, swap_bytes=0)
        if is_background:
            limits = _slowed(node, limits)
        control.limit(group, limits)
        state = place / "state"
        state.mkdir(mode=0o700)
        words = [program.path(node), f"--root={state}"]
        undo.callback(_delete, [*words, "delete", "--force", place.name], state)
        linux = {**config["linux"], "cgroupsPath": "/" + control.payload(group)}
        file = place / "config.json"
        file.write_text(json.dumps({**config, "linux": linux}))
        file.chmod(0o600)
        run_it = [*words, "run", "--bundle", str(place), place.name]
        yield Apart(run_it, program.ENVIRONMENT, lambda: control.kill(group))


def _together(is_background: bool) -> GroupLimits:
    """Of all of them: nobody is charged for what they hold. Who wants more than there is loses the largest of
    them, and the node nothing."""
    most = max(LEAST_TOGETHER_BYTES, memory.total_bytes() // MEMORY_PART // 2**20 * 2**20)
    if is_background:
        return GroupLimits(cpu_weight=BACKGROUND_WEIGHT, memory_bytes=most, swap_bytes=0)
    return GroupLimits(memory_bytes=most, swap_bytes=0)


def _of_all(node: Node, is_background: bool, payer: Payer | None) -> GroupLimits:
    if payer is not None:
        return Cgroup(node).tenant_limits(payer.envelope)
    return _slowed(node, _together(is_background)) if is_background else _together(is_background)


def _slowed(node: Node, limits: GroupLimits) -> GroupLimits:
    """Held to what the node lets them have of the pool's device. v1 knows no sum of several (blkio-controller,
    "Hierarchical Cgroups"): each has it there, and on v2 all together."""
    most = node.settings.background_disk_mib_s
    if most is None:
        return limits
    rate = most * 2**20
    return replace(limits, device=pool_device(node), read_bytes_s=rate, write_bytes_s=rate)


def _cpu_of(payer: Payer) -> float | None:
    """v1 refuses one that may use more processor time than all of its tenant."""
    asked = [one for one in (payer.cpu, payer.envelope.cpu) if one is not None]
    return min(asked, default=None)


def end_apart(node: Node, name: str) -> None:
    """As `Sandbox.end_apart`."""
    for is_background in (False, True):
        _remove_groups(node, _group(node, name, is_background, None))
    for tenant in groups().children(node.cgroup_name):
        group = f"{node.cgroup_name}/{tenant}/{name}"
        if groups().has_any(group):
            _remove_groups(node, group)


def _group(node: Node, name: str, is_background: bool, payer: Payer | None) -> str:
    if payer is not None:
        return f"{node.cgroup_name}/{payer.tenant_id}/{name}"
    return f"{node.cgroup_name}-{'background' if is_background else 'import'}/{name}"


def _delete(words: list[str], state: Path) -> None:
    """One that ended by itself was deleted by who ran it."""
    if any(state.iterdir()):
        run(words, timeout_s=30, check=False, environment=program.ENVIRONMENT)


def _remove_groups(node: Node, group: str) -> None:
    control = groups()
    control.kill(group)
    with suppress(OSError):
        control.remove(group)
    top = group.rpartition("/")[0]
    with exclusive(node, _LOCK), suppress(OSError):
        if not control.children(top):
            control.remove(top)
