"""Runs a command inside an environment, with the environment's own confinement and nothing else
(`Sandbox.inner`)."""

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self
from uuid import UUID

from runtime.contract.words import agent
from runtime.errors import RuntimeFault
from runtime.host.autogroup import BEGINS, put_first
from runtime.host.processes import kill_members
from runtime.node import Node
from runtime.sandboxes import Sandbox, sandbox_of

#: Kept of each of stdout and stderr.
OUTPUT_BYTES = 2**20
STDIN_BYTES = 2**20
MAX_WORDS = 256
MAX_WORD_BYTES = 128 * 1024
#: After the command ended, what it left in its pipes is read for so long: a daemon may hold them open.
_DRAIN_S = 0.1
#: Between two pieces of what is thrown away, 13 MB/s: the node reads no faster for who prints without end.
_THROWN_AWAY_S = 0.005
#: How long a program that was killed is waited for.
_REAP_S = 5.0

#: The login that SSH would give: root's own shell as /etc/passwd has it, where that is one.
SHELL = (
    'cd "${HOME:-/root}" 2>/dev/null || cd /; while IFS=: read -r u _ _ _ _ _ s; do'
    ' [ "$u" = root ] && break; done 2>/dev/null </etc/passwd;'
    " case $s in */nologin | */false) s=;; esac;"
    ' for s in "$s" /bin/bash /bin/sh; do [ -x "$s" ] && SHELL=$s && export SHELL && exec "$s" -l; done'
)


@dataclass(frozen=True)
class Outcome:
    exit_code: int
    """128 + the signal when a signal ended it; 124, 126 and 127 as timeout(1) and shells have them:
    killed at the deadline, could not be started, not found."""
    stdout: bytes
    stderr: bytes
    truncated: bool
    """More than `OUTPUT_BYTES` came of one of them; the rest was thrown away."""
    timed_out: bool
    duration_s: float


class Stop:
    """Ends a command from another thread: a descriptor that becomes readable, for whoever waits in `select`."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __enter__(self) -> Self:
        return self

    def now(self) -> None:
        os.eventfd_write(self.fd, 1)

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def check_command(command: Sequence[str]) -> None:
    """Raises `RuntimeFault` for what can't be a command."""
    if not command or not command[0]:
        raise RuntimeFault(agent.no_word(), code="bad_command", retryable=False)
    if len(command) > MAX_WORDS or sum(len(one.encode()) for one in command) > MAX_WORD_BYTES:
        raise RuntimeFault(
            agent.too_long(MAX_WORDS, kib=MAX_WORD_BYTES // 1024),
            code="bad_command",
            retryable=False,
        )
    if any("\0" in one for one in command):
        raise RuntimeFault(agent.nul(), code="bad_command", retryable=False)


def exec_arguments(
    node: Node, environment_id: UUID, command: Sequence[str], *, terminal: bool = False
) -> list[str]:
    """Words that run `command` inside, for `execv`: with the caller's own terminal or pipes."""
    check_command(command)
    inner = sandbox_of(node).inner(
        environment_id,
        command,
        terminal=terminal,
        environment={"TERM": os.environ.get("TERM", "xterm-256color")},
    )
    for descriptor in inner.descriptors:
        os.set_inheritable(descriptor, True)
    return inner.words


def run_command(
    node: Node,
    environment_id: UUID,
    command: Sequence[str],
    *,
    timeout_s: float = 60,
    stdin: bytes = b"",
    stop: Stop | None = None,
) -> Outcome:
    """Runs the command without a terminal and waits for it.

    At the deadline, or at a `stop`, it is killed inside, with all of its session. Raises `RuntimeFault` when
    the VE doesn't run or the words can't be a command.
    """
    check_command(command)
    sandbox, started = sandbox_of(node), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="exec-", dir=node.run) as scratch:
        pid_file = Path(scratch) / "pid"
        with sandbox.inner(environment_id, command, pid_file=pid_file) as inner:
            process = subprocess.Popen(
                inner.words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=inner.environment,
                pass_fds=inner.descriptors,
                start_new_session=True,
                cwd="/",
            )
        put_first(process.pid, BEGINS)  # until it is in the environment's control group, whose turn counts then
        talk = _Talk(process, stdin, stop)
        timed_out = False
        try:
            is_over = talk.until_end(started + timeout_s)
            timed_out = not is_over and not talk.is_stopped
            if not is_over:
                end_session(sandbox, environment_id, pid_file, process.pid)
                talk.until_end(time.monotonic() + 2)
        finally:
            if process.poll() is None:
                end_session(sandbox, environment_id, pid_file, process.pid)
                process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):  # then it is reaped with a later one
                    process.wait(_REAP_S)
            talk.close()
        ran = pid_file.exists()
    code = -signal.SIGKILL if process.returncode is None else process.returncode
    if timed_out:
        code = 124
    elif not ran and code != 0:
        code = 127 if b"not found" in talk.output[1] or b"No such file" in talk.output[1] else 126
    return Outcome(
        exit_code=code if code >= 0 else 128 - code,
        stdout=bytes(talk.output[0]),
        stderr=bytes(talk.output[1]),
        truncated=talk.cut,
        timed_out=timed_out,
        duration_s=time.monotonic() - started,
    )


