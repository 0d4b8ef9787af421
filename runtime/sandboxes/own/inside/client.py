"""One command in the guest of an own kernel, for whoever started this program: with its streams, its terminal
where it has one, and its exit code.

`client FD [PID-FILE]`: a connection to the relay, over which the command was asked for already.
"""

import errno
import fcntl
import json
import os
import selectors
import signal
import socket
import struct
import sys
import termios
import tty
from contextlib import suppress
from pathlib import Path
from types import FrameType

from runtime.sandboxes.own.inside.frames import Kind, Reader, document, frame

#: As shells have it for what couldn't be run: here, since the guest went.
GONE = 126


class Client:
    def __init__(self, peer: socket.socket):
        self.peer = peer
        self._reader = Reader()
        self._terminal: list[object] | None = None
        self._reads = True

    def run(self) -> int:
        """The command's exit code."""
        with suppress(termios.error):
            if os.isatty(0):
                self._terminal = termios.tcgetattr(0)
                tty.setraw(0)
                signal.signal(signal.SIGWINCH, self._resize)
                self._resize()
        try:
            while True:
                code = self._round()
                if code is not None:
                    return code
        finally:
            if self._terminal is not None:
                with suppress(termios.error):
                    termios.tcsetattr(0, termios.TCSADRAIN, self._terminal)  # type: ignore[arg-type]

    def _resize(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        with suppress(OSError):
            rows, columns = struct.unpack("HHHH", fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))[:2]
            self.peer.sendall(document(Kind.SIZE, 0, [columns, rows]))

    def _round(self) -> int | None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.peer, selectors.EVENT_READ)
            if self._reads:
                try:
                    selector.register(0, selectors.EVENT_READ)
                except (PermissionError, OSError):  # a plain file is always ready
                    self._send_input()
            ready = selector.select()
        for key, _ in ready:
            if key.fd == 0:
                self._send_input()
                continue
            data = self.peer.recv(65_536)
            for kind, _session, payload in self._reader.feed(data):
                if kind is Kind.EXIT:
                    return int(json.loads(payload)) & 0xFF
                write(2 if kind is Kind.ERROR else 1, payload)
            if not data:
                write(2, b"the kernel of this environment has ended\n")
                return GONE
        return None

    def _send_input(self) -> None:
        try:
            data = os.read(0, 4096)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EBADF):
                raise
            data = b""
        self._reads = bool(data)
        self.peer.sendall(frame(Kind.INPUT, 0, data))


def write(descriptor: int, data: bytes) -> None:
    """All of it; who doesn't want it any more needn't have it."""
    with suppress(BrokenPipeError):
        while data:
            data = data[os.write(descriptor, data) :]


def main(words: list[str]) -> int:
    if len(words) > 1:
        Path(words[1]).write_text(str(os.getpid()))
    return Client(socket.socket(fileno=int(words[0]))).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
