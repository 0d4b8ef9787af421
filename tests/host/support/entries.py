"""Each way into an environment, as a process that stays there to be looked at (its host pid)."""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.console.exec import exec_arguments, run_command
from runtime.console.terminals import close_terminal, open_terminal
from runtime.contract import EnvironmentSpec
from runtime.node import Node
from runtime.sandboxes.shared.cgroup import Cgroup


def pids_of(node: Node, spec: EnvironmentSpec) -> list[int]:
    cgroup = Cgroup(node)
    return cgroup.groups.processes(cgroup.path(spec))


def _find(node: Node, spec: EnvironmentSpec, word: str) -> int:
    until = time.monotonic() + 30
    while True:
        for pid in pids_of(node, spec):
            try:
                if word in Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0"):
                    return pid
            except OSError:
                continue
        assert time.monotonic() < until, f"no process {word}"
        time.sleep(0.02)


@contextmanager
def command_process(node: Node, spec: EnvironmentSpec) -> Iterator[int]:
    """What exec of the API runs."""
    mark = str(int(uuid.uuid4().int % 10**6) + 10**6)
    thread = threading.Thread(
        target=run_command, args=(node, spec.id, ["/bin/sleep", mark]), kwargs={"timeout_s": 60}
    )
    thread.start()
    pid = _find(node, spec, mark)
    try:
        yield pid
    finally:
        os.kill(pid, 9)
        thread.join()


@contextmanager
def terminal_process(node: Node, spec: EnvironmentSpec) -> Iterator[int]:
    """The shell of a named terminal."""
    terminal = open_terminal(node, spec.id, "audit")
    try:
        yield int((terminal.directory / "shell.pid").read_text())
    finally:
        close_terminal(node, spec.id, "audit")


@contextmanager
def command_line_process(node: Node, spec: EnvironmentSpec) -> Iterator[int]:
    """`wadah node enter`."""
    mark = str(int(uuid.uuid4().int % 10**6) + 10**6)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.closerange(3, reading)
            words = exec_arguments(node, spec.id, ["/bin/sleep", mark])
            os.execv(words[0], words)
        finally:
            os._exit(1)
    os.close(reading)
    os.close(writing)
    pid = _find(node, spec, mark)
    try:
        yield pid
    finally:
        os.kill(pid, 9)
        os.waitpid(child, 0)
