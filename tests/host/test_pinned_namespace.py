"""The node's mount namespace is pinned wherever it is made, on whichever processor."""

import os
import sys
from pathlib import Path

import pytest

from runtime.host import libc
from runtime.node import Node, default_settings
from runtime.prepare import is_pinned, pin_mount_namespace

pytestmark = pytest.mark.root


def _pins(home: Path, made_on: int, asked_on: int) -> bool:
    """From a mount namespace that was made on one processor, by a process that runs on another."""
    os.sched_setaffinity(0, {made_on})
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("", "/", "", libc.MS_REC | libc.MS_PRIVATE)
    os.sched_setaffinity(0, {asked_on})
    node = Node(home, default_settings(home))
    node.mount_namespace.parent.mkdir(parents=True)
    return pin_mount_namespace(node) and is_pinned(node)


def test_a_namespace_within_another_is_pinned_on_any_processor(tmp_path: Path) -> None:
    """From Linux 6.18 on a namespace that is made later on another processor may have the lower number, and the
    kernel takes it for the outer one. Needs two processors to show."""
    processors = sorted(os.sched_getaffinity(0))
    for number, (made_on, asked_on) in enumerate((a, b) for a in processors for b in processors):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if _pins(tmp_path / str(number), made_on, asked_on) else 2
            except BaseException as error:
                sys.stderr.write(f"made on {made_on}, asked on {asked_on}: {error!r}\n")
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, (made_on, asked_on)
