"""A24: nothing done to a pty inside types anything, anywhere outside."""

import time
from pathlib import Path

from runtime.console.terminals import close_terminal, open_terminal
from runtime.contract import EnvironmentSpec
from runtime.node import Node
from tests.host.isolation.conftest import Try
from tests.host.support.entries import pids_of


def test_a24_typing_into_terminals_is_refused(tries: Try) -> None:
    def type_it() -> list[str]:
        import ctypes
        import os

        libc = ctypes.CDLL(None, use_errno=True)
        worked = []
        terminals = ["/dev/console", "/dev/tty", *(f"/dev/pts/{one}" for one in os.listdir("/dev/pts"))]
        requests = {"TIOCSTI": 0x5412, "TIOCLINUX": 0x541C, "TIOCSETD": 0x5423, "TIOCCONS": 0x541D}
        for path in terminals:
            try:
                fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            except OSError:
                continue
            for name, request in requests.items():
                for high in (0, 1 << 32, 0xFFFFFFFF << 32):
                    argument = ctypes.create_string_buffer(b"\x02\0\0\0")
                    if libc.syscall(16, fd, ctypes.c_ulong(request | high), argument) == 0:
                        worked.append(f"{name} {high:#x} {path}")
            os.close(fd)
        return worked

    assert tries(type_it) == []


def test_a24_ctty_stolen_by_another_session_types_nothing(node: Node, ve: EnvironmentSpec, tries: Try) -> None:
    """From within the terminal's own session, where the kernel would allow it."""
    terminal = open_terminal(node, ve.id, "tricks")
    try:
        shell = int((terminal.directory / "shell.pid").read_text())
        assert shell in pids_of(node, ve)

        def steal() -> list[str]:
            import ctypes
            import fcntl
            import os

            libc = ctypes.CDLL(None, use_errno=True)
            os.setsid() if os.getpid() != os.getsid(0) else None
            worked = []
            for name in os.listdir("/dev/pts"):
                if name == "ptmx":
                    continue
                fd = os.open(f"/dev/pts/{name}", os.O_RDWR | os.O_NOCTTY)
                try:
                    fcntl.ioctl(fd, 0x540E, 1)  # TIOCSCTTY, by force
                except OSError:
                    continue
                for letter in b"touch /stolen\n":
                    if (
                        libc.ioctl(fd, ctypes.c_ulong(0x5412), ctypes.create_string_buffer(bytes([letter])))
                        == 0
                    ):
                        worked.append(name)
            return worked

        assert tries(steal) == []
        time.sleep(0.1)
        assert not (node.root_volume(ve.id) / "stolen").exists()
        assert not Path("/stolen").exists()
    finally:
        close_terminal(node, ve.id, "tricks")
