"""Debian 12 and 13 with systemd, sshd and the usual tools, by mmdebstrap from the machine's own apt mirror.

What comes out is a Debian as its cloud images are: apt and dpkg as they are by default, nothing left out of a
package, and the package lists of the day it was built.
"""

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from runtime.contract import ImageSource, ImageSpec
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import advice, images, refusals
from runtime.errors import CommandFailed, HostLacks
from runtime.host.command import ENVIRONMENT
from runtime.images import nested
from runtime.images.base import Progress, Source
from runtime.node import Node

DEADLINE_S = 900.0
PACKAGES = (
    "systemd,systemd-sysv,libpam-systemd,dbus,openssh-server,iproute2,iputils-ping,ca-certificates,curl,wget,"
    "nano,vim-tiny,less,sudo,bash-completion,procps,psmisc,cron,logrotate,netbase,tzdata,locales,apt-utils,"
    "gnupg,python3,python3-apt"
)
#: Units that wait for hardware, or do what the host does, and only cost time in an environment.
_MASKED = (
    "systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket "
    "systemd-udev-trigger.service "
    "systemd-modules-load.service kmod-static-nodes.service modprobe@.service "
    "systemd-pstore.service systemd-random-seed.service systemd-firstboot.service "
    "systemd-tmpfiles-setup-dev.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount "
    "sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount e2scrub_reap.service "
    "e2scrub_all.timer systemd-networkd-wait-online.service getty-static.service"
)
#: Programs that every boot would start to look for disks, partitions and kernel options of a whole machine;
#: those for /etc/fstab, SysV scripts, rc.local, gettys and offline updates stay. systemd.generator(7)
_NO_GENERATORS = (
    "systemd-cryptsetup-generator systemd-debug-generator systemd-gpt-auto-generator "
    "systemd-hibernate-resume-generator systemd-integritysetup-generator systemd-run-generator "
    "systemd-veritysetup-generator"
)
#: Started by D-Bus when somebody asks for them first (a login does), not at boot.
_WHEN_ASKED = "systemd-logind dbus"
_FINISH = f"""
set -e
rm -f /etc/apt/apt.conf.d/99mmdebstrap /etc/dpkg/dpkg.cfg.d/99mmdebstrap
echo 'nameserver 127.0.0.1' > /etc/resolv.conf
: > /etc/machine-id
rm -f /etc/hostname /etc/fstab /etc/ssh/ssh_host_*
cd /etc/systemd/system
for unit in {_MASKED}; do ln -sf /dev/null "$unit"; done
mkdir -p ../system-generators
for one in {_NO_GENERATORS}; do ln -sf /dev/null "../system-generators/$one"; done
mkdir -p /usr/lib/wadah/when-asked
for one in {_WHEN_ASKED}; do
  wanted=$(dpkg-query --listfiles systemd dbus | grep "/multi-user.target.wants/$one.service$")
  dpkg-divert --quiet --local --rename --divert "/usr/lib/wadah/when-asked/$one.service" --add "$wanted"
done
cat > ssh-host-keys.service <<'UNIT'
[Unit]
Description=SSH host keys of this environment
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable ssh-host-keys.service >/dev/null 2>&1
# in the file itself, so that whoever says otherwise there is heard; root has no password unless one was given
sed -i 's/^#PermitRootLogin .*/PermitRootLogin yes/' /etc/ssh/sshd_config
grep -q '^PermitRootLogin yes$' /etc/ssh/sshd_config
mkdir systemd-remount-fs.service.d
printf '[Unit]\\nConditionPathExists=/etc/fstab\\n' > systemd-remount-fs.service.d/wadah.conf
ln -sf multi-user.target default.target
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\\nSystemMaxUse=32M\\nRuntimeMaxUse=16M\\n' > /etc/systemd/journald.conf.d/wadah.conf
passwd --lock root >/dev/null
printf 'LANG=C.UTF-8\\n' > /etc/default/locale
: > /etc/motd
{nested.FINISH}
apt-get clean
rm -rf /var/cache/apt/*.bin /var/log/*.log /var/log/apt/*
systemd-sysusers
touch /etc/.updated /var/.updated  # ConditionNeedsUpdate of systemd.unit(5): all is as /usr wants it
"""
#: Recommends are left out of what is in the image only, and translations of the lists are fetched by the first
#: `apt update`; both options go with the file that they are kept in, see `_FINISH`.
_COMMAND = (
    "mmdebstrap",
    "--mode=root",
    "--variant=minbase",
    "--format=directory",
    "--skip=cleanup/apt/lists",
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=force-unsafe-io",
    f"--include={PACKAGES}",
    f'--customize-hook=chroot "$1" sh -c {shlex.quote(_FINISH)}',
)
_WORDS = (
    (re.compile(r"^I: running apt-get update"), 0.05, images.reading_lists()),
    (re.compile(r"^I: downloading packages"), 0.15, images.downloading()),
    (re.compile(r"^I: extracting archives"), 0.35, images.unpacking_base()),
    (re.compile(r"^I: installing essential"), 0.45, images.installing_base()),
    (re.compile(r"^I: installing remaining"), 0.6, images.installing_tools()),
    (re.compile(r"^I: running --customize-hook"), 0.9, images.finishing()),
    (re.compile(r"^I: cleaning"), 0.95, images.cleaning()),
)


