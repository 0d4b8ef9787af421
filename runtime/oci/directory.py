"""OCI runtime configuration (runtime-spec 1.0.2) of what runs in a directory: each time a container of its own.

A user who is not root and gets no privilege, no network, no device beyond the plain ones, no set-user-id
program, and a filter that lets nothing through which such a user has no use for.
"""

from functools import cache
from typing import Any, Final

from runtime.contract import EnvironmentSpec, SecurityProfile
from runtime.images.directory.profiles import HOME, UID, USER
from runtime.node import IDS_PER_SLOT, Node
from runtime.oci.config import DEFAULT_STOP, KIND, STOP_SIGNAL, rlimits
from runtime.oci.seccomp import EPERM, profile

#: As the annotation of its bundle has it.
DIRECTORY: Final = "directory"
#: Places in the mount namespace that each container is made in, see `runtime.sandboxes.shared.rooms`.
ROOT, USERS = "root", "users"
#: Of what a system may do, what nobody needs in there. Most of it fails without capabilities anyway.
REFUSED: Final = frozenset(
    (
        *("chroot", "mount", "pivot_root", "setns", "umount", "umount2", "unshare"),
        *("fsconfig", "fsmount", "fsopen", "fspick", "mount_setattr", "move_mount", "open_tree"),
        *("process_madvise", "process_vm_readv", "process_vm_writev", "ptrace", "name_to_handle_at"),
        *("reboot", "setdomainname", "sethostname", "swapoff", "swapon", "vhangup"),
    )
)
_AF_UNIX = 1
_ENVIRONMENT = (
    "PATH=/usr/bin:/bin",
    f"HOME={HOME}",
    f"USER={USER}",
    f"LOGNAME={USER}",
    "LANG=C.UTF-8",
    "TERM=xterm-256color",
)


def directory_config(node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
    """What every entry is made from, but for its words and its group."""
    mapping = [{"containerID": 0, "hostID": node.first_uid(spec.slot), "size": IDS_PER_SLOT}]
    return {
        "ociVersion": "1.0.2",
        "hostname": spec.name,
        "root": {"path": ROOT, "readonly": False},
        "process": {
            "terminal": False,
            "user": {"uid": UID, "gid": UID, "umask": 0o022},
            "cwd": HOME,
            "args": ["/usr/bin/false"],
            "env": list(_ENVIRONMENT),
            "noNewPrivileges": True,
            "oomScoreAdj": 0,
            "capabilities": {
                name: [] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")
            },
            "rlimits": rlimits(),
        },
        "mounts": entry_mounts(),
        "annotations": {STOP_SIGNAL: DEFAULT_STOP, KIND: DIRECTORY},
        "linux": {
            "namespaces": entry_namespaces(),
            "uidMappings": mapping,
            "gidMappings": mapping,
            "rootfsPropagation": "private",
            "devices": [],
            "resources": {"devices": plain_devices()},
            "seccomp": directory_profile(),
        },
    }


def entry_namespaces() -> list[dict[str, Any]]:
    """All new: of the network one without a link, so without even a loopback that is up."""
    each = [{"type": one} for one in ("pid", "ipc", "uts", "mount", "cgroup", "network")]
    return [*each, {"type": "user", "path": USERS}]


def entry_mounts() -> list[dict[str, Any]]:
    def mount(target: str, kind: str, *options: str) -> dict[str, Any]:
        return {"destination": target, "type": kind, "source": kind, "options": list(options)}

    return [
        # of /proc processes alone, nothing of the machine (proc(5))
        mount("/proc", "proc", "nosuid", "nodev", "noexec", "subset=pid"),
        mount("/dev", "tmpfs", "nosuid", "noexec", "mode=755", "size=64k", "nr_inodes=256"),
        mount(
            *("/dev/pts", "devpts", "nosuid", "noexec", "newinstance"),
            *("ptmxmode=0666", "mode=0620", "gid=5", "max=64"),
        ),
    ]


def plain_devices() -> list[dict[str, Any]]:
    """null, zero, full, random, urandom, tty, ptmx and pts."""
    allowed: list[tuple[int, int | None]] = [(1, minor) for minor in (3, 5, 7, 8, 9)]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    for major, minor in (*allowed, (5, 0), (5, 2), (136, None)):
        rule = {"allow": True, "type": "c", "major": major, "access": "rw"}
        rules.append(rule if minor is None else {**rule, "minor": minor})
    return rules


@cache
def directory_profile() -> dict[str, Any]:
    """The filter of a system less `REFUSED`, and sockets of one family: those that are files."""
    known = profile(SecurityProfile())
    rules = [_less(one) for one in known["syscalls"] if one["names"] != ["socket"]]
    unix = {"index": 0, "value": _AF_UNIX, "valueTwo": 0, "op": "SCMP_CMP_EQ"}
    return {
        **known,
        "syscalls": [
            *(one for one in rules if one["names"]),
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [unix]},
            {"names": sorted(REFUSED), "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM},
        ],
    }


def _less(rule: dict[str, Any]) -> dict[str, Any]:
    return {**rule, "names": [one for one in rule["names"] if one not in REFUSED]}