class _Talk:
    """Feeds a process and keeps the beginning of what it says."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes, stop: Stop | None):
        self.process = process
        self.output = (bytearray(), bytearray())
        self.cut = False
        self._stdin = memoryview(stdin)
        self._selector = selectors.DefaultSelector()
        assert process.stdin and process.stdout and process.stderr
        for file, number in ((process.stdout, 0), (process.stderr, 1)):
            os.set_blocking(file.fileno(), False)
            self._selector.register(file, selectors.EVENT_READ, number)
        if stdin:
            os.set_blocking(process.stdin.fileno(), False)
            self._selector.register(process.stdin, selectors.EVENT_WRITE)
        else:
            process.stdin.close()
        self._ended = os.pidfd_open(process.pid)
        self._selector.register(self._ended, selectors.EVENT_READ, "end")
        self.is_stopped = False
        if stop is not None:
            self._selector.register(stop.fd, selectors.EVENT_READ, "stop")

    def until_end(self, until: float) -> bool:
        """Talks until the process has ended and said all; False at the deadline, or when it is to stop."""
        ended = self.process.poll() is not None
        while True:
            if ended and not self._open_outputs():
                return True
            left = until - time.monotonic()
            if left <= 0:
                return ended
            for key, _ in self._selector.select(left):
                if key.data == "stop":
                    self._selector.unregister(key.fd)
                    self.is_stopped = True
                    return ended
                if key.data == "end":
                    self._selector.unregister(self._ended)
                    self.process.wait()
                    ended = True
                    until = min(until, time.monotonic() + _DRAIN_S)
                elif key.data is None:
                    self._feed(self.process.stdin)
                else:
                    self._hear(key.fd, key.data)

    def _open_outputs(self) -> bool:
        return any(key.data in (0, 1) for key in self._selector.get_map().values())

    def _feed(self, file: IO[bytes] | None) -> None:
        assert file is not None
        try:
            written = os.write(file.fileno(), self._stdin[:65_536])
            self._stdin = self._stdin[written:]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._stdin = self._stdin[:0]
        if not self._stdin:
            self._selector.unregister(file)
            file.close()

    def _hear(self, fd: int, number: int) -> None:
        try:
            data = os.read(fd, 65_536)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(fd)
            return
        room = OUTPUT_BYTES - len(self.output[number])
        if room <= 0:
            time.sleep(_THROWN_AWAY_S)
        self.output[number].extend(data[:room])
        if len(data) > room:
            self.cut = True

    def close(self) -> None:
        self._selector.close()
        os.close(self._ended)
        for file in (self.process.stdin, self.process.stdout, self.process.stderr):
            if file is not None and not file.closed:
                with contextlib.suppress(OSError):
                    file.close()


def end_session(sandbox: Sandbox, environment_id: UUID, pid_file: Path, session: int) -> None:
    """Ends the process of an exec, what runs in its session, and what descends from it: of the processes
    in the environment itself, no other."""
    try:
        leader = int(pid_file.read_text())
    except (OSError, ValueError):
        return
    doomed = {leader, session}

    def members() -> list[int]:
        return sandbox.members(environment_id)

    for _ in range(5):
        found = _relatives(members(), doomed)
        if not found:
            return
        doomed |= found
        kill_members(members, found)


def _relatives(pids: Sequence[int], doomed: set[int]) -> set[int]:
    """Those of `pids` that live, and whose parent or session leader is doomed, or are so themselves."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            state, parent, session = words[0], int(words[1]), int(words[3])
            if state not in "ZX" and (pid in doomed or parent in doomed or session in doomed):
                found.add(pid)
    return found
