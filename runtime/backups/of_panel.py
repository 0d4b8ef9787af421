"""The panel's own database, keys and settings in a repository: a directory that restic keeps and gives back."""

import json
import os
import shutil
from pathlib import Path
from uuid import NAMESPACE_URL, uuid4, uuid5

from runtime.backups.by_hand import access_by_hand, restic_of
from runtime.backups.repository import Restic, unwatched
from runtime.contract.said import plain
from runtime.errors import RuntimeFault
from runtime.node import Node

#: By which its backups are told from those of environments.
_KIND = "panel"


def put(node: Node, repository: str, password: str, directory: Path, *, keep: int = 0) -> dict[str, object]:
    """A backup of it, and the older ones of this panel gone but for `keep` (0: none goes). What came of it."""
    access = access_by_hand(node, repository, password, os.environ, makes=True)
    restic = Restic(node, access, password, str(uuid4()))
    panel = uuid5(NAMESPACE_URL, str(node.home))
    tags = {"kind": _KIND, "name": _KIND, "panel": node.name}
    about = json.dumps({"kind": _KIND, "node": node.name})
    made = restic.back_up(directory, about, host=panel, backup=uuid4(), tags=tags, watch=unwatched)
    going = [one["id"] for one in _of_panels(restic) if one["panel"] == node.name][:-keep] if keep else []
    if going:
        restic.forget(going, unwatched)
    return {"id": made.snapshot[:12], "bytes": made.bytes, "added_bytes": made.added_bytes, "gone": len(going)}


def get(node: Node, repository: str, password: str, backup: str, to: Path) -> dict[str, object]:
    """One (or the `latest`) into a new directory. Raises `RuntimeFault` where there is none."""
    restic = restic_of(node, repository, password)
    there = _of_panels(restic)
    found = there[-1:] if backup == "latest" else [one for one in there if one["id"].startswith(backup)]
    if len(found) != 1 or not backup:
        raise RuntimeFault(
            plain(f"there is no backup {backup} of a panel in this repository"),
            next_step=plain("`./wadah backup list` says what there is."),
        )
    try:
        restic.restore(found[0]["id"], to, unwatched)
    except BaseException:
        for one in to.iterdir():
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
        raise
    return dict(found[0])


def _of_panels(restic: Restic) -> list[dict[str, str]]:
    """Oldest first."""
    found = []
    for one in restic.listed():
        tags = dict(tag.partition("=")[::2] for tag in one.get("tags") or [])
        if tags.get("kind") == _KIND:
            found.append({"id": str(one["id"]), "at": str(one["time"])[:19], "panel": tags.get("panel", "")})
    return sorted(found, key=lambda one: one["at"])
