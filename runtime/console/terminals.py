"""Named terminals: root shells in an environment, each kept by a process of its own (`Sandbox.start_terminal`).

A terminal is a directory on the node: it outlives the browser's tab, the panel and the agent.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from runtime.console.attach import resize
from runtime.console.exec import SHELL
from runtime.contract.base import NAME
from runtime.contract.words import advice, agent, apps
from runtime.errors import RuntimeFault
from runtime.files import exclusive
from runtime.host.processes import Identity
from runtime.host.safetree import SafeTree
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from runtime.sandboxes.base import Kept, Shell

MAX_TERMINALS = 32
#: Of those whose shell has ended, and were not closed, the newest so many are kept with what they printed.
KEPT_ENDED = 8
#: One log file of a terminal: nobody's quota is charged for it.
LOG_BYTES = 4 * 2**20
#: From the hang-up of a terminal's shell until it is killed.
HANG_UP_S = 1.0
_KILL_S = 5.0
_VARIABLES = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}


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
    kept = _look(node, environment_id, directory)
    if kept is None:
        return None
    return Terminal(name, directory, kept.shell is not None, kept.created_at, kept.exit_code)


def _look(node: Node, environment_id: UUID, directory: Path) -> Kept | None:
    return sandbox_of(node).look_at_terminal(environment_id, directory)


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
        _forget_old(node, environment_id, but=directory)
        shell = Shell(["/bin/sh", "-c", SHELL], _VARIABLES, columns, rows, LOG_BYTES)
        _start(node, environment_id, directory, shell)
        resize(directory, columns, rows)
        made = find(node, environment_id, name)
        assert made is not None
        return made


def _start(node: Node, environment_id: UUID, directory: Path, shell: Shell) -> None:
    try:
        sandbox_of(node).start_terminal(environment_id, directory, shell)
    except RuntimeFault as fault:
        with SafeTree.open(node.root_volume(environment_id)) as tree:
            if tree.exists(shell.command[0]):
                raise
        raise RuntimeFault(apps.no_shell(), code="no_shell", retryable=False) from fault


def _forget_old(node: Node, environment_id: UUID, *, but: Path) -> None:
    """Also what a start left that was cut off, and no list shows."""
    with suppress(FileNotFoundError):
        there = [Path(entry.path) for entry in os.scandir(node.terminals(environment_id))]
        looks = {one: _look(node, environment_id, one) for one in there if one != but}
        ended = [one for one, kept in looks.items() if kept is None or kept.shell is None]
        for directory in sorted(ended, key=lambda one: one.stat().st_mtime)[:-KEPT_ENDED]:
            _end_keeper(looks[directory])
            shutil.rmtree(directory)


def close_terminal(node: Node, environment_id: UUID, name: str) -> bool:
    """Hangs the shell up, kills it when that doesn't help, and forgets the terminal with its log.

    False when there is none of that name.
    """
    directory = directory_of(node, environment_id, name)
    with _changing(node, environment_id):
        if not directory.is_dir():
            return False
        kept = _look(node, environment_id, directory)
        if kept is not None and kept.shell is not None:
            _end(kept.shell)
        _end_keeper(kept)
        shutil.rmtree(directory)
        return True


def _end(shell: Identity) -> None:
    with suppress(ProcessLookupError), shell.held() as held:
        for number, seconds in ((signal.SIGHUP, HANG_UP_S), (signal.SIGKILL, _KILL_S)):
            held.send(number)
            if held.ends_within(seconds):
                return


def _end_keeper(kept: Kept | None) -> None:
    """It ends after its shell; what holds the pty open still doesn't keep it."""
    if kept is None or kept.keeper is None:
        return
    with suppress(ProcessLookupError), kept.keeper.held() as held:
        if not held.ends_within(HANG_UP_S):
            held.send(signal.SIGKILL)


@contextmanager
def _changing(node: Node, environment_id: UUID) -> Iterator[None]:
    with exclusive(node, f"{environment_id}.terminals"):
        yield
