"""Kind `jail`: one service tree on a shared base, whose root may do nothing that wasn't allowed by name."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from runtime.contract.app import Word
from runtime.contract.base import Message
from runtime.contract.words import asked

#: As in `EnvironmentSpec.image` of a jail that begins with no tree of anybody's.
NO_IMAGE: Final = "empty"
#: Of containers inside, each with a user namespace of its own.
MOST_CHILDREN: Final = 100
#: What `enforce_statfs` and the secure level of jail(8) are here, and stay: only its own mounts are seen, and
#: nothing of the kernel can be changed.
ENFORCE_STATFS, SECURE_LEVEL = 2, 3


#: A build of an image on one node: the image's name, and the number of its tree there.
BuildKey = Annotated[str, StringConstraints(max_length=96, pattern=r"^([a-z0-9._-]{1,64}@[0-9]{1,20})?$")]


class Base(StrEnum):
    """What its tree is made of."""

    THIN = "thin"
    """Programs and the package database are its image's own, read-only and shared by all jails of that image;
    the rest is its own."""
    THICK = "thick"
    """All of it is its own, as a whole system has it."""
    EMPTY = "empty"
    """Directories and nothing in them: it is filled from outside."""


class Allow(StrEnum):
    """What its root may do that a jail's can't, by the names of jail(8)."""

    RAW_SOCKETS = "raw_sockets"
    MOUNT = "mount"
    MOUNT_TMPFS = "mount.tmpfs"
    MOUNT_PROC = "mount.proc"
    MOUNT_FUSE = "mount.fuse"
    SYSVIPC = "sysvipc"
    SET_HOSTNAME = "set_hostname"
    MLOCK = "mlock"
    RESERVED_PORTS = "reserved_ports"
    SOCKET_AF = "socket_af"
    PROC_DEBUG = "proc_debug"
    SUSER = "suser"


#: Those that mount what is new.
NEW_MOUNTS: Final = frozenset((Allow.MOUNT_TMPFS, Allow.MOUNT_PROC, Allow.MOUNT_FUSE))


class JailWalls(Message):
    """What is open in a jail."""

    allow: Annotated[tuple[Allow, ...], Field(max_length=len(Allow))] = ()
    children_max: Annotated[int, Field(ge=0, le=MOST_CHILDREN)] = 0
    """So many user namespaces may be made inside: each container within has one at least."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if NEW_MOUNTS.intersection(self.allow) and Allow.MOUNT not in self.allow:
            raise ValueError(asked.mount_is_shut())
        return self

    def allows(self, any_of: Iterable[Allow]) -> bool:
        """Whether one of these at least is allowed."""
        return not set(self.allow).isdisjoint(any_of)


class JailOptions(JailWalls):
    base: Base = Base.THIN
    command: Annotated[tuple[Word, ...], Field(max_length=256)] | None = None
    """What runs, below a small init; None: the init that its tree has."""
    build: BuildKey = ""
    """Of a thin one: which build of its image its base is; empty: the one that it was made of. Followed at the
    next start."""

    @property
    def walls(self) -> JailWalls:
        return JailWalls(allow=tuple(sorted(self.allow)), children_max=self.children_max)
