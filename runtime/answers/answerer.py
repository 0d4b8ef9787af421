"""Answers calls: one thread that hears of them, and one for each environment that has any just now.

What somebody inside made to hang holds up that environment alone, and for `HANGS_AFTER_S` at most: then this
process says that it wants to be replaced, and ends. Whose call it was is left to the kernel for a while.
"""

import ctypes
import errno
import os
import queue
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from runtime.answers.caller import Caller
from runtime.answers.figures import Environment
from runtime.answers.notify import Call, Listener
from runtime.answers.register import Register
from runtime.answers.walk import Unknown

HANGS_AFTER_S, DISTRUSTED_FOR_S = 20.0, 60.0
#: Answers that an environment has in hand at once, and gets in a second: they aren't its own processor time.
_AT_ONCE, _PER_S = 2000, 200
#: Seconds of a processor that they may take at once, and the share of one from then on: of an environment, and
#: of all of a tenant. What one costs is the asker's to choose: by a long path, or a long list of mounts.
_OF_ENVIRONMENT, _OF_TENANT = (1.0, 0.05), (2.0, 0.10)
_WORKER_IDLE_S, _LINGERS_MS = 10.0, 5
_WORKER_STACK_BYTES = 256 * 2**10
REPLACE_ME = b"r"

_libc = ctypes.CDLL(None, use_errno=True)


class Answerer:
    def __init__(self, register: Register, environment: Callable[[str], Environment], keeper: socket.socket):
        self._register, self._environment, self._keeper = register, environment, keeper
        self._poll = select.epoll()
        self._workers: dict[str, Worker] = {}
        self._of_tenants: dict[str, Budget] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        """Until the keeper and all environments are gone."""
        threading.stack_size(_WORKER_STACK_BYTES)
        self._poll.register(self._keeper, select.EPOLLIN)
        for one in self._register.listeners.values():
            one.finish_what_was_begun()
            self._hear(one)
        while self._keeper.fileno() >= 0 or self._register.listeners:
            for fd, event in self._poll.poll(1.0):
                if fd == self._keeper.fileno():
                    self._from_keeper()
                elif fd == self._register.door.fileno():
                    self._poll.register(self._register.let_in(), select.EPOLLIN)
                elif fd in self._register.guests:
                    self._poll.unregister(fd)
                    if (came := self._register.hear_out(fd)) is not None:
                        self._hear(came)
                elif event & select.EPOLLIN:
                    self._hand_over(self._register.listeners[fd])
                else:
                    self._poll.unregister(fd)
                    self._register.forget(fd)
            self._look_after_workers()

    def _hear(self, one: Listener) -> None:
        self._poll.register(one.fd, select.EPOLLIN | select.EPOLLONESHOT)

    def hear_again(self, one: Listener) -> None:
        self._poll.modify(one.fd, select.EPOLLIN | select.EPOLLONESHOT)

    def _from_keeper(self) -> None:
        """Another listener. When the keeper is gone, who comes next comes here."""
        came = self._register.take(self._keeper)
        if came is not None:
            self._hear(came)
            return
        self._poll.unregister(self._keeper)
        self._keeper.close()
        self._poll.register(self._register.door, select.EPOLLIN)

    def _hand_over(self, one: Listener) -> None:
        with self._lock:
            worker = self._workers.get(one.of)
            if worker is None:
                tenant = one.of.partition("/")[0]
                budget = self._of_tenants.setdefault(tenant, Budget(*_OF_TENANT))
                worker = self._workers[one.of] = Worker(self, self._environment(one.of), budget)
                threading.Thread(target=worker.run, args=(one.of,), daemon=True).start()
            worker.waiting.put(one)

    def leave(self, of: str) -> bool:
        """A worker that has nothing to do; False when it was given something just now."""
        with self._lock:
            if not self._workers[of].waiting.empty():
                return False
            del self._workers[of]
            return True

    def _look_after_workers(self) -> None:
        now = time.monotonic()
        with self._lock:
            late = [of for of, one in self._workers.items() if one.since and now - one.since > HANGS_AFTER_S]
        if not late:
            return
        for one in self._register.listeners.values():
            if one.of in late:
                one.distrust(DISTRUSTED_FOR_S)
        sys.stderr.write(f"hung in {', '.join(late)}: it is left to the kernel for a while\n")
        with suppress(OSError):
            self._keeper.send(REPLACE_ME)
        os._exit(1)


