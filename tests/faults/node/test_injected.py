"""Errors of single system calls (strace(1), inject): whatever the kernel refuses, at whichever call, a create
comes about or leaves nothing, and the next one works (X09)."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from runtime.contract import EnvironmentSpec, ObservedState
from runtime.engine import Engine
from runtime.node import Node
from tests.faults.node.support import assert_whole, delete
from tests.host.support.node import Specs

PATIENCE_S = 30.0
CALLS = [
    *(("openat", "EMFILE", n) for n in (4, 40)),
    ("openat", "EIO", 12),
    *(("ioctl", "ENOSPC", n) for n in (1, 2, 3, 4)),
    *(("ioctl", "EIO", n) for n in (1, 3)),
    *(("write", "ENOSPC", n) for n in (1, 5, 15)),
    *(("rename", "ENOSPC", n) for n in (1, 3, 4)),
    *(("mkdir", "ENOSPC", n) for n in (1, 9)),
    *(("sendto", "ENOBUFS", n) for n in (1, 3)),
    *(("setxattr", "ENOSPC", n) for n in (1, 2)),
    ("vfork", "ENOMEM", 1),
    ("clone", "ENOMEM", 1),
    ("mount", "EBUSY", 1),
    ("open_tree", "EMFILE", 1),
    ("mount_setattr", "ENOMEM", 1),
    ("move_mount", "EBUSY", 1),
    ("pidfd_open", "EMFILE", 1),
]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(("call", "error", "n"), CALLS)
def test_a_call_that_is_refused(node: Node, specs: Specs, busybox: str, call: str, error: str, n: int) -> None:
    spec = specs.new(stop_timeout_s=0)
    under_strace(node, spec, f"{call}:error={error}:when={n}")
    engine = Engine(node)
    for environment_id in engine.reconciler.interrupted():
        engine.again(environment_id)
    engine.reconcile()
    report = engine.current_report(spec.id)
    if report is not None and report.state is ObservedState.FAILED:
        assert report.message.endswith("Nothing is left of it."), report.message
    assert_whole(node)
    again = engine.apply(specs.change(spec, generation=2))
    assert again is not None
    assert (again.state, again.code) == (ObservedState.RUNNING, ""), again.message
    delete(node, spec)
    assert_whole(node)


def under_strace(node: Node, spec: EnvironmentSpec, injection: str) -> None:
    """Applies in a process of its own, whose n-th such call from here on is refused."""
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        try:
            os.read(ready, 1)
            Engine(node).apply(spec)
        finally:
            os._exit(0)
    os.close(ready)
    call = injection.partition(":")[0]
    what = ["-e", f"trace={call}", "-e", f"inject={injection}"]
    command = ["strace", "-qq", "-o", "/dev/null", "-p", str(child), *what]
    tracer = subprocess.Popen(command)
    try:
        until = time.monotonic() + PATIENCE_S
        while "TracerPid:\t0" in Path(f"/proc/{child}/status").read_text():
            assert time.monotonic() < until
            assert tracer.poll() is None
            time.sleep(0.002)
    finally:
        os.close(go)
        os.waitpid(child, 0)
        tracer.wait(PATIENCE_S)
