"""Volumes: disks that outlive the environments they are attached to."""

import re
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from runtime.contract.base import Message
from runtime.contract.words import asked

#: Of one environment: each is a mount, which every start and every namespace made inside copies.
MOST_ATTACHED = 32
LONGEST_PATH = 200
#: What the system itself mounts, or finds empty at each start.
NOT_BELOW = ("/proc", "/sys", "/dev", "/run", "/tmp")  # noqa: S108  # nosec B108 - names inside, nothing is written
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@-]{0,62}")


def check_mount_path(path: str) -> str:
    """The path itself, when a volume may be seen there. Raises ValueError, with a sentence for people."""
    parts = path.split("/")
    if len(path) > LONGEST_PATH or parts[0] or len(parts) < 2 or not all(map(_PART.fullmatch, parts[1:])):
        raise ValueError(asked.odd_mount_path())
    if any(path == one or path.startswith(f"{one}/") for one in NOT_BELOW):
        raise ValueError(asked.mount_path_is_taken(NOT_BELOW))
    return path


class VolumeClass(StrEnum):
    """How what is written to a volume lies on the disk."""

    STANDARD = "standard"
    """Copied on write, with checksums."""
    DATABASE = "database"
    """Written in place: faster for random writes, and a block that the disk spoils isn't noticed."""


MountPath = Annotated[str, StringConstraints(max_length=LONGEST_PATH), AfterValidator(check_mount_path)]


class AttachedVolume(Message):
    """A volume of the node, and where an environment sees it."""

    volume_id: UUID
    path: MountPath
    """A directory in its root; made where there is none."""
    read_only: bool = False


class VolumeUse(Message):
    """Use of one volume, read from the kernel."""

    volume_id: UUID
    bytes: Annotated[int, Field(ge=0)]
