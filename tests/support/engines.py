"""Docker and Podman of Debian beside an installation: unpacked into a folder, in namespaces of their own.

Nothing of them is installed. They have a mount namespace, and groups under a name that is the test's. For
figures they have a network with nothing but loopback as well, where a registry of the same storage serves the
same images. No container of theirs gets a network: none of ours waits for one either.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.support.registry import Hub

PACKAGES = ("podman", "docker.io", "containerd", "runc")
_DEADLINE_S = 180
_READY_S = 60


class Times(Protocol):
    """A series of measured times."""

    def time(self, act: Callable[[], object]) -> None: ...


@dataclass
class Engine:
    """`words` of each verb; `reason`: why it can't be measured here."""

    name: str
    program: list[str] = field(default_factory=list)
    reason: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    insecure: Sequence[str] = ()
    """After `pull` and `push`, for a registry without TLS."""
    _running: "subprocess.Popen[bytes] | None" = None

    def timed(self, series: Times, act: Callable[[], object]) -> None:
        """Adds how long it took; one that failed has a reason, and isn't asked again."""
        if self.reason:
            return
        try:
            series.time(act)
        except (RuntimeError, subprocess.SubprocessError) as failed:
            self.reason = str(failed)

    def pull(self, image: str) -> None:
        self.do("pull", "--quiet", *self.insecure, image)

    def run(self, image: str) -> None:
        """Until the first word of its first process."""
        words = [*self.program, "run", "--rm", "--network=none", image]
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._all()
        )
        assert process.stdout
        said = process.stdout.read(1)
        self._running = process
        if not said:
            _, errors = process.communicate(timeout=_DEADLINE_S)
            raise RuntimeError(errors.decode(errors="replace").strip()[-300:])

    def stop(self) -> None:
        """What `run` began."""
        if self._running is None:
            return
        self._running.kill()
        self.do("rm", "--force", *self._there(), check=False)
        self._running.communicate(timeout=_DEADLINE_S)
        self._running = None

    def _there(self) -> list[str]:
        done = subprocess.run(
            [*self.program, "ps", "--all", "--quiet"],
            capture_output=True, text=True, timeout=_DEADLINE_S, env=self._all(), check=False,
        )  # fmt: skip
        return done.stdout.split()

    def build(self, folder: Path, tag: str) -> None:
        more = ["--isolation=chroot", "--layers", "--pull-never"] if self.insecure else ["-q"]
        self.do("build", *more, "-t", tag, str(folder))

    def push(self, tag: str) -> None:
        self.do("push", *self.insecure, tag)

    def forget(self, image: str) -> None:
        self.do("rmi", "-f", image, check=False)

    def do(self, *words: str, check: bool = True) -> str:
        """What it says on its standard output. Raises `RuntimeError` with the end of what else it says."""
        done = subprocess.run(
            [*self.program, *words],
            capture_output=True, text=True, errors="replace", timeout=_DEADLINE_S, env=self._all(), check=False,
        )  # fmt: skip
        if check and done.returncode:
            lines = done.stderr.strip().splitlines()
            raise RuntimeError(f"{self.name} {words[0]}: {' '.join(lines[-2:])[-300:]}")
        return done.stdout.strip()

    def _all(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


@contextmanager
def engines(hub: Hub | None = None) -> Iterator[list[Engine]]:
    """Both, each with the reason where it can't be had. Without `hub` they have the machine's own network, of
    which they change nothing."""
    with ExitStack() as undo:
        place = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="wadah-engines-", dir="/var/tmp")))
        place.chmod(0o755)
        try:
            _unpack(place)
            enter = _apart(undo, hub)
        except (OSError, subprocess.SubprocessError) as failed:
            yield [Engine(name, reason=f"not to be had from Debian: {failed}") for name in ("docker", "podman")]
            return
        yield [_docker(undo, place, enter), _podman(undo, place, enter)]


def _unpack(place: Path) -> None:
    packages = place / "packages"
    packages.mkdir()
    download = ["apt-get", "download", "-q", *PACKAGES]
    subprocess.run(download, cwd=packages, check=True, capture_output=True, timeout=_DEADLINE_S)
    for one in packages.iterdir():
        unpack = ["dpkg", "-x", str(one), str(place / "root")]
        subprocess.run(unpack, check=True, capture_output=True, timeout=_DEADLINE_S)


