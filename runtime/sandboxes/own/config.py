"""OCI configuration (runtime-spec 1.0.2) of the container around an own kernel, and what that kernel is
told."""

import json
import shlex
from typing import Any

from runtime.contract import EnvironmentSpec
from runtime.contract.boot_words import NO_MODULES, SINGLE_USER
from runtime.contract.capabilities import CAPABILITIES
from runtime.network.addressing import GATEWAY4, GATEWAY6, HOST_MAC, guest_mac, interface_name
from runtime.node import Node
from runtime.oci.config import KIND, STOP_SIGNAL, host_capabilities
from runtime.sandboxes.own import tree
from runtime.sandboxes.own.inside.launch import DISK, MEMORY

#: Its link, as the container has it and the guest.
INTERFACE = interface_name()
#: Of an environment's memory, for what serves its kernel: the disk server, relay, launcher, and the kernel
#: itself.
OVERHEAD_MB = 80
#: With less the guest has too little for a system of its own.
LEAST_MB = 192
#: Of the launcher: for the disk server the rights over files within the environment's ids, for the kernel the
#: raw socket on its link. `SETPCAP`, `SETUID`, `SETGID`: to drop them.
_LAUNCHER = frozenset(
    (
        *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID"),
        *("CAP_SETUID", "CAP_SETPCAP", "CAP_SETFCAP", "CAP_MKNOD", "CAP_SYS_CHROOT", "CAP_NET_RAW", "CAP_KILL"),
    )
)
_LIBRARIES = "import sys; sys.path.insert(0, '/wadah'); "
#: The container's own /proc: nobody in it has a use for more.
_MASKED = "acpi asound bus cmdline fs irq kallsyms kcore keys modules scsi sysrq-trigger timer_list".split()


def own_config(node: Node, spec: EnvironmentSpec, system: dict[str, Any]) -> dict[str, Any]:
    """In place of that of the same system on the host's kernel."""
    given = {"kernel": kernel_words(spec), "init": init_script(spec, system["process"])}
    held = [one for one, bit in CAPABILITIES.items() if one in _LAUNCHER and host_capabilities() >> bit & 1]
    code = f"{_LIBRARIES}import json; from runtime.sandboxes.own.inside.launch import main; "
    code += "sys.exit(main(json.loads(sys.argv[1])))"
    return {
        **system,
        "root": {"path": str(tree.point(node)), "readonly": True},
        "process": {
            **system["process"],
            "args": [tree.PYTHON, "-S", "-s", "-B", "-c", code, json.dumps(given)],
            "env": ["PYTHONHOME=/python", "PATH=/usr/bin:/bin", "HOME=/"],
            "noNewPrivileges": True,
            "capabilities": {
                "bounding": held,
                "effective": held,
                "permitted": held,
                "inheritable": [],
                "ambient": [],
            },
        },
        "mounts": _mounts(node, spec, system["mounts"]),
        "annotations": {**system["annotations"], KIND: "kernel", STOP_SIGNAL: "SIGTERM"},
        "linux": {**system["linux"], "maskedPaths": [f"/proc/{one}" for one in _MASKED]},
    }


def guest_mb(spec: EnvironmentSpec) -> int:
    return max(LEAST_MB - OVERHEAD_MB, spec.limits.memory_mb - OVERHEAD_MB)


def _mounts(node: Node, spec: EnvironmentSpec, of_system: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [one for one in of_system if one["destination"] in ("/proc", "/dev", "/dev/pts")]

    def memory(target: str, *options: str) -> dict[str, Any]:
        return {
            "destination": target,
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "nodev", *options],
        }

    def bind(source: object, target: str, *options: str) -> dict[str, Any]:
        options = ("bind", "nosuid", "nodev", *options)
        return {"destination": target, "type": "bind", "source": str(source), "options": list(options)}

    return [
        *kept,
        memory("/run", "mode=755", "size=1m"),
        memory(MEMORY, "mode=1777", f"size={guest_mb(spec) + 8}m"),
        bind(node.mount_point(spec.id), DISK),
        bind(tree.MODULES, "/lib/modules", "ro"),
    ]


def kernel_words(spec: EnvironmentSpec) -> list[str]:
    words = [
        f"mem={guest_mb(spec)}M",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "ro",
        "init=/run/init",
    ]
    given = [one for one in spec.boot_words if one != NO_MODULES]
    return [*words, f"vec0:transport=raw,ifname={INTERFACE},gro=1,mac={guest_mac(spec.id)}", *given]


