"""Files that come into an environment in parts, so that one that was cut off goes on where it stopped."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from runtime.storage.arranging import Path64
from runtime.storage.files import checked
from runtime.storage.trees import Trees

#: Of one part: so much is sent again when a connection breaks.
MOST_PART_BYTES = 16 * 2**20
#: Of a file: the largest that btrfs has, and the last second of 9999.
MOST_SIZE_BYTES, _LAST_S = 2**63 - 1, 253_402_300_799
_UPLOAD_S = 600.0
UploadId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Part(BaseModel):
    """What was handed in of a file, and where it belongs."""

    model_config = ConfigDict(extra="forbid")

    id: UploadId
    offset: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(gt=0, le=MOST_PART_BYTES)]
    size: Annotated[int, Field(gt=0, le=MOST_SIZE_BYTES)]
    modified: Annotated[int, Field(ge=0, le=_LAST_S)] | None = None
    if_exists: Literal["refuse", "replace", "keep_both"] = "replace"


class Uploaded(BaseModel):
    offset: Annotated[int, Field(ge=0)]
    """So much has come; of one that isn't whole at most all but its last byte."""
    is_whole: bool


class Unfinished(BaseModel):
    """Id, path as base64, size, the file's own time, how much has come, and when the last of it came."""

    entries: Annotated[
        list[
            tuple[
                UploadId,
                Path64,
                Annotated[int, Field(gt=0, le=MOST_SIZE_BYTES)],
                Annotated[int, Field(ge=0, le=_LAST_S)] | None,
                Annotated[int, Field(ge=0)],
                float,
            ]
        ],
        Field(max_length=100),
    ]


@dataclass(frozen=True)
class Uploads:
    trees: Trees

    def take(self, environment_id: UUID, path: bytes, part: Part, data: int) -> Uploaded:
        """`data`: a descriptor of the part. Raises `RuntimeFault` (`no_space`) before the first byte of a file
        that the disk has no room for, (`exists`, `in_the_way`) where its name isn't free."""
        asked = {"verb": "upload", "path": _base64(path), **part.model_dump(), "seconds": _UPLOAD_S}
        return Uploaded.model_validate(self.trees.changed(environment_id, asked, data))

    def unfinished(self, environment_id: UUID) -> Unfinished:
        found = self.trees.changed(environment_id, {"verb": "list_uploads", "seconds": _UPLOAD_S}, b"")
        return Unfinished.model_validate(found)

    def discard(self, environment_id: UUID, upload: str) -> None:
        """A no-op where it isn't there."""
        asked = {"verb": "discard_upload", "id": upload, "seconds": _UPLOAD_S}
        self.trees.changed(environment_id, asked, b"")


def _base64(path: bytes) -> str:
    return b64encode(checked(path)).decode()
