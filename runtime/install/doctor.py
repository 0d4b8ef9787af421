"""`doctor`: what this host has and lacks, why it matters, and the command that mends it.

Looks only; changes nothing, and works before anything is installed.
"""

import gzip
import json
import os
import platform
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from runtime.host import task_room
from runtime.install import home_check, panel_schedule, pool_checks
from runtime.install.found import Check, Level
from runtime.install.front import front_of
from runtime.install.host import KERNEL_PACKAGES, NODE_PACKAGES, PANEL_PACKAGES, there
from runtime.install.layout import Layout
from runtime.install.output import Stop
from runtime.install.sockets import listeners, processes_of
from runtime.install.sysctls import differing

#: Of a daily backup: older than this, one was missed.
_OLD_H = 36


def examine(layout: Layout) -> Iterator[Check]:
    """All checks in order; cheap (files only)."""
    yield _root()
    yield _kernel()
    yield _cgroups()
    yield from _kernel_features()
    if os.geteuid() == 0:
        yield _home(layout)
        yield from _sockets(layout)
        yield from _panel_backup(layout)
        yield from pool_checks.examine(layout)
    yield _disk(layout)
    yield _memory()
    yield from _packages()
    yield from _kernels()
    yield _fuse()
    yield _loop()
    yield _ipv6()
    yield _settings()
    yield _tasks(layout)


def _panel_backup(layout: Layout) -> Iterator[Check]:
    """Of an installation whose own node has the panel as well."""
    if not (layout.panel / "secrets.json").exists():
        return
    name, remedy = "backup of the panel", "./wadah backup panel --daily 03:00 --repository …"
    try:
        is_scheduled = panel_schedule.read(layout) is not None
    except Stop as stop:
        yield Check(name, "weak", str(stop), "its schedule isn't followed", stop.remedy)
        return
    made_at, problem = panel_schedule.newest(layout) or (0.0, "")
    age_h = (time.time() - made_at) / 3600
    found = f"{age_h:.0f} h old" if made_at else "none was made here"
    if problem:
        yield Check(name, "weak", found, f"the newest failed: {problem}", "./wadah backup panel --repository …")
    elif not is_scheduled:
        yield Check(name, "weak", found, "without one a lost disk takes accounts, plans and keys along", remedy)
    else:
        level: Level = "ok" if 0 <= age_h < _OLD_H else "weak"
        yield Check(name, level, found, "" if level == "ok" else "one is to be made each day", remedy)


def _root() -> Check:
    if os.geteuid() == 0:
        return Check("root", "ok", "yes")
    return Check("root", "weak", "no", "only root can run a node", "sudo ./wadah doctor")


def _kernel() -> Check:
    release = platform.release()
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
    if numbers >= (6, 7):
        return Check("kernel", "ok", release)
    if numbers >= (5, 19):
        return Check(
            "kernel", "missing", release,
            "btrfs simple quotas need 6.7: without them a tenant escapes the disk limit by a nested subvolume",
            "apt install -t bookworm-backports linux-image-amd64",
        )  # fmt: skip
    why = "id-mapped btrfs mounts need 5.19 and simple quotas 6.7"
    return Check("kernel", "missing", release, why, "install a newer kernel")


def _cgroups() -> Check:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        there_ = set((root / "cgroup.controllers").read_text().split())
        lacking = {"cpu", "memory", "pids", "io"} - there_
        if lacking:
            why = "the limits of those can't be held"
            return Check("cgroups", "missing", f"v2 without {', '.join(sorted(lacking))}", why)
        return Check("cgroups", "ok", "v2")
    wanted = ("cpu", "cpuacct", "memory", "pids", "blkio", "devices", "freezer", "systemd")
    lacking_ = [name for name in wanted if not (root / name / "cgroup.procs").exists()]
    if lacking_:
        return Check(
            "cgroups", "missing", f"v1 without {', '.join(lacking_)}", "the limits of those can't be held",
            "boot with systemd.unified_cgroup_hierarchy=1",
        )  # fmt: skip
    hybrid = " (hybrid)" if (root / "unified").is_dir() else ""
    return Check(
        "cgroups", "weak", f"v1{hybrid}",
        "limits of the disk's rate hold direct and synced writes there, not those the kernel does later.\n"
        "`./wadah test` here proves the driver of v1 on the kernel, that of v2 by the kernel's written rules",
        "boot with systemd.unified_cgroup_hierarchy=1",
    )  # fmt: skip


#: Kernel options by what needs them.
_OPTIONS = {
    "CONFIG_USER_NS": "root inside would be root outside",
    "CONFIG_SECCOMP_FILTER": "system calls can't be filtered",
    "CONFIG_BTRFS_FS": "the disk pool is btrfs",
    "CONFIG_FUSE_FS": "lxcfs shows limits inside",
    "CONFIG_VETH": "network links",
    "CONFIG_NF_TABLES_INET": "the firewall",
    "CONFIG_NF_TABLES_NETDEV": "the guard on each link",
    "CONFIG_NFT_MASQ": "the way out by NAT",
    "CONFIG_NFT_CONNLIMIT": "the cap on flows",
    "CONFIG_NET_SCH_TBF": "network rates",
    "CONFIG_IFB": "outgoing network rates",
    "CONFIG_NET_ACT_MIRRED": "outgoing network rates",
}


