"""Backups by hand, with repository and password alone: for whoever has lost the panel."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from pydantic import ValidationError

from runtime.backups.inside.ground import NOTES
from runtime.backups.places import Access, access_of
from runtime.backups.repository import Restic, unwatched
from runtime.contract import BackupSecrets, Repository, S3Keys, S3Place, SftpLogin, SftpPlace
from runtime.contract.said import plain
from runtime.errors import RuntimeFault
from runtime.node import Node


def listed(node: Node, repository: str, password: str) -> list[dict[str, str]]:
    """Oldest first: id, time, and by its tags what it is of."""
    found = []
    for one in restic_of(node, repository, password).listed():
        tags = dict(tag.partition("=")[::2] for tag in one.get("tags") or [])
        found.append({"id": str(one.get("id", ""))[:12], "at": str(one.get("time", ""))[:19], **tags})
    return found


def about(node: Node, repository: str, password: str, snapshot: str) -> dict[str, object]:
    """What the environment was, as it stands beside its files (`NOTES`)."""
    text = restic_of(node, repository, password).about(snapshot)
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RuntimeFault(plain(f"there is no {NOTES}/environment.json in this backup"))
    return document


def restore(node: Node, repository: str, password: str, snapshot: str, to: Path) -> None:
    """All files of one, with the owners that they had inside, into a new directory."""
    restic = restic_of(node, repository, password)
    to.mkdir(mode=0o755, exist_ok=True)
    if any(to.iterdir()):
        raise RuntimeFault(plain(f"{to} isn't empty"), next_step=plain("Name a new directory."))
    restic.restore(snapshot, to.resolve(), unwatched)


def restic_of(node: Node, repository: str, password: str) -> Restic:
    """On a repository in a directory, or at `s3:https://HOST/BUCKET/PREFIX` or `sftp://USER@HOST:PORT/PATH`.
    What opens the server comes by the environment, never by the command line."""
    return Restic(node, access_by_hand(node, repository, password, os.environ), password, str(uuid4()))


def access_by_hand(
    node: Node, repository: str, password: str, environment: Mapping[str, str], *, makes: bool = False
) -> Access:
    """Whoever asks is root on the node: it may lie inward. With `makes` a directory is made where there is
    none, in one that is there."""
    if "://" not in repository:
        return Access(_made(Path(repository)) if makes else _there(Path(repository)))
    try:
        place, login = _place_of(repository, environment)
    except (ValidationError, ValueError) as odd:
        raise RuntimeFault(
            plain(f"{repository} is no address of a repository"),
            next_step=plain(
                "s3:https://HOST/BUCKET/PREFIX or sftp://USER@HOST:PORT/PATH (//PATH: from the root)"
            ),
        ) from odd
    at = Repository(kind=place.kind, tenant_id=UUID(int=0), name="by-hand", place=place)
    return access_of(node, at, BackupSecrets(password=password, login=login), makes=False)


def _place_of(text: str, given: Mapping[str, str]) -> tuple[S3Place | SftpPlace, S3Keys | SftpLogin]:
    if text.startswith("s3:"):
        parts = urlsplit(text.removeprefix("s3:"))
        bucket, _, prefix = parts.path.strip("/").partition("/")
        s3 = S3Place(
            endpoint=f"{parts.scheme}://{parts.netloc}",
            bucket=bucket,
            prefix=prefix or None,
            region=given.get("AWS_DEFAULT_REGION", ""),
            ca=Path(given["CA_FILE"]).read_text() if given.get("CA_FILE") else "",
            is_inward=True,
        )
        keys = (given.get("AWS_ACCESS_KEY_ID", ""), given.get("AWS_SECRET_ACCESS_KEY", ""))
        return s3, S3Keys(access_key=keys[0], secret_key=keys[1])
    parts = urlsplit(text)
    if parts.scheme != "sftp" or parts.password is not None:
        raise ValueError(text)
    sftp = SftpPlace(
        host=parts.hostname or "",
        port=parts.port or 22,
        user=parts.username or "root",
        path=parts.path.removeprefix("/"),
        host_key=given.get("SFTP_HOST_KEY") or None,
        is_inward=True,
    )
    key = Path(given["SFTP_KEY_FILE"]).read_text() if given.get("SFTP_KEY_FILE") else ""
    return sftp, SftpLogin(password=given.get("SFTP_PASSWORD", ""), private_key=key)


def _made(repository: Path) -> Path:
    try:
        repository.mkdir(mode=0o700, exist_ok=True)
        is_fit = (repository / "config").is_file() or not any(repository.iterdir())
    except OSError as error:
        raise RuntimeFault(
            plain(f"{repository} can't be made: {error.strerror}"),
            next_step=plain("Name a directory in one that is there, as on a mounted disk."),
        ) from error
    if not is_fit:
        raise RuntimeFault(
            plain(f"{repository} holds something else than a repository"),
            next_step=plain("Name a new directory, or an empty one."),
        )
    return repository.resolve()


def _there(repository: Path) -> Path:
    if not (repository / "config").is_file():
        raise RuntimeFault(
            plain(f"there is no repository in {repository}"),
            next_step=plain("It is the directory with the file “config” in it."),
        )
    return repository.resolve()
