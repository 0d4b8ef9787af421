"""Files of a snapshot: looked at, and downloaded one by one. The node reads them; nothing is kept here."""

import posixpath
from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.environments.models import Environment
from panel.environments.selectors import living_one
from panel.errors import Invalid, NotFound
from panel.nodes.agent import Agent
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.shares import DOWNLOADS, LOOKS, Place
from panel.storage.models import Snapshot
from panel.storage.services import ready_snapshot

_LONGEST = 4095


@dataclass(frozen=True)
class Asked:
    """What a node will say, and the place that the question takes until then. Awaited, raises `NodeAway`, and
    `NotFound` where there is no such file or directory."""

    result: Callable[[], Awaitable[dict[str, Any]]]
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
) -> Asked:
    """A page of a directory: `{"items", "total", "next"}`. Who may run commands inside may look; `NotFound`,
    `Forbidden`, `TooMany` else."""
    environment, snapshot = _seen(actor, environment_id, snapshot_id)
    raw, begin = raw_path(path, path64), raw_path("", after)
    agent, payer = Agent(environment.node), environment.tenant.payer

    async def result() -> dict[str, Any]:
        found = await agent.files(
            environment.pk, snapshot.pk, raw, after=begin, most=most, user=actor.name, tenant_id=payer
        )
        return {
            "items": [_shown(one) for one in found["entries"]],
            "total": found["total"],
            "next": found["next"] or None,
        }

    return Asked(result, LOOKS.take(actor, environment.tenant_id, environment.tenant.path))


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": entry["name"],
        "name64": entry["raw"],
        "type": entry["sort"],
        "size": entry["size"],
        "mode": entry["mode"],
        "uid": entry["uid"],
        "gid": entry["gid"],
        "changed_at": datetime.fromtimestamp(max(0, min(entry["changed_at"], _LAST_S)), UTC).isoformat(),
        "target": entry["target"] or None,
    }


#: The last second of 9999: files may carry any time, and dates end there.
_LAST_S = 253_402_300_799


def download_file(
    actor: Actor, environment_id: UUID, snapshot_id: str, path: str, path64: str = ""
) -> Download:
    """One file as an attachment, whatever is in it: a browser shows none of it. Audited."""
    environment, snapshot = _seen(actor, environment_id, snapshot_id)
    raw = raw_path(path, path64)
    agent, payer = Agent(environment.node), environment.tenant.payer
    place = DOWNLOADS.take(actor, environment.tenant_id, environment.tenant.path)
    shown = raw.decode(errors="replace")
    try:
        with transaction.atomic():
            record(
                actor,
                "snapshot.read",
                tenant_id=environment.tenant_id,
                target=environment,
                after={"snapshot": str(snapshot.pk), "path": shown[:400]},
            )
    except BaseException:
        place.give_back()
        raise

    async def answer() -> HttpResponseBase:
        pieces = await agent.content(environment.pk, snapshot.pk, raw, user=actor.name, tenant_id=payer)
        made = StreamingHttpResponse(pieces, content_type="application/octet-stream")
        name = posixpath.basename(shown.rstrip("/")) or "file"
        shown_name = "".join(one for one in name if one.isprintable()) or "file"
        made["Content-Disposition"] = content_disposition_header(True, shown_name) or "attachment"
        made["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return made

    return Download(answer, place)


def _seen(actor: Actor, environment_id: UUID, snapshot_id: str) -> tuple[Environment, Snapshot]:
    environment = living_one(actor, environment_id)
    actor.require(Permission.ENVIRONMENT_EXEC, environment)
    if not snapshot_id:
        raise Invalid(_("Say of which snapshot."), field="snapshot")
    try:
        return environment, ready_snapshot(environment, UUID(snapshot_id))
    except ValueError as error:
        raise NotFound(_("This snapshot")) from error
