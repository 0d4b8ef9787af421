"""Commands inside an environment: with its own namespaces, capabilities, limits and filter, nothing of ours."""

import json
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.errors import RuntimeFault
from runtime.host.command import ENVIRONMENT
from runtime.host.oci import init_pid
from runtime.node import Node

#: Of each stream; what comes after is thrown away, and the answer says so.
MAX_OUTPUT_BYTES = 2**20
SHELL = ["/bin/sh", "-c", "exec $(command -v bash || echo /bin/sh) -l"]


class NotRunning(RuntimeFault):
    code = "not_running"


@dataclass(frozen=True)
class Outcome:
    exit_code: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False
    timed_out: bool = False


def process_spec(
    node: Node,
    environment_id: UUID,
    command: Sequence[str],
    *,
    terminal: bool,
    environment: Mapping[str, str] | None = None,
    cwd: str = "/root",
) -> dict[str, Any]:
    """The OCI `process` of a command: that of the environment's own init, with other words.

    Capabilities, limits and no-new-privileges are the same; the OCI runtime adds the same filter.
    Raises `NotRunning` when there is nothing to run it in.
    """
    if init_pid(node, environment_id) is None:
        raise NotRunning("the environment is not running", next_step="Start it first.")
    config = json.loads((node.bundle(environment_id) / "config.json").read_text())
    process: dict[str, Any] = config["process"]
    own = dict(one.split("=", 1) for one in process["env"])
    own.update({"HOME": "/root", "USER": "root", "LOGNAME": "root", "LANG": "C.UTF-8", **(environment or {})})
    own.pop("container", None)
    return {
        **process,
        "terminal": terminal,
        "args": list(command),
        "cwd": cwd,
        "env": [f"{name}={value}" for name, value in own.items()],
    }


def exec_arguments(
    node: Node,
    environment_id: UUID,
    command: Sequence[str],
    *,
    terminal: bool,
    cwd: str = "/root",
    pid_file: Path | None = None,
) -> list[str]:
    """Words that run the command with the caller's own streams; for execv and subprocess."""
    spec = process_spec(node, environment_id, command, terminal=terminal, cwd=cwd)
    file = _write_spec(node, spec)
    words = [shutil.which("crun") or "/usr/bin/runc", f"--root={node.oci_root}", "exec"]
    words += ["--process", str(file)]
    if pid_file is not None:
        words += ["--pid-file", str(pid_file)]
    return [*words, node.container_name(environment_id)]


def _write_spec(node: Node, spec: dict[str, Any]) -> Path:
    directory = node.run / "exec"
    directory.mkdir(mode=0o700, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix="process-", suffix=".json", dir=directory)
    with os.fdopen(fd, "w") as file:
        json.dump(spec, file)
    return Path(name)


def run_command(
    node: Node, environment_id: UUID, command: Sequence[str], *, timeout_s: float = 60, stdin: bytes = b""
) -> Outcome:
    """Runs it to its end, or kills it (the process inside too) at the deadline.

    Exit code 126 or 127 when it can't be started, 124 when it was killed at the deadline, as shells and
    timeout(1) have it.
    """
    pid_file = node.run / "exec" / f"{os.getpid()}-{time.monotonic_ns()}.pid"
    words = exec_arguments(node, environment_id, command, terminal=False, pid_file=pid_file)
    spec_file = Path(words[words.index("--process") + 1])
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            start_new_session=True,
            cwd="/",
        )
        with process:
            out, err, cut, late = _collect(process, stdin, timeout_s)
            if late:
                _kill_inside(pid_file)
                process.kill()
        code = 124 if late else process.returncode
        return Outcome(code, out, err, truncated=cut, timed_out=late)
    finally:
        spec_file.unlink(missing_ok=True)
        pid_file.unlink(missing_ok=True)


def _kill_inside(pid_file: Path) -> None:
    try:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
    except (OSError, ValueError):
        return


def _collect(
    process: "subprocess.Popen[bytes]", stdin: bytes, timeout_s: float
) -> tuple[bytes, bytes, bool, bool]:
    """stdout, stderr, whether output was cut, whether the deadline passed."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    until = time.monotonic() + timeout_s
    kept: dict[Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    cut = False
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ)
        os.set_blocking(process.stdin.fileno(), False)
        waiting = memoryview(stdin)
        if waiting:
            selector.register(process.stdin, selectors.EVENT_WRITE)
        else:
            process.stdin.close()
        while any(stream in selector.get_map() for stream in kept):
            left = until - time.monotonic()
            if left <= 0:
                return bytes(kept[process.stdout]), bytes(kept[process.stderr]), cut, True
            for key, _ in selector.select(left):
                if key.fileobj is process.stdin:
                    waiting = _feed(process, waiting, selector)
                    continue
                chunk = os.read(key.fd, 65_536)
                if not chunk:
                    selector.unregister(key.fileobj)
                buffer = kept[key.fileobj]
                room = MAX_OUTPUT_BYTES - len(buffer)
                cut = cut or len(chunk) > room
                buffer += chunk[:room]
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return bytes(kept[process.stdout]), bytes(kept[process.stderr]), cut, True
    return bytes(kept[process.stdout]), bytes(kept[process.stderr]), cut, False


def _feed(
    process: "subprocess.Popen[bytes]", waiting: memoryview, selector: selectors.BaseSelector
) -> memoryview:
    assert process.stdin is not None
    try:
        waiting = waiting[os.write(process.stdin.fileno(), waiting[:65_536]) :]
    except (BrokenPipeError, BlockingIOError) as error:
        if isinstance(error, BrokenPipeError):
            waiting = waiting[:0]
    if not waiting:
        selector.unregister(process.stdin)
        process.stdin.close()
    return waiting
