"""OCI runtime configuration (runtime-spec 1.0.2) of the kind `jail`: that of a whole system, less all that
wasn't allowed by name."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.contract import Allow, Device, EnvironmentSpec, JailWalls, Rescue
from runtime.contract.capabilities import CAPABILITIES as NUMBERS
from runtime.node import IDS_PER_SLOT, Node
from runtime.oci.app import INIT, INIT_PROGRAM
from runtime.oci.config import KIND, hard_limit, host_capabilities, system_config
from runtime.oci.seccomp import profile

if TYPE_CHECKING:
    from runtime.kinds.base import FirstCommand

#: As an annotation of what runs: one command below a small init.
COMMAND = "command"
#: What each word gives root inside. Without any of them root has no capability at all, and no program gives
#: more rights than whoever runs it has.
CAPABILITIES: dict[Allow, tuple[str, ...]] = {
    Allow.RAW_SOCKETS: ("CAP_NET_RAW",),
    Allow.MOUNT: ("CAP_SYS_ADMIN",),
    Allow.SET_HOSTNAME: ("CAP_SYS_ADMIN",),
    Allow.MLOCK: ("CAP_IPC_LOCK",),
    Allow.RESERVED_PORTS: ("CAP_NET_BIND_SERVICE",),
    Allow.PROC_DEBUG: ("CAP_SYS_PTRACE",),
    Allow.SUSER: tuple(
        """
        CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID
        CAP_SETPCAP CAP_IPC_OWNER CAP_SYS_CHROOT CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_TTY_CONFIG CAP_MKNOD
        CAP_LEASE CAP_AUDIT_WRITE CAP_SETFCAP
        """.split()
    ),
}
#: Whoever is in root's group sees all processes, everybody else his own.
#: linux/Documentation/filesystems/proc.rst
_HIDDEN_PROCESSES = ("hidepid=2", "gid=0")
_PING_GROUPS = f"0 {IDS_PER_SLOT - 1}"


def jail_config(node: Node, spec: EnvironmentSpec, command: "FirstCommand") -> dict[str, Any]:
    jail = spec.jail
    assert jail is not None
    config = confined(system_config(node, with_devices(spec), command), spec)
    if jail.command is not None:
        config["process"]["args"] = [INIT, "--", *command.words]
        config["annotations"][KIND] = COMMAND
        config["mounts"].append(_small_init(INIT_PROGRAM))
    return config


def walls_of(spec: EnvironmentSpec) -> JailWalls | None:
    """None of what is no jail. Whoever repairs its disk is whoever root could be."""
    if spec.jail is None:
        return None
    walls = spec.jail.walls
    if spec.rescue is Rescue.OFF or Allow.SUSER in walls.allow:
        return walls
    return JailWalls(allow=(*walls.allow, Allow.SUSER), children_max=walls.children_max)


def confined(config: dict[str, Any], spec: EnvironmentSpec) -> dict[str, Any]:
    """The configuration of a whole system with a jail's walls; as it is where there are none."""
    walls = walls_of(spec)
    if walls is None:
        return config
    allowed = capabilities_of(walls)
    config["process"] |= {
        "noNewPrivileges": Allow.SUSER not in walls.allow,
        "capabilities": {
            "bounding": allowed,
            "effective": allowed,
            "permitted": allowed,
            "inheritable": [],
            "ambient": [],
        },
    }
    config["process"]["rlimits"].append(_locked_memory(spec, walls))
    if Allow.PROC_DEBUG not in walls.allow:
        proc = next(one for one in config["mounts"] if one["destination"] == "/proc")
        proc["options"] = [*proc["options"], *_HIDDEN_PROCESSES]
    if Allow.RAW_SOCKETS in walls.allow:
        config["linux"]["sysctl"] = {"net.ipv4.ping_group_range": _PING_GROUPS}
    config["linux"]["seccomp"] = profile(spec.security, jail=walls)
    return config


def _small_init(program: Path) -> dict[str, Any]:
    options = ["bind", "ro", "nosuid", "nodev"]
    return {"destination": INIT, "type": "bind", "source": str(program), "options": options}


def capabilities_of(jail: JailWalls) -> list[str]:
    """In the kernel's order; never what the host itself lacks."""
    mask = host_capabilities()
    given = {name for word in jail.allow for name in CAPABILITIES.get(word, ())}
    return [name for name, bit in NUMBERS.items() if name in given and mask >> bit & 1]


def _locked_memory(spec: EnvironmentSpec, walls: JailWalls) -> dict[str, Any]:
    """All of its memory, as far as the node's own processes may lock so much; or none. It is the limit that
    decides: the kernel asks for CAP_IPC_LOCK of the host. mlock(2)"""
    most = spec.limits.memory_mb * 2**20 if Allow.MLOCK in walls.allow else 0
    most = min(most, hard_limit("Max locked memory"))
    return {"type": "RLIMIT_MEMLOCK", "soft": most, "hard": most}


def with_devices(spec: EnvironmentSpec) -> EnvironmentSpec:
    """With the device that `mount.fuse` is nothing without."""
    if spec.jail is None or Allow.MOUNT_FUSE not in spec.jail.allow or Device.FUSE in spec.devices:
        return spec
    return spec.model_copy(update={"devices": (*spec.devices, Device.FUSE)})
