"""Builds: where an image is built from, what it is built with, and what came of it.

What opens a repository, and what a build may know and its image not, is never in plain text in a message: it
travels locked (`Locked`), for one build alone.
"""

import re
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from runtime.contract.app import AppOptions, Digest, RegistryAccess
from runtime.contract.base import Message
from runtime.contract.environment import TenantEnvelope
from runtime.contract.image import ArchiveFile
from runtime.contract.locked import Locked
from runtime.contract.words import asked

#: Of a path within the context: no step upwards, none from the top.
PATH_PATTERN: Final = r"^(?!/)(?!(?:.*/)?\.\.(?:/|$))[^\x00-\x1f]{0,400}$"
#: What `git check-ref-format` takes, and no more than people use.
BRANCH_PATTERN: Final = r"^(?![-/.])(?!.*(?:\.\.|//|@\{|\.lock$))[A-Za-z0-9._/@+#-]{1,200}(?<![/.])$"
#: https, http where an administrator allowed that for its host, and the two forms of ssh.
URL_PATTERN: Final = (
    r"^(?:https?://[A-Za-z0-9.\[\]:-]{1,270}/[^\x00-\x20?#@]{1,1000}"
    r"|ssh://(?:[A-Za-z0-9._-]{1,64}@)?[A-Za-z0-9.\[\]:-]{1,270}/[^\x00-\x20?#]{1,1000}"
    r"|[A-Za-z0-9._-]{1,64}@[A-Za-z0-9.-]{1,255}:[^\x00-\x20?#:][^\x00-\x20?#]{0,1000})$"
)
NAME_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
#: As Docker has ids of secrets.
SECRET_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"  # noqa: S105 - of names
MOST_ARGS, MOST_SECRETS, MOST_DOCKERFILE = 64, 64, 256 * 1024
MOST_SECRET_BYTES: Final = 64 * 1024
#: Of what is told to whoever reads the log.
MOST_LOG_BYTES: Final = 4 * 2**20


def _as(pattern: str) -> AfterValidator:
    """Of those that look around, which Pydantic's own patterns don't."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.match(text) or text.endswith("\n"):
            raise ValueError(asked.odd_form())
        return text

    return AfterValidator(check)


PathText = Annotated[str, _as(PATH_PATTERN)]
Text = Annotated[str, StringConstraints(max_length=32_768, pattern=r"^[^\x00]*$")]


class GitSource(Message):
    url: Annotated[str, StringConstraints(pattern=URL_PATTERN)]
    branch: Annotated[str, _as(BRANCH_PATTERN)]
    submodules: bool = False
    host_key: Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00\r\n]*$")] = ""
    """Of a server by ssh, `ssh-ed25519 AAAA…`; empty: the first one that it shows, and no other afterwards."""
    inward: bool = False
    """An administrator allows its host at an address that nobody from outside reaches."""
    insecure: bool = False
    """Likewise, without TLS."""


class RegistryLogin(Message):
    """How one registry that images may be built on is asked."""

    host: Annotated[str, StringConstraints(max_length=270)]
    access: RegistryAccess


class BuildSecrets(Message):
    """What goes locked."""

    deploy_key: Annotated[str, StringConstraints(max_length=16_384)] = Field(default="", repr=False)
    username: Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f:]*$")] = ""
    token: Annotated[str, StringConstraints(max_length=8192, pattern=r"^[^\x00-\x1f]*$")] = Field(
        default="", repr=False
    )
    """In place of a password, by https."""
    registries: Annotated[tuple[RegistryLogin, ...], Field(max_length=200)] = ()
    push: RegistryAccess = RegistryAccess()
    secrets: Annotated[
        dict[Annotated[str, StringConstraints(pattern=SECRET_PATTERN)], str], Field(max_length=MOST_SECRETS)
    ] = Field(default={}, repr=False)

    def locked(self, build_id: UUID, *, key: bytes) -> Locked:
        """For one build alone. Raises `ValueError` without a key."""
        return Locked.of(self.model_dump_json(exclude_none=True).encode(), _purpose(build_id), key=key)

    @classmethod
    def opened(cls, locked: Locked, build_id: UUID, *, key: bytes) -> "BuildSecrets":
        """Raises `ValueError` for another key, another build, or what was changed."""
        return cls.model_validate_json(locked.opened(_purpose(build_id), key=key))


def _purpose(build_id: UUID) -> str:
    return f"secrets of build {build_id}"


class BuildApp(Message):
    """Have an image built, and in a registry."""

    kind: Literal["build_app"] = "build_app"
    build_id: UUID
    source_id: UUID
    """Builds of the same one have layers in common, and nobody else's."""
    tenant_id: UUID
    envelope: TenantEnvelope
    git: GitSource | None = None
    archive: ArchiveFile | None = None
    """A tar of the context that was handed in."""
    is_image: bool = False
    """The archive is no context but an image, as `docker save` writes it or as an OCI layout in a tar."""
    dockerfile_text: Annotated[str, StringConstraints(max_length=MOST_DOCKERFILE, pattern=r"^[^\x00]*$")] = ""
    """In place of a file of the context; alone, without any context."""
    folder: PathText = ""
    dockerfile: PathText = ""
    """Within the folder; empty: Dockerfile, or Containerfile."""
    target: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,128}$")] = ""
    args: Annotated[
        dict[Annotated[str, StringConstraints(pattern=NAME_PATTERN)], Text], Field(max_length=MOST_ARGS)
    ] = {}
    is_fresh: bool = False
    """What was kept of earlier builds is thrown away first."""
    app: AppOptions
    """What it is to be called. How the registry is asked is in the secrets."""
    secrets: Locked
    cpu: Annotated[float, Field(ge=0.05)] | None = None
    memory_mb: Annotated[int, Field(ge=64)]
    processes: Annotated[int, Field(ge=16)]
    disk_mb: Annotated[int, Field(ge=64)]
    """Of context, layers and what is kept, together."""


class DropBuilds(Message):
    """Have gone what was kept of the builds of one source: layers and logs."""

    kind: Literal["drop_builds"] = "drop_builds"
    source_id: UUID
    tenant_id: UUID


class Built(Message):
    """What came of it."""

    digest: Digest
    commit: Annotated[str, StringConstraints(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})?$")] = ""
