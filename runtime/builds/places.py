"""Where builds lie in the pool, and under whose user ids they run."""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from runtime.clock import sequence
from runtime.contract.build import MOST_LOG_BYTES
from runtime.files import exclusive
from runtime.host import btrfs
from runtime.node import BUILD_SLOTS, Node
from runtime.storage.volumes import number_of

MIB = 2**20
#: Logs that are kept of one source, the newest.
KEPT_LOGS = 20
#: Layers and logs are kept so long after the last build of a source.
KEPT_S = 90 * 24 * 3600.0
#: Layers of all sources of a tenant together, on a node; within what its disk quota leaves.
KEPT_TENANT_BYTES = 8 * 2**30
_LOCK = "builds"
#: When something was built last: nanoseconds of a clock that nobody sets (`runtime.clock`).
_USED = "used"
_TURN_S = 0.5


@dataclass(frozen=True)
class BuildPlaces:
    """Of one source: what is kept between its builds, and what one of them has while it lasts."""

    node: Node
    source_id: UUID

    @property
    def directory(self) -> Path:
        return self.node.store / "builds" / str(self.source_id)

    @property
    def cache(self) -> Path:
        """Layers of its builds: buildah's own, with ids as inside."""
        return self.directory / "cache"

    @property
    def work(self) -> Path:
        return self.directory / "work"

    @property
    def layers(self) -> Path:
        return self.directory / "layers"

    @property
    def notes(self) -> Path:
        """Root's own: logs, and keys of servers."""
        return self.node.root / "builds" / str(self.source_id)

    @property
    def known_hosts(self) -> Path:
        return self.notes / "known_hosts"

    @property
    def _tenant(self) -> Path:
        return self.notes / "tenant"

    def kept_bytes(self, tenant_id: UUID) -> int:
        """Of layers, if it is this tenant's."""
        with suppress(OSError):
            if self._tenant.read_text() == str(tenant_id) and btrfs.is_subvolume(self.cache):
                return self._quotas.used_bytes(0, btrfs.subvolume_id(self.cache)) or 0
        return 0

    def log(self, build_id: UUID) -> Path:
        return self.notes / f"{build_id}.log"

    def prepare(self, *, tenant_id: UUID, tenant_mb: int | None, disk_mb: int, is_fresh: bool) -> None:
        """Empty but for what is kept; the three together hold no more than `disk_mb`, and with all else that
        their tenant has on this node no more than `tenant_mb`."""
        with exclusive(self.node, _LOCK):
            self.notes.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.notes / _USED).write_text(str(sequence(self.node)))
            os.utime(self.notes)
            self._tenant.write_text(str(tenant_id))
        self.clear()
        if is_fresh:
            btrfs.delete_subvolume(self.cache)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(self.node, "quota"):  # until something is in the group, it looks like a left one
            tenant = self._group_of(tenant_id, tenant_mb)
            for place in (self.cache, self.work, self.layers):
                if not btrfs.is_subvolume(place):
                    btrfs.create_subvolume(place, qgroups=[tenant])
                place.chmod(0o755)
                group = btrfs.qgroup_id(0, btrfs.subvolume_id(place))
                btrfs.assign_qgroup(self.node.store, group, tenant)  # one of before was nobody's
                btrfs.limit_qgroup(self.node.store, group, part_of(disk_mb))
        (self.layers / ".scratch").mkdir(mode=0o755)
        (self.work / "context").mkdir(mode=0o755)

    def _group_of(self, tenant_id: UUID, tenant_mb: int | None) -> int:
        """As environments have it: there may be none of them here yet."""
        number = number_of(tenant_id)
        group = btrfs.qgroup_id(2, number)
        btrfs.create_qgroup(self.node.store, group)
        most = tenant_mb * MIB if tenant_mb else None
        if self._quotas.limit_bytes(2, number) != most:
            btrfs.limit_qgroup(self.node.store, group, most)
        return group

    @property
    def _quotas(self) -> btrfs.QuotaTable:
        return btrfs.QuotaTable(btrfs.file_system_uuid(self.node.store))

    def is_full(self, tenant_id: UUID, tenant_mb: int) -> bool:
        """Whether its tenant came within a few MiB of what all that he has here may hold."""
        return (self._quotas.used_bytes(2, number_of(tenant_id)) or 0) > (tenant_mb - 4) * MIB

    def clear(self) -> None:
        """What one build had goes, what is kept stays. A no-op when nothing is there."""
        for place in (self.work, self.layers):
            btrfs.delete_subvolume(place)

    def drop(self) -> None:
        self.clear()
        btrfs.delete_subvolume(self.cache)
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.notes, ignore_errors=True)

    def forget_old_logs(self) -> None:
        logs = sorted(self.notes.glob("*.log"), key=lambda one: one.stat().st_mtime, reverse=True)
        for one in logs[KEPT_LOGS:]:
            one.unlink(missing_ok=True)


