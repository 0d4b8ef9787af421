"""What nodes hold tenants to, sent when it changes: one operation, and one message to each node."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from django.db.models import F

from panel import events
from panel.environments.models import Environment
from panel.environments.specs import held_to
from panel.jobs.models import Job
from panel.jobs.services import Wanted, ask
from panel.nodes.models import Node
from panel.operations.models import Operation, OperationKind, SubjectType
from panel.operations.services import Subject
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from runtime.contract import HeldTenant, HoldTenants, JobReport
from runtime.contract import Subject as About
from runtime.contract import SubjectType as ContractSubject

#: Longer than a thousand environments take that are given half a minute to shut down.
_WITHIN_S = 3600.0
#: Changes that have environments stopped, frozen, or run again.
_HALTS = frozenset({OperationKind.SUSPEND, OperationKind.RESUME})


def hold(
    actor: Actor | None,
    tenant: Tenant,
    kind: OperationKind,
    tenant_ids: Iterable[UUID],
    *,
    retry_of: Operation | None = None,
) -> Operation | None:
    """Has all nodes hold these tenants (`tenant`, and those below it that a change of it reaches) to what is so
    of them now. None when no node has anything of them. The caller has locked `tenant`, looked at rights, and
    writes the audit.
    """
    ids = list(tenant_ids)
    Tenant.objects.filter(pk__in=ids).update(held_revision=F("held_revision") + 1)
    tenant.refresh_from_db(fields=["held_revision"])
    wanted = [_for_node(node, tenant, there, kind) for node, there in _places(ids).items()]
    if not wanted:
        return None
    subject = Subject(SubjectType.TENANT, str(tenant.pk), tenant.name[:64], tenant.pk)
    return ask(actor, subject, kind, *wanted, details={"tenants": len(ids)}, retry_of=retry_of)


def _places(tenant_ids: list[UUID]) -> dict[Node, list[Tenant]]:
    """Which of them each node has environments of."""
    living = Environment.objects.living().filter(tenant__in=tenant_ids).order_by()
    pairs = set(living.values_list("node_id", "tenant_id"))
    nodes = Node.objects.in_bulk({node for node, _ in pairs})
    tenants = Tenant.objects.in_bulk({tenant for _, tenant in pairs})
    found: dict[Node, list[Tenant]] = defaultdict(list)
    for node_id, tenant_id in sorted(pairs, key=str):
        found[nodes[node_id]].append(tenants[tenant_id])
    return found


def _for_node(node: Node, tenant: Tenant, there: Iterable[Tenant], kind: OperationKind) -> Wanted:
    held = tuple(HeldTenant(id=one.pk, envelope=held_to(one)) for one in there)
    about = About(type=ContractSubject.TENANT, id=str(tenant.pk))
    return Wanted(node, HoldTenants(tenants=held, halts=kind in _HALTS), about, _WITHIN_S)


class TenantJobs:
    """`panel.jobs.kinds.JobKind` of tenants."""

    def require(self, actor: Actor, operation: Operation) -> None:
        needed = Permission.TENANT_QUOTA if operation.kind == OperationKind.QUOTA else Permission.TENANT_SUSPEND
        actor.require(needed, operation.tenant)

    def again(self, actor: Actor, operation: Operation) -> Operation | None:
        """What is so of the tenant, and of all below it, by now."""
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=operation.subject_id)
        below = Tenant.objects.filter(path__startswith=tenant.path).values_list("pk", flat=True)
        return hold(actor, tenant, OperationKind(operation.kind), below, retry_of=operation)

    def hold(self, operation: Operation) -> None:
        Tenant.objects.select_for_update(no_key=True).filter(pk=operation.subject_id).first()

    def reported(self, job: Job, report: JobReport) -> None:
        if report.outcome is not None:
            tenant_id = UUID(job.asked.about.id)
            events.publish("tenant", tenant_id, tenant_id)
