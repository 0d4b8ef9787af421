"""Files of an environment and of its snapshots: looked at, downloaded, compared, put back, written, deleted.

The node does it; nothing is kept here.
"""

import posixpath
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import transaction
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.environments.models import Environment
from panel.environments.selectors import living_one
from panel.environments.trash import refuse_trashed
from panel.errors import Conflict, Invalid, NotFound
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.shares import DOWNLOADS, LOOKS, Place, Shares
from panel.storage import answers
from panel.storage.node_files import NodeFiles
from panel.storage.services import ready_snapshot
from panel.tenants.selectors import refuse_suspended
from runtime.contract import DesiredState

#: Of one file that is written: the front takes bodies of 2 MB.
MOST_UPLOAD_BYTES = 2**20
_LONGEST = 4095


ShownT = TypeVar("ShownT")


@dataclass(frozen=True)
class Asked(Generic[ShownT]):
    """What a node will say, and the place that the question takes until then. Awaited, raises `NodeAway`, and
    `NotFound` where there is no such file or directory."""

    result: Callable[[], Awaitable[ShownT]]
    place: Place


@dataclass(frozen=True)
class Download:
    answer: Callable[[], Awaitable[HttpResponseBase]]
    place: Place


def raw_path(path: str, path64: str) -> bytes:
    """Of a file inside: as text, or, where its name is none, as base64 of its bytes. `Invalid` for both or none
    of them."""
    try:
        raw = b64decode(path64, validate=True) if path64 else path.encode()
    except ValueError as error:
        raise Invalid(_("path64 is base64 of the path's bytes."), field="path64") from error
    if path and path64:
        raise Invalid(_("Give path or path64, not both."), field="path64")
    if len(raw) > _LONGEST or b"\0" in raw or b".." in raw.split(b"/"):
        raise Invalid(
            _("A path has at most %(most)s bytes, and no part is “..”.") % {"most": _LONGEST}, field="path"
        )
    return raw


def list_files(
    actor: Actor,
    environment_id: UUID,
    snapshot_id: str,
    path: str,
    path64: str = "",
    *,
    after: str = "",
    most: int = 200,
) -> Asked[answers.FilePage]:
    """A page of a directory: `{"items", "total", "next"}`. Who may run commands inside may look; `NotFound`,
    `Forbidden`, `TooMany` else."""
    of, raw, begin = seen(actor, environment_id, snapshot_id), raw_path(path, path64), raw_path("", after)

    async def result() -> answers.FilePage:
        found = await of.listed(raw, after=begin, most=most)
        return {
            "items": [shown(one) for one in found["entries"]],
            "total": found["total"],
            "next": found["next"] or None,
        }

    return Asked(result, place_of(actor, of.environment, LOOKS))


def shown(entry: dict[str, Any]) -> answers.FileEntry:
    return {
        "name": entry["name"],
        "name64": entry["raw"],
        "type": entry["sort"],
        "size": entry["size"],
        "mode": entry["mode"],
        "uid": entry["uid"],
        "gid": entry["gid"],
        "owner": entry.get("owner", ""),
        "group": entry.get("group", ""),
        "changed_at": datetime.fromtimestamp(max(0, min(entry["changed_at"], _LAST_S)), UTC).isoformat(),
        "target": entry["target"] or None,
    }


#: The last second of 9999: files may carry any time, and dates end there.
_LAST_S = 253_402_300_799


def download_file(
    actor: Actor, environment_id: UUID, snapshot_id: str, path: str, path64: str = ""
) -> Download:
    """One file as an attachment, whatever is in it: a browser shows none of it. Audited."""
    of, raw = seen(actor, environment_id, snapshot_id), raw_path(path, path64)
    place = noted(actor, of, "file_read", raw, DOWNLOADS)
    return Download(lambda: attachment(of.content(raw), raw, "", "application/octet-stream"), place)


def download_archive(
    actor: Actor, environment_id: UUID, snapshot_id: str, path: str, path64: str = ""
) -> Download:
    """A directory with all that is in it, as a tar archive. Audited."""
    of, raw = seen(actor, environment_id, snapshot_id), raw_path(path, path64)
    place = noted(actor, of, "file_read", raw, DOWNLOADS)
    return Download(lambda: attachment(of.archive(raw), raw, ".tar", "application/x-tar"), place)


