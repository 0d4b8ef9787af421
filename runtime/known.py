"""What a node knows of, from the names of its files: environments, jobs, deletions, and what is to be done."""

import os
import time
from contextlib import suppress
from uuid import UUID

from runtime.node import Node

#: A deleted environment's last generation is remembered this long, so that no late message revives it.
TOMBSTONE_S = 7 * 24 * 3600
#: A file of a block each. A spec that comes after so many deletions more was lost long ago.
MOST_TOMBSTONES = 20_000
#: In front of a job's id, where environments and jobs are side by side.
JOB = "job."


def known_environments(node: Node) -> list[UUID]:
    """Every environment that this node has records of."""
    found = []
    for entry in os.scandir(node.root / "environments"):
        with suppress(ValueError):
            found.append(UUID(entry.name))
    return found


def pending_environments(node: Node, *, older_than_s: float = 0) -> list[UUID]:
    """Those that somebody has, or had, something to do for, and that was said so many seconds ago."""
    return _noted(node, "", older_than_s)


def _noted(node: Node, prefix: str, older_than_s: float) -> list[UUID]:
    found = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(node.pending):
            with suppress(ValueError, FileNotFoundError):
                if not entry.name.startswith(prefix):
                    continue
                subject = UUID(entry.name.removeprefix(prefix))
                # a clock that was set back makes every age negative: then all are looked at
                if not 0 <= time.time() - entry.stat().st_mtime < older_than_s:
                    found.append(subject)
    return found


def pending_jobs(node: Node, *, older_than_s: float = 0) -> list[UUID]:
    """As `pending_environments`."""
    return _noted(node, JOB, older_than_s)


def buried_lately(node: Node, environment_id: UUID, seconds: float) -> bool:
    """Whether the environment's deletion ended less than so many seconds ago. One that ended in what is the
    future now, since the clock was set back, did so long ago."""
    with suppress(OSError):
        ended = (node.root / "tombstones" / str(environment_id)).stat().st_mtime
        return 0 <= time.time() - ended < seconds
    return False


def sweep_tombstones(node: Node) -> None:
    """Forgets deletions older than `TOMBSTONE_S`, and of too many the oldest; with their locks."""
    limit = time.time() - TOMBSTONE_S
    there = sorted((entry.stat().st_mtime, entry.name) for entry in os.scandir(node.root / "tombstones"))
    too_many = len(there) - MOST_TOMBSTONES
    for number, (ended, name) in enumerate(there):
        if ended < limit or number < too_many:
            (node.root / "tombstones" / name).unlink(missing_ok=True)
            for lock in ("apply", "accept"):
                (node.run / "locks" / f"{name}.{lock}").unlink(missing_ok=True)


def known_jobs(node: Node) -> list[UUID]:
    """Every job that this node has records of."""
    found = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(node.jobs):
            with suppress(ValueError):
                found.append(UUID(entry.name))
    return found
