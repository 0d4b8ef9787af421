"""The trial of a guarded kernel: it starts in a container like an environment's, without a disk, and says one
word."""

import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime.errors import RuntimeFault
from runtime.node import IDS_PER_SLOT, IMPORT_SLOT, Node
from runtime.oci.config import KIND
from runtime.sandboxes.guarded import tree
from runtime.sandboxes.guarded.config import around
from runtime.sandboxes.shared.apart import apart
from runtime.sandboxes.trial import DEADLINE_S, Found, Trial, came_of

_WORD = "wadah-is-up"
_MEMORY_BYTES, _PROCESSES = 256 * 2**20, 256
_NAMESPACES = ("user", "pid", "network", "mount", "uts", "ipc", "cgroup")


def trial(node: Node) -> Trial:
    return Trial(node, "guarded", lambda: f"{tree.version()} {tree.point(node).stat().st_ino}")


def tried(node: Node) -> Found:
    with tempfile.TemporaryDirectory(prefix="guarded-", dir=node.mounts) as place:
        began = time.monotonic()
        try:
            text = _run(node, Path(place))
        except RuntimeFault as odd:
            text = str(odd).encode()
        return came_of(text, _WORD, (time.monotonic() - began) * 1000)


def _run(node: Node, place: Path) -> bytes:
    place.chmod(0o711)
    config = around(node, _given(node), disk=tree.point(node), hostname="probe")
    made = apart(node, place, config, memory_bytes=_MEMORY_BYTES, processes=_PROCESSES, is_background=False)
    with made as container:
        process = subprocess.Popen(
            container.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(container.environment),
            start_new_session=True,
            cwd="/",
        )
        try:
            return process.communicate(timeout=DEADLINE_S)[0]
        except subprocess.TimeoutExpired:
            return b"it did not end within %d s" % DEADLINE_S
        finally:
            container.end()
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(DEADLINE_S)


def _given(node: Node) -> dict[str, Any]:
    """Of what has a shell and no more."""
    mapping = [{"containerID": 0, "hostID": node.first_uid(IMPORT_SLOT), "size": IDS_PER_SLOT}]
    plain = ["nosuid", "nodev"]
    return {
        "ociVersion": "1.0.2",
        "hostname": "probe",
        "root": {"path": "", "readonly": True},
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "args": ["/bin/busybox", "echo", _WORD],
            "env": ["PATH=/bin"],
            "capabilities": {one: [] for one in ("bounding", "effective", "permitted")},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": plain},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        ],
        "annotations": {KIND: "app"},
        "linux": {
            "namespaces": [{"type": one} for one in _NAMESPACES],
            "uidMappings": mapping,
            "gidMappings": mapping,
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        },
    }
