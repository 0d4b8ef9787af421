"""What a machine is asked of itself is answered with the environment's own figures; nobody inside makes more of
that than a display, and nobody waits for somebody else."""

import inspect
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from runtime import answering, answers
from runtime.answers.answerer import _AT_ONCE, _PER_S
from runtime.console.exec import run_command
from runtime.contract import AttachedVolume, Device, EnvironmentSpec, Limits
from runtime.host import processes
from runtime.node import Node
from runtime.storage.volumes import Volumes
from tests.host.conftest import Make
from tests.host.isolation.conftest import Try
from tests.host.support import own_file_system
from tests.host.support.disks import TENANT
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside
from tests.host.support.waiting import wait_until

MIB = 2**20


def the_machine() -> dict[str, int]:
    """As sysinfo(2) tells it."""
    import ctypes
    import struct

    libc, answer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(128)
    assert libc.sysinfo(answer) == 0
    names = "uptime load_1 load_5 load_15 total free shared buffers swap swap_free".split()
    told = dict(zip(names, struct.unpack_from("<q9Q", answer), strict=True))
    return {
        **told,
        "processes": struct.unpack_from("<H", answer, 80)[0],
        "unit": struct.unpack_from("<I", answer, 104)[0],
    }


def test_memory_time_and_processes_are_its_own(node: Node, make: Make, image: str) -> None:
    spec = make(image=image, limits=Limits(cpu=1, memory_mb=96, disk_mb=256))
    told = inside(node, spec, the_machine)
    assert (told["total"], told["unit"]) == (96 * MIB, 1)
    assert 0 < told["free"] < 96 * MIB
    assert told["buffers"] == told["swap_free"] == 0
    assert 2 <= told["processes"] < 20
    before = float(sh(node, spec, "cut -d' ' -f1 /proc/uptime"))
    assert (
        before
        <= inside(node, spec, the_machine)["uptime"]
        <= float(sh(node, spec, "cut -d' ' -f1 /proc/uptime")) + 1
    )
    assert sh(node, spec, "free | grep Mem").split()[1] == str(96 * 1024), "another libc, another program"


def sizes(*paths: str) -> dict[str, list[int]]:
    """Bytes by statvfs(3) and by fstatvfs(3)."""
    import os

    found = {}
    for path in paths:
        seen = [os.statvfs(path)]
        fd = os.open(path, os.O_RDONLY)
        seen.append(os.fstatvfs(fd))
        os.close(fd)
        found[path] = [one.f_blocks * one.f_frsize for one in seen]
    return found


def test_the_disk_has_the_size_of_its_limit_and_other_file_systems_their_own(
    node: Node, make: Make, image: str
) -> None:
    spec = make(image=image, limits=Limits(cpu=1, memory_mb=128, disk_mb=300))
    sh(node, spec, "mkdir -p /a/b; ln -s /a/b /a/link; ln -s b /a/near; touch /a/b/file")
    paths = ("/", "/etc", "/a/link", "/a/near", "/a/b/file", "/a/../etc", ".")
    assert inside(node, spec, sizes, *paths) == dict.fromkeys(paths, [300 * MIB] * 2)
    assert inside(node, spec, sizes, "/dev/shm", "/proc") == {"/dev/shm": [64 * MIB] * 2, "/proc": [0, 0]}
    sh(node, spec, "mkdir /a/memory; mount -t tmpfs -o size=8m memory /a/memory; mkdir /a/memory/deep")
    assert inside(node, spec, sizes, "/a/memory/deep") == {"/a/memory/deep": [8 * MIB] * 2}
    assert sh(node, spec, "df -k / | tail -n 1").split()[-5] == str(300 * 1024), "another libc, another program"


@pytest.fixture
def volume(node: Node) -> Iterator[AttachedVolume]:
    """A small one, of the tenant of what `make` makes."""
    one = AttachedVolume(volume_id=uuid4(), path="/srv/vol")
    Volumes(node).keep(one.volume_id, TENANT, 64, is_new=True)
    yield one
    Volumes(node).drop(one.volume_id)


