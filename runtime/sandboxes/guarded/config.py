"""OCI configuration (runtime-spec 1.0.2) of the container around a guarded kernel, and the one that gVisor
makes the environment's processes from, in there.

All that confines an environment on the host's kernel confines this container: namespaces, ids, group, filter.
gVisor stands between that and what the environment runs.
"""

import json
import shlex
from pathlib import Path
from typing import Any

from runtime.contract import EnvironmentSpec
from runtime.contract.capabilities import CAPABILITIES
from runtime.contract.words import kernels
from runtime.errors import HostLacks
from runtime.node import Node
from runtime.oci.config import KIND, STOP_SIGNAL, host_capabilities, rlimits
from runtime.oci.init import SYSTEMD_HALTS_AT
from runtime.oci.jail import walls_of
from runtime.oci.seccomp import profile
from runtime.sandboxes.guarded import tree
from runtime.sandboxes.shared.bundle import AROUND_GUARDED

DISK = "/disk"
#: What runs in there is called so.
NAME = "first"
#: With less gVisor has too little for what it guards; its own processes and threads are of the environment's.
LEAST_MB, LEAST_PROCESSES = 128, 128
#: Of what starts gVisor: rights over files within the environment's ids for what serves them, the link for its
#: own network, and to shut itself in.
_STARTER = frozenset(
    (
        *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL"),
        *("CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_SETFCAP", "CAP_MKNOD", "CAP_SYS_CHROOT"),
        *("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_NET_ADMIN", "CAP_NET_RAW"),
    )
)
#: The container's own /proc: nobody in it has a use for more. By `sys/net/core` gVisor takes the network
#: namespace for that of the host, on kernels that show it in all.
_MASKED = "acpi asound bus cmdline fs irq kallsyms kcore keys modules scsi sysrq-trigger timer_list".split()
_MASKED += ["sys/net/core"]
#: Of the host, or of what gVisor has by itself.
_OWN_DIRECTORIES = ("/proc", "/sys", "/run/systemd")
_OWN_MOUNTS = frozenset(("/dev", "/dev/pts", "/dev/mqueue"))
#: `shared`: the node changes files of what runs, too. No `directfs`: files are opened by a process apart, so
#: that the kernel itself holds no right at all. No `overlay2`: what is written is on its disk.
_FLAGS = """
    --root=/run/state --ignore-cgroups --platform=systrap --network=sandbox --overlay2=none --host-uds=none
    --file-access=shared --directfs=false --net-raw --oci-seccomp
""".split()
#: gVisor makes a file on the disk wherever it shows one: below its own /dev not on the environment's.
_PLACES = {
    "destination": f"{DISK}/dev",
    "type": "tmpfs",
    "source": "tmpfs",
    "options": ["nosuid", "nodev", "mode=755", "size=64k"],
}
RUNSC = ["/bin/runsc", *_FLAGS]
_SHELL = ["/bin/busybox", "sh", "-c"]
#: In words of a shell: waits until what is guarded runs, for 20 s at most.
UNTIL_IT_RUNS = """n=0
until busybox grep -qs '"status": *"running"' /run/state/*.state; do
  n=$((n+1)); [ $n -lt 400 ] || break
  busybox sleep 0.05
done"""
#: gVisor hands signals on to what has the terminal, and without one to nobody: here each goes to the first
#: process.
_START = f"""
tell() {{
  {UNTIL_IT_RUNS}
  {shlex.join([*RUNSC, "kill", NAME])} $1
}}
for one in 1 2 3 10 12 15 $(busybox seq 34 64); do trap "tell $one" $one; done
umask 077
mkdir /run/first /run/calls
printf %s "$GIVEN" >/run/first/config.json
unset GIVEN
exec 7<&0
{shlex.join([*RUNSC, "run", "--bundle=/run/first", NAME])} <&7 7<&- &
first=$!
while wait $first; code=$?; [ -d /proc/$first ]; do :; done
exit $code
"""
#: A shell of the node's, seen inside: what is done there doesn't depend on what the tree has.
TOOL = "/dev/busybox.wadah"
#: gVisor of this age has no /dev/console: that of its first process is it.
_BOOT = 'ln -s /proc/1/fd/0 /dev/console 2>/dev/null; exec "$@"'
#: Variable that the environment's own configuration is handed over by.
GIVEN = "GIVEN="


