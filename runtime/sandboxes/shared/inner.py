"""Commands and terminals inside, with the environment's own confinement and nothing else.

The process description is that of the VE's init with another command: the same capabilities, limits,
seccomp filter, namespaces and control group. Its directory is always `/` of the VE (a directory named
by a tenant could lead out of it, CVE-2024-21626), and no descriptor but the three standard ones goes in.
"""

import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract.words import advice, agent
from runtime.errors import RuntimeFault
from runtime.host.processes import Identity, child, descendants
from runtime.node import Node
from runtime.sandboxes.base import Inner, Kept, Shell
from runtime.sandboxes.shared import container, program
from runtime.sandboxes.shared.bundle import is_app, process_of
from runtime.sandboxes.shared.conmon import launch_conmon

_DESCRIPTION, _SHELL_PID, _KEEPER_PID = "process.json", "shell.pid", "monitor.pid"


def described(
    node: Node,
    environment_id: UUID,
    command: Sequence[str],
    *,
    terminal: bool,
    environment: Mapping[str, str] | None,
    of: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """OCI `process` of a further process in the VE; RuntimeFault when the VE has no bundle or doesn't run.
    `of`: that of its first process, where its bundle doesn't say so."""
    if container.init_pid(node, environment_id) is None:
        raise RuntimeFault(
            agent.not_running(), code="not_running", next_step=advice.start_it(), retryable=False
        )
    process = process_of(node, environment_id) if of is None else of
    known = dict(one.partition("=")[::2] for one in process.get("env", ()))
    if is_app(node, environment_id):  # as whoever the app runs as
        known |= environment or {}
        own = {"terminal": terminal, "cwd": "/", "args": list(command)}
        return {**process, **own, "env": [f"{key}={value}" for key, value in known.items()]}
    known |= {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh", "LANG": "C.UTF-8"}
    known |= environment or {}
    return {
        **process,
        "terminal": terminal,
        "user": {"uid": 0, "gid": 0},
        "cwd": "/",
        "args": list(command),
        "env": [f"{key}={value}" for key, value in known.items()],
    }


def inner(
    node: Node,
    environment_id: UUID,
    command: Sequence[str],
    *,
    terminal: bool,
    environment: Mapping[str, str] | None,
    pid_file: Path | None,
) -> Inner:
    """As `Sandbox.inner`, with a first process."""
    process = described(node, environment_id, command, terminal=terminal, environment=environment)
    return entering(node, environment_id, process, pid_file=pid_file)


def entering(node: Node, environment_id: UUID, process: Mapping[str, Any], *, pid_file: Path | None) -> Inner:
    """For a further process that is described so, in a file that has no name."""
    descriptor = os.memfd_create("process", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, json.dumps(process).encode())
        words = [*program.words(node), "exec", f"--process=/proc/self/fd/{descriptor}"]
    except BaseException:
        os.close(descriptor)
        raise
    if pid_file is not None:
        words.append(f"--pid-file={pid_file}")
    if process["terminal"]:
        words.append("--tty")
    return Inner([*words, node.container_name(environment_id)], program.ENVIRONMENT, (descriptor,))


# terminals -----------------------------------------------------------------------------------------


def start_terminal(node: Node, environment_id: UUID, directory: Path, shell: Shell) -> None:
    process = described(node, environment_id, shell.command, terminal=True, environment=shell.environment)
    keep_terminal(node, environment_id, directory, shell, process)


def keep_terminal(
    node: Node,
    environment_id: UUID,
    directory: Path,
    shell: Shell,
    description: Mapping[str, Any],
    *,
    runtime: Sequence[str] = (),
) -> None:
    """As `Sandbox.start_terminal`, of a process that is described so; `runtime`: see `launch_conmon`."""
    process = {**description, "consoleSize": {"width": shell.columns, "height": shell.rows}}
    arguments = keeper_arguments(node, environment_id, directory, json.dumps(process))
    arguments += ["--exec", "--exec-process-spec", str(directory / _DESCRIPTION)]
    try:
        launch_conmon(node, arguments, directory, log_bytes=shell.log_bytes, runtime=runtime).pid()
    except BaseException:
        abandon(directory)
        raise


def keeper_arguments(node: Node, environment_id: UUID, directory: Path, description: str) -> list[str]:
    """conmon's, of a terminal that is kept in this directory, in which nothing of an earlier one is left but
    its log. `description`: what runs; the file's age is the terminal's."""
    name = node.container_name(environment_id)
    for left in (name, "attach", "ctl", "winsz", _SHELL_PID, _KEEPER_PID, _DESCRIPTION):
        (directory / left).unlink(missing_ok=True)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / _DESCRIPTION
    file.write_text(description)
    file.chmod(0o600)
    return [
        *("--cid", name, "--cuuid", name, "--name", name),
        *("--bundle", str(directory)),
        *("--container-pidfile", str(directory / _SHELL_PID)),
        *("--conmon-pidfile", str(directory / _KEEPER_PID)),
        *("--exit-dir", str(directory)),
        "--terminal",
    ]


def abandon(directory: Path) -> None:
    """Ends what a start that failed left: a monitor that goes on waiting for the OCI runtime, which may wait
    for something inside. What of it is inside by then ends with the environment."""
    keeper = _keeper(directory)
    if keeper is not None:
        for one in (keeper, *descendants(keeper)):
            one.send(signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)


def look_at_terminal(node: Node, environment_id: UUID, directory: Path) -> Kept | None:
    try:
        created_at = (directory / _DESCRIPTION).stat().st_mtime
    except OSError:
        return None
    keeper = _keeper(directory)
    shell = _shell(directory, keeper)
    code = None
    if shell is None:
        with suppress(OSError, ValueError):
            code = int((directory / node.container_name(environment_id)).read_text())
    return Kept(created_at, shell, keeper, code)


def _keeper(directory: Path) -> Identity | None:
    """The terminal's conmon; None when it is gone, whoever has its number by then."""
    return container.monitor_in(directory / _KEEPER_PID, directory)


def _shell(directory: Path, keeper: Identity | None) -> Identity | None:
    """A child of its conmon; None when it has ended."""
    try:
        number = int((directory / _SHELL_PID).read_text())
    except (OSError, ValueError):
        return None
    return None if keeper is None else child(number, keeper)
