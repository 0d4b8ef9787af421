"""Jobs: what a node is asked to do once, such as building an image. What is to be so, is a spec (`apply`).

A job is about a subject, and has an id of its own: asked again under the same id, it isn't done twice. A higher
generation of the same job is the wish to have it cancelled.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from runtime.contract.app import AppOptions, Digest, ImageConfig
from runtime.contract.backup import (
    BackupMade,
    BackupSource,
    BootSeen,
    Repository,
    RepositoryId,
    SnapshotId,
    TargetSeen,
)
from runtime.contract.base import CONTRACT_VERSION, ImageName, Message, Name
from runtime.contract.build import BuildApp, Built, DropBuilds
from runtime.contract.environment import Kernel, Limits, TenantEnvelope
from runtime.contract.image import ImageSpec
from runtime.contract.locked import Locked
from runtime.contract.report import Step
from runtime.contract.said import NOTHING, Said
from runtime.contract.volume_work import (
    DropVolume,
    DropVolumeSnapshot,
    KeepVolume,
    RestoreVolume,
    SnapshotVolume,
    VolumeMeasured,
)


class SubjectType(StrEnum):
    """What operations, specs and jobs can be about."""

    ENVIRONMENT = "environment"
    TENANT = "tenant"
    IMAGE = "image"
    VOLUME = "volume"
    BUILD = "build"


class Subject(Message):
    type: SubjectType
    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$", max_length=64)]
    """A UUID in its usual form, or a name; never a path."""


class BuildImage(Message):
    """Have the image on the node, built anew where it isn't as the spec says."""

    kind: Literal["build"] = "build"
    image: ImageSpec


class DeleteImage(Message):
    """Have it gone. Environments that were made from it go on."""

    kind: Literal["delete_image"] = "delete_image"
    image: ImageSpec


class PullApp(Message):
    """Have the image of an app on the node, as its registry was found to have it."""

    kind: Literal["pull_app"] = "pull_app"
    app: AppOptions
    """Its reference, and how the registry is asked."""
    digest: Digest
    manifest: Digest
    layers: Annotated[tuple[tuple[str, int], ...], Field(max_length=256)]
    contents: Annotated[tuple[Digest, ...], Field(max_length=256)]
    """Of each layer, unpacked."""
    config: ImageConfig
    tenant_id: UUID
    most_bytes: Annotated[int, Field(ge=1)]
    """Of its tree."""


class PublishImage(Message):
    """Have an image of the environment's disk, as it is now, in a registry."""

    kind: Literal["publish_image"] = "publish_image"
    environment_id: UUID
    app: AppOptions
    """What it is to be called there, and how the registry is asked."""


class HeldTenant(Message):
    id: UUID
    envelope: TenantEnvelope


class HoldTenants(Message):
    """Hold these tenants to that, with all environments that they have on the node."""

    kind: Literal["hold_tenants"] = "hold_tenants"
    tenants: Annotated[tuple[HeldTenant, ...], Field(max_length=10_000)]
    halts: bool = False
    """It changes which of their environments run."""


Tag = Annotated[str, StringConstraints(pattern=r"^[^,\x00-\x1f]{1,200}$")]


class BackUp(Message):
    """Have the disk of an environment, or a volume, as it is now, in a repository."""

    kind: Literal["back_up"] = "back_up"
    environment_id: UUID | None = None
    volume_id: UUID | None = None
    """One of both."""
    backup: UUID
    repository: Repository
    repository_id: RepositoryId | None
    """None: it may have to be made, it is the first backup."""
    secrets: Locked
    tags: Annotated[dict[Name, Tag], Field(max_length=16)]
    """By which it is found again in the repository, by people too."""

    @model_validator(mode="after")
    def _is_of_one(self) -> Self:
        if (self.environment_id is None) is (self.volume_id is None):
            raise ValueError("a backup is of an environment or of a volume")
        return self

    @property
    def of(self) -> UUID:
        """Whose it is."""
        found = self.environment_id or self.volume_id
        assert found is not None
        return found


class ForgetBackup(Message):
    """Have it gone from its repository, and others with it, and what they alone held there."""

    kind: Literal["forget_backup"] = "forget_backup"
    repository: Repository
    secrets: Locked
    snapshot: SnapshotId
    others: Annotated[tuple[SnapshotId, ...], Field(max_length=500)] = ()


