"""Other container managers, measured beside where they are installed: a trivial process in a fresh container of
the same tree. None of them includes a panel, a queue or a database."""

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.measure import Series

_TIMEOUT_S = 60


class Peer:
    """One manager: `turn` makes a container once and adds the time; `reason` says why it can't be measured."""

    def __init__(
        self, label: str, reason: str = "", run: list[str] | None = None, remove: list[str] | None = None
    ):
        self.label, self.reason = label, reason
        self.series = Series(label, tails=("p95",))
        self._run, self._remove = run or [], remove or []

    def turn(self) -> None:
        if self.reason:
            return
        name = f"wadah-bench-{uuid.uuid4().hex[:8]}"
        words = [word.replace("NAME", name) for word in self._run]
        try:
            self.series.time(lambda: _quietly(words))
        except subprocess.SubprocessError as failed:
            self.reason = f"{' '.join(words[:2])} failed: {failed}"
        finally:
            if self._remove:
                _quietly([word.replace("NAME", name) for word in self._remove], check=False)


def peers(bench: Bench) -> list[AbstractContextManager[Peer]]:
    return [_docker(bench), _lxc(bench), _lxd(bench)]


@contextmanager
def _docker(bench: Bench) -> Iterator[Peer]:
    label = "docker run"
    with docker_image(bench) as (image, reason):
        run = ["docker", "run", "--name", "NAME", image, "/bin/true"]
        yield Peer(label, reason, run=run, remove=["docker", "rm", "-f", "NAME"])


@contextmanager
def docker_image(bench: Bench) -> Iterator[tuple[str, str]]:
    """The tree of busybox as an image of Docker's, and empty; or why there is none."""
    if not shutil.which("docker"):
        yield "", "docker is not installed"
        return
    if _quietly(["docker", "version"], check=False).returncode:
        yield "", "no Docker daemon answers"
        return
    image = f"wadah-bench:{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as tree:
        bench.inside.call("tree", "busybox", tree)
        archive = subprocess.run(
            ["tar", "-C", tree, "-c", "."], capture_output=True, check=True, timeout=_TIMEOUT_S
        )
        subprocess.run(
            ["docker", "import", "-", image],
            input=archive.stdout,
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_S,
        )
    try:
        yield image, ""
    finally:
        _quietly(["docker", "rmi", "-f", image], check=False)


@contextmanager
def docker_shell(bench: Bench, program: Path) -> Iterator[tuple[Callable[..., str], str]]:
    """Runs commands in one container of Docker's that has the program at `/sync`; or why there is none."""
    with docker_image(bench) as (image, reason), ExitStack() as undo:
        name = f"wadah-bench-{uuid.uuid4().hex[:8]}"
        if not reason:
            undo.callback(_quietly, ["docker", "rm", "-f", name], check=False)
            _quietly(["docker", "run", "--detach", "--name", name, image, "/bin/sleep", "3600"])
            _quietly(["docker", "cp", str(program), f"{name}:/sync"])

        def shell(*words: str) -> str:
            return _quietly(["docker", "exec", name, *words]).stdout.decode()

        yield shell, reason


@contextmanager
def _lxc(bench: Bench) -> Iterator[Peer]:
    label = "lxc-start"
    if not shutil.which("lxc-start"):
        yield Peer(label, "LXC is not installed")
        return
    with tempfile.TemporaryDirectory() as home:
        bench.inside.call("tree", "busybox", f"{home}/rootfs")
        config = Path(home) / "config"
        config.write_text(
            f"lxc.rootfs.path = dir:{home}/rootfs\nlxc.net.0.type = empty\nlxc.init.cmd = /sbin/init\n"
        )
        run = ["lxc-start", "-P", home, "-n", "NAME", "-f", str(config)]
        yield Peer(label, run=run, remove=["lxc-stop", "-P", home, "-n", "NAME", "-k"])


@contextmanager
def _lxd(bench: Bench) -> Iterator[Peer]:
    label = "lxc launch"
    if not shutil.which("lxc"):
        yield Peer(label, "LXD is not installed")
        return
    if _quietly(["lxc", "query", "/1.0"], check=False).returncode:
        yield Peer(label, "no LXD daemon answers")
        return
    alias = f"wadah-bench-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as home:
        bench.inside.call("tree", "busybox", f"{home}/rootfs")
        (Path(home) / "metadata.yaml").write_text("architecture: x86_64\ncreation_date: 1\n")
        archive = f"{home}/image.tar"
        _quietly(["tar", "-C", home, "-cf", archive, "metadata.yaml", "rootfs"])
        _quietly(["lxc", "image", "import", archive, "--alias", alias])
    try:
        yield Peer(label, run=["lxc", "launch", alias, "NAME"], remove=["lxc", "delete", "-f", "NAME"])
    finally:
        _quietly(["lxc", "image", "delete", alias], check=False)


def _quietly(words: list[str], *, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, capture_output=True, check=check, timeout=_TIMEOUT_S)
