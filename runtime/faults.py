"""Fail points: ends, hangs or fails the working process at a named step, on purpose, for tests.

Off unless the file HOME/node/faults is there (root's own directory). A line is

    <ensure|remove|wait|do|commit|settle|undo> <before|after> <action> <name of the step>

and fires once, then it is gone from the file. Actions: `kill` (SIGKILL to the process itself), `pause`
(SIGSTOP, until somebody continues it), `hang` (until somebody ends it), `fail` (a `RuntimeFault`), or the name
of an error number such as `ENOSPC` (an `OSError`). `*` as the name stands for any step. Reached at step
boundaries only.
"""

import errno
import fcntl
import os
import signal
import time
from pathlib import Path

from runtime.contract.words import refusals
from runtime.errors import RuntimeFault
from runtime.node import Node


def file_of(node: Node) -> Path:
    return node.root / "faults"


def point(node: Node, verb: str, when: str, name: str) -> None:
    """A no-op without the file, or when none of its lines is meant."""
    try:
        fd = os.open(file_of(node), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with os.fdopen(fd, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = file.read().splitlines()
        for number, line in enumerate(lines):
            words = line.split(maxsplit=3)
            if len(words) == 4 and words[:2] == [verb, when] and words[3] in (name, "*"):
                del lines[number]
                file.seek(0)
                file.truncate()
                file.writelines(f"{one}\n" for one in lines)
                file.flush()
                break
        else:
            return
    _act(words[2], f"{verb} {name} ({when})")


def _act(action: str, where: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "pause":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "hang":
        while True:
            time.sleep(3600)
    elif action == "fail":
        raise RuntimeFault(refusals.injected(where), code="injected")
    elif action in errno.errorcode.values():
        number = getattr(errno, action)
        raise OSError(number, os.strerror(number))
    else:
        raise ValueError(f"{file_of.__module__}: no such action: {action}")
