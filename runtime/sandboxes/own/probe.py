"""Whether such a kernel starts on this host at all: tried once for each of its trees and each kernel of the
host."""

import json
import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from runtime.contract.said import Said
from runtime.contract.words import kernels
from runtime.node import Node
from runtime.sandboxes.own import tree
from runtime.sandboxes.own.inside.launch import KERNEL

DEADLINE_S = 20.0
_NOBODY = 65_534
_MEMORY = "64M"


def run_once(node: Node) -> bool:
    """False when what came of it is known already."""
    if _known(node) is not None:
        return False
    found = tried(tree.point(node))
    new = _note(node).with_suffix(".new")
    new.write_text(json.dumps({"of": _of(node), **found}))
    new.rename(_note(node))
    return True


def refused(node: Node) -> Said | None:
    """Why it doesn't start; None when it did."""
    known = _known(node)
    if known is None:
        return kernels.not_tried()
    return None if known["start_ms"] is not None else kernels.did_not_start(str(known["why"]))


def start_ms(node: Node) -> float | None:
    """From its program's start to its first process."""
    known = _known(node)
    return None if known is None else known["start_ms"]


def _note(node: Node) -> Path:
    return node.root / "kernels" / "own.json"


def _of(node: Node) -> str:
    with suppress(OSError):
        return f"{tree.point(node).stat().st_ino} {os.uname().release}"
    return ""


def _known(node: Node) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        file = _note(node)
        seen = file.stat()
        found = _read(str(file), seen.st_mtime_ns, seen.st_ino)
        return found if found["of"] == _of(node) else None
    return None


@lru_cache(maxsize=8)
def _read(file: str, _changed: int, _inode: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(file).read_text())
    return found


def tried(place: Path) -> dict[str, Any]:
    """As nobody, without a disk: `{"start_ms", "why"}`, one of them None."""
    words = [KERNEL, f"mem={_MEMORY}", "root=/dev/root", "rootfstype=hostfs", f"rootflags={place}", "ro"]
    words += ["init=/wadah/probe", "con0=null,fd:1", "con=null", "ssl=null"]
    with tempfile.TemporaryDirectory(prefix="own-", dir="/dev/shm") as memory:
        os.chown(memory, _NOBODY, _NOBODY)
        began = time.monotonic()
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"TMPDIR": memory, "HOME": memory, "PATH": "/usr/bin:/bin"},
            user=_NOBODY,
            group=_NOBODY,
            extra_groups=[],
            start_new_session=True,
            cwd="/",
        )
        try:
            text, _ = process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            text = b"it did not end within %d s" % DEADLINE_S
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(DEADLINE_S)
        took_ms = (time.monotonic() - began) * 1000
    lines = text.decode(errors="replace").strip().splitlines()
    if any(tree.PROBE_WORD in one for one in lines):
        return {"start_ms": round(took_ms), "why": None}
    return {"start_ms": None, "why": "".join(c for c in (lines or ["?"])[-1] if c.isprintable())[:200]}
