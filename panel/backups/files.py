"""Files of a backup: looked at and downloaded out of its repository, put back into its environment.

The node does it; nothing is kept here.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.backups.asking import ask
from panel.backups.locked import node_of, source_for
from panel.backups.models import Backup
from panel.backups.services import locked_backup, ready_backup
from panel.environments.models import Environment
from panel.environments.services.intent import locked as locked_environment
from panel.environments.trash import refuse_trashed
from panel.errors import Conflict, Invalid, Refused
from panel.nodes.agent import Agent
from panel.nodes.models import Node
from panel.operations.models import Operation
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.shares import DOWNLOADS, LOOKS, Place, Shares
from panel.storage import answers
from panel.storage.files import Asked, Download, attachment, raw_path, shown
from panel.storage.node_files import missing
from panel.tenants.selectors import refuse_suspended
from runtime.contract import BackupLook, DesiredState, Purpose, PutBackFiles

#: Of one question to the node: restic derives the key of its repository anew, and reads its index.
_LONG_S = 110.0
_MIB = 2**20


@dataclass(frozen=True)
class _Node:
    """Asks the node of a backup's target."""

    backup: Backup
    node: Node
    user: str

    async def listed(self, path: str, *, after: str, most: int) -> dict[str, Any]:
        agent, body = Agent(self.node), self._body(path, after=after, most=most)
        at = f"/v1/environments/{self.backup.of}/backup/files"
        try:
            return await agent.ask("POST", at, self._ticket(), body, timeout_s=_LONG_S)
        except Refused as refusal:
            raise missing(refusal, _("This directory")) from refusal

    async def dumped(self, path: str, kind: str) -> AsyncIterator[bytes]:
        agent, at = Agent(self.node), f"/v1/environments/{self.backup.of}/backup/{kind}"
        try:
            return await agent.stream(
                at, self._ticket(), method="POST", data=self._body(path), timeout_s=_LONG_S
            )
        except Refused as refusal:
            raise missing(refusal, _("This path")) from refusal

    def _body(self, path: str, **more: Any) -> bytes:
        return (
            BackupLook(source=source_for(self.backup, self.node), path=path, **more).model_dump_json().encode()
        )

    def _ticket(self) -> str:
        return Agent(self.node).ticket(
            self.backup.of, Purpose.FILES, self.user, read_only=True, tenant_id=self.backup.tenant.payer
        )


def text_path(path: str, path64: str) -> str:
    """restic tells and takes names as UTF-8 alone: others come with the archive of their directory."""
    try:
        return raw_path(path, path64).decode()
    except UnicodeDecodeError as error:
        raise Invalid(
            _("A name that is no UTF-8 can't be asked for."),
            field="path64",
            next_step=_("Take the archive of its directory."),
        ) from error


def list_files(
    actor: Actor, backup_id: UUID, path: str, path64: str = "", *, after: str = "", most: int = 200
) -> Asked[answers.FilePage]:
    """A page of a directory. Who may run commands inside may look."""
    backup = _seen(actor, backup_id)
    at, begin = text_path(path, path64), text_path("", after)
    node = _node(actor, backup)

    async def result() -> answers.FilePage:
        found = await node.listed(at, after=begin, most=most)
        items = [shown(one) for one in found["entries"]]
        return {"items": items, "total": found["total"], "next": found["next"] or None}

    return Asked(result, _place(actor, backup, LOOKS))


def download(actor: Actor, backup_id: UUID, path: str, path64: str = "", *, is_archive: bool) -> Download:
    """A file as an attachment, or a directory as a tar archive. Audited."""
    backup, at = _seen(actor, backup_id), text_path(path, path64)
    coming = _node(actor, backup)
    place = _place(actor, backup, DOWNLOADS)
    try:
        with transaction.atomic():
            record(
                actor,
                "volume.file_read" if backup.is_of_volume else "environment.file_read",
                tenant_id=backup.tenant_id,
                target=backup.environment or backup.volume or backup,
                after={"path": at[:400], "backup": str(backup.pk)},
            )
    except BaseException:
        place.give_back()
        raise
    kind, ending, mime = ("archive", ".tar", "application/x-tar") if is_archive else ("content", "", _BYTES)
    return Download(lambda: attachment(coming.dumped(at, kind), at.encode(), ending, mime), place)


_BYTES = "application/octet-stream"


def put_back(
    actor: Actor, backup_id: UUID, path: str, path64: str = "", *, retry_of: Operation | None = None
) -> Operation:
    """One path of it, into the environment as it is now: an operation. What was added to a directory since
    stays. Raises a `Refused`."""
    at = text_path(path, path64)
    if not set(at.split("/")) - {"", "."}:
        raise Invalid(_("Say which file or directory."), field="path")
    with transaction.atomic():
        of = _seen(actor, backup_id).environment
        if of is None:
            raise Conflict(_("The environment of this backup is gone."), code="gone")
        environment = locked_environment(actor, of.pk)
        backup = locked_backup(actor, backup_id)
        actor.require(Permission.ENVIRONMENT_EXEC, environment)
        _refuse_unchangeable(environment)
        work = PutBackFiles(
            environment_id=environment.pk,
            tenant_id=environment.tenant_id,
            source=source_for(backup, environment.node),
            path=at,
            most_bytes=environment.limits["disk_mb"] * _MIB,
        )
        details = {"put_back": str(backup.pk), "name": backup.name, "path": at[:400]}
        return ask(actor, backup, work, details, retry_of, node=environment.node)


def _refuse_unchangeable(environment: Environment) -> None:
    refuse_suspended(environment.tenant)
    refuse_trashed(environment)
    if environment.desired_state == DesiredState.DELETED:
        raise Conflict(_("This environment is being deleted."), code="deleting")


def _seen(actor: Actor, backup_id: UUID) -> Backup:
    backup = ready_backup(actor, backup_id)
    actor.require(Permission.ENVIRONMENT_EXEC, backup.environment or backup.tenant)
    return backup


def _node(actor: Actor, backup: Backup) -> _Node:
    """Raises `Conflict` when nobody can open it any more."""
    found = _Node(backup, node_of(backup), actor.name)
    source_for(backup, found.node)
    return found


def _place(actor: Actor, backup: Backup, shares: Shares) -> Place:
    return shares.take(actor, backup.tenant_id, backup.tenant.path)
