"""What `doctor` says of the disk pool: errors, room for metadata, quotas, what its file holds of the disk, its
last scrub. Files alone are read; of a pool that isn't mounted only what its file says."""

import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.install.found import Check, Level
from runtime.install.layout import Layout

GIB, MIB = 2**30, 2**20
SYS, SCRUBS = Path("/sys/fs/btrfs"), Path("/var/lib/btrfs")
#: Metadata takes a whole chunk of 256 MiB or 1 GiB when its last one is full (btrfs(5)).
_CHUNK_BYTES, _FULL = GIB, 0.9
_SCRUBBED_DAYS = 35


@dataclass(frozen=True)
class _Pool:
    node: Path
    """Directory of the node's own below HOME."""
    place: Path
    settings: dict[str, Any]
    seen: Path
    """Its directory in /sys; not there while it isn't mounted."""
    uuid: str


def examine(layout: Layout) -> Iterator[Check]:
    """Nothing where there is no node, and for who isn't root."""
    try:
        settings = json.loads((layout.home / "node" / "node.json").read_text())
        device = settings.get("pool_device")
        place = Path(device or layout.home / "node" / "pool.btrfs")
        uuid = settings.get("pool_uuid") or _uuid(place)
    except (OSError, ValueError):
        return
    pool = _Pool(layout.home / "node", place, settings, SYS / (uuid or "none"), uuid)
    if not device:
        yield _file(pool)
    if not uuid or not pool.seen.is_dir():
        yield Check("pool", "weak", f"{place} is not mounted", "no environment has a disk", "./wadah up")
        return
    yield _kind(pool)
    yield _errors(pool)
    yield _quota(pool)
    yield _metadata(pool)
    yield _scrub(pool)


def _kind(pool: _Pool) -> Check:
    if pool.settings.get("pool_device"):
        return Check("pool", "ok", f"{pool.place}, a device of its own")
    if pool.settings.get("pool_is_written"):
        return Check("pool", "ok", f"{pool.place}, a file that was written whole")
    found = f"{pool.place}, a sparse file: a sync costs about twice what it does on a device of its own"
    return Check("pool", "ok", found)


def _file(pool: _Pool) -> Check:
    """How much of it is there, and whether the rest still fits onto its disk."""
    seen = pool.place.stat()
    has, free = min(seen.st_blocks * 512, seen.st_size), shutil.disk_usage(pool.place.parent).free
    found = f"{has / GIB:.1f} of {seen.st_size / GIB:.1f} GiB are on the disk of {pool.place.parent}"
    if pool.settings.get("pool_is_written") and has < 0.95 * seen.st_size:
        why = "it was made without holes, and somebody has made some: syncs there are slow again"
        return Check("pool's file", "weak", found, why, "leave fstrim and fallocate --dig-holes off it")
    if seen.st_size - has > free:
        more = (seen.st_size - has) / GIB
        why = f"it may grow by {more:.1f} GiB, and {free / GIB:.1f} are free: then writes fail"
        return Check("pool's file", "weak", found, why, "make room there")
    return Check("pool's file", "ok", found)


def _errors(pool: _Pool) -> Check:
    counted: dict[str, int] = {}
    for one in pool.seen.glob("devinfo/*/error_stats"):
        for line in _text(one).splitlines():
            name, _, count = line.partition(" ")
            if count.strip().isdigit():
                counted[name] = counted.get(name, 0) + int(count)
    bad = [f"{count} {name.removesuffix('_errs')}" for name, count in counted.items() if count]
    if bad:
        why = "the disk or its cable fails: files are lost next"
        remedy = f"look at the kernel's log; {_of_btrfs(pool, 'scrub start')}"
        return Check("pool's disk", "missing", f"errors: {', '.join(bad)}", why, remedy)
    return Check("pool's disk", "ok", "no errors")


def _quota(pool: _Pool) -> Check:
    if _text(pool.seen / "qgroups" / "enabled").strip() == "1":
        mode = _text(pool.seen / "qgroups" / "mode").strip() or "on"
        return Check("pool's quotas", "ok", mode)
    why = "limits of disks hold nobody"
    return Check("pool's quotas", "missing", "off", why, "./wadah down, then ./wadah up")


def _metadata(pool: _Pool) -> Check:
    used = _number(pool.seen / "allocation" / "metadata" / "bytes_used")
    total = _number(pool.seen / "allocation" / "metadata" / "total_bytes")
    taken = sum(_number(one / "disk_total") for one in (pool.seen / "allocation").iterdir() if one.is_dir())
    left = max(0, _size(pool) - taken)
    found = f"{used / MIB:.0f} of {total / MIB:.0f} MiB for metadata, {left / GIB:.1f} GiB taken by nothing"
    if total and used / total > _FULL and left < _CHUNK_BYTES:
        why = "when it is full nothing can be written, and even deleting is refused"
        return Check("pool's metadata", "weak", found, why, _of_btrfs(pool, "balance start -dusage=50"))
    return Check("pool's metadata", "ok", found)


def _scrub(pool: _Pool) -> Check:
    """When all of it was last read and compared with its checksums."""
    name, remedy = "pool's scrub", _of_btrfs(pool, "scrub start")
    finished, started = False, 0
    for part in _text(SCRUBS / f"scrub.status.{pool.uuid}").replace("\n", "|").split("|"):
        key, _, value = part.partition(":")
        if key in ("t_start", "t_resumed") and value.isdigit():
            started = max(started, int(value))
        finished = finished or (key, value) == ("finished", "1")
    if not started or not finished:
        why = "what the disk has lost is seen when it is read"
        return Check(name, "weak", "never, or never to its end", why, remedy)
    days = (time.time() - started) / 86_400
    level: Level = "ok" if days <= _SCRUBBED_DAYS else "weak"
    why = "" if level == "ok" else "it is to be done each month"
    return Check(name, level, f"{days:.0f} days ago", why, "" if level == "ok" else remedy)


def _of_btrfs(pool: _Pool, verb: str) -> str:
    """Where the pool is mounted, which is in the node's mount namespace alone."""
    return f"nsenter --mount={pool.node / 'ns' / 'mnt'} btrfs {verb} {pool.node / 'store'}"


def _size(pool: _Pool) -> int:
    seen = pool.place.stat()
    if stat.S_ISBLK(seen.st_mode):
        with pool.place.open("rb") as file:
            return file.seek(0, os.SEEK_END)
    return seen.st_size


def _uuid(place: Path) -> str:
    words = ["blkid", "--probe", "--match-tag", "UUID", "--output", "value", str(place)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.strip()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path).strip()
    return int(text) if text.isdigit() else 0
