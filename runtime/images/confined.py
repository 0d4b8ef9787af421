"""A container of its own for a program that reads what strangers sent: it can reach nothing else.

It has a user namespace whose root is nobody outside, no network but one that the caller made, no capability but
those to own files, the seccomp filter of an environment, a memory and a task limit, the host's /usr read-only,
and the directories that are given to it. So a parser that is led astray has led itself astray.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime import views
from runtime.contract import SecurityProfile
from runtime.host import mounts
from runtime.node import IDS_PER_SLOT, IMPORT_SLOT, Node
from runtime.oci.seccomp import profile
from runtime.sandboxes import sandbox_of
from runtime.sandboxes.base import Apart, Payer

#: Begins the names of what is made; of pins of network namespaces, with process and thread.
PREFIX, PIN_PREFIX = "import-", "import-net-"
#: Locked by the process whose container it is, for as long as that lives.
_OWNER = "owner"
_BEING_MADE_S = 60.0
_OWNING = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETFCAP"]
#: Of a program that makes roots of its own, mounts in them and becomes others there: all within its own ids.
BUILDING = [
    *_OWNING,
    *("CAP_KILL", "CAP_MKNOD", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_ADMIN", "CAP_SYS_CHROOT"),
]
#: base-passwd(8)
_USERS = "/usr/share/base-passwd/passwd.master"
_OF_USR = ("bin", "sbin", "lib", "lib64")


_PROC = {
    "destination": "/proc",
    "type": "proc",
    "source": "proc",
    "options": ["nosuid", "nodev", "noexec"],
}
#: Of /proc what tells of the machine, and of others on it.
_MACHINE = [f"/proc/{one}" for one in (*views.EMPTY, *views.EMPTY_DIRECTORIES, *views.LXCFS, "sys")]


@dataclass(frozen=True)
class Program:
    """What runs in there."""

    words: Sequence[str]
    trees: Mapping[str, Path]
    """Directories of the pool by where they are seen, writable, with ids as inside."""
    shown: Mapping[str, Path] = field(default_factory=dict)
    """Files and directories of the host, read-only."""
    looked_at: Mapping[str, Path] = field(default_factory=dict)
    """As `trees`, and read-only."""
    memory_bytes: int = 256 * 2**20
    processes: int = 32
    open_files: int = 256
    scratch_bytes: int = 0
    """Of a /tmp in memory; 0: there is none."""
    has_proc: bool = False
    """A /proc of its own processes, by which some see that they are no real root."""
    network: Path | None = None
    """A network namespace in place of an empty one."""
    has_users: bool = False
    """A list of users, for what asks who it is: that which Debian begins with, and root in it."""
    hostname: str = "import"
    is_background: bool = False
    """Where environments want the processors too, these go before it."""
    slot: int = IMPORT_SLOT
    """Whose user ids it has."""
    capabilities: Sequence[str] = tuple(_OWNING)
    in_memory: Mapping[str, int] = field(default_factory=dict)
    """Directories in memory by where they are seen, with their sizes in bytes."""
    payer: Payer | None = None
    """A tenant, within whose group it runs."""


@contextmanager
def confined(node: Node, program: Program) -> Iterator[Apart]:
    """What runs it, and ends it at once; all that it was made of is gone afterwards."""
    with ExitStack() as undo:
        place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=node.mounts))
        place.chmod(0o711)
        owner = os.open(place / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        undo.callback(os.close, owner)
        fcntl.flock(owner, fcntl.LOCK_EX)
        undo.callback(_remove, place)
        root, pin = place / "root", place / "users"
        pool = {**program.trees, **program.looked_at}
        scratch = ["/tmp"] if program.scratch_bytes else []  # noqa: S108
        etc = ["/etc"] if program.has_users else []
        _skeleton(root, [*pool, *program.shown, *scratch, *program.in_memory, *etc])
        if program.has_users:
            (root / "etc/passwd").symlink_to(_USERS)
        namespace = mounts.user_namespace(node.first_uid(program.slot), IDS_PER_SLOT)
        undo.callback(os.close, namespace)
        mounts.pin_namespace(namespace, pin)
        undo.callback(mounts.unmount, pin)
        shown = {}
        for number, (target, tree) in enumerate(pool.items()):
            shown[target] = place / f"tree{number}"
            shown[target].mkdir()
            shown[target].chmod(0o755)
            mounts.mount_idmapped(tree, shown[target], namespace=namespace)
            undo.callback(mounts.unmount, shown[target])
        config = _config(node, place, program, shown)
        made = sandbox_of(node).apart(
            place,
            config,
            memory_bytes=program.memory_bytes,
            processes=program.processes,
            is_background=program.is_background,
            payer=program.payer,
        )
        yield undo.enter_context(made)


def sweep(node: Node) -> None:
    """Takes away what a process that was killed left of its containers: they run on, and show trees that may
    have been deleted since. A no-op for those that are used."""
    for place in node.mounts.glob(f"{PREFIX}*"):
        if place.is_dir():
            _sweep(node, place)
        elif place.name.startswith(PIN_PREFIX) and not _is_thread(place.name.removeprefix(PIN_PREFIX)):
            mounts.unmount(place)
            place.unlink(missing_ok=True)


def _sweep(node: Node, place: Path) -> None:
    with ExitStack() as undo:
        try:
            owner = os.open(place / _OWNER, os.O_RDWR | os.O_CLOEXEC)
            undo.callback(os.close, owner)
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except FileNotFoundError:
            with suppress(FileNotFoundError):
                if abs(time.time() - place.stat().st_mtime) < _BEING_MADE_S:
                    return
        sandbox_of(node).end_apart(place.name)
        for one in place.iterdir():
            mounts.unmount(one)
        _remove(place)


def _is_thread(name: str) -> bool:
    process, _, thread = name.partition("-")
    return Path("/proc", process, "task", thread).exists()


def _remove(place: Path) -> None:
    """Not while anything is mounted there: what would be deleted is somebody's tree."""
    with suppress(FileNotFoundError):
        if not any(one.is_mount() for one in place.iterdir()):
            shutil.rmtree(place, ignore_errors=True)