def sweep(node: Node) -> int:
    """Drops what is kept of sources that nothing was built of for long, as of those that were removed while
    this node was away; how many."""
    swept = 0
    with suppress(FileNotFoundError):
        for notes in (node.root / "builds").iterdir():
            if not _is_old(node, notes):
                continue
            with exclusive(node, _LOCK), suppress(ValueError):
                if _is_old(node, notes):
                    BuildPlaces(node, UUID(notes.name)).drop()
                    swept += 1
    return swept


def trim(node: Node, tenant_id: UUID, *, most_bytes: int = KEPT_TENANT_BYTES) -> int:
    """Drops kept layers of the tenant's sources, those built longest ago first, until all together are no more
    than that; how many. What is at work keeps its own."""
    trimmed = 0
    with exclusive(node, _LOCK), suppress(FileNotFoundError):
        notes = sorted((node.root / "builds").iterdir(), key=lambda one: one.stat().st_mtime)
        there = [BuildPlaces(node, UUID(one.name)) for one in notes]
        kept = {one: one.kept_bytes(tenant_id) for one in there}
        for one in there:
            if sum(kept.values()) <= most_bytes:
                break
            if kept[one] and not btrfs.is_subvolume(one.work):
                btrfs.delete_subvolume(one.cache)
                kept[one] = 0
                trimmed += 1
    return trimmed


def _is_old(node: Node, notes: Path) -> bool:
    """By a clock that nobody sets; from now on for one that knows no such time yet."""
    now = sequence(node)
    try:
        used = int((notes / _USED).read_text())
    except (OSError, ValueError):
        used = now
        with suppress(OSError):
            (notes / _USED).write_text(str(now))
    return now - used > KEPT_S * 1e9


def part_of(disk_mb: int) -> int:
    """Bytes that each of the three may hold, of what they may together."""
    return max(64, disk_mb // 3) * MIB


@contextmanager
def build_slot(node: Node, wait: Callable[[], None]) -> Iterator[int]:
    """User ids that no environment and no other build has. Waits until some are free; `wait` ends that by
    raising."""
    with ExitStack() as undo:
        while True:
            for number in range(BUILD_SLOTS):
                if (slot := node.build_slot(number)) is None or _is_claimed(node, slot):
                    continue
                lock = os.open(
                    node.run / "locks" / f"build.{slot}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(lock)
                    continue
                undo.callback(os.close, lock)
                yield slot
                return
            wait()
            time.sleep(_TURN_S)


def _is_claimed(node: Node, slot: int) -> bool:
    """By an environment that was made before there were builds."""
    with suppress(OSError):
        return bool((node.root / "slots" / f"{slot:04d}").read_text())
    return False


class Log:
    """What a build says, up to a bound; words that are secret are not in it."""

    def __init__(self, path: Path, secrets: tuple[str, ...]):
        self._file = path.open("ab", buffering=0)
        self._left = max(0, MOST_LOG_BYTES - path.stat().st_size)
        hidden = sorted({one for text in secrets for one in _words_of(text)}, key=len, reverse=True)
        self._hidden = re.compile(b"|".join(map(re.escape, hidden))) if hidden else None
        self._kept = b""
        self.last = ""

    def write(self, piece: bytes) -> None:
        """By whole lines, so that no secret is cut in two; a line that is longer than most goes in parts."""
        self._kept += piece
        whole, newline, rest = self._kept.rpartition(b"\n")
        if not newline and len(self._kept) < 2**16:
            return
        if not newline:
            whole, rest = self._kept, b""
        self._kept = rest
        self._out(whole + newline)

    def say(self, line: str) -> None:
        self._out(line.encode() + b"\n")

    def close(self) -> None:
        self._out(self._kept)
        self._kept = b""
        self._file.close()

    def _out(self, data: bytes) -> None:
        if self._hidden is not None:
            data = self._hidden.sub("•••".encode(), data)
        lines = data.strip().rsplit(b"\n", 1)[-1].rsplit(b"\r", 1)[-1].decode(errors="replace")
        self.last = "".join(one for one in lines if one.isprintable())[:120] or self.last
        if self._left <= 0:
            return
        self._file.write(data[: self._left])
        self._left -= len(data)
        if self._left <= 0:
            self._file.write(b"\n[what follows is not kept: the log has its most]\n")


def _words_of(text: str) -> list[bytes]:
    """A secret, and each of its lines; what is shorter than six letters would hide half of a log."""
    return [one.encode() for one in (text, *text.splitlines()) if len(one.strip()) >= 6]
