"""Holds every listener, and sees that there is an answerer. Run as a program: SOCKET TOP UUID-OF-THE-POOL.

Holds them itself so that they outlive the answerer. What it needs of root's rights is little, and it keeps no
other.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from runtime.answers.answerer import Answerer
from runtime.answers.figures import Environment
from runtime.answers.notify import Slots
from runtime.answers.register import Register
from runtime.host.btrfs import QuotaTable
from runtime.host.capabilities import keep_only
from runtime.host.cgroup import groups

#: Listeners at once.
_MOST = 32_768
#: linux/capability.h: to look up paths as their owner, or as who reads everything, and into callers' memory.
_KEPT = (1, 2, 6, 7, 19)  # DAC_OVERRIDE, DAC_READ_SEARCH, SETGID, SETUID, SYS_PTRACE
_KEPT_ENVIRONMENTS = 8192
_PAUSE_S = 0.5


class Keeper:
    def __init__(self, door: socket.socket, environment: Callable[[str], Environment]):
        self._slots = Slots(_MOST)
        self._register = Register(door, self._slots)
        self._environment = environment
        self._poll = select.poll()
        self._poll.register(door, select.POLLIN)
        self._answerer = -1
        self._began = 0.0
        self._link: socket.socket | None = None

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGCHLD, self._reap)
        self._replace()
        while True:
            for fd, event in self._poll.poll():
                if fd == self._register.door.fileno():
                    self._poll.register(self._register.let_in(), select.POLLIN)
                elif fd in self._register.guests:
                    self._poll.unregister(fd)
                    self._hear_out(fd)
                elif self._link is not None and fd == self._link.fileno():
                    self._replace()
                elif event & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                    self._poll.unregister(fd)
                    self._register.listeners[fd].forget()
                    self._register.forget(fd)

    def _hear_out(self, fd: int) -> None:
        came = self._register.hear_out(fd)
        if came is not None:
            self._poll.register(came.fd, 0)  # its end alone
            with suppress(OSError):  # the next answerer has it anyway
                if self._link is not None:
                    self._register.give(self._link, came)

    def _replace(self) -> None:
        """Another answerer, in the place of one that ended or asked for it."""
        if self._link is not None:
            self._poll.unregister(self._link)
            self._link.close()
            time.sleep(max(0.0, _PAUSE_S - (time.monotonic() - self._began)))
        self._began = time.monotonic()
        self._link, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._answerer = os.fork()
        if self._answerer == 0:
            try:
                for number in (signal.SIGTERM, signal.SIGCHLD):
                    signal.signal(number, signal.SIG_DFL)
                self._link.close()
                Answerer(self._register, self._environment, its).run()
            finally:
                os._exit(1)
        its.close()
        self._poll.register(self._link, select.POLLIN)

    @staticmethod
    def _reap(*_: object) -> None:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def _end(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._answerer, signal.SIGKILL)
        os._exit(0)


def main(path: str, top: str, file_system: str) -> None:
    os.umask(0o077)
    with suppress(FileNotFoundError):
        Path(path).unlink()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(path)
    door.listen(256)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("-900")
    keep_only(*_KEPT)
    control, table = groups(), QuotaTable(file_system)

    @lru_cache(_KEPT_ENVIRONMENTS)
    def environment(of: str) -> Environment:
        return Environment(of, top, control, table)

    Keeper(door, environment).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
