"""Consoles and terminals on paper, behind the files and sockets that a real monitor has: a log in conmon's
form, and an attach socket. So the agent's streams are the real ones."""

import contextlib
import os
import selectors
import shutil
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from runtime.console.exec import Outcome, Stop, check_command
from runtime.console.inside import Inside
from runtime.console.terminals import Terminal, directory_of
from runtime.contract.words import advice, agent
from runtime.errors import RuntimeFault
from runtime.node import Node
from tests.paper.shell import Shell, Typed

_BOOT = """\x1b[32m[  OK  ]\x1b[0m Reached target paths.target - Path Units.
\x1b[32m[  OK  ]\x1b[0m Mounted tmp.mount - Temporary Directory /tmp.
\x1b[32m[  OK  ]\x1b[0m Started systemd-journald.service - Journal Service.
\x1b[32m[  OK  ]\x1b[0m Reached target network.target - Network.
\x1b[32m[  OK  ]\x1b[0m Reached target multi-user.target - Multi-User System.

Debian GNU/Linux 12 {name} console (on paper: type help)

"""


class Monitor:
    """Keeps one console in a thread: what is typed goes to its shell, what that says to the log and to whoever
    is attached."""

    def __init__(
        self, directory: Path, bundle: Path, shell: Shell, on_end: Callable[[int], object] = lambda _: None
    ):
        self.directory, self.bundle, self._on_end = directory, bundle, on_end
        for one in (directory, bundle):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._typed = Typed(shell, self.say, self._hung_up)
        self._log = (directory / "log").open("ab", buffering=0)
        self._selector = selectors.DefaultSelector()
        self._listener = _listen(bundle)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._clients: set[socket.socket] = set()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self.exit_code: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    def say(self, data: bytes) -> None:
        """Any thread. The log has it first, then each that is attached and takes it."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000+00:00")
        for line in data.splitlines(keepends=True):
            mark, text = ("F", line) if line.endswith(b"\n") else ("P", line + b"\n")
            self._log.write(f"{now} stdout {mark} ".encode() + text)
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.send(b"\x02" + data[:8191])

    def end(self) -> None:
        """Its processes are gone. Waits for the thread, unless it is that itself."""
        self._ended.set()
        os.eventfd_write(self._wake, 1)
        if threading.current_thread() is not self._thread:
            self._thread.join(2)

    def _hung_up(self, code: int) -> None:
        self.exit_code = code
        self._on_end(code)

    def _run(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    client, _ = self._listener.accept()
                    client.setblocking(False)
                    self._selector.register(client, selectors.EVENT_READ)
                    self._clients.add(client)
                elif isinstance(key.fileobj, socket.socket):
                    self._hear(key.fileobj)
        for client in [self._listener, *self._clients]:
            client.close()
        (self.bundle / "attach").unlink(missing_ok=True)
        self._selector.close()
        os.close(self._wake)

    def _hear(self, client: socket.socket) -> None:
        try:
            data = client.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._typed.feed(data)
        else:
            self._selector.unregister(client)
            self._clients.discard(client)
            client.close()


def _listen(bundle: Path) -> socket.socket:
    (bundle / "attach").unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY)
    try:
        # through a descriptor: a socket's path may have 107 bytes only (unix(7))
        listener.bind(f"/proc/self/fd/{directory}/attach")
    finally:
        os.close(directory)
    listener.listen(64)
    return listener


class PaperInside(Inside):
    """Consoles, terminals and commands of a node's environments. Any thread."""

    def __init__(self, node: Node, ends: Callable[[UUID, int], object]):
        """`ends`: an environment's init ended by itself, with that exit code."""
        super().__init__(node)
        self._ends = ends
        self._names: dict[UUID, str] = {}
        self._consoles: dict[UUID, Monitor] = {}
        self._terminals: dict[tuple[UUID, str], tuple[Monitor, float]] = {}
        self._lock = threading.RLock()

    def boot(self, environment_id: UUID, name: str) -> None:
        self._names[environment_id] = name
        shell = self._shell(environment_id)
        monitor = Monitor(self.node.console(environment_id), self.node.bundle(environment_id), shell)
        self._consoles[environment_id] = monitor
        monitor.say((_BOOT.format(name=name) + shell.prompt).replace("\n", "\r\n").encode())

    def halt(self, environment_id: UUID) -> None:
        """A no-op when it is down."""
        with self._lock:
            self._names.pop(environment_id, None)
            if console := self._consoles.pop(environment_id, None):
                console.say(b"\r\n\x1b[32m[  OK  ]\x1b[0m Reached target poweroff.target.\r\n")
                console.end()
            for (owner, _), (terminal, _) in self._terminals.items():
                if owner == environment_id and terminal.running:
                    terminal.exit_code = 129
                    terminal.end()

    def forget(self, environment_id: UUID) -> None:
        self.halt(environment_id)
        for key in [key for key in self._terminals if key[0] == environment_id]:
            del self._terminals[key]

    def _shell(self, environment_id: UUID, waits: Callable[[float], bool] | None = None) -> Shell:
        name = self._names.get(environment_id)
        if name is None:
            raise RuntimeFault(
                agent.not_running(),
                code="not_running",
                next_step=advice.start_it(),
                retryable=False,
            )
        return Shell(name, lambda code: self._ends(environment_id, code), waits or _sleep)

    # what the agent asks -----------------------------------------------------------------------

    def run(
        self, environment_id: UUID, command: Sequence[str], *, timeout_s: float, stdin: bytes, stop: Stop
    ) -> Outcome:
        check_command(command)
        began = time.monotonic()

        def waits(seconds: float) -> bool:
            with selectors.DefaultSelector() as selector:
                selector.register(stop.fd, selectors.EVENT_READ)
                return not selector.select(min(seconds, timeout_s)) and seconds <= timeout_s

        said = self._shell(environment_id, waits).run(command, stdin.decode(errors="replace"))
        took = time.monotonic() - began
        late = said.code == 137 and took >= timeout_s
        code = 124 if late else said.code
        return Outcome(code, said.out.encode(), said.error.encode(), False, late, took)

    def terminals(self, environment_id: UUID) -> list[Terminal]:
        names = [name for owner, name in list(self._terminals) if owner == environment_id]
        found = [self.find_terminal(environment_id, name) for name in names]
        return [one for one in found if one is not None]

    def find_terminal(self, environment_id: UUID, name: str) -> Terminal | None:
        directory = directory_of(self.node, environment_id, name)
        known = self._terminals.get((environment_id, name))
        if known is None:
            return None
        monitor, created_at = known
        return Terminal(name, directory, monitor.running, created_at, monitor.exit_code)

    def open_terminal(self, environment_id: UUID, name: str) -> Terminal:
        directory = directory_of(self.node, environment_id, name)
        with self._lock:
            known = self.find_terminal(environment_id, name)
            if known is None or not known.running:
                shell = self._shell(environment_id)
                monitor = Monitor(directory, directory, shell, lambda _: monitor.end())
                self._terminals[environment_id, name] = monitor, time.time()
                monitor.say(shell.prompt.encode())
        made = self.find_terminal(environment_id, name)
        assert made is not None
        return made

    def close_terminal(self, environment_id: UUID, name: str) -> bool:
        directory = directory_of(self.node, environment_id, name)
        with self._lock:
            known = self._terminals.pop((environment_id, name), None)
        if known is None:
            return False
        known[0].end()
        shutil.rmtree(directory, ignore_errors=True)
        return True


def _sleep(seconds: float) -> bool:
    """At a prompt nobody waits longer than this."""
    time.sleep(min(seconds, 5.0))
    return True