async def attachment(
    coming: Awaitable[AsyncIterator[bytes]], path: bytes, ending: str, kind: str
) -> HttpResponseBase:
    made = StreamingHttpResponse(await coming, content_type=kind)
    name = posixpath.basename(path.decode(errors="replace").rstrip("/"))
    shown = "".join(one for one in name if one.isprintable()) or ("root" if ending else "file")
    made["Content-Disposition"] = content_disposition_header(True, f"{shown}{ending}") or "attachment"
    made["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return made


def put_file(actor: Actor, environment_id: UUID, path: str, path64: str, data: bytes) -> Asked[answers.PutFile]:
    """A small file with this content: `{"size", "is_new"}`. One that is there keeps owner and mode. Audited."""
    if len(data) > MOST_UPLOAD_BYTES:
        raise Invalid(
            _("A file of at most %(most)s bytes is taken here.") % {"most": MOST_UPLOAD_BYTES},
            code="too_long",
        )
    of, raw = changeable(actor, environment_id), named(path, path64)
    return Asked(lambda: of.put(raw, data), noted(actor, of, "file_put", raw, LOOKS))


def delete_file(
    actor: Actor, environment_id: UUID, path: str, path64: str = "", *, recursive: bool = False
) -> Asked[None]:
    """A file, a link or an empty directory; with `recursive` one with all that is in it. Audited."""
    of, raw = changeable(actor, environment_id), named(path, path64)

    async def result() -> None:
        await of.delete(raw, recursive=recursive)

    return Asked(result, noted(actor, of, "file_delete", raw, LOOKS))


def put_back(
    actor: Actor, environment_id: UUID, snapshot_id: UUID, path: str, path64: str = ""
) -> Asked[answers.PutBack]:
    """A file or directory as the snapshot has it, into the environment: `{"entries", "skipped"}`. What was
    added to a directory since stays in it. Audited."""
    of, raw = changeable(actor, environment_id), named(path, path64)
    of = replace(of, snapshot=ready_snapshot(of.environment, snapshot_id).pk)
    return Asked(lambda: of.put_back(raw), noted(actor, of, "file_put_back", raw, LOOKS))


def changes(
    actor: Actor, environment_id: UUID, snapshot_id: UUID, to: str = "", *, most: int = 1000
) -> Asked[answers.Changes]:
    """What is different in the snapshot `to`, or (empty) in the environment now: `{"items", "counts",
    "is_whole", "packages"}`. Who may run commands inside may look."""
    of = seen(actor, environment_id, str(snapshot_id))
    other = seen(actor, environment_id, to).snapshot if to else None

    async def result() -> answers.Changes:
        return shown_changes(await of.changes(other, most=most))

    return Asked(result, place_of(actor, of.environment, LOOKS))


def shown_changes(found: dict[str, Any]) -> answers.Changes:
    return {
        "items": [_change(*one) for one in found["changes"]],
        "counts": found["counts"],
        "is_whole": found["is_whole"],
        "packages": [
            {"name": name, "before": before, "after": after} for name, before, after in found["packages"]
        ],
    }


def _change(what: str, path64: str, sort: str, before: int | None, after: int | None) -> answers.Change:
    path = b64decode(path64).decode(errors="replace")
    return {
        "change": what,
        "path": path,
        "path64": path64,
        "type": sort,
        "size_before": before,
        "size": after,
    }


def seen(actor: Actor, environment_id: UUID, snapshot_id: str) -> NodeFiles:
    """Of a snapshot, or of the environment itself where none is named."""
    environment = living_one(actor, environment_id)
    actor.require(Permission.ENVIRONMENT_EXEC, environment)
    if not snapshot_id:
        return NodeFiles(environment, actor.name)
    try:
        return NodeFiles(environment, actor.name, ready_snapshot(environment, UUID(snapshot_id)).pk)
    except ValueError as error:
        raise NotFound(_("This snapshot")) from error


def changeable(actor: Actor, environment_id: UUID) -> NodeFiles:
    of = seen(actor, environment_id, "")
    refuse_suspended(of.environment.tenant)
    refuse_trashed(of.environment)
    if of.environment.desired_state == DesiredState.DELETED:
        raise Conflict(_("This environment is being deleted."), code="deleting")
    return of


def named(path: str, path64: str) -> bytes:
    raw = raw_path(path, path64)
    if not set(raw.split(b"/")) - {b"", b"."}:
        raise Invalid(_("Say which file or directory."), field="path")
    return raw


def place_of(actor: Actor, environment: Environment, shares: Shares) -> Place:
    return shares.take(actor, environment.tenant_id, environment.tenant.path)


def noted(
    actor: Actor, of: NodeFiles, what: str, path: bytes, shares: Shares, **more: str | int | bool
) -> Place:
    place = place_of(actor, of.environment, shares)
    after: dict[str, Any] = {"path": path.decode(errors="replace")[:400], **more}
    if of.snapshot is not None:
        after["snapshot"] = str(of.snapshot)
    try:
        with transaction.atomic():
            record(
                actor,
                f"environment.{what}",
                tenant_id=of.environment.tenant_id,
                target=of.environment,
                after=after,
            )
    except BaseException:
        place.give_back()
        raise
    return place
