"""What answers about storage hold: snapshots, schedules, files and what changed."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from panel.api.answer import Answer


class Snapshot(Answer):
    id: UUID
    environment: UUID
    name: str
    state: Literal["making", "ready", "going"]
    reason: Literal["asked", "restore", "reinstall", "schedule"]
    image: str = Field(description="What the root was made from at that time.")
    created_at: datetime
    made_at: datetime | None = Field(description="When the node said that it is there.")
    expires_at: datetime | None = Field(description="When it is deleted by itself; null: never.")


class Keep(Answer):
    last: int
    hourly: int
    daily: int
    weekly: int
    monthly: int


class Schedule(Answer):
    id: UUID
    environment: UUID
    tenant: UUID
    cron: str = Field(description="crontab(5), by the clock of the tenant's time zone.")
    keep: Keep = Field(description="The newest of each of so many last ones, hours, days, weeks and months.")
    is_on: bool
    next_at: datetime | None
    last_at: datetime | None
    problem: str = Field(description="Why the last one was not taken; empty when it was.")


class FileEntry(Answer):
    name: str = Field(description="Bytes that are no UTF-8 stand as U+FFFD.")
    name64: str = Field(description="The name's own bytes, base64.")
    type: Literal["file", "directory", "link", "other"]
    size: int
    mode: str
    uid: int = Field(description="As inside.")
    gid: int
    changed_at: datetime
    target: str | None = Field(description="Of a link.")


class FilePage(Answer):
    items: list[FileEntry]
    total: int
    next: str | None = Field(description="For `after`; null at the end.")


class Change(Answer):
    change: Literal["added", "changed", "removed"]
    path: str = Field(description="Bytes that are no UTF-8 stand as U+FFFD.")
    path64: str = Field(description="The path's own bytes, base64.")
    type: Literal["file", "directory", "link", "other"]
    size_before: int | None = Field(description="Of a file.")
    size: int | None


class ChangedPackage(Answer):
    name: str
    before: str | None = Field(description="Its version; null: it wasn't installed.")
    after: str | None


class Changes(Answer):
    items: list[Change] = Field(description="The first of them, by directory.")
    counts: dict[Literal["added", "changed", "removed"], int] = Field(description="Of all.")
    is_whole: bool = Field(description="False: time or depth didn't suffice for all of it.")
    packages: list[ChangedPackage]


class PutBack(Answer):
    entries: int = Field(description="Files, links and directories that were put back.")
    skipped: int = Field(description="Fifos, sockets and devices, which aren't.")


class PutFile(Answer):
    size: int
    is_new: bool
