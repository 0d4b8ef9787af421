"""conmon's attach socket and control fifos: typing, resizing, and the valve to the pty.

conmon writes each piece of output to its log first, then to every attach socket, and waits there until it
is taken. So who doesn't read its socket holds the pty back, and who closes it lets it run.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path

#: conmon takes at most 8 KiB of one packet, and a pty's own queue holds 4 KiB.
PACKET_BYTES = 4096
_TAKE_BYTES = 65_536
#: How many packets are taken at once before other consoles get their turn.
_TAKE_PACKETS = 64


class Attachment:
    """A connection to the attach socket in a conmon's bundle directory. Never waits."""

    def __init__(self, bundle: Path):
        """Raises OSError when no conmon listens there."""
        self.socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        directory = -1
        try:
            # through a descriptor: a socket's path may have 107 bytes only (unix(7))
            directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self.socket.connect(f"/proc/self/fd/{directory}/attach")
        except BaseException:
            self.socket.close()
            raise
        finally:
            if directory >= 0:
                os.close(directory)

    def fileno(self) -> int:
        return self.socket.fileno()

    def take(self) -> bool:
        """Takes what conmon wrote, so that it goes on; False when conmon is gone. The content is in the log."""
        for _ in range(_TAKE_PACKETS):
            try:
                if not self.socket.recv(_TAKE_BYTES):
                    return False
            except BlockingIOError:
                return True
            except OSError:
                return False
        return True

    def send(self, data: bytes) -> int:
        """Types; returns how many bytes were taken (0: try again when it is writable)."""
        try:
            return self.socket.send(data[:PACKET_BYTES])
        except BlockingIOError:
            return 0

    def close(self) -> None:
        self.socket.close()


def resize(bundle: Path, columns: int, rows: int) -> None:
    """Sets the size of the pty; the kernel tells its processes (SIGWINCH). A no-op without a conmon."""
    with suppress(OSError):
        fd = os.open(bundle / "winsz", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(fd, b"%d %d\n" % (rows, columns))
        finally:
            os.close(fd)
