"""Group B: processes and processor time of one environment are its own; others start theirs meanwhile."""

import time

from runtime.contract import EnvironmentSpec
from runtime.node import Node
from runtime.sandboxes.shared.cgroup import Cgroup
from tests.host.isolation.conftest import Victim
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside


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