def _skeleton(root: Path, targets: Sequence[str]) -> None:
    for name in ("usr", "dev", "proc", *(target.strip("/") for target in targets)):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in _OF_USR:
        if Path("/", name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
        elif Path("/", name).is_dir():
            (root / name).mkdir()
    for one in (root, *root.rglob("*")):
        if not one.is_symlink():
            one.chmod(0o755)  # whatever the umask: its root is another user than ours


def _config(node: Node, place: Path, program: Program, trees: Mapping[str, Path]) -> dict[str, Any]:
    """OCI runtime configuration: nothing but /usr and what was given."""
    root = place / "root"
    first = node.first_uid(program.slot)
    mapping = [{"containerID": 0, "hostID": first, "size": IDS_PER_SLOT}]
    shared = [name for name in _OF_USR if (root / name).is_dir() and not (root / name).is_symlink()]
    network = {"path": str(program.network)} if program.network else {}
    return {
        "ociVersion": "1.0.2",
        "hostname": program.hostname,
        "root": {"path": str(root), "readonly": True},
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "args": list(program.words),
            "env": ["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"],
            "noNewPrivileges": True,
            "oomScoreAdj": 500,
            "capabilities": {
                **{one: list(program.capabilities) for one in ("bounding", "effective", "permitted")},
                "inheritable": [],
                "ambient": [],
            },
            "rlimits": [
                {"type": "RLIMIT_NOFILE", "soft": program.open_files, "hard": program.open_files},
                {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
            ],
        },
        "mounts": [
            *(_bind(Path("/", name), f"/{name}", "ro") for name in ("usr", *shared)),
            *(_bind(source, target, "ro") for target, source in program.shown.items()),
            *(
                _bind(source, target, "rw" if target in program.trees else "ro")
                for target, source in trees.items()
            ),
            *([_PROC] if program.has_proc else []),
            _in_memory("/dev", 64 * 1024, "noexec"),
            *([_in_memory("/tmp", program.scratch_bytes, "nodev")] if program.scratch_bytes else []),  # noqa: S108
            *(_in_memory(target, size, "nodev") for target, size in program.in_memory.items()),
        ],
        "linux": {
            "namespaces": [
                *({"type": one} for one in ("pid", "ipc", "uts", "mount", "cgroup")),
                {"type": "network", **network},
                {"type": "user", "path": str(place / "users")},
            ],
            "uidMappings": mapping,
            "gidMappings": mapping,
            "rootfsPropagation": "private",
            "maskedPaths": _MACHINE if program.has_proc else [],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "seccomp": profile(SecurityProfile()),
        },
    }


def _in_memory(target: str, size_bytes: int, option: str) -> dict[str, Any]:
    return {
        "destination": target,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", option, "mode=755", f"size={size_bytes}"],
    }


def _bind(source: Path, target: str, how: str) -> dict[str, Any]:
    return {
        "destination": target,
        "type": "bind",
        "source": str(source),
        "options": ["bind", how, "nosuid", "nodev", "private"],
    }