class Budget:
    """Of processor time: what was spent above it is waited for."""

    def __init__(self, at_once_s: float, share: float):
        self._most_s = self._left_s = at_once_s
        self._share, self._at = share, time.monotonic()
        self._lock = threading.Lock()

    def spend(self, seconds: float) -> None:
        with self._lock:
            self._left_s -= seconds

    def pause_s(self) -> float:
        """Until something is left."""
        with self._lock:
            now = time.monotonic()
            self._left_s = min(self._most_s, self._left_s + (now - self._at) * self._share)
            self._at = now
            return max(0.0, -self._left_s / self._share)


class Worker:
    def __init__(self, answerer: Answerer, environment: Environment, of_tenant: Budget):
        self.waiting: queue.SimpleQueue[Listener] = queue.SimpleQueue()
        self.since = 0.0
        """When it began with what it is at; zero while it waits."""
        self._answerer, self._environment = answerer, environment
        self._left, self._left_at = float(_AT_ONCE), time.monotonic()
        self._budgets = (Budget(*_OF_ENVIRONMENT), of_tenant)

    def run(self, of: str) -> None:
        while True:
            try:
                one = self.waiting.get(timeout=_WORKER_IDLE_S)
            except queue.Empty:
                if self._answerer.leave(of):
                    return
                continue
            try:
                self._serve(one)
            finally:
                self.since = 0.0
                with suppress(OSError, ValueError):  # its filter is gone meanwhile
                    self._answerer.hear_again(one)

    def _serve(self, one: Listener) -> None:
        """And what comes right after it: who asks once asks again."""
        while True:
            self._wait_for_its_turn()
            self.since, spent = time.monotonic(), time.thread_time()
            call = one.receive()
            if call is not None:
                answer(one, call, self._environment)
            self.since, spent = 0.0, time.thread_time() - spent
            for budget in self._budgets:
                budget.spend(spent)
            if not self.waiting.empty() or not one.has_more(_LINGERS_MS):
                return

    def _wait_for_its_turn(self) -> None:
        now = time.monotonic()
        self._left = min(float(_AT_ONCE), self._left + (now - self._left_at) * _PER_S)
        self._left_at = now
        if self._left < 1:
            time.sleep((1 - self._left) / _PER_S)
        self._left -= 1
        for budget in self._budgets:
            while pause_s := budget.pause_s():
                time.sleep(pause_s)


def answer(listener: Listener, call: Call, environment: Environment) -> None:
    """By the environment's figures, or by the kernel."""
    if listener.is_distrusted:
        listener.let_the_kernel(call.id)
        return
    try:
        with Caller(listener, call) as caller:
            data, address = _figures(caller, call, environment)
            if data is None:
                raise Unknown
            try:
                caller.write(address, data)
            except OSError:
                listener.answer(call.id, errno.EFAULT)
                return
    except (Unknown, OSError, ValueError, LookupError, OverflowError):
        listener.let_the_kernel(call.id)
    else:
        listener.answer(call.id)


def _figures(caller: Caller, call: Call, environment: Environment) -> tuple[bytes | None, int]:
    """What is to be written, and where."""
    first, second = call.arguments[:2]
    if call.name == "sysinfo":
        uptime_s = time.clock_gettime(time.CLOCK_BOOTTIME) + caller.uptime_offset_s()
        return environment.sysinfo(uptime_s, _host_swap_bytes()), first
    if call.name == "statfs":
        return environment.statfs(*caller.figures_of_path(caller.path_at(first))), second
    if call.name == "fstatfs":
        return environment.statfs(*caller.figures_of_descriptor(first)), second
    raise Unknown


def _host_swap_bytes() -> int:
    answer = ctypes.create_string_buffer(128)
    _libc.sysinfo(answer)
    return int.from_bytes(answer.raw[64:72], "little")
