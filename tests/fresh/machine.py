"""A bare machine: a minimal Debian 12 in namespaces of its own, entered as a machine's root is.

It shares the kernel, `/dev` and, where there is little memory, the disk with the machine that runs the tests.
Its network has one way out, through a process of an ordinary program (slirp4netns). So nothing of the host's
firewall, links or control groups is its own to change.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.host import cgroup, libc
from runtime.host.cgroup.unified import UnifiedGroups
from runtime.images.debian import mirrors
from runtime.install.layout import CHECKOUT

#: What people have on it before they come here; everything else is `up`'s to bring.
PACKAGES = ("python3", "git")
#: How this machine reaches the indexes of packages: a proxy, a mirror, an authority of its own.
WAYS_OUT = (
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("PIP_CERT", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "npm_config_registry"),
)
_AUTHORITIES = "usr/local/share/ca-certificates"
#: slirp4netns(1): the resolver that it offers.
_RESOLVER = "10.0.2.3"
_LOGIN = (
    *("HOME=/root", "USER=root", "LANG=C.UTF-8", "TERM=dumb"),
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)
#: Of what it may hold; with everything that `up` brings it has 3 GB.
_IN_MEMORY_BYTES = 8 * 2**30
_SUITE = "bookworm"
_NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup")


@dataclass(frozen=True)
class Machine:
    root: Path
    group: str
    init: int
    """Its first process, as the host numbers it."""

    def start(self, words: Sequence[str], *, cwd: str = "/root") -> "subprocess.Popen[str]":
        """A program in it, as root, with the environment of a login."""
        inside = ["/usr/bin/env", "-i", f"--chdir={cwd}", *_LOGIN, *_ways_out()]
        return subprocess.Popen(
            ["nsenter", f"--target={self.init}", *_NAMESPACES, "--", *inside, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=lambda: join(self.group),  # noqa: PLW1509 (one thread, of the test)
        )

    def run(self, *words: str, cwd: str = "/root", timeout_s: float = 60) -> str:
        """Its output; fails where it fails."""
        process = self.start(words, cwd=cwd)
        try:
            said, _ = process.communicate(timeout=timeout_s)
        finally:
            process.kill()
        assert process.returncode == 0, f"{' '.join(words)[:200]} ended with {process.returncode}:\n{said}"
        return said

    def has_way_out(self) -> bool:
        """Whether it reaches the packages' mirror: it can't by a proxy on the host's loopback."""
        update = ["apt-get", "update", "-qq", "-o", "Acquire::Retries=3", "--error-on=any"]
        process = self.start(["timeout", "120", *update])
        process.communicate()
        return process.returncode == 0

    def python(self, script: Path, *words: str, timeout_s: float = 120) -> str:
        """A script by the Python that the machine has had from the beginning."""
        return self.run("/usr/bin/python3", "-c", script.read_text(), *words, timeout_s=timeout_s)


@contextmanager
def bare_machine() -> Iterator[Machine]:
    """Made fresh; at the end all that ran in it is killed and all of it is deleted."""
    group, groups = f"wadah-fresh-{os.getpid()}", cgroup.groups()
    with _room() as directory:
        root = directory / "root"
        _install(root)
        _make_groups(group)
        try:
            with _switched_on(root, group) as init:
                yield Machine(root, f"{group}/machine", init)
        finally:
            groups.kill(group)
            groups.remove(group)


def _make_groups(group: str) -> None:
    """The one that the machine takes for the top of all, and its processes' own below: with cgroup2 a group
    that divides itself holds none (cgroup-v2.rst, "No Internal Process Constraint")."""
    if cgroup.version() == 1:
        cgroup.groups().create(f"{group}/machine")
        return
    there = (cgroup.ROOT / "cgroup.controllers").read_text().split()
    handed_on = " ".join(f"+{name}" for name in UnifiedGroups.CONTROLLERS if name in there)
    (cgroup.ROOT / "cgroup.subtree_control").write_text(handed_on)
    (cgroup.ROOT / group / "machine").mkdir(parents=True)


@contextmanager
def _room() -> Iterator[Path]:
    """A directory for it: in memory where there is enough, since packages wait for a disk most of the time."""
    with tempfile.TemporaryDirectory(prefix="wadah-fresh-", ignore_cleanup_errors=True) as directory:
        is_roomy = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 2 * _IN_MEMORY_BYTES
        if is_roomy:
            libc.mount("tmpfs", directory, "tmpfs", 0, f"mode=755,size={_IN_MEMORY_BYTES}")
        try:
            yield Path(directory)
        finally:
            if is_roomy:
                libc.umount(directory, libc.MNT_DETACH)


def _install(root: Path) -> None:
    """What is called minimal: essential packages, apt, and nothing that isn't needed for it (mmdebstrap(1))."""
    packages = f"--include={','.join(PACKAGES)}"
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--dpkgopt=force-unsafe-io", packages]
    done = subprocess.run(
        [*command, _SUITE, str(root), *mirrors(_SUITE)], timeout=600, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, "mmdebstrap failed: see its lines above"
    root.chmod(0o755)
    (root / "etc" / "hostname").write_text("fresh\n")
    (root / "etc" / "resolv.conf").write_text(f"nameserver {_RESOLVER}\n")
    if (Path("/") / _AUTHORITIES).is_dir():
        shutil.copytree(Path("/") / _AUTHORITIES, root / _AUTHORITIES, dirs_exist_ok=True)
    _publish(root / "srv" / "wadah.git")


def _publish(repository: Path) -> None:
    """This checkout as it stands, changes that aren't committed too, as a repository to be cloned."""
    git = ["git", f"--git-dir={repository}", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "init", "--quiet", "--bare", str(repository)], check=True, timeout=20)
    for words in (["add", "--all"], ["commit", "--quiet", "--message=As it stands"]):
        subprocess.run([*git, f"--work-tree={CHECKOUT}", *words], check=True, timeout=60, cwd=CHECKOUT)


@contextmanager
def _switched_on(root: Path, group: str) -> Iterator[int]:
    """Its first process, and its way out of its network."""
    first = subprocess.Popen(
        [sys.executable, "-m", "tests.fresh.first", str(root), group],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,  # its end is the machine's
        cwd=CHECKOUT,
        text=True,
    )
    way_out: subprocess.Popen[bytes] | None = None
    try:
        assert first.stdout is not None
        said = first.stdout.readline()
        assert said, "the machine's first process didn't start"
        init = int(json.loads(said)["pid"])
        way_out = subprocess.Popen(
            ["slirp4netns", "--configure", "--disable-host-loopback", "--mtu=1500", str(init), "tap0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        yield init
    finally:
        if way_out is not None:
            way_out.terminate()
            way_out.wait(10)
        first.send_signal(signal.SIGTERM)
        first.wait(20)


def join(group: str) -> None:
    """The calling process goes into the machine's control groups."""
    for hierarchy in [cgroup.ROOT, *cgroup.ROOT.iterdir()]:
        members = hierarchy / group / "cgroup.procs"
        if members.exists():
            members.write_text("0")


def _ways_out() -> list[str]:
    return [f"{name}={os.environ[name]}" for name in WAYS_OUT if name in os.environ]