class ProveBackup(Message):
    """Have a system made of a backup, apart and without a network, see it start, and have it gone again."""

    kind: Literal["prove_backup"] = "prove_backup"
    environment_id: UUID
    """Its own: of nobody else, and gone with the job."""
    tenant_id: UUID
    backup: UUID
    source: BackupSource
    kernel: Kernel = Kernel.SHARED
    image: ImageName
    limits: Limits
    probe: Annotated[tuple[Annotated[str, StringConstraints(max_length=4096)], ...], Field(max_length=64)] = ()
    """A command that ends well inside when all is as it should be; empty: that it has started is enough."""


class PutBackFiles(Message):
    """Have one path of a backup in the environment, as it was then."""

    kind: Literal["put_back_files"] = "put_back_files"
    environment_id: UUID
    tenant_id: UUID
    source: BackupSource
    path: Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
    most_bytes: Annotated[int, Field(ge=1)]


class FetchBackup(Message):
    """Have the files of a backup on the node, where a root of the environment can be made from them."""

    kind: Literal["fetch_backup"] = "fetch_backup"
    environment_id: UUID
    tenant_id: UUID
    backup: UUID
    source: BackupSource
    most_bytes: Annotated[int, Field(ge=1)]


class CheckTarget(Message):
    """Have it reached, opened and written to; the repository made where there is none."""

    kind: Literal["check_target"] = "check_target"
    repository: Repository
    repository_id: RepositoryId | None
    secrets: Locked


VolumeWork = KeepVolume | DropVolume | SnapshotVolume | DropVolumeSnapshot | RestoreVolume

#: One model for each kind of job; what it is asked with.
JobWork = Annotated[
    BuildImage
    | DeleteImage
    | PullApp
    | PublishImage
    | HoldTenants
    | BackUp
    | ForgetBackup
    | ProveBackup
    | PutBackFiles
    | FetchBackup
    | CheckTarget
    | KeepVolume
    | DropVolume
    | SnapshotVolume
    | DropVolumeSnapshot
    | RestoreVolume
    | BuildApp
    | DropBuilds,
    Field(discriminator="kind"),
]


class JobSpec(Message):
    version: Literal[1] = CONTRACT_VERSION
    node: Name
    id: UUID
    about: Subject
    """Of jobs about the same subject one is done at a time."""
    work: JobWork
    generation: Annotated[int, Field(ge=1, le=2)] = 1
    """2: it is to be cancelled. What it has done by then is taken back; one that has ended stays so."""
    operation_id: UUID | None = None
    deadline_s: Annotated[float, Field(ge=1, le=7 * 24 * 3600)] = 3600.0

    @property
    def is_cancelled(self) -> bool:
        return self.generation > 1

    @property
    def payer(self) -> UUID | None:
        """The tenant whose job it is; None: the installation."""
        work = self.work
        if isinstance(work, BackUp | ForgetBackup):
            return work.repository.tenant_id
        if isinstance(work, ProveBackup | PutBackFiles | VolumeWork | BuildApp | DropBuilds):
            return work.tenant_id
        return None


class JobOutcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobReport(Message):
    """How far a job is, or how it ended."""

    version: Literal[1] = CONTRACT_VERSION
    node: Name
    id: UUID
    about: Subject
    operation_id: UUID | None = None
    sequence: Annotated[int, Field(ge=0)]
    """As in `Report`: one with a lower number is stale."""
    at: datetime
    outcome: JobOutcome | None = None
    """None: it is at work, and more reports follow."""
    progress: Annotated[float, Field(ge=0, le=1)] = 0.0
    message: Said = NOTHING
    """What is being done, what became of it, or why it failed."""
    code: Annotated[str, Field(max_length=64)] = ""
    """Stable cause of a failure."""
    next_step: Said = NOTHING
    retryable: bool = True
    steps: Annotated[tuple[Step, ...], Field(max_length=200)] = ()
    bytes: Annotated[int, Field(ge=0)] = 0
    """Size of what was made; 0 where that has none."""
    backup: BackupMade | None = None
    boot: BootSeen | None = None
    target: TargetSeen | None = None
    built: Built | None = None
    volume: VolumeMeasured | None = None
    """What its snapshots hold."""