def test_a_volume_has_the_size_of_its_own_limit_by_each_way_that_leads_to_it(
    node: Node, make: Make, image: str, volume: AttachedVolume
) -> None:
    spec = make(image=image, limits=Limits(cpu=1, memory_mb=128, disk_mb=300), volumes=(volume,))
    sh(
        node,
        spec,
        "cd /srv/vol; mkdir -p a/b /again; touch a/file; ln -s /srv/vol/a /link; ln -s ../../etc up;"
        "ln -s a/b to-memory; mount --bind a /again; mount -t tmpfs -o size=8m memory a/b",
    )
    of_volume = (
        "/srv/vol",
        "/srv/./vol/",
        "/srv/vol/a/file",
        "/link",
        "/link/file",
        "/again",
        "/etc/../srv/vol",
    )
    assert inside(node, spec, sizes, *of_volume) == dict.fromkeys(of_volume, [64 * MIB] * 2)
    of_root = ("/", "/srv", "/srv/vol/..", "/srv/vol/up/../etc")
    assert inside(node, spec, sizes, *of_root) == dict.fromkeys(of_root, [300 * MIB] * 2)
    others = ("/srv/vol/a/b", "/srv/vol/to-memory")
    assert inside(node, spec, sizes, *others) == dict.fromkeys(others, [8 * MIB] * 2)
    assert sh(node, spec, "df -k /srv/vol | tail -n 1").split()[-5] == str(64 * 1024), "another libc"
    assert sh(node, spec, "cd /srv/vol/a; df -k . | tail -n 1").split()[-5] == str(64 * 1024)
    assert sh(node, spec, "cd /srv; df -k vol | tail -n 1").split()[-5] == str(64 * 1024)
    before = inside(node, spec, free_bytes, "/srv/vol")
    sh(node, spec, "dd if=/dev/urandom of=/srv/vol/fill bs=1M count=20 2>/dev/null; sync")
    wait_until(lambda: inside(node, spec, free_bytes, "/srv/vol") <= before - 20 * MIB, "what was written")
    assert inside(node, spec, free_bytes) > 64 * MIB, "the root's own"


