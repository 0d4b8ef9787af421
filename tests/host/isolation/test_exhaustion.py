"""Group B: what one environment takes too much of is its own, and others go on. Small limits, short times."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runtime.agent import ptys
from runtime.console.terminals import KEPT_ENDED, close_terminal, find, open_terminal
from runtime.contract import EnvironmentSpec, Limits, SecurityProfile
from runtime.host import btrfs, task_room
from runtime.node import Node
from runtime.resources.volume import RootVolume
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.container import init_pid
from tests.host.conftest import Make
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside, outcome_inside

MIB = 2**20
Victim = Callable[..., EnvironmentSpec]


@pytest.fixture
def victim(make: Make, image: str) -> Victim:
    """An environment with small limits, made for one test."""

    def create(security: SecurityProfile | None = None, **limits: object) -> EnvironmentSpec:
        return make(
            image=image,
            security=security or SecurityProfile(),
            limits=Limits.model_validate({"cpu": 1, "memory_mb": 64, "disk_mb": 64, "processes": 64, **limits}),
        )

    return create


def test_b01_a_fork_bomb_stays_within_its_tasks(node: Node, victim: Victim, neighbour: EnvironmentSpec) -> None:
    spec = victim(processes=128, memory_mb=256)

    def bomb() -> int:
        import os
        import time

        made, until = 0, time.monotonic() + 2
        children = []
        while time.monotonic() < until and len(children) < 1000:
            try:
                child = os.fork()
            except OSError:
                break
            if child == 0:
                time.sleep(3)
                os._exit(0)
            children.append(child)
            made += 1
        for child in children:
            os.kill(child, 9)
            os.waitpid(child, 0)
        return made

    made = inside(node, spec, bomb)
    assert 100 <= made < 128
    usage = Cgroup(node).usage(spec.id)
    assert usage.process_hits >= 1
    assert usage.processes < 128
    assert sh(node, neighbour, "echo alive") == "alive"


def test_b01_neighbours_start_processes_meanwhile(
    node: Node, victim: Victim, neighbour: EnvironmentSpec
) -> None:
    spec = victim(processes=128)
    attempt(node, spec, "for i in $(seq 200); do sleep 4 & done 2>/dev/null; true")
    assert sh(node, neighbour, "for i in $(seq 50); do /bin/true || exit 1; done; echo 50") == "50"


def test_b02_memory_beyond_the_limit_ends_its_own_tasks(
    node: Node, victim: Victim, neighbour: EnvironmentSpec
) -> None:
    spec = victim(memory_mb=48)
    before = init_pid(node, spec.id)
    code, _ = attempt(node, spec, "dd if=/dev/zero of=/dev/null bs=400M count=1; echo survived")
    assert code == 0
    usage = Cgroup(node).usage(spec.id)
    assert usage.oom_kills >= 1
    assert usage.memory_max_bytes <= 48 * MIB
    assert init_pid(node, spec.id) == before
    assert Cgroup(node).usage(neighbour.id).oom_kills == 0


@pytest.mark.parametrize("place", ["/dev/shm", "/run", "/tmp/own"])
def test_b02_memory_in_files_counts_too(node: Node, victim: Victim, place: str) -> None:
    """M9: filling a tmpfs past the limit may end with the init; never with anything outside."""
    spec = victim(memory_mb=48)
    mount = f"mkdir -p {place}; mount -t tmpfs -o size=1g none {place}"
    attempt(node, spec, f"{mount}; dd if=/dev/zero of={place}/fill bs=1M count=200")
    assert Cgroup(node).usage(spec.id).memory_max_bytes <= 48 * MIB


def test_b02_locked_memory_and_swap_are_bounded(node: Node, victim: Victim) -> None:
    spec = victim(memory_mb=48)

    def lock() -> int:
        import ctypes
        import mmap

        libc = ctypes.CDLL(None, use_errno=True)
        locked, kept = 0, []
        while locked < 300:
            page = mmap.mmap(-1, 2**20)
            if libc.mlock(ctypes.byref(ctypes.c_char.from_buffer(page)), 2**20):
                break
            kept.append(page)
            locked += 1
        return locked

    done = outcome_inside(node, spec, lock)
    assert done.exit_code in (0, 137)
    if done.exit_code == 0:
        assert int(done.stdout) < 48
    assert Cgroup(node).usage(spec.id).swap_bytes == 0


def test_b04_kernel_objects_count_as_its_memory(node: Node, victim: Victim) -> None:
    """Pipes, sockets, event polls, memory files: made until the kernel refuses or ends the maker."""
    spec = victim(memory_mb=48)

    def hoard() -> dict[str, int]:
        import os
        import resource
        import select
        import socket

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
        made = {}
        for name, make in {
            "pipe": os.pipe,
            "socket": socket.socketpair,
            "epoll": select.epoll,
            "memfd": lambda: os.memfd_create("x"),
        }.items():
            kept = []
            try:
                while len(kept) < 5000:
                    kept.append(make())
            except OSError:
                pass
            made[name] = len(kept)
            for one in kept:
                for end in one if isinstance(one, tuple) else (one,):
                    end.close() if hasattr(end, "close") else os.close(end)
        return made

    outcome_inside(node, spec, hoard)
    assert Cgroup(node).usage(spec.id).memory_max_bytes <= 48 * MIB
    assert init_pid(node, spec.id) is not None


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_b04_what_waits_in_sockets_counts_too(node: Node, victim: Victim, protocol: str) -> None:
    """As much as the kernel takes, sent to sockets of its own that nobody reads."""
    spec = victim(memory_mb=64)

    def tcp() -> int:
        import socket

        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(2)
        kept, held = [], 0
        try:
            while held < 400 * 2**20 and len(kept) < 600:
                sender = socket.create_connection(listener.getsockname(), timeout=2)
                kept += [sender, listener.accept()[0]]
                sender.setblocking(False)
                try:
                    while True:
                        held += sender.send(bytes(2**20))
                except BlockingIOError:
                    pass
        except OSError:
            pass
        return held

    def udp() -> int:
        import socket

        sender, kept, held = socket.socket(2, 2), [], 0
        try:
            while len(kept) < 900:
                kept.append(socket.socket(2, 2))
                kept[-1].bind(("127.0.0.1", 0))
                for _ in range(6):
                    sender.sendto(bytes(60_000), kept[-1].getsockname())
        except OSError:
            pass
        for one in kept:
            one.setblocking(False)
            try:
                while True:
                    held += len(one.recv(65536))
            except OSError:
                pass
        return held

    done = outcome_inside(node, spec, {"tcp": tcp, "udp": udp}[protocol])
    assert done.exit_code in (0, 137)  # where it is memory like other memory, too much ends its maker
    if done.exit_code == 0:
        assert int(done.stdout) < 64 * MIB


def test_b04_no_ring_is_made_of_the_kernels_memory(node: Node, victim: Victim) -> None:
    """What a packet socket is given for its rings is charged to nobody."""
    spec = victim(memory_mb=64)

    def ring() -> list[int]:
        import socket
        import struct

        wanted, said = struct.pack("IIII", 4096, 1, 2048, 2), []
        for option in (5, 13, 5 - 2**31):
            packet = socket.socket(17, 3, 0)
            try:
                packet.setsockopt(263, option, wanted)
                said.append(0)
            except OSError as refused:
                said.append(refused.errno or -1)
        return said

    assert inside(node, spec, ring) == [1, 1, 38]


def test_b06_what_the_machine_has_once_is_no_environments(node: Node, victim: Victim) -> None:
    """fs.aio-max-nr: one could take all of it from every database of the machine."""
    spec = victim()

    def contexts() -> list[int]:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        context = ctypes.c_ulong(0)
        return [int(libc.syscall(206, 1, ctypes.byref(context))), ctypes.get_errno()]

    assert inside(node, spec, contexts) == [-1, 38]


def test_b04_mounts_end_at_its_memory_or_the_hosts_limit(node: Node, victim: Victim) -> None:
    spec = victim(memory_mb=48)

    def mount() -> int:
        import ctypes
        import os

        libc = ctypes.CDLL(None, use_errno=True)
        os.makedirs("/mnt/x", exist_ok=True)
        libc.unshare(0x20000)
        count = 0
        while count < 3000 and libc.mount(b"/mnt", b"/mnt/x", None, 4096, None) == 0:
            count += 1
            if count % 2 == 0:
                libc.mount(b"none", b"/mnt/x", b"tmpfs", 0, None)
        return count

    outcome_inside(node, spec, mount)
    assert Cgroup(node).usage(spec.id).memory_max_bytes <= 48 * MIB


def test_b05_one_can_not_take_all_ptys(node: Node, victim: Victim, neighbour: EnvironmentSpec) -> None:
    """M8: without a limit of its devpts one environment had all of the host's."""
    spec = victim(memory_mb=96)

    def take() -> int:
        import os
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8000), hard))
        taken = 0
        try:
            while taken < 3000:
                os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
                taken += 1
        except OSError:
            pass
        return taken

    assert inside(node, spec, take) <= 256
    terminal = open_terminal(node, neighbour.id, "still")
    assert terminal.running
    close_terminal(node, neighbour.id, "still")


