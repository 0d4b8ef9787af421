"""What is looked at of an environment on another kernel than the host's."""

import subprocess
from pathlib import Path

from runtime.contract import EnvironmentSpec
from runtime.node import Node
from runtime.sandboxes.shared.cgroup import Cgroup
from tests.host.support.waiting import wait_until

#: Files of all kinds, owners and modes.
MAKE = """
mkdir -p /made/d && cd /made && echo hi >a && ln a b && ln -s a c && mkfifo p
chmod 600 a && chown 1000:1001 a && chmod 4755 d && echo x >d/s && chown 5:6 d/s && chmod 2755 d/s
"""


def ping(address: object) -> bool:
    words = ["/bin/busybox", "ping", "-c", "1", "-W", "2", str(address)]
    return subprocess.run(words, capture_output=True, timeout=20, check=False).returncode == 0


def members(node: Node, spec: EnvironmentSpec) -> list[int]:
    return Cgroup(node).groups.processes(Cgroup(node).path(spec))


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def on_disk(node: Node, spec: EnvironmentSpec) -> dict[str, tuple[int, int, int, int]]:
    """Owners, modes and links of what the environment made, as the host has them."""
    root = node.root_volume(spec.id) / "made"
    found = {}
    for one in sorted(root.rglob("*")):
        seen = one.lstat()
        found[str(one.relative_to(root))] = (seen.st_uid, seen.st_gid, seen.st_mode, seen.st_nlink)
    return found


def ended(node: Node, spec: EnvironmentSpec) -> int:
    file = node.exits / spec.id.hex
    wait_until(lambda: file.exists() and bool(file.read_text().strip()), "its end")
    return int(file.read_text())


def nobody_left(node: Node, spec: EnvironmentSpec) -> None:
    wait_until(lambda: not members(node, spec), "the end of all its processes")
