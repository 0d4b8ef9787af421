"""What a node is asked to do with a backup: an operation about the environment or the volume, and its audit."""

from typing import Any

from panel.audit.services import record
from panel.backups.models import Backup
from panel.jobs import services as jobs
from panel.jobs.services import Wanted
from panel.nodes.models import Node
from panel.operations.models import Operation, OperationKind, SubjectType
from panel.operations.services import Subject
from panel.rights.actor import Actor
from runtime.contract import BackUp, ForgetBackup, ProveBackup, PutBackFiles
from runtime.contract import Subject as About
from runtime.contract import SubjectType as AboutType

#: What the jobs are as operations, and how long they may take.
_KINDS = {
    "back_up": (OperationKind.BACKUP, 12 * 3600.0),
    "forget_backup": (OperationKind.DELETE_BACKUP, 6 * 3600.0),
    "prove_backup": (OperationKind.PROVE_BACKUP, 6 * 3600.0),
    "put_back_files": (OperationKind.PUT_BACK, 3600.0),
}


def ask(
    actor: Actor | None,
    row: Backup,
    work: BackUp | ForgetBackup | ProveBackup | PutBackFiles,
    details: dict[str, Any],
    retry_of: Operation | None,
    *,
    node: Node,
) -> Operation:
    """Of a locked row, of the node that its secrets were locked for; `actor`: None where a schedule or the
    panel itself asks."""
    kind, within_s = _KINDS[work.kind]
    subject_type, about = SubjectType.ENVIRONMENT, About(type=AboutType.ENVIRONMENT, id=str(row.of))
    if row.is_of_volume:  # nothing else that is asked of the volume waits for it
        subject_type, about = SubjectType.VOLUME, About(type=AboutType.VOLUME, id=str(row.pk))
    subject = Subject(subject_type, str(row.of), row.of_name, row.tenant_id, row.environment_id)
    wanted = Wanted(node, work, about, within_s)
    operation = jobs.ask(actor, subject, kind, wanted, details=details, retry_of=retry_of)
    record(
        actor,
        f"{subject_type}.{kind}",
        tenant_id=row.tenant_id,
        target=row.environment or row.volume or row,
        after=details,
        operation_id=operation.pk,
    )
    return operation
