"""The process that forks one for each job: whatever ends either of them, who asked hears of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.jobs.fork_server import KILLED, Begun, ForkServer

#: A server whose jobs do what their spec says, in words of a shell.
_SERVER = """
import os, socket, subprocess, sys
from runtime.host import libc
from runtime.jobs import fork_server
fork_server.IDLE_S = float(sys.argv[2])
def work(home, reports, parent):
    libc.end_with_parent(parent)
    os.set_inheritable(reports, True)
    words = ["sh", "-c", sys.stdin.read(), "sh", str(reports), str(home)]
    return subprocess.run(words, pass_fds=[reports]).returncode
sys.exit(fork_server.serve(socket.socket(fileno=int(sys.argv[1].partition("=")[2])), work))
"""


class Asked:
    def __init__(self, server: ForkServer, script: str, home: Path = Path("/")):
        self.heard, reports = os.pipe()
        read, write = os.pipe()
        self.begun: Begun = server.begin(home, read, reports)
        os.close(reports)
        os.close(read)
        os.write(write, script.encode())
        os.close(write)

    def said(self) -> str:
        """All of it: nobody else holds its end."""
        with os.fdopen(self.heard) as stream:
            return stream.read()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], ForkServer]]:
    program = tmp_path / "server.py"
    program.write_text(_SERVER)
    made: list[ForkServer] = []
    popen = subprocess.Popen

    def begin(idle_s: float = 60) -> ForkServer:
        def started(words: list[str], **how: object) -> object:
            return popen([sys.executable, str(program), words[-1], str(idle_s)], **how)  # type: ignore[call-overload]

        monkeypatch.setattr("runtime.jobs.fork_server.subprocess.Popen", started)
        made.append(ForkServer())
        return made[-1]

    yield begin
    for one in made:
        one._forget()
        if one._process is not None:
            with suppress(subprocess.TimeoutExpired):
                one._process.wait(20)
            assert one._process.poll() is not None


def _until(what: Callable[[], bool], within_s: float = 20) -> None:
    until = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_each_job_is_told_what_it_is_to_do_and_tells_how_it_ended(server: Callable[[], ForkServer]) -> None:
    one = server()
    jobs = [Asked(one, f"echo $2 {number} >&$1; exit {number}", Path(f"/home{number}")) for number in range(5)]
    assert [job.said() for job in jobs] == [f"/home{number} {number}\n" for number in range(5)]
    assert [job.begun.wait(20) for job in jobs] == [0, 1, 2, 3, 4]
    assert len({job.begun.pid for job in jobs}) == 5


def test_a_killed_one_is_told_by_its_signal_and_its_programs_go(
    server: Callable[[], ForkServer],
) -> None:
    one = server()
    job = Asked(one, "sleep 600 & echo $! >&$1; wait")
    with os.fdopen(job.heard) as stream:
        program = int(stream.readline())
    os.kill(job.begun.pid, signal.SIGKILL)
    assert job.begun.wait(20) == -signal.SIGKILL
    _until(lambda: not _runs(program))
    assert Asked(one, "exit 7").begun.wait(20) == 7


def test_one_that_hangs_is_killed_with_its_programs(server: Callable[[], ForkServer]) -> None:
    job = Asked(server(), "sleep 600 & echo $! >&$1; wait")
    with os.fdopen(job.heard) as stream:
        program = int(stream.readline())
    with pytest.raises(TimeoutError):
        job.begun.wait(0.2)
    job.begun.kill()
    assert job.begun.wait(20) == -signal.SIGKILL
    _until(lambda: not _runs(program))


def test_a_killed_server_is_told_as_a_killed_job_and_another_takes_its_place(
    server: Callable[[], ForkServer],
) -> None:
    one = server()
    job = Asked(one, "echo there >&$1; sleep 600")
    with os.fdopen(job.heard) as stream:
        stream.readline()
    assert one._process is not None
    one._process.kill()
    assert job.begun.wait(20) == KILLED
    _until(lambda: not _runs(job.begun.pid))
    assert Asked(one, "exit 3").begun.wait(20) == 3


def test_it_ends_when_nothing_is_to_do_and_another_is_begun_for_the_next(
    server: Callable[[float], ForkServer],
) -> None:
    one = server(0.2)
    one.warm()
    first = one._process
    assert first is not None
    assert Asked(one, "sleep 1; exit 3").begun.wait(20) == 3  # not while a job is at work
    assert first.wait(20) == 0
    assert Asked(one, "exit 4").begun.wait(20) == 4
    assert one._process is not first


def test_its_jobs_end_with_who_asked(server: Callable[[], ForkServer]) -> None:
    one = server()
    job = Asked(one, "echo there >&$1; sleep 600")
    with os.fdopen(job.heard) as stream:
        stream.readline()
    one._forget()
    _until(lambda: not _runs(job.begun.pid))


def test_one_that_is_killed_before_it_reads_is_told(server: Callable[[], ForkServer]) -> None:
    one = server()
    one.warm()
    heard, reports = os.pipe()
    read, write = os.pipe()
    begun = one.begin(Path("/"), read, reports)
    os.kill(begun.pid, signal.SIGKILL)
    assert begun.wait(20) == -signal.SIGKILL
    for each in (heard, reports, read, write):
        os.close(each)


def test_no_descriptor_is_left(server: Callable[[], ForkServer]) -> None:
    one = server()
    one.warm()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        job = Asked(one, "exit 0")
        assert job.said() == ""
        assert job.begun.wait(20) == 0
        job.begun.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert one._process is not None
    there = Path(f"/proc/{one._process.pid}/fd")
    _until(lambda: len(list(there.iterdir())) <= 7)
