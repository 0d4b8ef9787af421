"""What this node is and has, for the panel and for `doctor`."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from runtime import allowed_devices, builds, cpu_pools, devices, kinds, matrix, sandboxes
from runtime.backup_server import certificate
from runtime.contract import BackupServer, Check, CheckLevel, NodeFacts
from runtime.contract.words import checks
from runtime.host import cgroup, task_room
from runtime.node import Node
from runtime.resources.volume import RootVolume

VERSION = "0.1.0"
#: Deleted and not yet cleaned, from which on it is told: 4 MB of the kernel's memory.
_MANY_SUBVOLUMES = 1000


def collect(node: Node) -> NodeFacts:
    """Read anew at each call; cheap (a few files). The process must be inside the node's namespaces."""
    pool = shutil.disk_usage(node.store)
    settings = node.settings
    memory = _memory()
    return NodeFacts(
        name=node.name,
        version=VERSION,
        kernel_release=os.uname().release,
        distribution=_distribution(),
        cgroup_version=1 if cgroup.version() == 1 else 2,
        cpus=os.cpu_count() or 1,
        memory_bytes=memory.get("MemTotal", 0),
        memory_available_bytes=memory.get("MemAvailable", 0),
        pool_bytes=pool.total,
        pool_used_bytes=pool.used,
        load_1m=os.getloadavg()[0],
        ipv4_network=settings.ipv4_network,
        ipv6_network=settings.ipv6_network,
        first_slot=settings.first_slot,
        slots=node.slots_to_hand_out,
        tasks=task_room.for_environments(),
        forward_ports=node.forward_ports,
        kinds=tuple(kinds.available()),
        kernels=tuple(sandboxes.available(node)),
        matrix=matrix.of(node),
        devices=tuple(devices.available()),
        seen_devices=allowed_devices.seen(),
        host_devices=allowed_devices.held(node),
        images=tuple(sorted(entry.name for entry in _images(node))),
        builds=not builds.lacking_programs(),
        backup_directory=bool(settings.backup_directory),
        backup_server=_backup_server(node),
        checks=tuple(_checks(node)),
        cpu_pools=cpu_pools.known(node),
        boot_id=UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()),
    )


def _checks(node: Node) -> Iterator[Check]:
    """What isn't as it should be, and matters to whom this node is sold; the rest says `doctor`."""
    seen = task_room.room(node.cgroup_name)
    if not seen.is_enough:
        yield Check(
            name=checks.tasks(),
            level=CheckLevel.WEAK,
            found=checks.tasks_short(seen.promised, seen.held),
            why=checks.tasks_why(),
            remedy=checks.tasks_remedy(),
        )
    cleaned = RootVolume(node).being_cleaned()
    if cleaned >= _MANY_SUBVOLUMES:
        yield Check(
            name=checks.subvolumes(),
            level=CheckLevel.WEAK,
            found=checks.subvolumes_cleaned(cleaned),
            why=checks.subvolumes_why(),
            remedy=checks.subvolumes_remedy(),
        )
    if cgroup.version() == 1:
        yield Check(
            name=checks.cgroups(),
            level=CheckLevel.WEAK,
            found=checks.cgroups_v1(),
            why=checks.cgroups_why(),
            remedy=checks.cgroups_remedy(),
        )


def _backup_server(node: Node) -> BackupServer | None:
    place, shown = node.settings.backup_server_at, certificate.known(node)
    if place is None or not shown:
        return None
    return BackupServer(host=place[0], port=place[1], certificate=shown)


def _images(node: Node) -> list[Path]:
    directory = node.store / "images"
    return (
        [entry for entry in directory.iterdir() if not entry.name.startswith(".")] if directory.is_dir() else []
    )


def _memory() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    found = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024
    return found


def _distribution() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip('"')
    return "Linux"
