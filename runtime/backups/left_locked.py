"""Jobs that lost their target in the middle: their locks lie there, and go before somebody wants it alone.

restic tells a lock that nobody holds by its host, which is named by the job, or by half an hour's silence; and
even then takes none away by itself. So one lost connection would keep everybody from deleting for ever.
"""

import hashlib
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from runtime.backups.places import Access
from runtime.known import pending_jobs
from runtime.node import Node


def name_of(access: Access) -> str:
    """One for each place of a repository."""
    where = f"{access.repository}\n{access.at}\n{access.directory}"
    return hashlib.sha256(where.encode()).hexdigest()[:32]


def _place(node: Node, access: Access) -> Path:
    return node.root / "left-locked" / name_of(access)


def note(node: Node, access: Access, job: str) -> None:
    """It may have left a lock there. Who can't write that down waits for the half hour."""
    with suppress(OSError):
        place = _place(node, access)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        (place / job).touch(mode=0o600)


def settled(node: Node, access: Access, job: str) -> None:
    """It has none there any more; a no-op where none was noted."""
    with suppress(OSError):
        place = _place(node, access)
        (place / job).unlink(missing_ok=True)
        place.rmdir()


def noted(node: Node, access: Access) -> list[str]:
    """Those that have ended. One that is gone on with unlocks what it left itself, and may hold a new lock."""
    in_hand = {str(one) for one in pending_jobs(node)}
    found = []
    with suppress(OSError):
        for one in _place(node, access).iterdir():
            with suppress(ValueError):
                found.append(str(UUID(one.name)))
    return [one for one in found if one not in in_hand]
