"""Controlling terminals, from outside: tty_ioctl(2)."""

import errno
import fcntl
import os
import signal
import termios

from runtime.errors import RuntimeFault


def release_terminal(pid: int) -> None:
    """Session of `pid` no longer has the terminal at its standard input as its controlling one.

    The OCI runtime gives it to an environment's init. An init that isn't systemd keeps it: then no shell on
    the console can have it, and Ctrl-C goes to init, which reboots. Only root outside may take it away, and
    only a session leader without one: a child, which leaves it at once; on a pty that hangs up nobody.
    A no-op when it is no terminal. Raises `RuntimeFault`.
    """
    child = os.fork()
    if child == 0:
        code = errno.EIO
        try:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what who leaves a terminal is sent
            os.setsid()
            fd = os.open(f"/proc/{pid}/fd/0", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            if os.isatty(fd):
                fcntl.ioctl(fd, termios.TIOCSCTTY, 1)
                fcntl.ioctl(fd, termios.TIOCNOTTY)
            code = 0
        except OSError as error:
            code = error.errno or code
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise RuntimeFault(f"its console could not be freed: {os.strerror(abs(code))}", code="console_held")
