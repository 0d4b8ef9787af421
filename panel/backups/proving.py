"""Proofs of backups: a system made of one, seen to start on its node, and what came of that."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from pydantic import ValidationError

from panel.backups.asking import ask
from panel.backups.locked import node_of, source_for
from panel.backups.models import Backup
from panel.backups.services import locked_backup, refuse_unready
from panel.errors import Conflict, Invalid
from panel.nodes.models import Node
from panel.operations.models import OPEN_STATES, Operation, OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.selectors import refuse_suspended
from runtime.contract import JobOutcome, JobReport, Kind, ProveBackup

#: Causes that speak of the backup itself; after others it is as unproved as before.
_OF_THE_BACKUP = frozenset(("repository_damaged", "no_such_backup", "not_started", "probe_failed"))


def prove(
    actor: Actor, backup_id: UUID, *, probe: Sequence[str] = (), retry_of: Operation | None = None
) -> Operation:
    """Who proves sees what the disk's programs write to its console, so it takes the right to run commands
    inside as well. Raises a `Refused`."""
    with transaction.atomic():
        row = locked_backup(actor, backup_id)
        for needed in (Permission.BACKUP_MANAGE, Permission.ENVIRONMENT_EXEC):
            actor.require(needed, row.environment or row.tenant)
        return prove_locked(actor, row, probe=probe, retry_of=retry_of)


def prove_locked(
    actor: Actor | None, row: Backup, *, probe: Sequence[str] = (), retry_of: Operation | None = None
) -> Operation:
    """Of a locked row. `actor`: None where a schedule asks."""
    refuse_suspended(row.tenant)
    refuse_unready(row)
    if row.document["kind"] != Kind.SYSTEM:
        raise Conflict(
            _("Only systems are proved by a start: an app's secrets don't lie in its backup."),
            code="not_a_system",
            next_step=_("Restore it as a new environment to try it."),
        )
    under_way = Operation.objects.filter(kind=OperationKind.PROVE_BACKUP, state__in=OPEN_STATES)
    if under_way.filter(subject_id=str(row.of), details__prove_backup=str(row.pk)).exists():
        raise Conflict(_("It is being proved."), code="busy", next_step=_("Wait until it has ended."))
    details = {"prove_backup": str(row.pk), "name": row.name, "probe": list(probe)}
    node = node_of(row)
    return ask(actor, row, _work(row, probe, node), details, retry_of, node=node)


def _work(row: Backup, probe: Sequence[str], node: Node) -> ProveBackup:
    document: dict[str, Any] = row.document
    source = source_for(row, node)
    try:
        return ProveBackup(
            environment_id=uuid4(),
            tenant_id=row.tenant_id,
            backup=row.pk,
            source=source,
            kernel=document["kernel"],
            image=document["image"],
            limits=document["limits"],
            probe=tuple(probe),
        )
    except ValidationError as odd:
        raise Invalid(_("A probe is a command of at most 64 words."), field="probe") from odd


def proved(row: Backup, report: JobReport) -> None:
    """The last of a proof is told. One that failed of the node or its target, or was cancelled, says nothing of
    the backup."""
    is_proved = report.outcome is JobOutcome.SUCCEEDED
    if not is_proved and (report.outcome is JobOutcome.CANCELLED or report.code not in _OF_THE_BACKUP):
        return
    boot = report.boot
    proof = {
        "at": timezone.now().isoformat(),
        "is_proved": is_proved,
        "said": report.message.told(),
        "screen": boot.screen if boot is not None else "",
        "up_after_s": boot.up_after_s if boot is not None else None,
    }
    Backup.objects.filter(pk=row.pk).update(proof=proof, proved_at=timezone.now() if is_proved else None)