def test_b06_what_is_counted_by_user_is_counted_by_its_own(
    node: Node, victim: Victim, neighbour: EnvironmentSpec
) -> None:
    """inotify instances, message queues, pending signals: root of each environment is another user."""
    spec = victim()

    def exhaust() -> dict[str, int]:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        instances = 0
        while instances < 5000 and libc.inotify_init() >= 0:
            instances += 1
        queues = 0
        while queues < 2000 and libc.syscall(240, f"q{queues}".encode(), 0o102, 0o600, None) >= 0:
            queues += 1
        return {"instances": instances, "queues": queues}

    def one() -> dict[str, bool]:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        return {
            "instance": libc.inotify_init() >= 0,
            "queue": libc.syscall(240, b"mine", 0o102, 0o600, None) >= 0,
        }

    taken = inside(node, spec, exhaust)
    assert taken["instances"] < 5000
    assert inside(node, neighbour, one) == {"instance": True, "queue": True}
    sh(node, neighbour, "rm -f /dev/mqueue/mine")


def test_b08_the_disk_ends_at_its_limit_and_can_be_emptied(
    node: Node, victim: Victim, neighbour: EnvironmentSpec
) -> None:
    spec = victim(disk_mb=64)
    _, said = attempt(node, spec, "dd if=/dev/zero of=/root/fill bs=1M count=200 conv=fsync")
    assert "uota exceeded" in said
    assert RootVolume(node).used_bytes(spec.id) <= 65 * MIB
    sh(node, neighbour, "echo fine > /root/fine; sync; rm /root/fine")
    sh(node, spec, "rm /root/fill; sync; dd if=/dev/zero of=/root/again bs=1M count=20 conv=fsync 2>/dev/null")


