"""A helper process in the node's mount namespace, that runs and times the floor: the OCI runtime alone.

A process of its own, since one with threads can't change its mount namespace.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from runtime.host import libc
from runtime.node import Node
from runtime.sandboxes.shared.program import ENVIRONMENT
from tests.bench.measure import ms_since

DEADLINE_S = 30


class Inside:
    """Calls of `Work`'s methods in the helper. To be made before this process starts threads."""

    def __init__(self, home: Path):
        context = get_context("fork")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(home, theirs, self._connection), daemon=True)
        self._process.start()
        theirs.close()

    def call(self, name: str, *arguments: Any) -> Any:
        """What the method gives; raises RuntimeError with what it raised."""
        self._connection.send((name, arguments))
        good, result = self._connection.recv()
        if not good:
            raise RuntimeError(result)
        return result

    def close(self) -> None:
        self._connection.close()
        self._process.join(DEADLINE_S)


def _serve(home: Path, connection: Connection, other_end: Connection) -> None:
    other_end.close()  # so that the end of the parent is the end of the connection
    node = Node.load(home)
    with node.mount_namespace.open() as namespace:
        libc.setns(namespace.fileno(), libc.CLONE_NEWNS)
    os.chdir("/")
    with tempfile.TemporaryDirectory(prefix="wadah-bench-") as scratch:
        work = Work(node, Path(scratch))
        while True:
            try:
                name, arguments = connection.recv()
            except EOFError:
                break
            try:
                connection.send((True, getattr(work, name)(*arguments)))
            except Exception as error:  # told to who asked
                connection.send((False, f"{type(error).__name__}: {error}"))


class Work:
    """What is timed inside: milliseconds each."""

    def __init__(self, node: Node, scratch: Path):
        self.node, self.scratch = node, scratch
        self.group = f"wadah-bench-{os.getpid()}"

    def run_floor(self, image: str) -> float:
        """`crun run` of the image's tree until its first process has said a word."""
        bundle = self._bundle(image)
        name = f"b{uuid.uuid4().hex[:12]}"
        began = time.perf_counter()
        process = subprocess.Popen(
            ["crun", f"--root={self.scratch}/state", "run", "--bundle", str(bundle), name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
        )  # fmt: skip
        assert process.stdout
        said = process.stdout.read(1)
        took = ms_since(began)
        _, errors = process.communicate(timeout=DEADLINE_S)
        if not said:
            raise RuntimeError(errors.decode(errors="replace").strip())
        return took

    def _bundle(self, image: str) -> Path:
        bundle = self.scratch / image
        if not bundle.exists():
            bundle.mkdir()
            subprocess.run(["crun", "spec"], cwd=bundle, check=True, env=ENVIRONMENT, timeout=DEADLINE_S)
            config = json.loads((bundle / "config.json").read_text())
            config["root"] = {"path": str(self.node.image(image)), "readonly": True}
            config["process"].update(terminal=False, args=["/bin/echo", "up"])
            config["linux"]["cgroupsPath"] = f"/{self.group}/floor"
            (bundle / "config.json").write_text(json.dumps(config))
        return bundle

    def uml_floor(self) -> float:
        """Bare linux.uml, as nobody and without disk and network, to the end of its first program."""
        from runtime.sandboxes.own import probe

        found = probe.tried(self.node)
        if found["start_ms"] is None:
            raise RuntimeError(found["why"])
        return float(found["start_ms"])

    def exec_floor(self, environment: str) -> float:
        """`crun exec` of `true` in a running environment, from start to end."""
        name = self.node.container_name(uuid.UUID(environment))
        began = time.perf_counter()
        subprocess.run(
            ["crun", f"--root={self.node.oci_root}", "exec", name, "/bin/true"],
            check=True, capture_output=True, env=ENVIRONMENT, timeout=DEADLINE_S,
        )  # fmt: skip
        return ms_since(began)

    def tree(self, image: str, target: str) -> None:
        """Copies an image's tree out of the pool, for peers that want one of their own."""
        shutil.copytree(self.node.image(image), target, symlinks=True, dirs_exist_ok=True)

    def tidy(self) -> None:
        """The groups that the floor's runs were in; crun leaves a plain file where no hierarchy is mounted."""
        for top in Path("/sys/fs/cgroup").iterdir():
            for path in (top / self.group / "floor", top / self.group):
                if path.is_dir():
                    if not top.is_mount():
                        (path / "cgroup.procs").unlink(missing_ok=True)
                    path.rmdir()