def _apart(undo: ExitStack, hub: Hub | None) -> list[str]:
    """What brings a command into their mounts and network, where the registry answers as outside."""
    kinds = ("mnt", "net") if hub else ("mnt",)
    flags = [{"mnt": "--mount", "net": "--net"}[kind] for kind in kinds]
    holder = subprocess.Popen(["unshare", *flags, "sleep", "infinity"])
    undo.callback(_end, holder)
    until = time.monotonic() + _READY_S
    for kind in kinds:
        while os.readlink(f"/proc/{holder.pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}"):
            if time.monotonic() > until:
                raise OSError("no namespaces")
            time.sleep(0.01)
    enter = ["nsenter", f"--target={holder.pid}", *flags]
    # in these mounts alone: crun refuses to run where version 2 has controllers beside version 1
    hybrid = [*enter, "umount", "/sys/fs/cgroup/unified"]
    subprocess.run(hybrid, check=False, capture_output=True, timeout=20)
    if hub is None:
        return enter
    subprocess.run([*enter, "ip", "link", "set", "lo", "up"], check=True, timeout=20)
    serve = [*enter, "docker-registry", "serve", str(hub.place / "config.yml")]
    twin = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    undo.callback(_end, twin)
    return enter


def _docker(undo: ExitStack, place: Path, enter: list[str]) -> Engine:
    home, root = place / "docker", place / "root/usr"
    home.mkdir()
    paths = f"{root}/bin:{root}/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
    socket, group = f"unix://{home}/socket", f"wadah-test-{os.getpid()}-docker"
    words = [
        f"{root}/sbin/dockerd",
        f"--data-root={home}/data",
        f"--exec-root={home}/exec",
        f"--pidfile={home}/pid",
        f"--host={socket}",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--ip-masq=false",
        "--bridge=none",
        f"--cgroup-parent=/{group}",
    ]
    log = undo.enter_context((home / "log").open("wb"))
    undo.callback(_remove_groups, group)
    daemon = subprocess.Popen([*enter, *words], stdout=log, stderr=log, env={**os.environ, "PATH": paths})
    undo.callback(_end, daemon)
    environment = {"DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": f"{home}/config"}
    one = Engine("docker", [f"{root}/bin/docker", f"--host={socket}"], environment=environment)
    until = time.monotonic() + _READY_S
    while True:
        with suppress(RuntimeError):
            one.do("version")
            return one
        if daemon.poll() is not None or time.monotonic() > until:
            lines = (home / "log").read_text(errors="replace").strip().splitlines()
            one.reason = f"its daemon doesn't start here: {lines[-1][-200:] if lines else ''}"
            return one
        time.sleep(0.2)


def _podman(undo: ExitStack, place: Path, enter: list[str]) -> Engine:
    home = place / "podman"
    home.mkdir()
    settings = """
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
conmon_path = ["/usr/bin/conmon"]
[engine.runtimes]
crun = ["/usr/bin/crun"]
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"""
    (home / "containers.conf").write_text(settings)
    (home / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{home}/root"\nrunroot = "{home}/run"\n'
    )
    policy = home / ".config/containers/policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    (home / "registries.conf").write_text("")
    environment = {
        "HOME": str(home),
        "REGISTRY_AUTH_FILE": str(home / "auth.json"),
        "CONTAINERS_CONF": str(home / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(home / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(home / "registries.conf"),
    }
    one = Engine(
        "podman",
        [*enter, str(place / "root/usr/bin/podman")],
        environment=environment,
        insecure=("--tls-verify=false",),
    )
    if not shutil.which("conmon"):
        one.reason = "conmon is missing"
    undo.callback(one.do, "rm", "--all", "--force", check=False)
    return one


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(30)


def _remove_groups(name: str) -> None:
    for top in Path("/sys/fs/cgroup").glob(f"*/{name}"):
        for folder in sorted(top.rglob("*"), key=lambda one: -len(one.parts)):
            if folder.is_dir():
                with suppress(OSError):
                    folder.rmdir()
        with suppress(OSError):
            top.rmdir()
