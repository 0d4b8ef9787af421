"""The machine: its packages, its users, and running its programs with a deadline."""

import grp
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtime.install.output import Stop

USER = "wadah"
#: Of the front for tenants' domains and its router: has no right in the panel.
DOMAINS_USER = "wadah-domains"

#: Program or file that shows that a package is there, and the Debian package that brings it.
NODE_PACKAGES = {
    "crun": "crun",
    "conmon": "conmon",
    "lxcfs": "lxcfs",
    "nft": "nftables",
    "mkfs.btrfs": "btrfs-progs",
    "mmdebstrap": "mmdebstrap",
    "/bin/busybox": "busybox-static",
    "losetup": "mount",
    "nsenter": "util-linux",
    "skopeo": "skopeo",  # images of apps: asked for and fetched,
    "umoci": "umoci",  # unpacked,
    "catatonit": "catatonit",  # and run under a small init
    "buildah": "buildah",  # built,
    "git": "git",  # from what is fetched
    "restic": "restic",  # backups,
    "ssh": "openssh-client",  # also to servers by SFTP
    "zstd": "zstd",
    "xz": "xz-utils",
    "bzip2": "bzip2",
    "ip": "iproute2",
    "/usr/share/doc/libnftables1": "libnftables1",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
    "/etc/protocols": "netbase",  # nft names protocols by it
}
#: Of kernels that an environment may have in place of the host's: installed where they are asked for.
KERNEL_PACKAGES = {
    "own": {
        "/usr/bin/linux.uml": "user-mode-linux",
        "/usr/lib/qemu/virtiofsd": "qemu-system-common",
    },
    "guarded": {"/usr/bin/runsc": "runsc"},  # a newer one than Debian 12 has: `runtime/install/backports.py`
}
PANEL_PACKAGES = {
    "redis-server": "redis-server",
    "caddy": "caddy",
    "docker-registry": "docker-registry",  # the installation's own
    "setpriv": "util-linux",
    "/usr/share/zoneinfo/UTC": "tzdata",  # Celery's and Django's time zones
}
TEST_PACKAGES = {
    "chromium-headless-shell": "chromium-headless-shell",
    "/usr/share/fonts/truetype/dejavu": "fonts-dejavu-core",
    "gcc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
    "/usr/lib/postgresql": "postgresql",
    "docker-compose": "docker-compose",
    "strace": "strace",
    "shellcheck": "shellcheck",
    "npm": "npm",
    "sshd": "openssh-server",  # what backups go to
    "slirp4netns": "slirp4netns",  # the way out of a bare machine's own network
    "git": "git",
    "rsync": "rsync",
    "ssh": "openssh-client",
}


def run(
    arguments: Sequence[str],
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
) -> str:
    """Its output. Raises `Stop` with the last lines when it fails or runs past the deadline."""
    try:
        done = subprocess.run(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            env=dict(environment) if environment is not None else None,
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise Stop(f"{arguments[0]} did not end within {timeout_s:g} s") from late
    except OSError as error:
        raise Stop(f"{arguments[0]} can't be started: {error.strerror}") from error
    output = done.stdout.decode(errors="replace")
    if log is not None:
        with log.open("a") as file:
            file.write(f"$ {' '.join(arguments)}\n{output}\n")
    if done.returncode != 0:
        tail = "\n".join(output.strip().splitlines()[-20:])
        raise Stop(f"{' '.join(arguments[:3])} … ended with {done.returncode}:\n{tail}")
    return output


def there(what: str) -> bool:
    """Whether a program or path of one of the package lists is on this machine."""
    if what.startswith("/"):
        return Path(what).exists()
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return shutil.which(what, path=path) is not None


def missing_packages(wanted: Mapping[str, str]) -> list[str]:
    return sorted({package for what, package in wanted.items() if not there(what)})


def install_packages(wanted: Mapping[str, str]) -> list[str]:
    """Installs what is missing by apt, from the machine's own sources; returns what was installed.

    No service of a package is started: ours run under our own care.
    """
    missing = missing_packages(wanted)
    if not missing:
        return []
    if os.geteuid() != 0:
        raise Stop(f"missing: {', '.join(missing)}", f"sudo apt-get install {' '.join(missing)}")
    if shutil.which("apt-get") is None:
        raise Stop(f"missing: {', '.join(missing)}; only Debian's apt is known here")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=120"]
    install = [*apt, "install", "--no-install-recommends", *missing]
    policy = Path("/usr/sbin/policy-rc.d")
    own_policy = not policy.exists()
    if own_policy:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        try:
            run(install, timeout_s=900, environment=environment)
        except Stop:
            run([*apt, "update"], timeout_s=300, environment=environment)
            run(install, timeout_s=900, environment=environment)
    finally:
        if own_policy:
            policy.unlink(missing_ok=True)
    return missing


def ensure_user(name: str = USER) -> bool:
    """The unprivileged user of the panel; False when it is there."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        run(
            ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
             "--shell", "/usr/sbin/nologin", name],
            timeout_s=30,
        )  # fmt: skip
        return True
    return False


def ids(name: str = USER) -> tuple[int, int]:
    return pwd.getpwnam(name).pw_uid, grp.getgrnam(name).gr_gid


def wait_for(path: Path, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
