"""The trial of an own kernel: it starts as nobody, without a disk, and says one word."""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress

from runtime.node import Node
from runtime.sandboxes.own import tree
from runtime.sandboxes.own.inside.launch import KERNEL
from runtime.sandboxes.trial import DEADLINE_S, Found, Trial, came_of

_NOBODY = 65_534
_MEMORY = "64M"


def trial(node: Node) -> Trial:
    return Trial(node, "own", lambda: str(tree.point(node).stat().st_ino))


def tried(node: Node) -> Found:
    place = tree.point(node)
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
    return came_of(text, tree.PROBE_WORD, took_ms)
