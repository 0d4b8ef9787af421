"""What is asked of several files of an environment at once: each is done, or refused by a word of its own."""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from runtime.contract.words import agent as words
from runtime.errors import RuntimeFault
from runtime.storage.files import checked
from runtime.storage.trees import Trees, said_of

#: Paths of one request.
MOST_PATHS = 500
#: Of one search: what it finds, its time, and what it looks for.
MOST_FOUND, _SEARCH_S, LONGEST_SEARCH_BYTES = 1000, 20.0, 255
#: path_resolution(7), NAME_MAX.
LONGEST_NAME_BYTES = 255
_SHORT_S, _LONG_S = 60.0, 600.0

Path64 = Annotated[str, Field(max_length=5464)]


class Move(BaseModel):
    """Into a directory (None: where each is), under another name where one is given."""

    model_config = ConfigDict(extra="forbid")

    verb: Literal["move", "copy"]
    paths: Annotated[list[Path64], Field(min_length=1, max_length=MOST_PATHS)]
    into: Path64 | None = None
    name: Annotated[str, Field(max_length=344)] = ""
    if_exists: Literal["refuse", "replace", "keep_both"] = "refuse"


class DeleteMany(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verb: Literal["delete_many"]
    paths: Annotated[list[Path64], Field(min_length=1, max_length=MOST_PATHS)]
    trash: bool = False


class ChangeMode(BaseModel):
    """Owner and group by name or number; empty: as they are."""

    model_config = ConfigDict(extra="forbid")

    verb: Literal["change_mode"]
    paths: Annotated[list[Path64], Field(min_length=1, max_length=MOST_PATHS)]
    mode: Annotated[int, Field(ge=0, le=0o7777)] | None = None
    owner: Annotated[str, Field(max_length=64)] = ""
    group: Annotated[str, Field(max_length=64)] = ""
    is_deep: bool = False


class OfTrash(BaseModel):
    """`paths`: ids of what is in there, in base64."""

    model_config = ConfigDict(extra="forbid")

    verb: Literal["restore_trash", "empty_trash"]
    paths: Annotated[list[Path64], Field(max_length=1000)]
    is_all: bool = False


class Archive(BaseModel):
    """Several into a new file; `path` is its own."""

    model_config = ConfigDict(extra="forbid")

    verb: Literal["archive"]
    paths: Annotated[list[Path64], Field(min_length=1, max_length=MOST_PATHS)]
    path: Path64
    format: Literal["tar.gz", "zip"]


class Extract(BaseModel):
    """What is in an archive of the tree, into a directory of it."""

    model_config = ConfigDict(extra="forbid")

    verb: Literal["extract"]
    path: Path64
    into: Path64


class ArchiveWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    work: Annotated[Archive | Extract, Field(discriminator="verb")]


class Archived(BaseModel):
    entries: Annotated[int, Field(ge=0)]
    skipped: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=0)]


class Found(BaseModel):
    """What a search came upon: path as base64, what it is, its size, and of content the line and its text."""

    entries: Annotated[
        list[
            tuple[
                Annotated[str, Field(max_length=3 * 2**20)],
                Literal["file", "directory", "link", "other"],
                Annotated[int, Field(ge=0)] | None,
                Annotated[int, Field(ge=1)] | None,
                Annotated[str, Field(max_length=400)],
            ]
        ],
        Field(max_length=MOST_FOUND),
    ]
    is_whole: bool


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    work: Annotated[Move | DeleteMany | ChangeMode | OfTrash, Field(discriminator="verb")]


class Arranged(BaseModel):
    done: Annotated[int, Field(ge=0)]
    failed: Annotated[list[tuple[Path64, Annotated[str, Field(max_length=40)]]], Field(max_length=200_000)]
    """Path as base64, and the word that it was refused by."""

    def told(self) -> dict[str, object]:
        """With sentences; of more than were asked for, the first."""
        shown = self.failed[:MOST_PATHS]
        return {"done": self.done, "failed": [(path, code, said_of(code).told()) for path, code in shown]}


class Trashed(BaseModel):
    """What lies in the trash: id, path as base64, what it is, its size, and when it was deleted."""

    entries: Annotated[
        list[
            tuple[
                Annotated[str, Field(pattern="^[0-9]{19}-[0-9a-f]{8}$")],
                Path64,
                Literal["file", "directory", "link", "other"],
                Annotated[int, Field(ge=0)] | None,
                float,
            ]
        ],
        Field(max_length=1000),
    ]


def _bytes(path: str) -> bytes:
    try:
        return b64decode(path, validate=True)
    except ValueError as error:
        raise RuntimeFault(words.bad_name(), code="bad_name", retryable=False) from error


def _checked(path: str) -> str:
    return b64encode(checked(_bytes(path))).decode()


def _a_name(name: str) -> str:
    """One part of a path, or nothing."""
    raw = _bytes(name)
    if raw in (b".", b"..") or b"/" in raw or b"\0" in raw or len(raw) > LONGEST_NAME_BYTES:
        raise RuntimeFault(words.no_name(), code="bad_name", retryable=False)
    return name


@dataclass(frozen=True)
class Arranging:
    trees: Trees

    def arrange(self, environment_id: UUID, work: Move | DeleteMany | ChangeMode | OfTrash) -> Arranged:
        """Raises `RuntimeFault` where none of it can be begun."""
        paths: Sequence[str] = work.paths
        asked = work.model_dump(exclude={"paths"})
        if isinstance(work, Move):
            asked["into"] = None if work.into is None else _checked(work.into)
            asked["name"] = _a_name(work.name)
        if not isinstance(work, OfTrash):
            paths = [_checked(one) for one in paths]
        asked["seconds"] = _SHORT_S if isinstance(work, OfTrash) else _LONG_S
        found = self.trees.changed(environment_id, asked, json.dumps(paths).encode())
        return Arranged.model_validate(found)

    def archive(self, environment_id: UUID, work: Archive | Extract) -> Archived:
        asked: dict[str, object] = {"verb": work.verb, "path": _checked(work.path), "seconds": _LONG_S}
        paths: list[str] = []
        if isinstance(work, Archive):
            paths, asked["format"] = [_checked(one) for one in work.paths], work.format
        else:
            asked["into"] = _checked(work.into)
        return Archived.model_validate(self.trees.changed(environment_id, asked, json.dumps(paths).encode()))

    def search(
        self,
        environment_id: UUID,
        snapshot: UUID | None,
        path: bytes,
        text: bytes,
        *,
        in_content: bool,
        most: int,
    ) -> Found:
        """Raises `RuntimeFault` (`not_found`) where there is no such directory."""
        if not 0 < len(text) <= LONGEST_SEARCH_BYTES:
            raise RuntimeFault(words.no_name(), code="bad_name", retryable=False)
        asked = {
            "verb": "search",
            "path": b64encode(checked(path)).decode(),
            "text": b64encode(text).decode(),
            "content": in_content,
            "most": min(most, MOST_FOUND),
            "seconds": _SEARCH_S,
        }
        return Found.model_validate(self.trees.looked_at(environment_id, snapshot, asked))

    def trash(self, environment_id: UUID) -> Trashed:
        found = self.trees.changed(environment_id, {"verb": "list_trash", "seconds": _SHORT_S}, b"")
        return Trashed.model_validate(found)
