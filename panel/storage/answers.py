"""What the API answers about snapshots, schedules, files and what changed."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Moment
from panel.operations.answers import Operation


class Snapshot(TypedDict):
    id: Id
    environment: Id
    name: str
    state: Annotated[str, As(Literal["making", "ready", "going"])]
    reason: Annotated[str, As(Literal["asked", "restore", "reinstall", "shrink", "schedule"])]
    image: Annotated[str, Field(description="What the root was made from at that time.")]
    created_at: Moment
    made_at: Annotated[Moment | None, Field(description="When the node said that it is there.")]
    expires_at: Annotated[Moment | None, Field(description="When it is deleted by itself; null: never.")]


class TakenSnapshot(Snapshot):
    operation: Operation | None


class Kept(TypedDict):
    last: int
    hourly: int
    daily: int
    weekly: int
    monthly: int


class Schedule(TypedDict):
    id: Id
    environment: Annotated[Id | None, Field(description="Of which it is; null: of a volume.")]
    volume: Id | None
    tenant: Id
    takes: Annotated[str, As(Literal["snapshots", "backups"])]
    target: Annotated[Id | None, Field(description="Where backups go.")]
    proves: Annotated[
        str, As(Literal["never", "monthly", "each"]), Field(description="Of backups: which are proved.")
    ]
    cron: Annotated[str, Field(description="crontab(5), by the clock of the tenant's time zone.")]
    keep: Annotated[
        Kept, Field(description="The newest of each of so many last ones, hours, days, weeks and months.")
    ]
    is_on: bool
    next_at: Moment | None
    last_at: Moment | None
    problem: Annotated[str, Field(description="Why the last one was not taken; empty when it was.")]


class FileEntry(TypedDict):
    name: Annotated[str, Field(description="Bytes that are no UTF-8 stand as U+FFFD.")]
    name64: Annotated[str, Field(description="The name's own bytes, base64.")]
    type: Annotated[str, As(Literal["file", "directory", "link", "other"])]
    size: int
    mode: str
    uid: Annotated[int, Field(description="As inside.")]
    gid: int
    owner: Annotated[str, Field(description="By the tree's own list of users; empty: it has none of that id.")]
    group: str
    changed_at: Moment
    target: Annotated[str | None, Field(description="Of a link.")]


class FilePage(TypedDict):
    items: list[FileEntry]
    total: int
    next: Annotated[str | None, Field(description="For `after`; null at the end.")]


class Change(TypedDict):
    change: Annotated[str, As(Literal["added", "changed", "removed"])]
    path: Annotated[str, Field(description="Bytes that are no UTF-8 stand as U+FFFD.")]
    path64: Annotated[str, Field(description="The path's own bytes, base64.")]
    type: Annotated[str, As(Literal["file", "directory", "link", "other"])]
    size_before: Annotated[int | None, Field(description="Of a file.")]
    size: int | None


class ChangedPackage(TypedDict):
    name: str
    before: Annotated[str | None, Field(description="Its version; null: it wasn't installed.")]
    after: str | None


class Changes(TypedDict):
    items: Annotated[list[Change], Field(description="The first of them, by directory.")]
    counts: Annotated[dict[Literal["added", "changed", "removed"], int], Field(description="Of all.")]
    is_whole: Annotated[bool, Field(description="False: time or depth didn't suffice for all of it.")]
    packages: list[ChangedPackage]


class PutBack(TypedDict):
    entries: Annotated[int, Field(description="Files, links and directories that were put back.")]
    skipped: Annotated[int, Field(description="Fifos, sockets and devices, which aren't.")]


class PutFile(TypedDict):
    size: int
    is_new: bool


class RefusedFile(TypedDict):
    path: Annotated[str, Field(description="Bytes that are no UTF-8 stand as U+FFFD.")]
    path64: Annotated[str, Field(description="The path's own bytes, base64.")]
    code: str
    detail: str


class Arranged(TypedDict):
    done: Annotated[int, Field(description="Of what was asked for, so many are done.")]
    failed: Annotated[list[RefusedFile], Field(description="And these are refused, and stay as they were.")]


class TrashedFile(TypedDict):
    id: str
    path: Annotated[str, Field(description="Where it was. Bytes that are no UTF-8 stand as U+FFFD.")]
    path64: Annotated[str, Field(description="The path's own bytes, base64.")]
    type: Annotated[str, As(Literal["file", "directory", "link", "other"])]
    size: Annotated[int | None, Field(description="Of a file.")]
    deleted_at: Moment


class FilesTrash(TypedDict):
    items: Annotated[list[TrashedFile], Field(description="The newest first.")]
    count: int


class Upload(TypedDict):
    id: str
    offset: Annotated[int, Field(description="So much of it is there: the next part begins here.")]
    size: int
    is_whole: Annotated[bool, Field(description="It has its name.")]


class UnfinishedUpload(TypedDict):
    id: str
    path: Annotated[str, Field(description="Where it goes. Bytes that are no UTF-8 stand as U+FFFD.")]
    path64: Annotated[str, Field(description="The path's own bytes, base64.")]
    offset: Annotated[int, Field(description="So much of it is there: the next part begins here.")]
    size: int
    modified: Annotated[int | None, Field(description="The file's own time, in seconds of the epoch.")]
    changed_at: Annotated[Moment, Field(description="When the last of it came. Seven days later it goes.")]


class UnfinishedUploads(TypedDict):
    items: Annotated[list[UnfinishedUpload], Field(description="The newest first.")]
    count: int


class FoundFile(TypedDict):
    path: Annotated[str, Field(description="Bytes that are no UTF-8 stand as U+FFFD.")]
    path64: Annotated[str, Field(description="The path's own bytes, base64.")]
    type: Annotated[str, As(Literal["file", "directory", "link", "other"])]
    size: Annotated[int | None, Field(description="Of a file.")]
    line: Annotated[int | None, Field(description="The first one with the text, where content was searched.")]
    excerpt: Annotated[str, Field(description="Of that line.")]


class FoundFiles(TypedDict):
    items: list[FoundFile]
    count: int
    is_whole: Annotated[bool, Field(description="False: time, depth or `limit` didn't suffice for all of it.")]


class PackedFiles(TypedDict):
    size: Annotated[int, Field(description="Of the archive, in bytes.")]


class UnpackedFiles(TypedDict):
    entries: Annotated[int, Field(description="Files, links and directories that came out of it.")]
    skipped: Annotated[int, Field(description="Fifos, sockets and devices, which don't.")]
