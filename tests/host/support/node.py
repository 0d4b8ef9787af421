"""A whole node for tests: HOME, loop pool, mount namespace, and a network namespace without a way out."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.contract import DesiredState, EnvironmentSpec, Interface, Limits, Network
from runtime.host import libc
from runtime.node import Node, default_settings
from runtime.prepare import dismantle, prepare
from runtime.purge import delete_all
from runtime.watchdog import watchdog


@contextmanager
def network_namespace() -> Iterator[Path]:
    """A named network namespace with nothing but loopback in it."""
    name = f"wt{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=20)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True, timeout=20)
    try:
        yield Path("/run/netns") / name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, timeout=20)


@contextmanager
def entered_test_node(*, small_home: bool = False, **settings: object) -> Iterator[Node]:
    """This process inside a new node's namespaces; afterwards it is outside again and the node is gone.

    `settings`: other than a new node's own. `small_home`: on a disk of 32 MiB and 3,000 files (tmpfs), for
    callers in a mount namespace of their own.
    """
    # a thread of whoever runs the tests has the file system view in common with us, which setns(2) refuses
    libc.unshare(libc.CLONE_FS)
    home = Path(tempfile.mkdtemp(prefix="wadah-test-"))
    if small_home:
        libc.mount("tmpfs", str(home), "tmpfs", 0, "size=32m,nr_inodes=3000")
    outside = [(os.open(f"/proc/self/ns/{kind}", os.O_RDONLY), flag) for kind, flag in _KINDS]
    with network_namespace() as namespace:
        try:
            if settings:
                _write_settings(home, {"network_namespace": str(namespace), **settings})
            node = prepare(home, network_namespace=str(namespace))
            yield node
        finally:
            watchdog.close()
            for thread in threading.enumerate():
                if thread is not threading.main_thread():
                    thread.join(10)  # one that closes a socket; setns wants a process of one thread
            for fd, flag in outside:
                _leave(fd, flag)
                os.close(fd)
            os.chdir("/")
            node = Node.load(home)
            delete_all(node, say=lambda _: None)
            dismantle(node)
            if small_home:
                libc.umount(str(home), libc.MNT_DETACH)
            shutil.rmtree(home)


def _write_settings(home: Path, values: dict[str, object]) -> None:
    settings = {**default_settings(home).model_dump(mode="json"), **values}
    (home / "node").mkdir(mode=0o700)
    (home / "node" / "node.json").write_text(json.dumps(settings))


def _leave(fd: int, flag: int) -> None:
    """A thread that was joined may share this process's file system view a moment longer."""
    until = time.monotonic() + 30
    while True:
        try:
            libc.setns(fd, flag)
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


_KINDS = (("mnt", libc.CLONE_NEWNS), ("net", libc.CLONE_NEWNET))


class Specs:
    """Makes specs for one node: each with its own slot and addresses; `change` counts generations up."""

    def __init__(self, node: Node):
        self.node = node
        self._next = self._next_slot = 0

    def new(self, **fields: object) -> EnvironmentSpec:
        number = self._next
        self._next += 1
        settings = self.node.settings
        assert settings.ipv4_network is not None
        assert settings.ipv6_network is not None
        values: dict[str, object] = {
            "id": uuid.uuid4(),
            "tenant_id": uuid.UUID(int=1),
            "node": self.node.name,
            "name": f"ve-{number}",
            "generation": 1,
            "image": "busybox",
            "desired": DesiredState.RUNNING,
            "slot": self._free_slot(),
            "limits": Limits(cpu=1, memory_mb=128, disk_mb=256),
            "network": Network(
                interfaces=(
                    Interface(
                        ipv4=(settings.ipv4_network[10 + number],), ipv6=(settings.ipv6_network[10 + number],)
                    ),
                )
            ),
            "stop_timeout_s": 5,
        }
        return EnvironmentSpec.model_validate({**values, **fields})

    def _free_slot(self) -> int:
        """One after the other, and from the beginning again: those that live through many tests keep theirs.
        The last ones of the node are for builds and proofs of backups."""
        settings = self.node.settings
        for _ in range(settings.slots):
            slot = settings.first_slot + self._next_slot % self.node.slots_to_hand_out
            self._next_slot += 1
            claim = self.node.root / "slots" / f"{slot:04d}"
            if not claim.exists() or not claim.read_text():  # kept and empty, it is free
                return slot
        raise AssertionError("every id range of the node is in use")

    @staticmethod
    def change(spec: EnvironmentSpec, **fields: object) -> EnvironmentSpec:
        return EnvironmentSpec.model_validate(
            {**spec.model_dump(), "generation": spec.generation + 1, **fields}
        )