def guarded_config(node: Node, spec: EnvironmentSpec, given: dict[str, Any]) -> dict[str, Any]:
    """In place of that of the same environment on the host's kernel. Raises `HostLacks` for an init that gVisor
    can't run."""
    if given["annotations"][STOP_SIGNAL] == SYSTEMD_HALTS_AT and KIND not in given["annotations"]:
        raise HostLacks(kernels.no_systemd(), code="kernel_unavailable", retryable=False)
    walls = walls_of(spec)
    closed = None if walls is None else profile(spec.security, jail=walls)
    return around(node, given, disk=node.mount_point(spec.id), hostname=spec.host_name, closed=closed)


def around(
    node: Node, given: dict[str, Any], *, disk: Path, hostname: str, closed: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The container, of a configuration for the host's kernel. `closed`: system calls that are refused to what
    is guarded, beside what gVisor hasn't."""
    binds, within = _mounts(given["mounts"])
    namespaces = [{"type": one} for one in ("pid", "ipc", "uts", "mount")]
    inner = {
        "ociVersion": given["ociVersion"],
        "hostname": hostname,
        "root": {"path": DISK, "readonly": given["root"]["readonly"]},
        "process": _process(given),
        "mounts": [*within, _bind("/bin/busybox", TOOL, "ro")],
        "linux": {
            "namespaces": [*namespaces, {"type": "network", "path": "/proc/self/ns/net"}],
            **({"seccomp": closed} if closed is not None else {}),
        },
    }
    held = [one for one, bit in CAPABILITIES.items() if one in _STARTER and host_capabilities() >> bit & 1]
    return {
        **given,
        "root": {"path": str(tree.point(node)), "readonly": True},
        "process": {
            **given["process"],
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "args": ["/bin/catatonit", "--", *_SHELL, _START],
            "env": [GIVEN + json.dumps(inner), "PATH=/bin", "HOME=/"],
            "noNewPrivileges": True,
            "rlimits": rlimits(),
            "capabilities": {
                **dict.fromkeys(("bounding", "effective", "permitted"), held),
                "inheritable": [],
                "ambient": [],
            },
        },
        "mounts": [*_outer_mounts(node, given["mounts"]), _bind(disk, DISK), _PLACES, *binds],
        "linux": {
            **given["linux"],
            "maskedPaths": [f"/proc/{one}" for one in _MASKED],
            "seccomp": profile(AROUND_GUARDED),
        },
    }


def _process(given: dict[str, Any]) -> dict[str, Any]:
    """An init of a tree's own finds a console."""
    process: dict[str, Any] = given["process"]
    if KIND in given["annotations"]:
        return process
    return {**process, "args": [TOOL, "sh", "-c", _BOOT, "sh", *process["args"]]}


def _outer_mounts(node: Node, of_kind: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [one for one in of_kind if one["destination"] in ("/proc", "/dev", "/dev/pts")]
    memory = {"type": "tmpfs", "source": "tmpfs"}
    plain = ["nosuid", "nodev"]
    places = [
        {"destination": "/run", **memory, "options": [*plain, "mode=700", "size=4m"]},
        {"destination": "/tmp", **memory, "options": [*plain, "mode=1777", "size=1m"]},  # noqa: S108
    ]
    meminfo = node.lxcfs / "proc/meminfo"
    shown = [_bind(meminfo, "/proc/meminfo", "ro")] if meminfo.exists() else []
    return [*({**one, "options": _without_hiding(one["options"])} for one in kept), *places, *shown]


def _without_hiding(options: list[str]) -> list[str]:
    return [one for one in options if not one.startswith(("hidepid", "gid=0"))]


def _mounts(of_kind: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is shown to the container, and what is made of it inside."""
    binds: list[dict[str, Any]] = []
    within: list[dict[str, Any]] = []
    for one in of_kind:
        place = one["destination"]
        if place in _OWN_MOUNTS or any(place == top or place.startswith(f"{top}/") for top in _OWN_DIRECTORIES):
            continue
        if one["type"] != "bind":
            within.append(one)
            continue
        seen = f"/run/given/{len(binds)}"
        binds.append({**one, "destination": seen})
        within.append({**one, "source": seen})
    return binds, within


def _bind(source: object, target: str, *options: str) -> dict[str, Any]:
    options = ("rbind", "nosuid", "nodev", *options)
    return {"destination": target, "type": "bind", "source": str(source), "options": list(options)}
