"""The tests' own PostgreSQL as a target for faults: stopped, killed, frozen, started again."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.support.postgres import USER, binaries


class Database:
    def __init__(self, url: str):
        self.home = Path(unquote(urlsplit(url).netloc.rpartition("@")[2]))
        self.data = self.home / "data"

    def _pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def _processes(self) -> list[int]:
        """The server and one process per connection."""
        pid = self._pid()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(int(word) for word in children)]

    @contextmanager
    def down(self) -> Iterator[None]:
        """As after a crash: every process killed; started again at the end, with its recovery."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections (the kernel does) and never answers."""
        pids = self._processes()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def start(self) -> None:
        where = binaries()
        assert where is not None
        options = (
            f"-c listen_addresses= -c unix_socket_directories={self.home} -c fsync=off -c max_connections=300"
        )
        command = [
            str(where / "pg_ctl"),
            "-D",
            str(self.data),
            "-l",
            str(self.home / "log"),
            "-o",
            options,
            "-w",
        ]
        subprocess.run(
            ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *command, "start"],
            check=True,
            timeout=60,
            cwd=self.home,
            capture_output=True,
        )
