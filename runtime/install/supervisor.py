"""Starts the processes of an installation and starts again what dies; environments aren't its children.

Runs as root in a process of its own (`supervise`), writes what it knows to HOME/run/processes.json, and
ends with SIGTERM: everything is stopped in stages, each process within its deadline.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from runtime.host.autogroup import put_first
from runtime.host.logfile import keep_small
from runtime.host.processes import Identity, roots
from runtime.install import connection_limits
from runtime.install.files import append, put
from runtime.install.front import Front
from runtime.install.host import wait_for
from runtime.install.layout import Layout
from runtime.install.roles import Role, environment, roles, words_of

#: A process that lived this long had started, whatever it died of, and is started again at once. One that dies
#: sooner waits, doubling; never so long that what it was to do isn't done within ten seconds.
STEADY_S = 4.0
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 4.0
#: When they are told to end: first the front, so that nothing new comes, then at once all not named here, and
#: last what those work with.
_STAGES = {"front": 0, "domains": 0, "agent": 2, "redis": 3}
_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class _Child:
    role: Role
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = 0.0
    due: float = 0.0
    starts: int = 0
    last_exit: int | None = field(default=None)


class Supervisor:
    def __init__(self, layout: Layout, front: Front, only: Collection[str] = ()):
        """`only`: names of the roles to run; empty: all."""
        self.layout = layout
        self.front = front
        wanted = roles(layout, front)
        self.children = [_Child(role) for role in wanted if not only or role.name in only]
        self.stopping = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        # a worker that is killed leaves children; they come to us, not to the machine's init
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "stopping", True))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.umask(0o027)
        _end_lingering(self.layout)
        put(self.layout.supervisor_file, str(os.getpid()))
        try:
            for child in self.children:
                if self.stopping:
                    break
                self._start(child)
                self._write()
                if child.role.ready is not None:
                    wait_for(child.role.ready, 15)
            while not self.stopping:
                self._look_after()
                self._keep_logs_small()
                ready, _, _ = select.select([reader], [], [], self._pause())
                if ready:
                    os.read(reader, 4096)
        finally:
            self._stop_all()
            self.layout.supervisor_file.unlink(missing_ok=True)
            self._write()

    # one child -----------------------------------------------------------------------------------

    def _start(self, child: _Child) -> None:
        role = child.role
        if role.ready is not None:
            role.ready.unlink(missing_ok=True)
        with self._log(role.name) as log:
            if role.name == "front" and (wrong := connection_limits.bound(self.layout)):
                log.write(f"{wrong}\n".encode())
                log.flush()
            child.process = subprocess.Popen(
                words_of(role, self.front, ends_with_parent=True),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self.layout, self.front),
                cwd=self.layout.app,
                start_new_session=True,
                umask=0o027,
            )
        if role.nice:
            put_first(child.process.pid, role.nice)
        child.started = time.monotonic()
        child.starts += 1

    def _log(self, name: str) -> IO[bytes]:
        path = self.layout.log / f"{name}.log"
        return append(path)

    def _keep_logs_small(self) -> None:
        for path in self.layout.log.glob("*.log"):
            keep_small(path)

    def _look_after(self) -> None:
        now = time.monotonic()
        changed = False
        for child in self.children:
            process = child.process
            if process is not None and process.poll() is not None:
                child.last_exit = process.returncode
                child.process = None
                _end_rest(child.role, process.pid)
                lived = now - child.started
                child.delay = next_delay(lived, child.delay)
                child.due = now + (child.delay if child.starts > 1 else 0.0)
                changed = True
            if child.process is None and now >= child.due:
                self._start(child)
                changed = True
        self._reap_orphans()
        if changed:
            self._write()

    def _reap_orphans(self) -> None:
        """Children of children that died; ours are reaped by their own Popen."""
        known = {child.process.pid for child in self.children if child.process is not None}
        for pid in _children():
            if pid not in known:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def _pause(self) -> float:
        due = [child.due - time.monotonic() for child in self.children if child.process is None]
        return max(0.05, min([5.0, *due]))

    # the end -------------------------------------------------------------------------------------

    def _stop_all(self) -> None:
        for stage in range(4):
            self._stop([child for child in self.children if _STAGES.get(child.role.name, 1) == stage])
        if any(child.role.name == "front" for child in self.children):
            connection_limits.unbind(self.layout)

    def _stop(self, children: list[_Child]) -> None:
        """All at once, each within its deadline."""
        asked = time.monotonic()
        for child in children:
            if child.process is not None:
                _signal(child.process.pid, signal.SIGTERM)
        for child in children:
            process = child.process
            if process is None:
                continue
            try:
                process.wait(max(0.0, asked + child.role.stop_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(process.pid, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):  # the kernel holds it; the others end
                    process.wait(5)
            child.last_exit = process.returncode
            child.process = None
            _end_rest(child.role, process.pid)

    def _write(self) -> None:
        document = {
            "front": self.front.as_document(),
            "supervisor": os.getpid(),
            "processes": [
                {
                    "role": child.role.name,
                    "pid": child.process.pid if child.process else None,
                    "process": str(Identity.of(child.process.pid) or "") if child.process else "",
                    "starts": child.starts,
                    "last_exit": child.last_exit,
                }
                for child in self.children
            ],
        }
        put(self.layout.processes_file, json.dumps(document))


def next_delay(lived_s: float, before_s: float) -> float:
    """Seconds until what died is started again, after so long a life and a last delay of `before_s`."""
    return 0.0 if lived_s > STEADY_S else min(MAX_DELAY_S, before_s * 2 or FIRST_DELAY_S)


def _end_rest(role: Role, pid: int) -> None:
    """Workers of a process that was killed, which would go on without it. Not of the node's half: what it was
    about to start for an environment is looked after by the one that follows."""
    if not role.root:
        _signal_group(pid, signal.SIGKILL)


def _children() -> list[int]:
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(word) for word in text.split()]


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def parent_of(pid: int | None) -> int | None:
    """Its parent's pid; None when it is gone or a zombie."""
    with contextlib.suppress(OSError, IndexError):
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        return int(parent) if state not in "ZX" else None
    return None


def _end_lingering(layout: Layout) -> None:
    """Ends what a killed supervisor left: processes that it wrote down and that still run. A number alone says
    nothing: it may be any process's by now."""
    try:
        document = json.loads(layout.processes_file.read_text())
        left = [known for one in document["processes"] if (known := Identity.parse(one["process"]))]
    except (OSError, ValueError, KeyError):
        return
    for number, seconds in ((signal.SIGTERM, 40), (signal.SIGKILL, 5)):
        for one in left:
            one.send(number)
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(one.lives for one in left):
            time.sleep(0.05)


def running_front(layout: Layout) -> Front | None:
    """What the running installation was started with; None when none runs, or one of another version."""
    if running_pid(layout) is None:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return Front.of(json.loads(layout.processes_file.read_text())["front"])
    return None


def running(layout: Layout) -> Identity | None:
    """The living supervisor of this installation; None when there is none, whoever has its number by then."""
    with contextlib.suppress(OSError, ValueError):
        return roots(int(layout.supervisor_file.read_text()), None, "supervise", str(layout.home))
    return None


def running_pid(layout: Layout) -> int | None:
    """Pid of the living supervisor of this installation; None when there is none."""
    found = running(layout)
    return None if found is None else found.pid
