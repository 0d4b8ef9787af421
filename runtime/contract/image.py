"""Images: read-only root volumes on a node that environments start as snapshots of."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from runtime.contract.base import CONTRACT_VERSION, ImageName, Message, Name
from runtime.contract.said import NOTHING, Said


class ImageSource(StrEnum):
    """Where the tree comes from. `archive`: a tar file that was handed in."""

    BUSYBOX = "busybox"
    DEBIAN_12 = "debian-12"
    DEBIAN_13 = "debian-13"
    ARCHIVE = "archive"


class ArchiveFile(Message):
    """A file that the panel staged. Where it lies, the node knows by itself."""

    id: UUID
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=1, le=2**40)]


class ImageState(StrEnum):
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"
    DELETED = "deleted"


class ImageSpec(Message):
    """Have this image on the node (or not: `wanted` false). A no-op when that is so already."""

    version: Literal[1] = CONTRACT_VERSION
    node: Name
    name: ImageName
    source: ImageSource
    wanted: bool = True
    revision: Annotated[int, Field(ge=0)] = 0
    """A higher number than the node has means: build again."""
    archive: ArchiveFile | None = None
    """What an image of the source `archive` is made from."""


class ImageReport(Message):
    version: Literal[1] = CONTRACT_VERSION
    node: Name
    name: ImageName
    state: ImageState
    revision: Annotated[int, Field(ge=0)] = 0
    bytes: Annotated[int, Field(ge=0)] = 0
    progress: Annotated[float, Field(ge=0, le=1)] = 0.0
    code: Annotated[str, Field(max_length=64)] = ""
    """Stable cause of a failure: `host_lacks`, `archive_refused`, …"""
    message: Said = NOTHING
    """What is being done, what it became, or why it failed."""
    next_step: Said = NOTHING
    at: datetime