def _kernel_features() -> Iterator[Check]:
    text = _kernel_config()
    if text is None:
        yield Check("kernel options", "weak", "unknown", "no kernel configuration is to be read here")
        return
    options = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    lacking = {name: why for name, why in _OPTIONS.items() if options.get(name) not in ("y", "m")}
    for name, why in lacking.items():
        yield Check("kernel option", "missing", f"no {name}", why, "run Debian's own kernel")
    if not lacking:
        yield Check("kernel options", "ok", f"all {len(_OPTIONS)} that are needed")


def _kernel_config() -> str | None:
    packed = Path("/proc/config.gz")
    plain = Path(f"/boot/config-{platform.release()}")
    if packed.exists():
        return gzip.decompress(packed.read_bytes()).decode()
    return plain.read_text() if plain.exists() else None


def _disk(layout: Layout) -> Check:
    place = layout.home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 2**30
    if free >= 20:
        return Check("disk", "ok", f"{free:.0f} GiB free below {place}")
    level: Level = "weak" if free >= 2 else "missing"
    return Check(
        "disk", level, f"{free:.1f} GiB free below {place}", "the pool's file grows to 20 GiB",
        "./wadah up --home DIR on a larger disk",
    )  # fmt: skip


def _memory() -> Check:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(fields["MemTotal"].split()[0]) / 2**20
    if total >= 2:
        return Check("memory", "ok", f"{total:.1f} GiB")
    return Check("memory", "weak", f"{total:.1f} GiB", "the panel itself takes about 0.7 GiB")


def _packages() -> Iterator[Check]:
    wanted = {**NODE_PACKAGES, **PANEL_PACKAGES}
    lacking = sorted({package for what, package in wanted.items() if not there(what)})
    if lacking:
        yield Check(
            "packages", "missing", f"not there: {', '.join(lacking)}", "`up` installs them",
            f"apt-get install {' '.join(lacking)}",
        )  # fmt: skip
    else:
        yield Check("packages", "ok", f"all {len(set(wanted.values()))}")


def _kernels() -> Iterator[Check]:
    """Those that environments may have beside the host's: nothing is amiss where nobody asked for one."""
    for name, wanted in KERNEL_PACKAGES.items():
        lacking = sorted({package for what, package in wanted.items() if not there(what)})
        if lacking:
            found = f"not offered: without {', '.join(lacking)}"
            yield Check(f"kernel {name}", "ok", found, "", f"sudo ./wadah up --kernels {name}, if wanted")
        else:
            yield Check(f"kernel {name}", "ok", "its packages are there; the node tries it when it starts")


def _fuse() -> Check:
    if Path("/dev/fuse").exists():
        return Check("fuse", "ok", "/dev/fuse")
    why = "without it `free` and `nproc` inside show the host's figures"
    return Check("fuse", "missing", "no /dev/fuse", why, "modprobe fuse")


def _loop() -> Check:
    if Path("/dev/loop-control").exists():
        return Check("loop devices", "ok", "/dev/loop-control")
    why = "the pool's file needs one; a pool on a device of its own doesn't"
    return Check("loop devices", "missing", "none", why, "modprobe loop")


def _ipv6() -> Check:
    off = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
    if off.exists() and off.read_text().strip() == "0":
        return Check("IPv6", "ok", "on")
    why = "every environment has an IPv6 address too; without it none can start"
    return Check("IPv6", "missing", "off", why, "sysctl net.ipv6.conf.default.disable_ipv6=0")


def _home(layout: Layout) -> Check:
    try:
        home_check.check(layout)
    except Stop as stop:
        return Check("HOME", "missing", str(layout.home), str(stop), stop.remedy)
    installed = "an installation" if home_check.is_installation(layout) else "free for an installation"
    return Check("HOME", "ok", f"{layout.home}, {installed}")


def _sockets(layout: Layout) -> Iterator[Check]:
    """Each socket of the running installation, and who reaches it; nothing where none runs."""
    front = front_of(layout)
    places = [*front.listening, *([front.ssh_place] if front.ssh_place else [])]
    wanted = {(host or any_, port) for host, port in places for any_ in ("::", "0.0.0.0")}
    for one in listeners(processes_of(layout)):
        if one.is_local or (one.kind == "tcp" and (one.address, one.port) in wanted):
            yield Check("listens", "ok", f"{one.where}: {one.reached_by}")
        else:
            why = f"the front should listen on {front.own or front.url} only; process {one.pid} does this"
            remedy = "./wadah down, then ./wadah up"
            yield Check("listens", "weak", f"{one.where}: {one.reached_by}", why, remedy)


def _settings() -> Check:
    """Host-wide settings that `harden` makes."""
    weak = [
        f"{name} is {now}, not {wanted}: {why}" for name, now, wanted, why in differing() if now is not None
    ]
    if not weak:
        return Check("settings", "ok", f"of {socket.gethostname()} as `harden` makes them")
    return Check(
        "settings", "weak", f"{len(weak)} are weaker than they could be", "\n".join(weak), "./wadah harden"
    )


def _tasks(layout: Layout) -> Check:
    """Whether what environments were promised fits into what the kernel can number."""
    try:
        mark = json.loads((layout.home / "node" / "node.json").read_text()).get("mark", "")
    except (OSError, ValueError):
        mark = ""
    seen = task_room.room(f"wadah-{mark}" if mark else "wadah")
    if seen.is_enough:
        return Check("tasks", "ok", seen.found)
    return Check("tasks", "weak", seen.found, task_room.WHY, task_room.REMEDY)
