"""A process that has all loaded that jobs need, and forks one for each: to load it takes half a second.

Whoever has jobs done (a worker) begins it at the first one; it ends with who began it, and when it had nothing
to do for a while. A job's process is its child, in a session of its own, and ends with it.

A request is one message with three descriptors: where the job's spec is read, where its reports are written,
and where it is told who began, with a descriptor of that process, and how it ended.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from runtime.host.processes import Held

#: It holds some 60 MiB, which a node whose jobs are rare is not to pay for.
IDLE_S = 600.0
KILLED = -signal.SIGKILL
_PROGRAM = (sys.executable, "-m", "runtime.jobs")
_WORD, _READY_S = 4096, 60.0

Work = Callable[[Path, int, int], int]
"""Does the job of a home, told where its reports go and who its parent is; its exit status."""


# who asks ----------------------------------------------------------------------------------------------


class Begun:
    """A job's process, until `close`."""

    def __init__(self, pid: int, held: int, channel: socket.socket):
        self.pid = pid
        self._held, self._channel = held, channel
        self._status: int | None = None

    def wait(self, within_s: float) -> int:
        """How it ended: its exit status, or the signal's number below zero. Raises `TimeoutError`."""
        if self._status is None:
            self._channel.settimeout(within_s)
            word = self._channel.recv(_WORD)
            if word:
                self._status = int(word)
            else:  # who would have told it was killed, and it was asked to end by that
                self.kill()
                self._status = KILLED
        return self._status

    def kill(self) -> None:
        """With the programs that it runs. A no-op when it has ended: those go with it."""
        if not Held(self._held).ends_within(0):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self._channel.close()
        os.close(self._held)


class ForkServer:
    """The one of this process; may be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def warm(self) -> None:
        """Has it load what jobs need, while something else is waited for. A no-op when it is there."""
        with self._lock:
            self._there()

    def begin(self, home: Path, stdin: int, reports: int) -> Begun:
        """Raises OSError when it can't be had."""
        for _ in range(3):
            found = self._asked(home, stdin, reports)
            if found is not None:
                return found
        raise OSError("no process for a job")

    def _asked(self, home: Path, stdin: int, reports: int) -> Begun | None:
        """None when it went meanwhile, since it had nothing to do or was killed."""
        with ExitStack() as undo:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(ours.close)
            with theirs, self._lock:
                try:
                    socket.send_fds(self._there(), [os.fsencode(home)], [stdin, reports, theirs.fileno()])
                except OSError:
                    self._forget()
                    return None
            ours.settimeout(_READY_S)
            word, held, _, _ = socket.recv_fds(ours, _WORD, 1)
            if not word or not held:
                return None
            undo.pop_all()
            return Begun(int(word), held[0], ours)

    def _there(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self._forget()
        if self._control is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [*_PROGRAM, f"--control={theirs.fileno()}"],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            self._control = ours
        return self._control

    def _forget(self) -> None:
        """It ends by that, if it hasn't: nobody speaks to it any more."""
        if self._control is not None:
            self._control.close()
        self._control = None


# the server --------------------------------------------------------------------------------------------


def serve(control: socket.socket, work: Work) -> int:
    """Until who began it is gone, or nothing was to do for `IDLE_S`."""
    woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    children: dict[int, socket.socket] = {}
    poller = select.poll()
    for one in (control.fileno(), woken):
        poller.register(one, select.POLLIN)
    while True:
        ready = dict(poller.poll(None if children else IDLE_S * 1000))
        if not ready and not children:
            return 0
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, _WORD)
            _reap(children)
        if control.fileno() in ready:
            word, descriptors, _, _ = socket.recv_fds(control, _WORD, 3)
            if not word:
                return 0  # its children hear of it by the kernel
            stdin, reports, channel = descriptors
            told = socket.socket(fileno=channel)
            try:
                pid = os.fork()
                if pid == 0:
                    _child(work, Path(os.fsdecode(word)), stdin, reports, [control, told, *children.values()])
                children[pid] = told
                held = os.pidfd_open(pid)
                with suppress(OSError):
                    socket.send_fds(told, [str(pid).encode()], [held])
                os.close(held)
            except OSError:  # too many: who asked is told by the end of `told`
                told.close()
            finally:
                os.close(stdin)
                os.close(reports)


def _reap(children: dict[int, socket.socket]) -> None:
    """Programs that one could not end go while its number is still its own."""
    while children:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return
        pid = found.si_pid
        if found.si_code != os.CLD_EXITED or found.si_status != 0:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        channel = children.pop(pid, None)
        if channel is not None:
            with channel, suppress(OSError):
                channel.send(str(os.waitstatus_to_exitcode(status)).encode())


def _child(work: Work, home: Path, stdin: int, reports: int, others: list[socket.socket]) -> None:
    """Never returns."""
    status = 1
    try:
        parent = os.getppid()
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in others:
            one.close()
        os.dup2(stdin, 0)
        os.close(stdin)
        status = work(home, reports, parent)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
