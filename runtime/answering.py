"""Starts and ends what answers for the kernel inside (`runtime.answers`): once for each node, as lxcfs."""

import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from runtime import answers
from runtime.answers.notify import MACHINES
from runtime.contract.said import plain
from runtime.errors import HostLacks
from runtime.files import exclusive
from runtime.host import btrfs, processes
from runtime.host.command import ENVIRONMENT
from runtime.node import Node

#: Of the keeper and of the answerer each; stacks of its threads count, 256 KiB for each environment that asks.
MOST_BYTES = 512 * 2**20
_STARTS_WITHIN_S, _ENDS_WITHIN_S = 10, 10


def start(node: Node) -> bool:
    """False when it runs, or can't on this architecture. It outlives us, as the environments do."""
    if answers.is_there(node.mounts) or platform.machine() not in MACHINES:
        return False
    with exclusive(node, "answers"):
        return not answers.is_there(node.mounts) and _start(node)


def _start(node: Node) -> bool:
    file_system = btrfs.file_system_uuid(node.store)
    log = os.open(node.root / "answers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [
                *("prlimit", f"--data={MOST_BYTES}"),
                *(sys.executable, "-S", "-m", "runtime.answers.keeper"),
                *(str(answers.socket_below(node.mounts)), node.cgroup_name, file_system),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parents[1])},
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(log)
    _pid_file(node).write_text(str(process.pid))
    until = time.monotonic() + _STARTS_WITHIN_S
    while not answers.is_there(node.mounts):
        if process.poll() is not None or time.monotonic() > until:
            raise HostLacks(
                plain("what answers inside did not start"), next_step=plain(f"See {node.root / 'answers.log'}.")
            )
        time.sleep(0.02)
    return True


def stop(node: Node) -> None:
    """Both processes have ended when this returns: whoever looks after `down` finds nothing."""
    socket = answers.socket_below(node.mounts)
    ours = Path("/proc/self/exe").resolve().name
    for one in processes.every_root(ours, "runtime.answers.keeper", str(socket)):
        with suppress(ProcessLookupError), one.held() as held:
            held.send(signal.SIGTERM)
            held.ends_within(_ENDS_WITHIN_S)
    socket.unlink(missing_ok=True)
    _pid_file(node).unlink(missing_ok=True)


def _pid_file(node: Node) -> Path:
    return node.run / answers.socket_below(node.mounts).with_suffix(".pid").name
