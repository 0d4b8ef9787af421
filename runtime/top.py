"""Processes of an environment, as the host's kernel lists them.

Names and programs, and no arguments: those lie in a process's own memory, which its owner may serve himself
(fuse(4)), and then whoever asks waits for as long as he likes.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

from runtime.contract.words import agent as words
from runtime.errors import RuntimeFault
from runtime.host.processes import Identity
from runtime.host.safetree import SafeTree
from runtime.node import IDS_PER_SLOT, Node
from runtime.oci.users import names_of
from runtime.sandboxes import sandbox_of

#: Of one answer; an environment may have many more.
MOST = 1000
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Of a program's path that is shown.
_MOST_PATH = 300


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    """As inside, as are all ids."""
    parent: int
    """0: what is outside, or wasn't listed."""
    uid: int
    user: str
    """Its name in the environment's own /etc/passwd, or the number where it has none."""
    state: str
    """A letter of proc_pid_stat(5)."""
    cpu_s: float
    memory_bytes: int
    """Resident."""
    age_s: float
    name: str
    program: str
    """Path of its executable; empty where there is none any more."""


@dataclass(frozen=True, slots=True)
class Top:
    processes: list[Process]
    """By number."""
    total: int


def top(node: Node, environment_id: UUID) -> Top:
    """All that runs inside, `MOST` of it listed. Raises `RuntimeFault` (`not_running`)."""
    sandbox = sandbox_of(node)
    seen = sandbox.look(environment_id)
    if not seen.is_there or seen.pid is None:
        raise RuntimeFault(words.not_running(), code="not_running")
    names: Mapping[int, str] = {}
    with suppress(OSError), SafeTree.open(node.root_volume(environment_id)) as tree:
        names = names_of(tree)
    pids = sorted(sandbox.members(environment_id))
    first_uid, depth = _view(seen.pid)
    found: dict[int, Process] = {}
    for pid in pids[:MOST]:
        with suppress(OSError, KeyError, ValueError, IndexError):
            found[pid] = _process(pid, depth, first_uid, names)
    inner = {pid: one.pid for pid, one in found.items()}
    shown = [replace(one, parent=inner.get(one.parent, 0)) for one in found.values()]
    return Top(sorted(shown, key=lambda one: one.pid), len(pids))


def _view(pid: int) -> tuple[int, int]:
    """The host's number of the environment's root, and how deep its pid namespace lies."""
    known = Identity.of(pid)
    if known is None:
        raise RuntimeFault(words.not_running(), code="not_running")
    try:
        with known.directory() as directory:
            status = _status(directory)
            return int(_read("uid_map", directory).split()[1]), len(status["NSpid"].split())
    except (OSError, KeyError, IndexError) as gone:
        raise RuntimeFault(words.not_running(), code="not_running") from gone


def _process(pid: int, depth: int, first_uid: int, names: Mapping[int, str]) -> Process:
    known = Identity.of(pid)
    if known is None:
        raise ProcessLookupError
    with known.directory() as directory:
        stat, status = _read("stat", directory), _status(directory)
        try:
            program = os.readlink("exe", dir_fd=directory)
        except OSError:
            program = ""
    begin, end = stat.index("("), stat.rindex(")")
    fields = stat[end + 2 :].split()
    uid = int(status["Uid"].split()[1]) - first_uid
    if not 0 <= uid < IDS_PER_SLOT:
        uid = IDS_PER_SLOT - 1  # as its own kernel calls who isn't of it
    return Process(
        pid=int(status["NSpid"].split()[depth - 1]),
        parent=int(fields[1]),
        uid=uid,
        user=names.get(uid, str(uid)),
        state=fields[0],
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        memory_bytes=int(fields[21]) * _PAGE,
        age_s=max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / _TICKS),
        name=_shown(stat[begin + 1 : end]),
        program=_shown(program)[:_MOST_PATH],
    )


def _status(directory: int) -> dict[str, str]:
    return dict(line.split(":", 1) for line in _read("status", directory).splitlines() if ":" in line)


def _read(name: str, directory: int) -> str:
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory), errors="replace") as file:
        return file.read()


def _shown(text: str) -> str:
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
