"""The agent in the guest of an own kernel: runs commands there, for whoever speaks to it over a serial line.

It lives in the kernel's tree, in a mount namespace of its own, and enters that of the guest's first process for
each command. A command: `{"args": […], "env": {…}, "tty": bool, "columns": n, "rows": n, "outside": bool}`;
`outside` runs it in the tree, with the guest's network and kernel and nothing of the guest's disk.
"""

import errno
import fcntl
import json
import os
import selectors
import signal
import struct
import subprocess
import termios
import tty
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime.sandboxes.own.inside.frames import FROM_GUEST, PIECE, Kind, Line, document, frame

LINE = "/dev/ttyS0"
BUSYBOX = "/bin/busybox"
#: More than this waits to go out: sessions aren't read from until it is less.
_ENOUGH = 64 * 1024
#: asm-generic/ioctls.h; Python has no names for them.
_TIOCSPTLCK, _TIOCGPTPEER = 0x40045431, 0x5441
#: systemd(1): poweroff.target. busybox's init: power off. The first is read by signalfd(2) or caught.
_SYSTEMD_OFF, _BUSYBOX_OFF = signal.SIGRTMIN + 4, signal.SIGUSR2


class Session:
    """A command that runs, and the streams that it has."""

    def __init__(self, number: int, process: "subprocess.Popen[bytes]", master: int | None):
        self.number, self.process, self.master = number, process, master
        self.waiting = bytearray()
        """Input that it hasn't taken yet."""
        self.input_ends = False
        self.outputs: dict[int, Kind] = {}
        if master is not None:
            self.input: int | None = master
            self.outputs[master] = Kind.OUTPUT
        else:
            assert process.stdin and process.stdout and process.stderr
            self.input = process.stdin.fileno()
            self.outputs = {process.stdout.fileno(): Kind.OUTPUT, process.stderr.fileno(): Kind.ERROR}
        for one in {self.input, *self.outputs}:
            os.set_blocking(one, False)

    def feed(self, data: bytes) -> None:
        """Empty data ends the input; a terminal has none that ends."""
        self.waiting += data
        self.input_ends = self.input_ends or not data
        self.push()

    def push(self) -> None:
        if self.input is None:
            self.waiting.clear()
            return
        with suppress(BlockingIOError):
            while self.waiting:
                try:
                    del self.waiting[: os.write(self.input, self.waiting[:4096])]
                except BrokenPipeError:
                    self.waiting.clear()
        if self.input_ends and not self.waiting and self.master is None:
            assert self.process.stdin
            self.process.stdin.close()
            self.input = None

    def end(self) -> None:
        """With all of its session."""
        leader = self.process.pid
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError, IndexError):
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(entry.name) == leader or int(words[3]) == leader:
                    os.kill(int(entry.name), signal.SIGKILL)

    def close(self) -> None:
        if self.master is not None:
            os.close(self.master)
        for file in (self.process.stdin, self.process.stdout, self.process.stderr):
            if file is not None:
                with suppress(OSError):
                    file.close()


