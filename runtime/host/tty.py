"""Controlling terminals, from outside: tty_ioctl(2)."""

import os
import subprocess

from runtime.contract.words import refusals
from runtime.errors import RuntimeFault
from runtime.host.command import ENVIRONMENT
from runtime.host.processes import Identity

#: Exit code for what can't be found: shells and util-linux have it the same.
_NO_SUCH_PROGRAM = 127


def release_terminal(process: Identity) -> None:
    """Session of `process` no longer has the terminal at its standard input as its controlling one.

    The OCI runtime gives it to an environment's init. An init that isn't systemd keeps it: then no shell on
    the console can have it, and Ctrl-C goes to init, which reboots. Only root outside may take it away, and
    only a session leader without one, which gives it up by ending; on a pty that hangs up nobody else.
    That is setsid(1): its own process, since to fork one of ours takes 5 ms (page tables of 100 MB). It has
    taken the terminal when it finds that what it shall run has no name.
    A no-op when it is no terminal. Raises `RuntimeFault`.
    """
    try:
        with process.directory() as directory:
            fd = os.open("fd/0", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    except OSError as error:
        raise _held(error.strerror) from error
    try:
        if not os.isatty(fd):
            return
        done = subprocess.run(
            ["setsid", "--ctty", ""],
            stdin=fd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _held(error) from error
    finally:
        os.close(fd)
    if done.returncode != _NO_SUCH_PROGRAM:
        raise _held(done.stderr.decode(errors="replace").strip())


def _held(why: object) -> RuntimeFault:
    return RuntimeFault(refusals.console_held(str(why)), code="console_held")
