"""Several files of an environment at once: moved, copied, deleted, given away; and the trash of files."""

import posixpath
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from panel.errors import Invalid, Refused
from panel.rights.actor import Actor
from panel.said import read, shown
from panel.serving.shares import LOOKS
from panel.storage import answers
from panel.storage.files import Asked, changeable, named, noted, place_of, raw_path, seen
from panel.storage.node_files import NodeFiles

#: Of one request.
MOST_PATHS = 500
_MODE = re.compile(r"0?[0-7]{3,4}")
_OWNER = re.compile(r"[^:/\s\0]{0,64}")


def move_files(
    actor: Actor,
    environment_id: UUID,
    paths: Sequence[str],
    paths64: Sequence[str] = (),
    *,
    into: tuple[str, str] | None = None,
    name: tuple[str, str] = ("", ""),
    if_exists: str = "refuse",
    copies: bool = False,
) -> Asked[answers.Arranged]:
    """Into the directory `into` (None: where each is), each under its name, or one under another: moved,
    renamed or copied. Directories go with all that is in them, and none is merged with another. `into` and
    `name` are pairs of text and base64. Audited; what can't be done is in `failed`, and raised where nothing
    was done."""
    of, raws = changeable(actor, environment_id), all_named(paths, paths64)
    new_name, target = _a_name(*name), None if into is None else raw_path(*into)
    if new_name and len(raws) > 1:
        raise Invalid(_("A new name is for one file or directory."), field="name")
    if target is None and not new_name and not (copies and if_exists == "keep_both"):
        raise Invalid(_("Say into which directory, or under which name."), field="into")
    work = {
        "verb": "copy" if copies else "move",
        "into": None if target is None else b64encode(target).decode(),
        "name": b64encode(new_name).decode(),
        "if_exists": if_exists,
    }
    to = target if target is not None else posixpath.dirname(raws[0])
    shown_to = (to.rstrip(b"/") + b"/" + new_name).decode(errors="replace")[:400]
    return _asked(actor, of, "file_copy" if copies else "file_move", raws, work, to=shown_to)


def delete_files(
    actor: Actor,
    environment_id: UUID,
    paths: Sequence[str],
    paths64: Sequence[str] = (),
    *,
    trash: bool = False,
) -> Asked[answers.Arranged]:
    """With all that is in them; for good, or into the environment's trash. Audited."""
    of, raws = changeable(actor, environment_id), all_named(paths, paths64)
    return _asked(actor, of, "file_delete", raws, {"verb": "delete_many", "trash": trash}, trash=trash)


def change_files(
    actor: Actor,
    environment_id: UUID,
    paths: Sequence[str],
    paths64: Sequence[str] = (),
    *,
    mode: str = "",
    owner: str = "",
    group: str = "",
    recursive: bool = False,
) -> Asked[answers.Arranged]:
    """Mode in octal; owner and group by the environment's own names, or by number. What is empty stays.
    With `recursive` of all that is in a directory; directories can be entered then by who can read them.
    Audited."""
    of, raws = changeable(actor, environment_id), all_named(paths, paths64)
    if mode and not _MODE.fullmatch(mode):
        raise Invalid(_("A mode is three or four octal digits, as 644 or 0755."), field="mode")
    for field, value in (("owner", owner), ("group", group)):
        if not _OWNER.fullmatch(value):
            raise Invalid(_("An owner is a name that the environment knows, or a number."), field=field)
    if not (mode or owner or group):
        raise Invalid(_("Say which mode, owner or group."), field="mode")
    work = {
        "verb": "change_mode",
        "mode": int(mode, 8) if mode else None,
        "owner": owner,
        "group": group,
        "is_deep": recursive,
    }
    said: dict[str, str | bool] = {"mode": mode, "owner": owner, "group": group, "recursive": recursive}
    return _asked(actor, of, "file_mode", raws, work, **{key: value for key, value in said.items() if value})


def list_trash(actor: Actor, environment_id: UUID) -> Asked[answers.FilesTrash]:
    """What was deleted into the trash and is still there, the newest first."""
    of = seen(actor, environment_id, "")

    async def result() -> answers.FilesTrash:
        found = [_trashed(*one) for one in (await of.trash())["entries"]]
        return {"items": found, "count": len(found)}

    return Asked(result, place_of(actor, of.environment, LOOKS))


def _trashed(pk: str, path64: str, sort: str, size: int | None, at: float) -> answers.TrashedFile:
    return {
        "id": pk,
        "path": b64decode(path64).decode(errors="replace"),
        "path64": path64,
        "type": sort,
        "size": size,
        "deleted_at": datetime.fromtimestamp(max(0, min(at, _LAST_S)), UTC).isoformat(),
    }


_LAST_S = 253_402_300_799


def restore_trash(actor: Actor, environment_id: UUID, ids: Sequence[str]) -> Asked[answers.Arranged]:
    """Back to where they were. Audited."""
    return _of_trash(actor, environment_id, "restore_trash", "file_undelete", ids, is_all=False)


def empty_trash(
    actor: Actor, environment_id: UUID, ids: Sequence[str] | None = None
) -> Asked[answers.Arranged]:
    """These, or all of it: for good. Audited."""
    return _of_trash(actor, environment_id, "empty_trash", "file_purge", ids or (), is_all=ids is None)


def _of_trash(
    actor: Actor, environment_id: UUID, verb: str, what: str, ids: Sequence[str], *, is_all: bool
) -> Asked[answers.Arranged]:
    of = changeable(actor, environment_id)
    if not ids and not is_all:
        raise Invalid(_("Say which of them."), field="ids")
    return _asked(actor, of, what, [one.encode() for one in ids], {"verb": verb, "is_all": is_all})


def _asked(
    actor: Actor,
    of: NodeFiles,
    what: str,
    raws: Sequence[bytes],
    work: dict[str, Any],
    **noted_too: str | int | bool,
) -> Asked[answers.Arranged]:
    more = {"count": len(raws), **noted_too} if len(raws) != 1 else noted_too
    place = noted(actor, of, what, raws[0] if raws else b"", LOOKS, **more)
    paths = [b64encode(one).decode() for one in raws]

    async def result() -> answers.Arranged:
        found = await of.arrange(**work, paths=paths)
        failed = [_failed(*one) for one in found["failed"]]
        if failed and not found["done"]:
            raise Refused(failed[0]["detail"], code=failed[0]["code"], status=422)
        return {"done": found["done"], "failed": failed}

    return Asked(result, place)


def _failed(path64: str, code: str, said: object) -> answers.RefusedFile:
    path = b64decode(path64).decode(errors="replace")
    return {"path": path, "path64": path64, "code": code, "detail": shown(read(said))}


def all_named(paths: Sequence[str], paths64: Sequence[str]) -> list[bytes]:
    found = [*(named(one, "") for one in paths), *(named("", one) for one in paths64)]
    if not 0 < len(found) <= MOST_PATHS:
        raise Invalid(_("Name 1 to %(most)s files or directories.") % {"most": MOST_PATHS}, field="paths")
    return found


def _a_name(text: str, text64: str) -> bytes:
    raw = raw_path(text, text64)
    if b"/" in raw or raw == b"." or len(raw) > 255:
        raise Invalid(_("A name has 1 to 255 bytes, and no slash."), field="name")
    return raw
