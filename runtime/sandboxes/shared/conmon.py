"""Starts conmon, which keeps the pty, the log and the exit code of a container.

conmon reads one byte from `_OCI_STARTPIPE` before it goes into the background, and writes one line of
JSON to `_OCI_SYNCPIPE`: the pid of the container's process, or a negative number and the OCI runtime's
error.
"""

import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from runtime.contract.words import refusals
from runtime.errors import CommandFailed, RuntimeFault
from runtime.node import Node
from runtime.sandboxes.shared import program
from runtime.sandboxes.shared.container import init_pid_file, monitor_pid_file

if TYPE_CHECKING:
    from runtime.sandboxes.shared.rooms import Room

#: One log file is kept up to this size, then begun anew.
LOG_BYTES = 16 * 2**20
START_DEADLINE_S = 20.0


@dataclass
class Launch:
    """A conmon on its way, which has loaded itself and waits. Answer for it once: by `pid` or `abandon`."""

    _process: subprocess.Popen[bytes]
    _answer: int
    _gate: int | None

    def go_on(self) -> None:
        """Has it call the OCI runtime. A no-op when it was told so before."""
        if self._gate is None:
            return
        with suppress(BrokenPipeError):  # killed already: then it gives no answer either
            os.write(self._gate, b"\0")
        os.close(self._gate)
        self._gate = None

    def pid(self) -> int:
        """Host pid of the process that it started, waited for. Raises `RuntimeFault` with the OCI runtime's
        sentence when that refused, or `START_DEADLINE_S` from now."""
        self.go_on()
        with self._process:
            try:
                answer = _first_line(self._answer, self._process)
            finally:
                os.close(self._answer)
        try:
            document = json.loads(answer)
            pid = int(document.get("pid", document.get("data", -1)))
        except (ValueError, AttributeError, TypeError) as odd:
            raise RuntimeFault(refusals.monitor_silent(), code="monitor_failed") from odd
        if pid <= 0:
            said = str(document.get("message", "")).strip().splitlines()
            reason = said[-1][:400] if said else f"code {pid}"
            raise RuntimeFault(refusals.runtime_refused(reason), code="runtime_refused")
        return pid

    def abandon(self) -> None:
        """Nobody waits for it: it ends where it hasn't gone on, or goes on alone."""
        os.close(self._answer)
        if self._gate is not None:
            self._process.kill()  # to close the gate would let it go on
            os.close(self._gate)
        with self._process:  # the one that it left in its place isn't ours
            pass


def launch_monitor(node: Node, environment_id: UUID, *, terminal: bool = True) -> Launch:
    """A conmon that will have the container of the environment's bundle made, not yet started. Without a
    terminal its streams are pipes, each with lines of its own in the log.

    The bundle needn't be there before it goes on."""
    console = node.console(environment_id)
    console.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = node.container_name(environment_id)
    arguments = [
        *("--cid", name, "--cuuid", name, "--name", name),
        *("--bundle", str(node.bundle(environment_id))),
        *("--container-pidfile", str(init_pid_file(node, environment_id))),
        *("--conmon-pidfile", str(monitor_pid_file(node, environment_id))),
        *("--exit-dir", str(node.exits)),
        *(["--terminal"] if terminal else []),
    ]
    return launch_conmon(node, arguments, console)


def launch_conmon(
    node: Node,
    arguments: Sequence[str],
    console: Path,
    *,
    log_bytes: int = LOG_BYTES,
    runtime: Sequence[str] = (),
    room: "Room | None" = None,
) -> Launch:
    """Starts conmon with its log in `console`, begun anew at `log_bytes`; in a room, where there is one.
    `runtime`: what it calls in the place of the OCI runtime, with the first words of its own.

    Raises `CommandFailed` when it can't be started."""
    command = [*(room.way_in if room else ()), "/usr/bin/conmon", "--api-version", "1", *arguments]
    called, *first_words = runtime or (room.called(node) if room else program.words(node))
    command += ["--runtime", called, *(f"--runtime-arg={one}" for one in first_words)]
    command += ["--log-path", f"k8s-file:{console / 'log'}", "--log-size-max", str(log_bytes)]
    command += ["--full-attach", "--no-sync-log", "--log-level", "error"]
    sync_read, sync_write = os.pipe()
    start_read, start_write = os.pipe()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={
                **program.ENVIRONMENT,
                "TMPDIR": str(node.temporary),
                "_OCI_SYNCPIPE": str(sync_write),
                "_OCI_STARTPIPE": str(start_read),
            },
            pass_fds=(sync_write, start_read, *((room.descriptor,) if room else ())),
            start_new_session=True,
            cwd="/",
        )
    except OSError as error:
        os.close(sync_read)
        os.close(start_write)
        raise CommandFailed(refusals.program_not_started("conmon", str(error.strerror))) from error
    finally:
        os.close(sync_write)
        os.close(start_read)
    return Launch(process, sync_read, start_write)


def _first_line(fd: int, process: subprocess.Popen[bytes]) -> bytes:
    """What conmon writes to its sync pipe, up to the newline. Kills it at the deadline."""
    poller = select.poll()
    poller.register(fd, select.POLLIN | select.POLLHUP)
    until = time.monotonic() + START_DEADLINE_S
    answer = b""
    while b"\n" not in answer:
        if not poller.poll(max(0, (until - time.monotonic()) * 1000)):
            process.kill()
            raise RuntimeFault(refusals.runtime_too_slow(START_DEADLINE_S), code="runtime_timeout")
        chunk = os.read(fd, 65_536)
        if not chunk:
            break
        answer += chunk
    return answer
