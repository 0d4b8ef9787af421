"""A program of the node's own set of them over an environment's root volume: for what is stopped, and for files
where nothing inside serves them.

It is root of the environment's own ids, with no more than it takes to own files; without a network; in a group
of its own. What it runs comes from the node's set, by that set's own loader: nothing of the disk is executed.
"""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.contract import EnvironmentSpec, SecurityProfile
from runtime.host.cgroup import GroupLimits, groups
from runtime.node import IDS_PER_SLOT, Node
from runtime.oci.config import rlimits
from runtime.oci.directory import ROOT, entry_mounts, entry_namespaces, plain_devices
from runtime.oci.seccomp import profile
from runtime.sandboxes.base import Inner
from runtime.sandboxes.shared import program
from runtime.sandboxes.shared.rooms import NAME, make_room, session_group

_MEMORY_BYTES, _PROCESSES = 128 * 2**20, 32
_OWNING = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"]
#: Where the set is seen: in a file system of the container's own, so that nothing of the disk is in the way.
_TOOLS, _SHOWN = "tools", "/dev/.tools"
_LOADERS = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}


def beside(node: Node, spec: EnvironmentSpec, tools: Path, words: Sequence[str], *, pid_file: Path) -> Inner:
    """As `Sandbox.beside`."""
    control = groups()
    top = f"{node.cgroup_name}-import"
    group = session_group(top)
    control.create(group)
    control.limit(group, GroupLimits(memory_bytes=_MEMORY_BYTES, processes=_PROCESSES))
    room = make_room(
        node,
        node.root_volume(spec.id),
        node.first_uid(spec.slot),
        _config(node, spec, group, _loaded(tools, words)),
        shown={_TOOLS: tools},
    )
    run = room.runtime(node, "run", f"--bundle={room.place}", f"--pid-file={pid_file}", NAME)
    return Inner(run, program.ENVIRONMENT, (room.descriptor,), apart=group.rpartition("/")[2])


def _loaded(tools: Path, words: Sequence[str]) -> list[str]:
    """Called by the loader of the set, with the set's libraries."""
    loader = tools / _LOADERS[platform.machine()]
    real = Path(loader.readlink()) if loader.is_symlink() else Path("/") / _LOADERS[platform.machine()]
    libraries = [f"{_SHOWN}/{one}" for one in _library_places(tools)]
    return [f"{_SHOWN}{real}", "--library-path", ":".join(libraries), f"{_SHOWN}{words[0]}", *words[1:]]


def _library_places(tools: Path) -> list[str]:
    found = [
        str(one.relative_to(tools)) for top in ("lib", "usr/lib") for one in (tools / top).glob("*-linux-gnu*")
    ]
    return [*found, "lib", "usr/lib"]


def _config(node: Node, spec: EnvironmentSpec, group: str, words: list[str]) -> dict[str, Any]:
    mapping = [{"containerID": 0, "hostID": node.first_uid(spec.slot), "size": IDS_PER_SLOT}]
    shown = {
        "destination": _SHOWN,
        "type": "bind",
        "source": _TOOLS,
        "options": ["bind", "ro", "nosuid", "nodev"],
    }
    return {
        "ociVersion": "1.0.2",
        "hostname": spec.name,
        "root": {"path": ROOT, "readonly": False},
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0, "umask": 0o022},
            "cwd": "/",
            "args": words,
            "env": ["PATH=/usr/bin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"],
            "noNewPrivileges": True,
            "oomScoreAdj": 500,
            "capabilities": {
                **dict.fromkeys(("bounding", "effective", "permitted"), _OWNING),
                "inheritable": [],
                "ambient": [],
            },
            "rlimits": rlimits(),
        },
        "mounts": [*entry_mounts(), shown],
        "linux": {
            "namespaces": entry_namespaces(),
            "uidMappings": mapping,
            "gidMappings": mapping,
            "rootfsPropagation": "private",
            "devices": [],
            "resources": {"devices": plain_devices()},
            "seccomp": profile(SecurityProfile()),
            "cgroupsPath": f"/{group}",
        },
    }