class Debian(Source):
    """One suite of Debian."""

    suite: ClassVar[str]

    def recipe(self) -> str:
        return " ".join((*_COMMAND, self.suite))

    def build(self, node: Node, spec: ImageSpec, tree: Path, progress: Progress) -> Said:
        fill(node, [*_COMMAND, self.suite, str(tree), *mirrors(self.suite)], progress)
        return NOTHING


class Debian12(Debian):
    name = ImageSource.DEBIAN_12
    suite = "bookworm"


class Debian13(Debian):
    name = ImageSource.DEBIAN_13
    suite = "trixie"


def fill(node: Node, command: list[str], progress: Progress) -> None:
    """Runs mmdebstrap. Packages come over the host's own network, wherever the node's environments live."""
    if node.settings.network_namespace:
        command = ["nsenter", f"--net={node.host_network}", *command]
    _run(command, progress)


def mirrors(suite: str) -> list[str]:
    """apt source lines for the suite: `WADAH_DEBIAN_MIRROR` (a second address with "security" in it is that of
    the security updates), else the machine's own sources.

    Raises `HostLacks` when the machine has none.
    """
    setting = os.environ.get("WADAH_DEBIAN_MIRROR", "")
    found = setting.split() or list(_own_mirrors())
    if not found:
        raise HostLacks(images.no_mirror(), next_step=advice.set_a_mirror())
    security = [one for one in found if "security" in one]
    plain = [one for one in found if "security" not in one]
    if not plain:
        return [f"deb {found[0]} {suite} main"]
    lines = [f"deb {plain[0]} {suite} main", f"deb {plain[0]} {suite}-updates main"]
    if security:
        lines.append(f"deb {security[0]} {suite}-security main")
    return lines


def _own_mirrors() -> Iterator[str]:
    """Addresses in the machine's apt sources, in both formats (sources.list(5)); Debian's own suites only."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(errors="replace")
        if file.suffix == ".sources":
            for stanza in text.split("\n\n"):
                fields = dict(re.findall(r"(?m)^(URIs|Suites|Components):\s*(.+)$", stanza))
                if "main" in fields.get("Components", "") and "debian" in fields.get("URIs", ""):
                    yield fields["URIs"].split()[0]
        else:
            for line in text.splitlines():
                words = re.sub(r"\[[^]]*\]", "", line.partition("#")[0]).split()
                if len(words) >= 4 and words[0] == "deb" and "main" in words[3:] and "debian" in words[1]:
                    yield words[1]


def _run(command: list[str], progress: Progress) -> None:
    """Runs to the end or the deadline, telling how far it is; the last lines say what went wrong."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**ENVIRONMENT, "DEBIAN_FRONTEND": "noninteractive"},
        start_new_session=True,
        text=True,
        errors="replace",
        cwd="/",
    )
    until = time.monotonic() + DEADLINE_S
    last: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            last = [*last[-20:], line.rstrip()]
            for pattern, share, words in _WORDS:
                if pattern.search(line):
                    progress(share, words)
            if time.monotonic() > until:
                raise CommandFailed(images.too_slow(DEADLINE_S))
        if process.wait(timeout=60) != 0:
            said = next((one for one in reversed(last) if one.startswith("E:")), last[-1] if last else "")
            raise CommandFailed(refusals.program_failed("mmdebstrap", process.returncode, said[:400]))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
