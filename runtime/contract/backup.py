"""Backups: where a repository of them lies, and what of one travels to a node.

What opens a repository is never in plain text in a message, since messages are kept: by the panel in its
database, by the broker, and by the node in its files. It travels locked (`Locked`), by a key that the panel and
this one node share.
"""

import json
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from runtime.contract.backup_place import HostKey, Login, Place
from runtime.contract.base import Message, Name
from runtime.contract.locked import Locked
from runtime.contract.words import asked

#: Of restic's own: SHA-256 in hexadecimal, or its beginning.
SnapshotId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,64}$")]
RepositoryId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Repository(Message):
    """A directory below the one that the administrator of the node gave for backups, by a tenant's id and a
    name of the tenant's; or, with a place, one on a server, or in such a directory of another node."""

    kind: Literal["directory", "sftp", "s3", "node"] = "directory"
    tenant_id: UUID
    name: Name
    place: Place | None = None
    """Of all kinds but a directory."""
    upload_mbit_s: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """The most that goes to a server, as `download_mbit_s` the most that comes from it; None: no bound."""
    download_mbit_s: Annotated[int, Field(ge=1, le=100_000)] | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if (self.place.kind if self.place is not None else "directory") != self.kind:
            raise ValueError(asked.other_place())
        return self


class BackupSecrets(Message):
    """What goes locked."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00\r\n]+$")] = (
        Field(repr=False)
    )
    """That the repository is encrypted by."""
    login: Login | None = None
    """What opens the server that it lies on."""
    about: Annotated[str, StringConstraints(max_length=2**20)] = Field(default="", repr=False)
    """What the environment is, as JSON: it is kept beside its files in each backup."""

    def locked(self, repository: Repository, *, key: bytes) -> Locked:
        """For one repository alone. Raises `ValueError` without a key."""
        return Locked.of(self.model_dump_json(exclude_none=True).encode(), _purpose(repository), key=key)

    @classmethod
    def opened(cls, locked: Locked, repository: Repository, *, key: bytes) -> "BackupSecrets":
        """Raises `ValueError` for another key, another repository, or what was changed."""
        return cls.model_validate_json(locked.opened(_purpose(repository), key=key))


def _purpose(repository: Repository) -> str:
    document: dict[str, Any] = repository.model_dump(mode="json", exclude_none=True)
    return "secrets of backups\n" + json.dumps(document, sort_keys=True)


class BackupSource(Message):
    """A backup that a root is made from."""

    repository: Repository
    secrets: Locked
    snapshot: SnapshotId
    """Of the repository."""


class BackupLook(Message):
    """What somebody wants to see of a backup, while he waits."""

    source: BackupSource
    path: Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")] = ""
    """As inside; empty: the top."""
    after: Annotated[str, StringConstraints(max_length=4096)] = ""
    most: Annotated[int, Field(ge=1, le=1000)] = 200


class BootSeen(Message):
    """What was seen of a backup that was booted."""

    screen: Annotated[str, StringConstraints(max_length=16_384)] = ""
    """The last lines of its console, as text: letters that are seen, and ends of lines."""
    up_after_s: Annotated[float, Field(ge=0)] | None = None
    """None: it didn't come up."""


class BackupMade(Message):
    """What became of one."""

    snapshot: SnapshotId
    repository_id: RepositoryId
    bytes: Annotated[int, Field(ge=0)]
    """Of its files, unpacked."""
    added_bytes: Annotated[int, Field(ge=0)]
    """By which the repository grew."""
    files: Annotated[int, Field(ge=0)]
    host_key: HostKey | None = None
    """That its server showed, where none was known."""


class TargetSeen(Message):
    """What was found at a target: it was reached, opened and written to."""

    repository_id: RepositoryId
    host_key: HostKey | None = None
    """That its server showed, where none was known."""
