"""A backup of an environment or a volume is begun: its row, what it counts against, and the node's job."""

from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from panel.backups import keeping
from panel.backups.about import Backed
from panel.backups.asking import ask
from panel.backups.locked import locked, repository_of
from panel.backups.models import Backup, Reason, Target
from panel.backups.targets import refuse_other_node
from panel.errors import Conflict, NotFound
from panel.operations.models import Operation
from panel.plans.rules import check_allowance
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.rights.actor import Actor
from panel.storage.kept import named
from runtime.contract import BackUp

#: Of one environment or volume, whatever its plan and its tenant's quota say.
MOST = 1000


def begin(
    actor: Actor | None,
    of: Backed,
    target_id: UUID,
    *,
    name: str = "",
    keep_days: int | None = None,
    reason: Reason = Reason.ASKED,
    retry_of: Operation | None = None,
) -> tuple[Backup, Operation]:
    """As it is when the node comes to it. `actor`: None for one that a schedule takes. Raises `QuotaExceeded`,
    and `Conflict` where there are enough or one is under way."""
    kept_until = keeping.after_days(keep_days)
    row = of.row
    target = _target_for(of, target_id)
    _refuse_many(of)
    quotas.reserve(row.tenant, {Resource.BACKUPS: 1})
    made = Backup.objects.create(
        tenant=row.tenant,
        target=target,
        of=row.pk,
        of_name=row.name,
        name=named(name),
        reason=reason,
        kept_until=kept_until,
        document=of.document,
        created_by=actor.user if actor is not None else None,
        **of.columns,
    )
    work = BackUp.model_validate(
        {
            f"{of.sort}_id": row.pk,
            "backup": made.pk,
            "repository": repository_of(target),
            "repository_id": target.repository_id or None,
            "secrets": locked(target, row.node, about=of.text),
            "tags": {of.sort: str(row.pk), "name": row.name, "tenant": row.tenant.slug},
        }
    )
    details: dict[str, Any] = {"backup": str(made.pk), "name": made.name, "target": str(target.pk)}
    if keep_days is not None:
        details["keep_days"] = keep_days
    if reason is Reason.SCHEDULE:
        details["scheduled"] = True
    return made, ask(actor, made, work, details, retry_of, node=row.node)


def _target_for(of: Backed, target_id: UUID) -> Target:
    """Of its own tenant or one above: who may back up may use them all."""
    rows = Target.objects.select_for_update(of=("self",)).select_related("node", "tenant")
    target = rows.filter(pk=target_id, tenant_id__in=of.row.tenant.chain).first()
    if target is None:
        raise NotFound(_("This target"))
    refuse_other_node(target, of.row)
    return target


def _refuse_many(of: Backed) -> None:
    known = Backup.objects.filter(of=of.row.pk)
    if known.filter(made_at=None).exists():
        raise Conflict(_("A backup of it is being made."), code="busy", next_step=_("Wait until it has ended."))
    check_allowance(of.plan, "backups", known.count() + 1)
    if known.count() >= MOST:
        raise Conflict(of.too_many(MOST), code="too_many", next_step=_("Delete one first."))