def network_lines(spec: EnvironmentSpec) -> list[str]:
    """By ip(8), what `Addresses` does for a system on the host's kernel."""
    lines = []
    for gateway, mine in ((GATEWAY4, spec.network.ipv4), (GATEWAY6, spec.network.ipv6)):
        for address in mine:
            lines.append(
                f"/sbin/ip addr replace {address}/{address.max_prefixlen} dev {INTERFACE} nodad"
                if gateway.version == 6
                else f"/sbin/ip addr replace {address}/32 dev {INTERFACE}"
            )
        if mine:
            lines.append(f"/sbin/ip neigh replace {gateway} lladdr {HOST_MAC} dev {INTERFACE} nud permanent")
            if gateway.version == 4:
                lines.append(f"/sbin/ip route replace {gateway}/32 dev {INTERFACE}")
            family = "-6 " if gateway.version == 6 else ""
            lines.append(f"/sbin/ip {family}route replace default via {gateway} dev {INTERFACE} src {mine[0]}")
    return lines


def network_change(spec: EnvironmentSpec) -> list[str]:
    """What is there and isn't given any more goes first; then as at the start. What root inside added himself,
    of other forms than ours, stays."""
    kept = (
        "|".join([f"{one}/32" for one in spec.network.ipv4] + [f"{one}/128" for one in spec.network.ipv6])
        or "-"
    )
    listed = f"/sbin/ip -o addr show dev {INTERFACE} scope global"
    return [
        f"for one in $({listed} | busybox awk '{{print $4}}'); do",
        f"  case $one in {kept or '-'}) ;;",
        f'    */32 | */128) /sbin/ip addr del "$one" dev {INTERFACE} ;; esac',
        "done",
        "set -e",
        *network_lines(spec),
    ]


_MODULES_OFF = "echo 1 >/proc/sys/kernel/modules_disabled"
_GUEST = """#!/bin/busybox sh
# First of all in the guest: shows the disk as the kernel's own, sets up the network, and hands over to its
# init.
export PATH=/sbin:/bin
b=/bin/busybox
$b mount -t proc proc /proc
modules=/lib/modules/$($b uname -r)/kernel
for one in fs/fuse/fuse fs/fuse/virtiofs lib/crc-ccitt net/ipv6/ipv6; do $b insmod $modules/$one.ko; done
if ! $b mount -t virtiofs root /new; then
  echo "The disk isn't there."
  $b poweroff -f
fi
{modules}
for one in proc sys dev run; do [ -d /new/$one ] || $b mkdir -m 755 /new/$one; done
echo {name} >/proc/sys/kernel/hostname
/sbin/ip link set lo up
/sbin/ip link set vec0 name {interface}
/sbin/ip link set {interface} up
{network}
$b mount -t sysfs -o nosuid,nodev,noexec sys /new/sys
$b mount -t devtmpfs -o nosuid,noexec,mode=755 dev /new/dev
$b mkdir -p /new/dev/pts /new/dev/shm /new/dev/mqueue
$b mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5 pts /new/dev/pts
$b mount -t tmpfs -o nosuid,nodev,mode=1777 shm /new/dev/shm
$b mount -t mqueue -o nosuid,nodev,noexec mqueue /new/dev/mqueue
$b mount -t tmpfs -o nosuid,nodev,mode=755 run /new/run
$b mount -t proc -o nosuid,nodev,noexec proc /new/proc
PYTHONHOME=/python $b unshare -m $b setsid {agent} </dev/null >/dev/null 2>&1 &
cd /new
$b mount --move . /
exec $b env -i {environment} $b chroot . {init}
"""


def init_script(spec: EnvironmentSpec, process: dict[str, Any]) -> str:
    init = [*process["args"], *(one for one in spec.boot_words if one in (SINGLE_USER, "emergency"))]
    code = f"{_LIBRARIES}from runtime.sandboxes.own.inside.agent import main; main()"
    return _GUEST.format(
        name=shlex.quote(spec.name),
        interface=INTERFACE,
        network="\n".join(network_lines(spec)),
        agent=shlex.join([tree.PYTHON, "-S", "-s", "-B", "-c", code]),
        environment=shlex.join(process["env"]),
        init=shlex.join(init),
        modules=_MODULES_OFF if NO_MODULES in spec.boot_words else "",
    )
