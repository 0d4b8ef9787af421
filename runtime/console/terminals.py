"""Named terminals: root shells in an environment, each under a conmon of its own.

A terminal is a directory on the node: it outlives the browser's tab, the panel and the agent.
"""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from runtime.console.attach import resize
from runtime.console.exec import SHELL, process_spec, runtime_command
from runtime.console.monitor import launch_conmon
from runtime.contract.base import NAME
from runtime.contract.words import advice, agent
from runtime.errors import RuntimeFault
from runtime.host.oci import monitor_in
from runtime.host.processes import Identity, child, descendants
from runtime.node import Node
from runtime.state import exclusive

MAX_TERMINALS = 32
#: Of those whose shell has ended, and were not closed, the newest so many are kept with what they printed.
KEPT_ENDED = 8
#: One log file of a terminal: nobody's quota is charged for it.
LOG_BYTES = 4 * 2**20
#: From the hang-up of a terminal's shell until it is killed.
HANG_UP_S = 1.0
_KILL_S = 5.0


@dataclass(frozen=True)
class Terminal:
    name: str
    directory: Path
    running: bool
    created_at: float
    """Seconds since the epoch."""
    exit_code: int | None
    """How its shell ended; None while it runs, or when that isn't known."""


def directory_of(node: Node, environment_id: UUID, name: str) -> Path:
    """RuntimeFault for a name that isn't one: names become file names."""
    if not NAME.fullmatch(name):
        raise RuntimeFault(agent.bad_terminal_name(), code="bad_name", retryable=False)
    return node.terminals(environment_id) / name


def find(node: Node, environment_id: UUID, name: str) -> Terminal | None:
    directory = directory_of(node, environment_id, name)
    try:
        created_at = (directory / "process.json").stat().st_mtime
    except OSError:
        return None
    running = _shell(directory) is not None
    exit_code = None
    with suppress(OSError, ValueError):
        exit_code = None if running else int((directory / node.container_name(environment_id)).read_text())
    return Terminal(name, directory, running, created_at, exit_code)


def list_terminals(node: Node, environment_id: UUID) -> list[Terminal]:
    """All of an environment, by age; those whose shell has ended too, until they are closed."""
    found = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(node.terminals(environment_id)):
            if NAME.fullmatch(entry.name) and (terminal := find(node, environment_id, entry.name)):
                found.append(terminal)
    return sorted(found, key=lambda one: (one.created_at, one.name))


def open_terminal(
    node: Node, environment_id: UUID, name: str, *, columns: int = 80, rows: int = 24
) -> Terminal:
    """Makes the terminal, or returns it as it is when its shell runs. One that has ended begins anew.

    Raises `RuntimeFault` when the environment doesn't run or has `MAX_TERMINALS` running already.
    """
    directory = directory_of(node, environment_id, name)
    with _changing(node, environment_id):
        known = find(node, environment_id, name)
        if known is not None and known.running:
            return known
        running = [one for one in list_terminals(node, environment_id) if one.running]
        if len(running) >= MAX_TERMINALS:
            raise RuntimeFault(
                agent.too_many_terminals(len(running), MAX_TERMINALS),
                code="too_many_terminals",
                next_step=advice.close_a_terminal(),
                retryable=False,
            )
        spec = process_spec(
            node,
            environment_id,
            ["/bin/sh", "-c", SHELL],
            terminal=True,
            environment={"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"},
        )
        spec["consoleSize"] = {"width": columns, "height": rows}
        _clear(directory, node.container_name(environment_id))
        _forget_old(node, environment_id, but=directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _start(node, environment_id, directory, spec)
        except BaseException:
            _abandon(directory)
            shutil.rmtree(directory, ignore_errors=True)
            raise
        resize(directory, columns, rows)
        made = find(node, environment_id, name)
        assert made is not None
        return made


def _start(node: Node, environment_id: UUID, directory: Path, spec: dict[str, object]) -> None:
    file = directory / "process.json"
    file.write_text(json.dumps(spec))
    file.chmod(0o600)
    name = node.container_name(environment_id)
    runtime, *runtime_arguments = runtime_command(node, environment_id)
    arguments = [
        *("--cid", name, "--cuuid", name, "--name", name),
        "--exec",
        *("--exec-process-spec", str(file)),
        *("--bundle", str(directory)),
        *("--container-pidfile", str(directory / "shell.pid")),
        *("--conmon-pidfile", str(directory / "monitor.pid")),
        *("--exit-dir", str(directory)),
        "--terminal",
    ]
    launch_conmon(
        *(node, arguments, directory),
        runtime=runtime,
        runtime_arguments=runtime_arguments,
        log_bytes=LOG_BYTES,
    ).pid()


def _forget_old(node: Node, environment_id: UUID, *, but: Path) -> None:
    """Also what a start left that was cut off, and no list shows."""
    with suppress(FileNotFoundError):
        there = [Path(entry.path) for entry in os.scandir(node.terminals(environment_id))]
        ended = [one for one in there if one != but and _shell(one) is None]
        for directory in sorted(ended, key=lambda one: one.stat().st_mtime)[:-KEPT_ENDED]:
            _end_monitor(directory)
            shutil.rmtree(directory)


def _abandon(directory: Path) -> None:
    """Ends what a start that failed left: a monitor that goes on waiting for the OCI runtime, which may wait
    for something inside. What of it is inside by then ends with the environment."""
    keeper = _monitor(directory)
    if keeper is not None:
        for one in (keeper, *descendants(keeper)):
            one.send(signal.SIGKILL)


def _clear(directory: Path, exit_file: str) -> None:
    """What a terminal of that name left, but for its log, which goes on."""
    for name in (exit_file, "attach", "ctl", "winsz", "shell.pid", "monitor.pid", "process.json"):
        (directory / name).unlink(missing_ok=True)


def _monitor(directory: Path) -> Identity | None:
    """The terminal's conmon; None when it is gone, whoever has its number by then."""
    return monitor_in(directory / "monitor.pid", directory)


def _shell(directory: Path) -> Identity | None:
    """The terminal's shell: a child of its conmon; None when it has ended."""
    keeper = _monitor(directory)
    try:
        number = int((directory / "shell.pid").read_text())
    except (OSError, ValueError):
        return None
    return None if keeper is None else child(number, keeper)


def close_terminal(node: Node, environment_id: UUID, name: str) -> bool:
    """Hangs the shell up, kills it when that doesn't help, and forgets the terminal with its log.

    False when there is none of that name.
    """
    directory = directory_of(node, environment_id, name)
    with _changing(node, environment_id):
        if not directory.is_dir():
            return False
        shell = _shell(directory)
        if shell is not None:
            _end(shell)
        _end_monitor(directory)
        shutil.rmtree(directory)
        return True


def _end(shell: Identity) -> None:
    with suppress(ProcessLookupError), shell.held() as held:
        for number, seconds in ((signal.SIGHUP, HANG_UP_S), (signal.SIGKILL, _KILL_S)):
            held.send(number)
            if held.ends_within(seconds):
                return


def _end_monitor(directory: Path) -> None:
    """conmon ends after its shell; what holds the pty open still doesn't keep it."""
    keeper = _monitor(directory)
    if keeper is None:
        return
    with suppress(ProcessLookupError), keeper.held() as held:
        if not held.ends_within(HANG_UP_S):
            held.send(signal.SIGKILL)


@contextmanager
def _changing(node: Node, environment_id: UUID) -> Iterator[None]:
    with exclusive(node, f"{environment_id}.terminals"):
        yield
