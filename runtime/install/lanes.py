"""Lanes of `./wadah test`: groups of tests side by side, those that compute behind those that wait.

Tests on a node wait for much of their time: for a boot, a report, an end. What is left of the processors
meanwhile goes to tests that only compute. These stand back: the others meet the machine that they expect.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path

from runtime.host.autogroup import put_first
from runtime.install.output import plain

#: Of those that compute: a third of the weight of the others, which all the same they don't get to a halt with.
STANDS_BACK = 5
#: Until a process that was asked to end is killed: its fixtures clean up.
ENDS_S = 60
#: Whatever becomes of us, it doesn't go on alone. What a shell starts in its background ignores the signal.
_ENDS_WITH_US = ("env", "--default-signal=INT", "setpriv", "--pdeathsig", "INT")


class Lane(Enum):
    WAITS = "waits"
    """Has kernels, installations and browsers, and looks at the clock."""
    COMPUTES = "computes"
    """Has its own process and database alone, whatever goes on beside it."""


class Lanes:
    """The processes of all lanes, and what they print: whole lines, each after its group's name."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = threading.Event()
        self._printing = threading.Lock()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def run(self, act: Callable[[Lane], None]) -> None:
        """`act` for each lane, side by side. Ctrl-C or SIGTERM ends what runs, and nothing more is begun."""
        with _a_word_to_end(), ThreadPoolExecutor(len(Lane)) as pool:
            try:
                for one in [pool.submit(act, lane) for lane in Lane]:
                    one.result()
            except BaseException:
                self._stop()
                raise

    def _stop(self) -> None:
        """What a terminal sends goes to all processes of a session; who doesn't end is killed."""
        self._stopped.set()
        running = tuple(self._running)
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
        for process in running:
            try:
                process.wait(ENDS_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def say(self, text: str) -> None:
        with self._printing:
            plain(text)

    def within_deadline(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        seconds: float,
        *,
        name: str,
        lane: Lane,
    ) -> int | None:
        """Its exit code; None when it had to be stopped. Ctrl-C's signal comes first: fixtures clean up."""
        nice = STANDS_BACK if lane is Lane.COMPUTES else 0
        process = subprocess.Popen(
            [*_ENDS_WITH_US, "nice", "-n", str(nice), *command],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # whose weight is its own where the kernel has autogroups
        )
        put_first(process.pid, nice)
        self._running.add(process)
        printing = threading.Thread(target=self._print, args=(process, name), daemon=True)
        printing.start()
        try:
            return _ended(process, seconds)
        finally:
            self._running.discard(process)
            printing.join(5)  # what it left behind may hold the other end

    def _print(self, process: "subprocess.Popen[str]", name: str) -> None:
        assert process.stdout is not None
        for text in process.stdout:
            self.say(f"{name}: {text.rstrip()}")


@contextlib.contextmanager
def _a_word_to_end() -> Iterator[None]:
    """SIGTERM, as timeout(1) sends it, is what Ctrl-C is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _ended(process: "subprocess.Popen[str]", seconds: float) -> int | None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(seconds)
    for number in (signal.SIGINT, signal.SIGKILL):
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_S)
            break
    return None
