"""How an init is asked to shut down: by what it understands, whatever it is and however /sbin/init leads to it.

An image may name anything there, and what runs may be another than what would be started next. So it is asked
what runs listens to, as the kernel shows it, and the tree is asked only where that doesn't tell.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from runtime.contract import Kernel
from runtime.errors import RuntimeFault
from runtime.host.processes import Held, Identity
from runtime.node import Node
from runtime.oci.init import BUSYBOX_HALTS_AT, SYSTEMD_HALTS_AT, init_of, signal_number
from runtime.sandboxes.base import Inner
from runtime.sandboxes.shared import container
from runtime.sandboxes.shared.bundle import is_one_command, stop_signal_of
from runtime.sandboxes.shared.inner import inner

#: For the command that asks; the shutdown itself goes on after it.
_COMMAND_S = 5.0
#: systemd listens some 50 ms after its start. A slow machine takes longer, and one that never will is told
#: nonetheless.
_SYSTEMD_AFTER_S = 5.0


class Halt:
    """One shutdown. `ask` it again and again: it says each thing once, when there is somebody to hear it."""

    def __init__(self, node: Node, environment_id: UUID, init: Identity, held: Held):
        self._node, self._id, self._init, self._held = node, environment_id, init, held
        self._began = time.monotonic()
        self._asked: set[str] = set()
        self._is_handed_on = container.made_with(node, environment_id) is not Kernel.SHARED
        self._is_command = is_one_command(node, environment_id) or self._is_handed_on
        if self._is_command:
            self._expected = signal_number(stop_signal_of(node, environment_id))
            return
        with suppress(RuntimeFault, OSError):
            self._expected = signal_number(init_of(node.root_volume(environment_id))[1])

    _expected: int = signal.SIGTERM

    def ask(self) -> None:
        if self._is_command and not self._is_handed_on:
            self._send(self._expected)
            return
        blocked, caught = signals_of(self._init)
        if self._is_handed_on:  # by its container's first process, from a moment after its start
            if self._expected in blocked | caught:
                self._send(self._expected)
            return
        systemd, busybox = signal_number(SYSTEMD_HALTS_AT), signal_number(BUSYBOX_HALTS_AT)
        is_late = time.monotonic() - self._began > _SYSTEMD_AFTER_S
        if systemd in blocked | caught:  # read by signalfd(2), for which it is blocked
            self._send(systemd)
        elif self._expected == systemd:
            if is_late:
                self._send(systemd)
        elif self._expected == busybox:
            self._send(busybox)
        elif signal.SIGTERM in caught:
            self._send(signal.SIGTERM)
        else:
            self._once("poweroff", self._power_off)

    def _send(self, number: int) -> None:
        self._once(str(number), lambda: self._held.send(number))

    def _once(self, what: str, do: Callable[[], object]) -> None:
        if what not in self._asked:
            self._asked.add(what)
            do()

    def _power_off(self) -> None:
        """sysvinit, runit, OpenRC's, s6 and dinit each have a pipe or a socket of their own for it, and this
        command in front of that. What it says is for nobody, nor whether there is such a command."""
        with suppress(RuntimeFault, OSError, subprocess.SubprocessError), self._command() as command:
            subprocess.run(
                command.words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=command.environment,
                pass_fds=command.descriptors,
                start_new_session=True,
                cwd="/",
                timeout=_COMMAND_S,
                check=False,
            )

    def _command(self) -> Inner:
        return inner(self._node, self._id, ["poweroff"], terminal=False, environment=None, pid_file=None)


def signals_of(process: Identity) -> tuple[set[int], set[int]]:
    """Those that it blocks and those that it has a handler for; none when it has ended. proc_pid_status(5)"""
    masks = {"SigBlk": 0, "SigCgt": 0}
    with suppress(OSError), process.directory() as directory:
        status = os.open("status", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        with os.fdopen(status) as file:
            for line in file:
                name, _, mask = line.partition(":")
                if name in masks:
                    masks[name] = int(mask, 16)
    blocked, caught = ({bit + 1 for bit in range(64) if mask >> bit & 1} for mask in masks.values())
    return blocked, caught
