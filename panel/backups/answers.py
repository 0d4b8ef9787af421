"""What the API answers about backups and their targets."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Json, Moment
from panel.operations.answers import Operation
from runtime.contract.backup_place import Place


class BackupTarget(TypedDict):
    id: Id
    tenant: Id
    name: str
    kind: Annotated[str, As(Literal["directory", "sftp", "s3", "node"])]
    node: Annotated[
        Id | None,
        Field(
            description="Whose directory it is; environments of this node are backed up there. Null: a server."
        ),
    ]
    where: Annotated[str, Field(description="For people.")]
    place: Annotated[
        Json | None,
        As(Place | None),
        Field(description="Of a server: where it lies; never what opens it."),
    ]
    host_key_fingerprint: Annotated[
        str | None, Field(description="Of the key that its server showed at first; others are refused.")
    ]
    upload_mbit_s: Annotated[int | None, Field(description="The most that goes there; null: no bound.")]
    download_mbit_s: int | None
    checked_at: Moment | None
    problem: Annotated[str, Field(description="What the last check found amiss; empty: nothing.")]
    is_made: Annotated[bool, Field(description="A backup has gone there.")]
    created_at: Moment


class CheckedBackupTarget(BackupTarget):
    operation: Operation


class NewBackupTarget(BackupTarget):
    password: Annotated[str | None, Field(description="Made here, and never shown again; null: it was given.")]
    operation: Annotated[Operation | None, Field(description="The first check of a server; null: a directory.")]


class Proof(TypedDict):
    at: Moment
    is_proved: Annotated[bool, Field(description="False: no start, a failed probe, or damaged data.")]
    message: str
    screen: Annotated[str, Field(description="The last lines of its console.")]
    up_after_s: float | None


class Backup(TypedDict):
    id: Id
    environment: Annotated[Id | None, Field(description="It may be gone. Null: it is of a volume.")]
    environment_name: Annotated[str, Field(description="Of a volume: that one's name.")]
    volume: Annotated[Id | None, Field(description="It may be gone. Null: it is of an environment.")]
    tenant: Id
    target: Id
    name: str
    state: Annotated[str, As(Literal["making", "ready", "going"])]
    reason: Annotated[str, As(Literal["asked", "schedule"])]
    image: Annotated[
        str, Field(description="What the root was made from at that time; empty: it is of a volume.")
    ]
    snapshot: Annotated[
        str, Field(description="In its repository, as restic calls it; empty while it is being made.")
    ]
    bytes: Annotated[int, Field(description="Of its files, unpacked.")]
    added_bytes: Annotated[int, Field(description="By which the repository grew.")]
    files: int
    created_at: Moment
    made_at: Moment | None
    kept_until: Annotated[
        Moment | None, Field(description="When it is deleted by itself; null: `kept_by` says what decides.")
    ]
    kept_by: Annotated[
        str,
        As(Literal["date", "schedule", "hand"]),
        Field(description="Its date, the schedule of its environment, or whoever deletes it."),
    ]
    proved_at: Annotated[
        Moment | None, Field(description="When a system made of it was last seen to start; null: it wasn't.")
    ]
    proof: Annotated[Proof | None, Field(description="The newest one that came to an end, well or not.")]


class ChangedBackup(Backup):
    operation: Operation
