"""Group B: memory, and objects of the kernel, that one environment takes too much of are its own; others go on.

Small limits, short times, in all files of this group."""

import subprocess

import pytest

from runtime.contract import EnvironmentSpec
from runtime.host import task_room
from runtime.node import Node
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.container import init_pid
from tests.host.isolation.conftest import Victim
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside, outcome_inside

MIB = 2**20


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