class Agent:
    """One line, and the sessions on it."""

    def __init__(self, line: int):
        self.line = line
        os.set_blocking(line, False)
        self.sessions: dict[int, Session] = {}
        self._said = Line(FROM_GUEST)
        self._ended = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._ended[1], warn_on_full_buffer=False)

    def run(self) -> None:
        """Until the line ends."""
        self._said.queue(frame(Kind.HELLO, 0))
        while self._round():
            pass

    def _round(self) -> bool:
        with selectors.DefaultSelector() as selector:
            waits = selectors.EVENT_WRITE if self._said.piece() else 0
            selector.register(self.line, selectors.EVENT_READ | waits)
            selector.register(self._ended[0], selectors.EVENT_READ)
            for session in self.sessions.values():
                for descriptor in {*session.outputs, *(() if session.input is None else (session.input,))}:
                    reads = descriptor in session.outputs and self._said.waiting < _ENOUGH
                    writes = descriptor == session.input and session.waiting
                    events = selectors.EVENT_READ * bool(reads) | selectors.EVENT_WRITE * bool(writes)
                    if events:
                        selector.register(descriptor, events, session)
            ready = selector.select()
        for key, events in ready:
            if key.fd == self.line:
                if events & selectors.EVENT_READ and not self._hear():
                    return False
                self._say()
            elif key.data is not None:
                self._serve(key.data, key.fd)
        self._reap()
        return True

    def _hear(self) -> bool:
        try:
            data = os.read(self.line, 65_536)
        except BlockingIOError:
            return True
        except OSError as error:
            return error.errno == errno.EINTR
        for kind, number, payload in self._said.feed(data):
            with suppress(ValueError, KeyError, TypeError):
                self._take(kind, number, payload)
        return bool(data)

    def _say(self) -> None:
        with suppress(BlockingIOError):
            while piece := self._said.piece():
                self._said.wrote(os.write(self.line, piece))

    def _take(self, kind: Kind, number: int, payload: bytes) -> None:
        session = self.sessions.get(number)
        if kind is Kind.START and session is None:
            self._start(number, json.loads(payload))
        elif kind is Kind.HALT:
            halt()
        elif session is None:
            return
        elif kind is Kind.INPUT:
            session.feed(payload)
        elif kind is Kind.SIZE and session.master is not None:
            columns, rows = json.loads(payload)
            _resize(session.master, columns, rows)
        elif kind is Kind.DROP:
            session.end()

    def _start(self, number: int, what: dict[str, Any]) -> None:
        try:
            self.sessions[number] = start(number, what)
        except OSError as error:
            self._said.queue(frame(Kind.ERROR, number, f"{error.strerror}\n".encode()))
            self._said.queue(document(Kind.EXIT, number, 126))

    def _serve(self, session: Session, descriptor: int) -> None:
        if session.waiting:
            session.push()
        if descriptor in session.outputs:
            self._read(session, descriptor)

    def _read(self, session: Session, descriptor: int) -> bool:
        """Whether something came."""
        try:
            data = os.read(descriptor, PIECE)
        except BlockingIOError:
            return False
        except OSError:  # of a terminal that nobody has open any more
            data = b""
        if not data:
            del session.outputs[descriptor]
            return False
        self._said.queue(frame(session.outputs[descriptor], session.number, data))
        return True

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._ended[0], 4096)
        for session in list(self.sessions.values()):
            code = session.process.poll()
            if code is None:
                continue
            if self._said.waiting > _ENOUGH and session.outputs:
                continue  # what it said last is read when there is room
            for descriptor in list(session.outputs):
                while self._read(session, descriptor):
                    if self._said.waiting > 2 * _ENOUGH:
                        break
                else:
                    session.outputs.pop(descriptor, None)
            if session.outputs:
                continue
            session.close()
            del self.sessions[session.number]
            self._said.queue(document(Kind.EXIT, session.number, code if code >= 0 else 128 - code))
        self._say()


def start(number: int, what: dict[str, Any]) -> Session:
    """Raises `OSError`."""
    words = [str(one) for one in what["args"]]
    if not what.get("outside"):
        words = [BUSYBOX, "nsenter", "-t", "1", "-m", "-r/proc/1/root", "-w/proc/1/root", "--", *words]
    environment = {str(key): str(value) for key, value in what.get("env", {}).items()}
    if not what.get("tty"):
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        return Session(number, process, None)
    master = os.open("/proc/1/root/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        try:
            _resize(master, what.get("columns", 80), what.get("rows", 24))
            process = subprocess.Popen(
                [BUSYBOX, "setsid", "-c", *words], stdin=slave, stdout=slave, stderr=slave, env=environment
            )
        finally:
            os.close(slave)
    except BaseException:
        os.close(master)
        raise
    return Session(number, process, master)


def _resize(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def halt() -> None:
    """By what the first process understands, as it is."""
    masks = {"SigBlk": 0, "SigCgt": 0}
    for text in Path("/proc/1/status").read_text().splitlines():
        name, _, mask = text.partition(":")
        if name in masks:
            masks[name] = int(mask, 16)
    listens = masks["SigBlk"] | masks["SigCgt"]
    program = Path("/proc/1/exe").readlink().name
    if listens >> (_SYSTEMD_OFF - 1) & 1:
        os.kill(1, _SYSTEMD_OFF)
    elif program.startswith("busybox"):
        os.kill(1, _BUSYBOX_OFF)
    else:
        start(0, {"args": ["poweroff"], "env": {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}})


def main() -> None:
    line = os.open(LINE, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    tty.setraw(line)
    Agent(line).run()


if __name__ == "__main__":
    main()
