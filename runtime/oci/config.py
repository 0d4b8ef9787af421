"""OCI runtime configuration (runtime-spec 1.0.2) of the kind `system`."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import devices
from runtime.contract import EnvironmentSpec, SecurityClass
from runtime.contract.capabilities import CAPABILITIES, STRICT_LACKS
from runtime.node import IDS_PER_SLOT, Node
from runtime.oci.init import SYSTEMD_HALTS_AT
from runtime.oci.seccomp import profile

if TYPE_CHECKING:
    from runtime.kinds.base import FirstCommand

#: Annotations by which what runs is known, and what asks it to end.
KIND, STOP_SIGNAL, DEFAULT_STOP = "org.wadah.kind", "org.opencontainers.image.stopSignal", "SIGTERM"

ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM=xterm-256color",
    # without it the OCI runtime looks for it in /etc/passwd inside, which may be a fifo
    "HOME=/root",
    "container=oci",
)


def system_config(node: Node, spec: EnvironmentSpec, command: "FirstCommand") -> dict[str, Any]:
    """A whole system: its init as PID 1, its own namespaces and ids, the default confinement. The sandbox adds
    what is its own: the control group, and what is seen of it."""
    first = node.first_uid(spec.slot)
    mapping = [{"containerID": 0, "hostID": first, "size": IDS_PER_SLOT}]
    capabilities = capabilities_of(spec.security.confinement)
    return {
        "ociVersion": "1.0.2",
        "hostname": spec.host_name,
        "root": {"path": str(node.mount_point(spec.id)), "readonly": False},
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "args": command.words,
            "env": list(ENVIRONMENT),
            "noNewPrivileges": False,
            "oomScoreAdj": 0,
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities,
                "inheritable": [],
                "ambient": [],
            },
            "rlimits": rlimits(),
        },
        "mounts": [
            *_mounts(node, spec),
            *_service_mounts(node, spec, command.stop_signal),
            *_lxcfs_mounts(node),
            *_device_mounts(node, spec),
        ],
        "annotations": {
            STOP_SIGNAL: command.stop_signal,
        },
        "linux": {
            "namespaces": [
                *({"type": one} for one in NAMESPACES),
                {"type": "user", "path": str(node.user_namespace(spec.id))},
                {"type": "network", "path": str(node.network_namespace(spec.id))},
                *_time_namespace(node, spec),
            ],
            "uidMappings": mapping,
            "gidMappings": mapping,
            "rootfsPropagation": "private",
            "devices": [],
            "resources": {"devices": _device_rules(spec)},
            "seccomp": profile(spec.security),
        },
    }


#: Made by the OCI runtime; the others are made by us, see `Namespaces`.
NAMESPACES = ("pid", "ipc", "uts", "mount", "cgroup")


def _time_namespace(node: Node, spec: EnvironmentSpec) -> list[dict[str, Any]]:
    """None on a kernel without them: clocks since boot are the host's then."""
    pin = node.time_namespace(spec.id)
    return [{"type": "time", "path": str(pin)}] if pin.exists() else []


@cache
def host_capabilities() -> int:
    """The host's bounding set, as a mask: what it lacks, nobody inside can be given."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return 0


def capabilities_of(confinement: SecurityClass) -> list[str]:
    mask = host_capabilities()
    lacks = STRICT_LACKS if confinement is SecurityClass.STRICT else frozenset()
    return [name for name, bit in CAPABILITIES.items() if mask >> bit & 1 and name not in lacks]


def rlimits() -> list[dict[str, Any]]:
    """Soft and hard limits of init; never above the host's own hard limits, which root without
    CAP_SYS_RESOURCE can't raise."""
    wanted = (
        ("RLIMIT_NOFILE", 1024, 524_288, hard_limit("Max open files")),
        ("RLIMIT_CORE", 0, 0, hard_limit("Max core file size")),
        ("RLIMIT_MSGQUEUE", 819_200, 819_200, hard_limit("Max msgqueue size")),
    )
    return [
        {"type": name, "soft": min(soft, most), "hard": min(hard, most)} for name, soft, hard, most in wanted
    ]


@cache
def hard_limit(name: str) -> int:
    for line in Path("/proc/self/limits").read_text().splitlines():
        if line.startswith(name):
            hard = line[len(name) :].split()[1]
            return 2**62 if hard == "unlimited" else int(hard)
    return 2**62


#: Of what an environment has: for a file system of that size in memory as a machine of that size has it.
_SHARED_MEMORY_SHARE, _RUN_SHARE, _LEAST_RUN_BYTES = 2, 5, 64 * 2**20


def _mounts(node: Node, spec: EnvironmentSpec) -> list[dict[str, Any]]:
    def mount(target: str, kind: str, *options: str) -> dict[str, Any]:
        return {"destination": target, "type": kind, "source": kind, "options": list(options)}

    memory = spec.limits.memory_mb * 2**20
    shared, run = memory // _SHARED_MEMORY_SHARE, max(_LEAST_RUN_BYTES, memory // _RUN_SHARE)
    return [
        mount("/proc", "proc", "nosuid", "nodev", "noexec"),
        mount("/dev", "tmpfs", "nosuid", "noexec", "mode=755", "size=64k", "nr_inodes=256"),
        mount(
            *("/dev/pts", "devpts", "nosuid", "noexec", "newinstance"),
            *("ptmxmode=0666", "mode=0620", "gid=5", "max=256"),
        ),
        mount("/dev/shm", "tmpfs", "nosuid", "nodev", "mode=1777", f"size={shared}"),  # noqa: S108
        mount("/dev/mqueue", "mqueue", "nosuid", "nodev", "noexec"),
        mount("/run", "tmpfs", "nosuid", "nodev", "mode=755", f"size={run}"),
        _bind(node.views / "sys", "/sys"),
    ]


def _service_mounts(node: Node, spec: EnvironmentSpec, stop_signal: str) -> list[dict[str, Any]]:
    """What systemd is told of its services (systemd.unit(5)); to another init nothing below /run may say that
    it is systemd."""
    if stop_signal != SYSTEMD_HALTS_AT:
        return []
    if spec.security.nesting:
        return [
            _bind(node.views / "docker", "/run/systemd/system/docker.service.d"),
            _bind(node.views / "nested", "/run/systemd/system/service.d"),
        ]
    return [_bind(node.views / "services", "/run/systemd/system/service.d")]


def _lxcfs_mounts(node: Node) -> list[dict[str, Any]]:
    """Nothing when lxcfs doesn't run: the guest then sees the host's processors."""
    online = "sys/devices/system/cpu/online"
    return [_bind(node.lxcfs / online, f"/{online}")] if (node.lxcfs / online).exists() else []


def _bind(source: Path, target: str) -> dict[str, Any]:
    options = ["bind", "ro", "nosuid", "nodev", "noexec"]
    return {"destination": target, "type": "bind", "source": str(source), "options": options}


def _device_mounts(node: Node, spec: EnvironmentSpec) -> list[dict[str, Any]]:
    return [
        {
            "destination": device.value,
            "type": "bind",
            "source": str(devices.source(node, device)),
            "options": ["bind", "ro", "nosuid", "noexec"],  # a device is written to all the same
        }
        for device in spec.devices
    ]


def _device_rules(spec: EnvironmentSpec) -> list[dict[str, Any]]:
    """null zero full random urandom tty ptmx pts, and what it was given; nothing else.
    linux/Documentation/admin-guide/devices.txt"""
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    for major, minor in devices.allowed(spec.devices):
        rule = {"allow": True, "type": "c", "major": major, "access": "rw"}
        rules.append(rule if minor is None else {**rule, "minor": minor})
    return rules