def test_b08_a_deleted_subvolume_does_not_hide_what_its_snapshots_hold(node: Node, victim: Victim) -> None:
    """Written in a nested subvolume, kept by a snapshot, the first deleted: it still counts."""
    spec = victim(disk_mb=64, security=SecurityProfile(nesting=True))

    def hide() -> list[int]:
        import ctypes
        import os
        import struct

        libc = ctypes.CDLL(None, use_errno=True)
        root = os.open("/", os.O_RDONLY)

        def volume(request: int, name: str, fd: int = 0) -> int:
            data = struct.pack("=q4088s", fd, name.encode())
            return libc.ioctl(root, ctypes.c_ulong(request), ctypes.create_string_buffer(data, len(data)))

        create, snapshot = 1 << 30 | 4096 << 16 | 0x940E, 1 << 30 | 4096 << 16 | 0x9401
        wrote = []
        for turn in range(6):
            if volume(create, f"work{turn}"):
                break
            total = 0
            try:
                with open(f"/work{turn}/data", "wb") as file:
                    for _ in range(30):
                        file.write(os.urandom(2**20))
                        file.flush()
                        os.fsync(file.fileno())
                        total += 1
            except OSError:
                pass
            source = os.open(f"/work{turn}", os.O_RDONLY)
            volume(snapshot, f"kept{turn}", source)
            os.close(source)
            try:
                os.unlink(f"/work{turn}/data")
                os.rmdir(f"/work{turn}")
            except OSError:
                pass
            os.sync()
            wrote.append(total)
        return wrote

    wrote = inside(node, spec, hide, timeout_s=60)
    btrfs.sync(node.store)
    held = sum(
        one.stat().st_blocks * 512 for one in node.root_volume(spec.id).glob("kept*/data") if one.is_file()
    )
    assert held <= 66 * MIB, f"{held // MIB} MiB are held of 64; written {wrote}"


def test_b10_empty_files_end_at_the_limit_too(node: Node, victim: Victim) -> None:
    spec = victim(disk_mb=16)

    def litter() -> int:
        import os

        os.mkdir("/litter")
        made = 0
        try:
            while made < 100_000:
                os.close(os.open(f"/litter/{made:0200d}", os.O_CREAT | os.O_WRONLY))
                made += 1
        except OSError:
            pass
        os.sync()
        return made

    assert inside(node, spec, litter, timeout_s=60) < 100_000
    assert RootVolume(node).used_bytes(spec.id) <= 20 * MIB
    sh(node, spec, "rm -r /litter; sync; echo fine > /root/fine", timeout_s=60)


def test_b15_no_task_gets_real_time_or_priority(node: Node, victim: Victim) -> None:
    spec = victim()

    def rise() -> list[str]:
        import ctypes
        import os

        got = []
        for policy in (os.SCHED_FIFO, os.SCHED_RR):
            try:
                os.sched_setscheduler(0, policy, os.sched_param(1))
                got.append(f"policy {policy}")
            except OSError:
                pass
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -20)
            got.append("nice -20")
        except OSError:
            pass
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(251, 1, 0, 1 << 13) == 0:  # ioprio_set, real-time class
            got.append("io real-time")
        return got

    assert inside(node, spec, rise) == []


