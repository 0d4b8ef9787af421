"""Backups: where a repository of them lies, and what of one travels to a node.

What opens a repository is never in plain text in a message, since messages are kept: by the panel in its
database, by the broker, and by the node in its files. It travels locked (`Locked`), by a key that the panel and
this one node share.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from runtime.contract.base import Message, Name
from runtime.contract.secret import box_for

if TYPE_CHECKING:  # what most processes never need takes its time to load
    from cryptography.fernet import Fernet

#: Of restic's own: SHA-256 in hexadecimal, or its beginning.
SnapshotId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,64}$")]
RepositoryId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Repository(Message):
    """A directory below the one that the administrator of the node gave for backups, by a tenant's id and a
    name of the tenant's."""

    kind: Literal["directory"] = "directory"
    tenant_id: UUID
    name: Name


class BackupSecrets(Message):
    """What goes locked."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00\r\n]+$")] = (
        Field(repr=False)
    )
    """That the repository is encrypted by."""
    about: Annotated[str, StringConstraints(max_length=2**20)] = Field(default="", repr=False)
    """What the environment is, as JSON: it is kept beside its files in each backup."""


class Locked(Message):
    """Something that one node alone can read, and for one repository alone."""

    text: Annotated[str, StringConstraints(max_length=2 * 2**20, pattern=r"^[A-Za-z0-9_=-]*$")]

    @classmethod
    def of(cls, secrets: BackupSecrets, repository: Repository, *, key: bytes) -> "Locked":
        return cls(text=_box(key, repository).encrypt(secrets.model_dump_json().encode()).decode())

    def opened(self, repository: Repository, *, key: bytes) -> BackupSecrets:
        """Raises `ValueError` for another key, another repository, or what was changed."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            return BackupSecrets.model_validate_json(_box(key, repository).decrypt(self.text))
        except InvalidToken:
            raise ValueError("it can't be opened") from None


def _box(key: bytes, repository: Repository) -> "Fernet":
    document: dict[str, Any] = repository.model_dump(mode="json")
    return box_for("secrets of backups\n" + json.dumps(document, sort_keys=True), key=key)


class BackupSource(Message):
    """A backup that a root is made from."""

    repository: Repository
    secrets: Locked
    snapshot: SnapshotId
    """Of the repository."""


class BackupMade(Message):
    """What became of one."""

    snapshot: SnapshotId
    repository_id: RepositoryId
    bytes: Annotated[int, Field(ge=0)]
    """Of its files, unpacked."""
    added_bytes: Annotated[int, Field(ge=0)]
    """By which the repository grew."""
    files: Annotated[int, Field(ge=0)]
