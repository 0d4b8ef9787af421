"""Backups by hand, with repository and password alone: for whoever has lost the panel."""

import json
from pathlib import Path
from uuid import uuid4

from runtime.backups.inside import NOTES
from runtime.backups.repository import Restic, unwatched
from runtime.contract.said import plain
from runtime.errors import RuntimeFault
from runtime.node import Node


def listed(node: Node, repository: Path, password: str) -> list[dict[str, str]]:
    """Oldest first: id, time, and by its tags what it is of."""
    found = []
    for one in Restic(node, _there(repository), password, str(uuid4())).listed():
        tags = dict(tag.partition("=")[::2] for tag in one.get("tags") or [])
        found.append({"id": str(one.get("id", ""))[:12], "at": str(one.get("time", ""))[:19], **tags})
    return found


def about(node: Node, repository: Path, password: str, snapshot: str) -> dict[str, object]:
    """What the environment was, as it stands beside its files (`NOTES`)."""
    text = Restic(node, _there(repository), password, str(uuid4())).about(snapshot)
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RuntimeFault(plain(f"there is no {NOTES}/environment.json in this backup"))
    return document


def restore(node: Node, repository: Path, password: str, snapshot: str, to: Path) -> None:
    """All files of one, with the owners that they had inside, into a new directory."""
    restic = Restic(node, _there(repository), password, str(uuid4()))
    to.mkdir(mode=0o755, exist_ok=True)
    if any(to.iterdir()):
        raise RuntimeFault(plain(f"{to} isn't empty"), next_step=plain("Name a new directory."))
    restic.restore(snapshot, to.resolve(), unwatched)


def _there(repository: Path) -> Path:
    if not (repository / "config").is_file():
        raise RuntimeFault(
            plain(f"there is no repository in {repository}"),
            next_step=plain("It is the directory with the file “config” in it."),
        )
    return repository.resolve()