def test_b15_the_cap_of_processor_time_holds(node: Node, victim: Victim) -> None:
    spec = victim(cpu=0.25)

    def spin() -> float:
        import os
        import time

        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                until = time.monotonic() + 1.5
                while time.monotonic() < until:
                    pass
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        return 1.0

    before, began = Cgroup(node).usage(spec.id).cpu_ns, time.monotonic()
    inside(node, spec, spin)
    share = (Cgroup(node).usage(spec.id).cpu_ns - before) / 1e9 / (time.monotonic() - began)
    assert share < 0.25 * 1.4, f"{share:.2f} of a processor with a cap of 0.25"


def test_b18_a_flooded_console_log_is_capped_and_blocks_nobody(
    node: Node, victim: Victim, neighbour: EnvironmentSpec
) -> None:
    from runtime.sandboxes.shared.conmon import LOG_BYTES

    spec = victim()
    sh(node, spec, "head -c 40000000 /dev/zero | tr '\\0' y > /dev/console", timeout_s=60)
    held = sum(one.stat().st_size for one in node.console(spec.id).iterdir() if one.is_file())
    assert held <= 2.5 * LOG_BYTES
    assert sh(node, neighbour, "echo alive") == "alive"
    assert Path(f"/proc/{init_pid(node, spec.id)}").exists()


def test_b07_all_together_leave_the_host_its_own(
    node: Node, victim: Victim, neighbour: EnvironmentSpec
) -> None:
    """The group above all tenants ends before the numbers of the kernel do."""
    groups = Cgroup(node).groups
    spec = victim(processes=10_000, memory_mb=256)
    assert groups.limits(node.cgroup_name)["pids.max"] == str(task_room.for_environments())
    assert task_room.for_environments() <= task_room.host_room() - 4096
    most = groups.usage(node.cgroup_name).processes + 60
    groups.bound_tasks(node.cgroup_name, most)
    try:
        attempt(node, spec, "for i in $(seq 200); do sleep 60 & done 2>/dev/null; true")
        assert 40 < Cgroup(node).usage(spec.id).processes <= most
        assert subprocess.run(["/bin/true"], check=True, timeout=20).returncode == 0
    finally:
        groups.bound_tasks(node.cgroup_name, task_room.for_environments())
    sh(node, spec, "killall sleep")
    assert sh(node, neighbour, "echo alive") == "alive"


def test_b18_terminals_that_ended_do_not_pile_up(node: Node, victim: Victim) -> None:
    """Each keeps its log on the host's disk, which no quota is charged for."""
    spec = victim()
    for number in range(KEPT_ENDED + 4):
        directory = open_terminal(node, spec.id, f"t{number}").directory
        os.kill(int((directory / "shell.pid").read_text()), signal.SIGKILL)
        until = time.monotonic() + 10
        while (seen := find(node, spec.id, f"t{number}")) and seen.running and time.monotonic() < until:
            time.sleep(0.01)
    (node.terminals(spec.id) / "cut-off").mkdir()
    os.utime(node.terminals(spec.id) / "cut-off", (0, 0))
    open_terminal(node, spec.id, "last")
    left = {one.name for one in node.terminals(spec.id).iterdir()}
    assert len(left) == KEPT_ENDED + 1
    assert {"last", f"t{KEPT_ENDED + 3}"} <= left
    close_terminal(node, spec.id, "last")


def test_b05_whoever_holds_others_terminals_loses_them(
    node: Node, victim: Victim, neighbour: EnvironmentSpec
) -> None:
    """M8: the kernel has no limit of one environment's for a devpts that root inside mounts anew."""
    spec = victim(memory_mb=96)
    init = init_pid(node, spec.id)

    def hoard() -> None:
        import ctypes
        import os
        import resource
        import time

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8000), hard))
        os.makedirs("/tmp/own", exist_ok=True)
        ctypes.CDLL(None).mount(b"none", b"/tmp/own", b"devpts", 0, b"newinstance,ptmxmode=0666")
        taken = [os.open("/tmp/own/ptmx", os.O_RDWR | os.O_NOCTTY) for _ in range(300)]
        with open("/run/taken", "w") as file:
            file.write(str(len(taken)))
        time.sleep(60)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(outcome_inside, node, spec, hoard, timeout_s=60)
        until = time.monotonic() + 30
        while "300" not in attempt(node, spec, "cat /run/taken")[1] and time.monotonic() < until:
            time.sleep(0.05)
        assert ptys.relieve(node, share=400) == {}
        assert ptys.relieve(node, share=200) == {spec.id: 1}
        assert done.result().exit_code == 137
    assert init_pid(node, spec.id) == init
    assert ptys.relieve(node, share=200) == {}
