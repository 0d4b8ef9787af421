"""Group B: terminals and consoles, which the host has a number of."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runtime.agent import ptys
from runtime.console.terminals import KEPT_ENDED, close_terminal, find, open_terminal
from runtime.contract import EnvironmentSpec
from runtime.node import Node
from runtime.sandboxes.shared.container import init_pid
from tests.host.isolation.conftest import Victim
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside, outcome_inside


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
