"""An image's tree as the root of an environment: what is mounted on, and what is written, is its own."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runtime.contract.words import changes
from runtime.errors import Superseded
from runtime.host.safetree import SafeTree
from runtime.images.oci import refusals, tools
from runtime.images.oci.tools import Watch
from runtime.node import Node

#: Directories that the OCI runtime mounts on: a link there could lead a mount out of the tree.
_MOUNT_POINTS = {"dev": 0o755, "proc": 0o555, "sys": 0o555, "etc": 0o755}


def arrange(tree: Path) -> None:
    """Raises `RuntimeFault`."""
    with SafeTree.open(tree) as safe:
        for name, mode in _MOUNT_POINTS.items():
            if not safe.is_directory(f"/{name}"):
                safe.remove(f"/{name}")
                safe.make_directory(f"/{name}", mode=mode)


Wanted = Sequence[tuple[str, str]]


class Unpacking:
    """Layers become a tree, each as soon as it is there and those before it are, without any way out."""

    def __init__(self, node: Node, layers: Path, tree: Path, wanted: Wanted, within_s: float):
        """`wanted`: of each layer its digest, and that of what is in it."""
        self._program = tools.program({"/tree": tree}, network=None, looked_at={"/layers": layers})
        self._asked = {
            **{"task": "unpack", "wanted": wanted, "environment": {}},
            **{"username": "", "password": "", "host": ""},
        }
        self._node, self._within_s = node, within_s
        self._is_given_up = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._do, daemon=True)

    def look(self) -> None:
        """Raises what it failed with, if it did."""
        if self._failed is not None:
            raise self._failed

    def ends_within(self, seconds: float) -> bool:
        """Waits so long for its end; whether it came. Raises `RuntimeFault`."""
        self._thread.join(seconds)
        self.look()
        return not self._thread.is_alive()

    def _do(self) -> None:
        try:
            answer = tools.run(self._node, self._program, self._asked, self._go_on, self._within_s)
            if "refused" in answer:
                raise refusals.found(*refusals.told(answer["refused"]))
        except BaseException as failed:  # told to who waits for it
            self._failed = failed

    def _go_on(self) -> None:
        if self._is_given_up.is_set():
            raise Superseded(changes.superseded())

    @classmethod
    @contextmanager
    def begun(
        cls, node: Node, layers: Path, tree: Path, wanted: Wanted, *, within_s: float
    ) -> Iterator["Unpacking"]:
        """It is over when this is left."""
        one = cls(node, layers, tree, wanted, within_s)
        one._thread.start()
        try:
            yield one
        finally:
            one._is_given_up.set()
            one._thread.join()


def pack(
    node: Node,
    tree: Path,
    layers: Path,
    watch: Watch,
    *,
    config: dict[str, object],
    left_out: list[str],
    within_s: float,
) -> None:
    """A tree becomes an image of one layer, without any way out. Raises `RuntimeFault`."""
    program = tools.program({"/layers": layers}, network=None, looked_at={"/tree": tree})
    asked = {
        **{"task": "pack", "config": config, "left_out": left_out, "environment": {}},
        **{"username": "", "password": "", "host": ""},
    }
    answer = tools.run(node, program, asked, lambda: watch(0), within_s)
    if "refused" in answer:
        raise refusals.found(*refusals.told(answer["refused"]))