def closed_volume() -> str:
    """What a user hears who may not look into the directory that it is in."""
    import errno
    import os

    os.chmod("/srv", 0o700)
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(1000)
        os.setuid(1000)
        said = []
        for path in ("/srv/vol", "/srv/vol/a"):
            try:
                os.statvfs(path)
                said.append("")
            except OSError as error:
                said.append(errno.errorcode[error.errno or 0])
        os.write(writes, ",".join(said).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.chmod("/srv", 0o755)
    return os.read(reads, 100).decode()


def test_a_volume_in_a_closed_directory_tells_a_user_nothing_and_a_covered_one_is_not_it(
    node: Node, make: Make, image: str, volume: AttachedVolume
) -> None:
    spec = make(image=image, limits=Limits(cpu=1, memory_mb=128, disk_mb=300), volumes=(volume,))
    assert inside(node, spec, closed_volume) == "EACCES,EACCES"
    sh(node, spec, "mount -t tmpfs -o size=8m memory /srv; mkdir /srv/vol")
    assert inside(node, spec, sizes, "/srv/vol") == {"/srv/vol": [8 * MIB] * 2}


def free_bytes(path: str = "/") -> int:
    import os

    seen = os.statvfs(path)
    return seen.f_bavail * seen.f_frsize


def test_free_is_what_it_may_still_write_and_no_more_than_its_tenant_may(
    node: Node, make: Make, image: str
) -> None:
    spec = make(image=image, limits=Limits(cpu=1, memory_mb=128, disk_mb=300))
    before = inside(node, spec, free_bytes)
    sh(node, spec, "dd if=/dev/urandom of=/fill bs=1M count=40 2>/dev/null; sync")
    wait_until(lambda: inside(node, spec, free_bytes) <= before - 40 * MIB, "what was written")
    assert inside(node, spec, free_bytes) > before - 60 * MIB
    narrow = make(
        image=image,
        tenant_id="00000000-0000-0000-0000-0000000000aa",
        limits=Limits(cpu=1, memory_mb=128, disk_mb=300),
        envelope={"disk_mb": 100},
    )
    assert inside(node, narrow, free_bytes) <= 100 * MIB
    assert inside(node, narrow, sizes, "/") == {"/": [300 * MIB] * 2}


def what_goes_wrong() -> dict[str, str]:
    """Error names as the kernel gives them, and for a user who may not look into a directory."""
    import ctypes
    import errno
    import mmap
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    answer = ctypes.create_string_buffer(256)

    def error(call: str, *arguments: object) -> str:
        result = getattr(libc, call)(*arguments)
        return errno.errorcode[ctypes.get_errno()] if result else ""

    nowhere = ctypes.c_void_p(8)
    found = {
        "missing": error("statfs", b"/nothing", answer),
        "below a file": error("statfs", b"/etc/hostname/x", answer),
        "long": error("statfs", b"x" * 5000, answer),
        "no name": error("statfs", b"", answer),
        "name nowhere": error("statfs", nowhere, answer),
        "answer nowhere": error("statfs", b"/", nowhere),
        "machine nowhere": error("sysinfo", nowhere),
        "no descriptor": error("fstatfs", 4000, answer),
        "odd descriptor": error("fstatfs", -1, answer),
    }
    os.makedirs("/closed", mode=0o700, exist_ok=True)
    os.close(os.open("/closed/there", os.O_CREAT))
    os.makedirs("/group", mode=0o750, exist_ok=True)
    os.chown("/group", 0, 2000)
    os.chmod("/group", 0o750)
    found["root"] = error("statfs", b"/closed/there", answer)
    name = mmap.mmap(-1, 4096)  # shared with the child that changes its user
    child = os.fork()
    if child == 0:
        os.setgroups([2000])
        os.setgid(1000)
        os.setuid(1000)
        said = [
            error("statfs", path, answer) for path in (b"/closed/there", b"/closed/nothing", b"/group/.", b"/")
        ]
        name.write(",".join(said).encode())
        os._exit(0)
    os.waitpid(child, 0)
    found["user"] = name[:64].rstrip(b"\0").decode()
    return found


def test_errors_are_the_kernels_and_a_user_learns_nothing_of_closed_directories(tries: Try) -> None:
    assert tries(what_goes_wrong) == {
        "missing": "ENOENT",
        "below a file": "ENOTDIR",
        "long": "ENAMETOOLONG",
        "no name": "ENOENT",
        "name nowhere": "EFAULT",
        "answer nowhere": "EFAULT",
        "machine nowhere": "EFAULT",
        "no descriptor": "EBADF",
        "odd descriptor": "EBADF",
        "root": "",
        "user": "EACCES,EACCES,,",
    }


def ask_all_the_time(seconds: float) -> list[int]:
    """How often it was answered, and how often not."""
    import ctypes
    import time

    libc, answer = ctypes.CDLL(None), ctypes.create_string_buffer(256)
    until, counts = time.monotonic() + seconds, [0, 0]
    while time.monotonic() < until:
        counts[libc.statfs(b"/", answer) != 0] += 1
        counts[libc.sysinfo(answer) != 0] += 1
    return counts


def _answerer(node: Node) -> list[int]:
    keeper = int((node.run / "answers.pid").read_text())
    return [int(one) for one in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()]


def test_an_answerer_that_ends_is_followed_by_another_and_nobody_notices(
    node: Node, ve: EnvironmentSpec
) -> None:
    before = set(_answerer(node))
    ended = []

    def end_it() -> None:
        for pid in _answerer(node):
            os.kill(pid, signal.SIGKILL)
            ended.append(pid)

    timers = [threading.Timer(after, end_it) for after in (1.0, 2.0, 3.0)]
    for one in timers:
        one.start()
    answered, failed = inside(node, ve, ask_all_the_time, 5)
    for one in timers:
        one.join()
    assert failed == 0
    assert answered > 0
    assert len(set(ended)) == 3
    wait_until(lambda: bool(_answerer(node)) and not before & set(_answerer(node)), "another answerer")
    assert inside(node, ve, sizes, "/") == {"/": [ve.limits.disk_mb * MIB] * 2}


@pytest.fixture
def others(node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A keeper and an answerer beside those of the node, for what is made in this test."""
    monkeypatch.setattr(answers, "SOCKET", "answers-of-a-test.sock")
    assert answering.start(node)
    yield node.run / "answers-of-a-test.pid"
    answering.stop(node)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_without_the_keeper_the_answerer_goes_on_and_lets_in_who_comes(
    node: Node, make: Make, image: str, others: Path
) -> None:
    keeper = int(others.read_text())
    spec = make(image=image)
    _end(keeper)
    for _ in range(3):
        assert inside(node, spec, sizes, "/") == {"/": [spec.limits.disk_mb * MIB] * 2}, "of a new command too"
    later = make(image=image, limits=Limits(cpu=1, memory_mb=128, disk_mb=200))
    assert inside(node, later, sizes, "/") == {"/": [200 * MIB] * 2}


def test_without_both_only_those_calls_fail_and_a_start_mends_it(
    node: Node, make: Make, image: str, others: Path
) -> None:
    keeper = int(others.read_text())
    spec = make(image=image)
    (answerer,) = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    os.kill(keeper, signal.SIGSTOP)
    os.kill(int(answerer), signal.SIGKILL)
    _end(keeper)
    wait_until(lambda: not answers.is_there(node.mounts), "their end")
    assert answering.start(node), "as the agent's next round does"
    code, said = attempt(node, spec, "df / || echo still; ls / > /dev/null && echo well")
    assert code == 0
    assert said.endswith("well")
    later = make(image=image)
    assert inside(node, later, sizes, "/") == {"/": [later.limits.disk_mb * MIB] * 2}


def test_who_makes_his_answer_hang_waits_alone(
    node: Node, make: Make, image: str, neighbour: EnvironmentSpec
) -> None:
    spec = make(image=image, devices=(Device.FUSE,))
    program = node.root_volume(spec.id) / "own.py"
    program.write_text("#!/usr/bin/python3 -IS\n" + inspect.getsource(own_file_system))
    before = set(_answerer(node))
    done = run_command(node, spec.id, ["/usr/bin/python3", "-IS", "/own.py", "ask_behind_a_lock"], timeout_s=20)
    assert done.exit_code == 0, done.stderr.decode()
    wait_until((node.root_volume(spec.id) / "hidden").exists, "the question")
    assert inside(node, neighbour, sizes, "/") == {"/": [neighbour.limits.disk_mb * MIB] * 2}
    wait_until(lambda: not before & set(_answerer(node)), "another answerer")
    assert inside(node, neighbour, sizes, "/") == {"/": [neighbour.limits.disk_mb * MIB] * 2}
    told = inside(node, spec, the_machine)
    assert told["total"] > 0, "for a while the kernel answers him himself"


def test_answers_are_counted_out(node: Node, ve: EnvironmentSpec, neighbour: EnvironmentSpec) -> None:
    """What they cost isn't the asker's own processor time."""
    answered, failed = inside(node, ve, ask_all_the_time, 3)
    assert failed == 0
    assert answered <= _AT_ONCE + 4 * _PER_S
    assert inside(node, neighbour, sizes, "/") == {"/": [neighbour.limits.disk_mb * MIB] * 2}


def test_who_answers_has_few_rights(node: Node, ve: EnvironmentSpec) -> None:
    for pid in (int((node.run / "answers.pid").read_text()), *_answerer(node)):
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        assert int(fields["CapPrm"], 16).bit_count() == 5
        assert fields["NoNewPrivs"].strip() == "1"
        assert processes.roots(pid, None, "runtime.answers.keeper") is not None
