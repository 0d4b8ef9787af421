"""What a monitor calls in the place of an OCI runtime, to have a terminal in the guest of an own kernel.

Of an OCI runtime's verbs it knows `exec` alone, with a pty of its own making, which it hands to the monitor;
and leaves a client at it. Of the description of a process it reads: `first` (pid, and its start in ticks, of
the container's first process), `command` (see `agent`), `consoleSize`.
"""

import argparse
import array
import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime.sandboxes.own.inside.client import Client
from runtime.sandboxes.own.inside.frames import Kind, document
from runtime.sandboxes.own.inside.launch import AGENT_ADDRESS

_CLONE_NEWNET = 0x40000000


def connect(pid: int, start: int) -> socket.socket:
    """To the relay of the container whose first process this is. Raises `OSError`."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) != start:
        raise ProcessLookupError(pid, "it ended")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(namespace)
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(5)
    peer.connect(AGENT_ADDRESS)
    peer.settimeout(None)
    return peer


def hand_over(console: str, master: int) -> None:
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(console)
        descriptors = array.array("i", [master])
        monitor.sendmsg([b"/dev/pts"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])


def _serve(slave: int, peer: socket.socket) -> int:
    """As a session of its own at that terminal."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(slave, number)
    if slave > 2:
        os.close(slave)
    return Client(peer).run()


def _understood(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["exec"])
    for name in ("--pid-file", "--process", "--console-socket"):
        parser.add_argument(name, default="")
    return parser.parse_known_args(words)[0]


def main(words: list[str]) -> int:
    asked = _understood(words)
    what: dict[str, Any] = json.loads(Path(asked.process).read_text())
    try:
        peer = connect(*what["first"])
    except OSError as error:
        sys.stderr.write(f"its kernel doesn't answer: {error.strerror}\n")
        return 1
    size = what.get("consoleSize", {})
    columns, rows = int(size.get("width", 80)), int(size.get("height", 24))
    peer.sendall(document(Kind.START, 0, {**what["command"], "tty": True, "columns": columns, "rows": rows}))
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    hand_over(asked.console_socket, master)
    os.close(master)
    pid = os.fork()
    if pid:
        Path(asked.pid_file).write_text(str(pid))
        return 0
    code = 126
    with suppress(Exception):
        code = _serve(slave, peer)
    os._exit(code)
