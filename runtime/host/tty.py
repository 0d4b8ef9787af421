"""Controlling terminals, from outside: tty_ioctl(2)."""

import fcntl
import os
import termios
from contextlib import suppress

from runtime.errors import RuntimeFault


def release_terminal(pid: int) -> None:
    """Session of `pid` no longer has the terminal at its standard input as its controlling one.

    The OCI runtime gives it to an environment's init. An init that isn't systemd keeps it: then no shell on the
    console can have it, and Ctrl-C goes to init, which reboots. Only who is root outside may take it away, and only
    a session leader without one: a child, which leaves it at once; on a pty nobody is hung up by that.
    A no-op when it is no terminal. Raises `RuntimeFault`.
    """
    child = os.fork()
    if child == 0:
        code = 1
        with suppress(BaseException):
            os.setsid()
            fd = os.open(f"/proc/{pid}/fd/0", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            if os.isatty(fd):
                fcntl.ioctl(fd, termios.TIOCSCTTY, 1)
                fcntl.ioctl(fd, termios.TIOCNOTTY)
            code = 0
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise RuntimeFault("its console could not be freed", code="console_held")
